//! The client: one bare request, and the chain of decorators that makes it fit for production.

use crate::{
    chat::{Completion, Message, Request, tokens},
    server::Stats,
    tally::Tally,
};
use decor::{BoxedFn, Timing, Transient, prelude::*};
use reqwest::{Response, StatusCode, header::RETRY_AFTER};
use std::{error::Error as _, iter, sync::Arc, time::Duration};

/// A prompt in, an answer out: all that the rest of the program sees of the API, and of what surrounds it.
pub(crate) type Complete = BoxedFn<(Arc<str>,), Result<Answer, LlmError>>;

/// The answers, by their prompts. The model is no part of the key, for this program asks only one.
pub(crate) type Answers = Memo<Arc<str>, Answer>;

/// A text, and what it has cost with its prompt.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) text: Arc<str>,
    tokens_used: u32,
}

/// Reads from the inside out: up to `retry_with` it concerns each attempt, up to `memoized` what is loaded, after it
/// every call. An attempt's timeout begins when the limiter has let it go; the total one includes the waits. A prompt
/// whose answer is remembered needs no permit and no request, but is validated, logged and timed like any other.
pub(crate) fn production_ready(api: Api, memo: &Answers) -> Complete {
    let (limits, limiter, tally) = (api.limits, api.limiter.clone(), api.tally);
    let policy = RetryPolicy::exponential(Duration::from_millis(100))
        .max_delay(Duration::from_secs(2))
        .max_attempts(12)
        .jitter(Jitter::Full);

    decor::with_context(api, complete)
        .timed_with(Timing::new("attempt").by_result().record_to(|attempt| tally.attempt_ended(attempt)))
        .timeout(limits.attempt)
        .pausing(&limiter, limits.pause)
        .rate_limited_by(&limiter, move |prompt: &Arc<str>| [1, limits.tokens_reserved(prompt)])
        .settled(|answer| [1, tally.used(answer.tokens_used)])
        .retry_with(&policy)
        .transient()
        .on_retry(|retrying| tally.retried(retrying.error))
        .on_give_up(|given_up| tally.gave_up(given_up.error))
        .timeout(limits.total)
        .memoized(memo)
        .validated(|prompt: &Arc<str>| if prompt.trim().is_empty() { Err("the prompt is empty") } else { Ok(()) })
        .logged()
        .timed_with(Timing::new("complete").by_result().record_to(|call| tally.call_ended(call)))
        .boxed()
}

/// A single attempt, without retries, timeouts, limits or logs.
async fn complete(api: Api, prompt: Arc<str>) -> Result<Answer, LlmError> {
    api.tally.reserved(api.limits.tokens_reserved(&prompt));
    let message = Message { role: "user".into(), content: prompt.to_string() };
    let request = Request { model: api.model.to_string(), messages: vec![message] };
    let response = api.http.post(format!("{}/v1/chat/completions", api.base)).json(&request).send().await?;
    match response.status() {
        StatusCode::TOO_MANY_REQUESTS => Err(LlmError::Throttled { retry_after: retry_after(&response) }),
        status if !status.is_success() => Err(LlmError::Status(status)),
        _ => {
            let completion: Completion = response.json().await?;
            let text = completion.choices.into_iter().next().ok_or(LlmError::NoAnswer)?.message.content;
            let estimate = || tokens(&prompt) + tokens(&text);
            let tokens_used = completion.usage.map_or_else(estimate, |usage| usage.total_tokens);
            Ok(Answer { text: text.into(), tokens_used })
        }
    }
}

/// HTTP allows a date in place of the seconds; then the policy's own delay has to do.
fn retry_after(response: &Response) -> Option<Duration> {
    let seconds = response.headers().get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum LlmError {
    #[error("the server is throttling")]
    Throttled { retry_after: Option<Duration> },
    #[error("the server answered {0}")]
    Status(StatusCode),
    #[error("the response holds no answer")]
    NoAnswer,
    #[error("{}", with_reason(.0))]
    Http(#[from] reqwest::Error),
    #[error(transparent)]
    Policy(#[from] decor::Error),
}

/// Reqwest's own text leaves out why: "connection refused" is what its innermost source says.
fn with_reason(error: &reqwest::Error) -> String {
    match iter::successors(error.source(), |&source| source.source()).last() {
        Some(reason) => format!("{error}: {reason}"),
        None => error.to_string(),
    }
}

impl Transient for LlmError {
    fn is_transient(&self) -> bool {
        match self {
            Self::Throttled { .. } => true,
            Self::Status(status) => status.is_server_error(), // a 400 or a 401 fails at once
            Self::NoAnswer => false,
            // A lost connection and a timeout, and not a response that makes no sense.
            Self::Http(error) => error.is_connect() || error.is_timeout() || error.is_request() || error.is_body(),
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

/// How long loading an answer may take, and what becomes of the limiter meanwhile.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// One attempt at it.
    attempt: Duration,
    /// All attempts, and the waits between them. A call that waits for another's load which fails has as long again for
    /// a load of its own.
    total: Duration,
    /// A length that answers seldom exceed. The length of an answer is known only at its end.
    /// Without this reservation, a burst of short prompts would pass at once, and its answers would
    /// overdraw the limit.
    answer_tokens: u32,
    /// For how long this error lets everybody wait, if at all.
    pause: fn(&LlmError) -> Option<Duration>,
}

impl Limits {
    pub(crate) const FOR_OUR_SERVER: Self = Self {
        attempt: Duration::from_secs(2),
        total: Duration::from_secs(15),
        answer_tokens: 50,
        pause: LlmError::retry_after,
    };
    pub(crate) const FOR_A_REAL_MODEL: Self = Self {
        attempt: Duration::from_secs(60),
        total: Duration::from_secs(300),
        answer_tokens: 500,
        pause: LlmError::retry_after,
    };

    /// Each call is then left alone with the 429s it sees.
    pub(crate) fn without_pauses(self) -> Self {
        Self { pause: |_| None, ..self }
    }

    /// The most that a request will probably cost. The difference is settled when the server
    /// reports the cost.
    pub(crate) fn tokens_reserved(&self, prompt: &str) -> u32 {
        tokens(prompt) + self.answer_tokens
    }
}

/// How much a server takes within a period.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rate {
    pub(crate) requests: u32,
    pub(crate) tokens: u32,
    pub(crate) period: Duration,
}

impl Rate {
    /// So much that it never makes anybody wait.
    pub(crate) const UNLIMITED: Self =
        Self { requests: 1_000_000, tokens: 1_000_000_000, period: Duration::from_secs(1) };

    /// The limiter knows when a request leaves, but the server counts by when it arrives. If one burst is longer on its
    /// way than the next, because it has to open connections, say, then they arrive closer to each other than they
    /// left. By so much they may.
    const NETWORK: Duration = Duration::from_millis(100);

    pub(crate) fn limiter(self) -> RateLimiter {
        let period = self.period + Self::NETWORK;
        RateLimiter::windows([(self.requests, period), (self.tokens, period)])
    }
}

/// Where the model is. Cheap to clone, as `with_context` clones it for each attempt.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    http: reqwest::Client,
    base: Arc<str>,
    model: Arc<str>,
    limits: Limits,
    limiter: RateLimiter,
    tally: &'static Tally,
}

impl Api {
    pub(crate) fn new(
        base: &str,
        model: &str,
        limits: Limits,
        limiter: RateLimiter,
        tally: &'static Tally,
    ) -> reqwest::Result<Self> {
        // A proxy from the environment would be asked for loopback addresses too.
        let http = reqwest::Client::builder().no_proxy().build()?;
        Ok(Self { http, base: base.into(), model: model.into(), limits, limiter, tally })
    }

    /// What our own server counted; other servers have no such path.
    pub(crate) async fn stats(&self) -> reqwest::Result<Stats> {
        self.http.get(format!("{}/stats", self.base)).send().await?.error_for_status()?.json().await
    }
}
