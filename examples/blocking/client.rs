//! A command-line client that needs no runtime. Each prompt has a thread, and all threads share a
//! chain.

use crate::{
    chat::{Completion, Message, Request},
    http,
    server::{self, Load, Process, Stats},
};
use anyhow::{Context, ensure};
use decor::{Transient, blocking::BoxedFn, prelude::*};
use std::{collections::HashSet, io, sync::Arc, thread, time::Duration};
use tracing::info_span;

/// Seed of the server's faults.
const SEED: u64 = 7;

/// Time limit of an attempt. The server answers within 80 ms, or never.
const ATTEMPT: Duration = Duration::from_millis(500);

/// Time limit of a call: all its attempts and waits, or the wait for another call's load.
const TOTAL: Duration = Duration::from_secs(30);

type Complete = BoxedFn<(Arc<str>,), Result<String, ClientError>>;

/// Decorates the bare request. The decorators before `retry_with` act on each attempt, those before
/// `memoized` on each load, and those after `memoized` on each call.
///
/// Every caller has its answer within 30 s, even if the server hangs.
fn production_ready(host: Arc<str>, limiter: &RateLimiter, memo: &Memo<Arc<str>, String>) -> Complete {
    let policy = RetryPolicy::exponential(Duration::from_millis(50))
        .max_delay(Duration::from_secs(1))
        .max_attempts(12)
        .jitter(Jitter::Full);

    (move |prompt: Arc<str>| complete(&host, &prompt))
        .blocking()
        .named("complete")
        .timeout(ATTEMPT)
        .pausing(limiter, ClientError::retry_after)
        .rate_limited(limiter)
        .retry_with(&policy)
        .transient()
        .memoized(memo)
        .timeout(TOTAL)
        .validated(|prompt: &Arc<str>| if prompt.trim().is_empty() { Err("the prompt is empty") } else { Ok(()) })
        .logged()
        .boxed()
}

/// Makes one attempt, without retries, limits or logs.
///
/// A thread cannot be cancelled. When the timeout passes, the caller abandons this attempt, and
/// only the limit of the socket ends its wait. That limit is longer, so that the timeout passes
/// first.
fn complete(host: &str, prompt: &str) -> Result<String, ClientError> {
    let message = Message { role: "user".into(), content: prompt.into() };
    let request = serde_json::to_string(&Request { model: "default".into(), messages: vec![message] })?;
    let response = http::post(host, "/v1/chat/completions", &request, 2 * ATTEMPT)?;
    match response.status {
        200 => {
            let completion: Completion = serde_json::from_slice(&response.body)?;
            Ok(completion.choices.into_iter().next().ok_or(ClientError::NoAnswer)?.message.content)
        }
        429 => Err(ClientError::Throttled { retry_after: response.retry_after }),
        status => Err(ClientError::Status(status)),
    }
}

#[derive(Debug, thiserror::Error)]
enum ClientError {
    #[error("the server is throttling")]
    Throttled { retry_after: Option<Duration> },
    #[error("the server answered {0}")]
    Status(u16),
    #[error("the response has no answer")]
    NoAnswer,
    #[error("the response cannot be read: {0}")]
    Json(#[from] serde_json::Error),
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Policy(#[from] decor::Error),
}

impl Transient for ClientError {
    fn is_transient(&self) -> bool {
        match self {
            Self::Throttled { .. } => true,
            Self::Status(status) => *status >= 500,
            Self::NoAnswer | Self::Json(_) => false,
            Self::Io(error) => error.is_transient(),
            Self::Policy(error) => error.is_transient(),
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Throttled { retry_after } => *retry_after,
            Self::Policy(error) => error.retry_after(),
            _ => None,
        }
    }
}

pub(crate) fn run(prompts: &[Arc<str>]) -> anyhow::Result<()> {
    let takes @ Load { requests, .. } = server::limits_for(prompts);
    let server = Process::start(SEED, takes)?;
    let url = server.url();
    let host: Arc<str> = url.strip_prefix("http://").context("the server speaks http")?.into();

    // A quarter of the server's limit. The rest is for other clients.
    let limiter = RateLimiter::new(requests / 4, server::PERIOD);
    let memo = Memo::ttl(Duration::from_secs(300));
    let complete = production_ready(Arc::clone(&host), &limiter, &memo);
    println!("{} prompts for {url}, each through\n{complete:?}\n", prompts.len());

    let answers: Vec<_> = thread::scope(|scope| {
        let ask = |(n, prompt): (usize, &Arc<str>)| {
            let (complete, prompt) = (&complete, Arc::clone(prompt));
            scope.spawn(move || info_span!("prompt", n = n + 1).in_scope(|| complete.call(prompt)))
        };
        let threads: Vec<_> = prompts.iter().enumerate().map(ask).collect();
        threads.into_iter().map(|thread| thread.join().expect("the client does not panic")).collect()
    });

    println!();
    for (prompt, answer) in prompts.iter().zip(&answers) {
        match answer {
            Ok(answer) => println!("{prompt}\n    {answer}"),
            Err(error) => println!("{prompt}\n    error: {error}"),
        }
    }
    let counts: Stats = serde_json::from_slice(&http::get(&host, "/stats", ATTEMPT)?.body)?;
    let (memo, limits) = (memo.stats(), limiter.stats());
    println!("\nmemo      {} hits, {} coalesced, {} loads", memo.hits, memo.coalesced, memo.loads);
    println!("limiter   {} admitted, {} of them delayed", limits.admitted, limits.delayed);
    let Stats { requests, answered, failed, hung, throttled, .. } = counts;
    println!("server    {requests} requests: {answered} answered, {failed} failed, {hung} hung, {throttled} throttled");

    let is_right = |prompt: &str, answer: &str| answer == server::answer_to(prompt);
    let mut ended = prompts.iter().zip(&answers);
    let all_right = ended.all(|(prompt, answer)| answer.as_ref().is_ok_and(|answer| is_right(prompt, answer)));
    ensure!(all_right, "some prompt has no answer, or a wrong one");
    let different = prompts.iter().collect::<HashSet<_>>().len();
    ensure!(memo.loads == different as u64, "{} loads for {different} different prompts", memo.loads);
    ensure!(memo.calls() == prompts.len() as u64, "the memo has a wrong count: {memo:?}");
    // Not `==`, because a request that timed out was admitted, and may never have arrived.
    ensure!(requests as u64 <= limits.admitted, "{requests} requests, but {} admitted", limits.admitted);
    println!("each of the {} prompts has its own correct answer", prompts.len());
    Ok(())
}
