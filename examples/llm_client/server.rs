//! The built-in server: a model API that throttles, fails and hangs, and counts its requests.

use crate::chat::{Choice, Completion, Message, Request, Usage, tokens};
use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header::RETRY_AFTER},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::{Deserialize, Serialize};
use std::{
    collections::HashMap,
    future::pending,
    io,
    iter::Sum,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::{
    net::TcpListener,
    runtime::{self, Runtime},
    time::sleep,
};

/// Period of the limits. Model APIs count by the minute; a second keeps the example short.
pub(crate) const PERIOD: Duration = Duration::from_secs(1);
const REQUESTS_PER_PERIOD: u32 = 50;

/// Returns the limits for these prompts. The server answers 429 to requests above them in any
/// `PERIOD`.
///
/// The limit of tokens is what `REQUESTS_PER_PERIOD` average prompts and their answers use, so both
/// limits matter: long prompts reach the limit of tokens first, short ones the limit of requests.
pub(crate) fn limits_for(prompts: &[Arc<str>]) -> Load {
    let used = |prompt: &Arc<str>| u64::from(tokens(prompt)) + u64::from(tokens(&answer_to(prompt)));
    let (sum, most) = prompts.iter().map(used).fold((0, 0), |(sum, most), used| (sum + used, used.max(most)));
    let average = sum.div_ceil(prompts.len().max(1) as u64);
    let tokens = (average * u64::from(REQUESTS_PER_PERIOD)).max(most).next_multiple_of(100);
    Load { requests: REQUESTS_PER_PERIOD, tokens: tokens.try_into().unwrap_or(u32::MAX) }
}

/// A server that runs, or has died. Its counts outlive its death.
pub(crate) struct Process {
    address: SocketAddr,
    server: Arc<Mutex<Server>>,
    /// A runtime of its own, with all tasks and connections of the server; `None` if it has died.
    runtime: Option<Runtime>,
}

impl Process {
    /// Starts a server at a free port.
    pub(crate) fn start(seed: u64, limits: Load) -> io::Result<Self> {
        let server = Arc::new(Mutex::new(Server { seed, limits, ..Server::default() }));
        let mut process = Self { address: (Ipv4Addr::LOCALHOST, 0).into(), server, runtime: None };
        process.restart(Faults::OFTEN)?;
        Ok(process)
    }

    /// Starts the server at its former port, with faults of another frequency.
    pub(crate) fn restart(&mut self, faults: Faults) -> io::Result<()> {
        lock(&self.server).faults = faults;
        let runtime = runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let listener = std::net::TcpListener::bind(self.address)?;
        listener.set_nonblocking(true)?;
        self.address = listener.local_addr()?;
        let routes = Router::new().route("/v1/chat/completions", post(chat)).route("/stats", get(stats));
        let routes = routes.with_state(Arc::clone(&self.server));
        runtime.spawn(async { axum::serve(TcpListener::from_std(listener)?, routes).await });
        self.runtime = Some(runtime);
        Ok(())
    }

    /// Ends the server as a crash does: open connections break off, new ones are refused.
    pub(crate) fn die(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Process {
    /// A runtime must not be dropped within another one, because the drop would block.
    fn drop(&mut self) {
        self.die();
    }
}

/// Returns the answer to a prompt. Each prompt has a different answer, so that a mix-up is noticed.
pub(crate) fn answer_to(prompt: &str) -> String {
    let words = prompt.split_whitespace().count();
    format!("{words} words, checksum {:016x}, echo: {prompt}", hash([prompt.as_bytes()]))
}

/// The server's counts of requests and of its reactions.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub(crate) struct Stats {
    pub(crate) requests: usize,
    pub(crate) answered: usize,
    pub(crate) throttled: usize,
    pub(crate) failed: usize,
    pub(crate) hung: usize,
    pub(crate) distinct_prompts: usize,
    pub(crate) limits: Load,
    /// The maximum of requests and of tokens within any `PERIOD`, throttled ones included.
    pub(crate) most: Load,
}

/// A number of requests and tokens.
#[derive(Debug, Default, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Load {
    pub(crate) requests: u32,
    pub(crate) tokens: u32,
}

impl Sum for Load {
    fn sum<I: Iterator<Item = Self>>(loads: I) -> Self {
        loads.fold(Self::default(), |sum, load| Self {
            requests: sum.requests + load.requests,
            tokens: sum.tokens + load.tokens,
        })
    }
}

/// Percentages of the requests that fail, and that hang.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Faults {
    failing: u64,
    hanging: u64,
}

impl Faults {
    const OFTEN: Self = Self { failing: 15, hanging: 10 };
    pub(crate) const SELDOM: Self = Self { failing: 0, hanging: 6 };
}

#[derive(Default)]
struct Server {
    seed: u64,
    faults: Faults,
    limits: Load,
    stats: Stats,
    arrivals: Arrivals,
    /// Number of admitted requests for each prompt.
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
    let (arrival, fate) = lock(&server).decide(prompt);
    match fate {
        Fate::Throttle => (StatusCode::TOO_MANY_REQUESTS, [(RETRY_AFTER, PERIOD.as_secs())]).into_response(),
        Fate::Fail => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        Fate::Hang => pending().await,
        Fate::Answer { latency } => {
            sleep(latency).await;
            let (completion, usage) = completion(request.model, prompt);
            lock(&server).answered(arrival, usage.completion_tokens);
            Json(completion).into_response()
        }
    }
}

async fn stats(State(server): State<Arc<Mutex<Server>>>) -> Json<Stats> {
    Json(lock(&server).stats())
}

fn lock(server: &Mutex<Server>) -> MutexGuard<'_, Server> {
    server.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Server {
    /// Returns the index of a request that has just arrived, and its fate.
    fn decide(&mut self, prompt: &str) -> (usize, Fate) {
        let (arrival, has_room) = self.arrivals.add(Instant::now(), tokens(prompt), self.limits);
        let nth = self.let_in.entry(prompt.to_owned()).or_default();
        let fate = if has_room { fate(self.seed, self.faults, prompt, *nth) } else { Fate::Throttle };
        *nth += u64::from(has_room);

        self.stats.requests += 1;
        match fate {
            Fate::Throttle => self.stats.throttled += 1,
            Fate::Fail => self.stats.failed += 1,
            Fate::Hang => self.stats.hung += 1,
            Fate::Answer { .. } => {} // counted when it is sent, because the client may be gone by then
        }
        (arrival, fate)
    }

    fn answered(&mut self, arrival: usize, completion_tokens: u32) {
        self.stats.answered += 1;
        self.arrivals.0[arrival].load.tokens += completion_tokens;
    }

    fn stats(&self) -> Stats {
        let distinct_prompts = self.let_in.len();
        Stats { distinct_prompts, limits: self.limits, most: self.arrivals.most(), ..self.stats.clone() }
    }
}

/// All requests in the order of arrival. The statistics are computed from them on demand.
#[derive(Default)]
struct Arrivals(Vec<Arrival>);

struct Arrival {
    at: Instant,
    let_in: bool,
    /// The request, with the tokens of its prompt and, once there is one, of its answer.
    load: Load,
}

impl Arrivals {
    /// Adds a request. Returns its index, and `true` if the limits have room for it.
    fn add(&mut self, at: Instant, tokens: u32, limits: Load) -> (usize, bool) {
        let nth = self.0.len();
        self.0.push(Arrival { at, let_in: true, load: Load { requests: 1, tokens } });
        let load: Load = self.period_up_to(nth).filter(|arrival| arrival.let_in).map(|arrival| arrival.load).sum();
        let has_room = load.requests <= limits.requests && load.tokens <= limits.tokens;
        self.0[nth].let_in = has_room;
        (nth, has_room)
    }

    fn most(&self) -> Load {
        let loads = (0..self.0.len()).map(|nth| self.period_up_to(nth).map(|arrival| arrival.load).sum());
        loads.fold(Load::default(), |most, load: Load| Load {
            requests: most.requests.max(load.requests),
            tokens: most.tokens.max(load.tokens),
        })
    }

    /// Returns the arrivals within the `PERIOD` that ends with this one. The period slides, so two
    /// bursts cannot meet at the turn of a second.
    fn period_up_to(&self, nth: usize) -> impl Iterator<Item = &Arrival> {
        let end = self.0[nth].at;
        self.0[..=nth].iter().rev().take_while(move |arrival| end.duration_since(arrival.at) < PERIOD)
    }
}

/// Returns the fate of the `nth` admitted request with a prompt, counted from 0. The fate depends
/// on the arguments only, so that two runs with the same seed have the same faults. Each third
/// request is answered, so that at most two faults follow each other.
fn fate(seed: u64, Faults { failing, hanging }: Faults, prompt: &str, nth: u64) -> Fate {
    let dice = hash([&seed.to_le_bytes(), prompt.as_bytes(), &nth.to_le_bytes()]);
    let may_fail = nth % 3 != 2;
    match dice % 100 {
        percent if may_fail && percent < failing => Fate::Fail,
        percent if may_fail && percent < failing + hanging => Fate::Hang,
        _ => Fate::Answer { latency: Duration::from_millis(20 + (dice >> 32) % 60) },
    }
}

fn completion(model: String, prompt: &str) -> (Completion, Usage) {
    let content = answer_to(prompt);
    let [prompt_tokens, completion_tokens] = [prompt, &content].map(tokens);
    let usage = Usage { prompt_tokens, completion_tokens, total_tokens: prompt_tokens + completion_tokens };
    let message = Message { role: "assistant".into(), content };
    let completion = Completion {
        id: format!("chatcmpl-{:016x}", hash([prompt.as_bytes()])),
        object: "chat.completion".into(),
        model,
        choices: vec![Choice { index: 0, message, finish_reason: Some("stop".into()) }],
        usage: Some(usage),
    };
    (completion, usage)
}

/// FNV-1a with a final mixing step, so that a change of the last byte reaches every bit.
fn hash<const N: usize>(parts: [&[u8]; N]) -> u64 {
    let fnv = parts
        .into_iter()
        .flatten()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3));
    (fnv ^ (fnv >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}
