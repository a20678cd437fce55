//! The server: a model API as one meets it, that throttles, fails and hangs. It counts what it sees by itself.

use crate::chat::{Choice, Completion, Message, Request, Usage};
use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header::RETRY_AFTER},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{HashMap, VecDeque},
    future::pending,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::{net::TcpListener, time::sleep};

/// At most so many requests are let in within any second; the others are answered 429.
const REQUESTS_PER_SECOND: usize = 20;
const SECOND: Duration = Duration::from_secs(1);

/// Begins to serve, and returns the address. It ends with the runtime.
pub(crate) async fn start(seed: u64) -> io::Result<String> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let url = format!("http://{}", listener.local_addr()?);
    let server = Arc::new(Mutex::new(Server { seed, ..Server::default() }));
    let routes = Router::new().route("/v1/chat/completions", post(chat)).route("/stats", get(stats));
    tokio::spawn(axum::serve(listener, routes.with_state(server)).into_future());
    Ok(url)
}

/// What every prompt is answered, here and nowhere else: another's answer would be noticed.
pub(crate) fn answer_to(prompt: &str) -> String {
    let words = prompt.split_whitespace().count();
    format!("{words} words, checksum {:016x}, echo: {prompt}", hash([prompt.as_bytes()]))
}

/// What the server saw, and what it did about it.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub(crate) struct Stats {
    pub(crate) requests: usize,
    pub(crate) answered: usize,
    pub(crate) throttled: usize,
    pub(crate) failed: usize,
    pub(crate) hung: usize,
    pub(crate) distinct_prompts: usize,
}

#[derive(Default)]
struct Server {
    seed: u64,
    stats: Stats,
    limit: Limit,
    /// How many requests with a prompt were let in so far.
    let_in: HashMap<String, u64>,
}

#[derive(Clone, Copy)]
enum Fate {
    Throttle,
    Fail,
    Hang,
    Answer { latency: Duration },
}

async fn chat(State(server): State<Arc<Mutex<Server>>>, Json(request): Json<Request>) -> Response {
    let prompt = request.messages.last().map(|message| message.content.as_str()).unwrap_or_default();
    let fate = lock(&server).decide(prompt);
    match fate {
        Fate::Throttle => (StatusCode::TOO_MANY_REQUESTS, [(RETRY_AFTER, SECOND.as_secs())]).into_response(),
        Fate::Fail => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        Fate::Hang => pending().await,
        Fate::Answer { latency } => {
            sleep(latency).await;
            lock(&server).stats.answered += 1;
            Json(completion(request.model, prompt)).into_response()
        }
    }
}

async fn stats(State(server): State<Arc<Mutex<Server>>>) -> Json<Stats> {
    Json(lock(&server).stats.clone())
}

fn lock(server: &Mutex<Server>) -> MutexGuard<'_, Server> {
    server.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Server {
    fn decide(&mut self, prompt: &str) -> Fate {
        let has_room = self.limit.admits(Instant::now());
        let nth = self.let_in.entry(prompt.to_owned()).or_default();
        let fate = if has_room { fate(self.seed, prompt, *nth) } else { Fate::Throttle };
        *nth += u64::from(has_room);

        self.stats.requests += 1;
        self.stats.distinct_prompts = self.let_in.len();
        match fate {
            Fate::Throttle => self.stats.throttled += 1,
            Fate::Fail => self.stats.failed += 1,
            Fate::Hang => self.stats.hung += 1,
            Fate::Answer { .. } => {} // counted when it is given: the client may be gone by then
        }
        fate
    }
}

/// When the requests of the last second were let in. It slides: two bursts cannot meet at the turn of a second.
#[derive(Default)]
struct Limit(VecDeque<Instant>);

impl Limit {
    fn admits(&mut self, now: Instant) -> bool {
        while self.0.front().is_some_and(|then| now.duration_since(*then) >= SECOND) {
            self.0.pop_front();
        }
        let has_room = self.0.len() < REQUESTS_PER_SECOND;
        if has_room {
            self.0.push_back(now);
        }
        has_room
    }
}

/// What happens to the `nth` request with a prompt (from 0) that is let in. Depends on nothing else, so that two runs
/// with one seed meet the same faults. Each third request is answered: never more than two faults in a row.
fn fate(seed: u64, prompt: &str, nth: u64) -> Fate {
    let dice = hash([&seed.to_le_bytes(), prompt.as_bytes(), &nth.to_le_bytes()]);
    match dice % 100 {
        0..15 if nth % 3 != 2 => Fate::Fail,
        15..25 if nth % 3 != 2 => Fate::Hang,
        _ => Fate::Answer { latency: Duration::from_millis(20 + (dice >> 32) % 60) },
    }
}

fn completion(model: String, prompt: &str) -> Completion {
    let content = answer_to(prompt);
    let [prompt_tokens, completion_tokens] = [prompt, &content].map(|text| text.split_whitespace().count());
    let message = Message { role: "assistant".into(), content };
    Completion {
        id: format!("chatcmpl-{:016x}", hash([prompt.as_bytes()])),
        object: "chat.completion".into(),
        model,
        choices: vec![Choice { index: 0, message, finish_reason: Some("stop".into()) }],
        usage: Some(Usage { prompt_tokens, completion_tokens, total_tokens: prompt_tokens + completion_tokens }),
    }
}

/// FNV-1a, with a last mixing so that a change of the last byte reaches every bit.
fn hash<const N: usize>(parts: [&[u8]; N]) -> u64 {
    let fnv = parts
        .into_iter()
        .flatten()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3));
    (fnv ^ (fnv >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}
