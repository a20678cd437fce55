//! The client: one bare request, and the chain of decorators that makes it fit for production.

use crate::{
    chat::{Completion, Message, Request},
    server::Stats,
    tally::Tally,
};
use decor::{BoxedFn, Timing, Transient, prelude::*};
use reqwest::{Response, StatusCode, header::RETRY_AFTER};
use std::{error::Error as _, iter, sync::Arc, time::Duration};

/// A prompt in, an answer out: all that the rest of the program sees of the API, and of what surrounds it.
pub(crate) type Complete = BoxedFn<(Arc<str>,), Result<String, LlmError>>;

/// Reads from the inside out: up to `retry_with` it concerns each attempt, after it the call as a whole.
pub(crate) fn production_ready(api: Api, limits: Limits, tally: &'static Tally) -> Complete {
    let policy = RetryPolicy::exponential(Duration::from_millis(100))
        .max_delay(Duration::from_secs(2))
        .max_attempts(12)
        .jitter(Jitter::Full);

    decor::with_context(api, complete)
        .timed_with(Timing::new("attempt").to(|attempt| tally.attempt_ended(attempt)))
        .timeout(limits.attempt)
        .retry_with(&policy)
        .transient()
        .on_retry(|retrying| tally.retried(retrying.error))
        .on_give_up(|given_up| tally.gave_up(given_up.error))
        .timeout(limits.total)
        .logged()
        .timed_with(Timing::new("complete").by_result().to(|call| tally.call_ended(call)))
        .boxed()
}

/// One attempt. It knows nothing of retries, timeouts or logs.
async fn complete(api: Api, prompt: Arc<str>) -> Result<String, LlmError> {
    let message = Message { role: "user".into(), content: prompt.to_string() };
    let request = Request { model: api.model.to_string(), messages: vec![message] };
    let response = api.http.post(format!("{}/v1/chat/completions", api.base)).json(&request).send().await?;
    match response.status() {
        StatusCode::TOO_MANY_REQUESTS => Err(LlmError::Throttled { retry_after: retry_after(&response) }),
        status if !status.is_success() => Err(LlmError::Status(status)),
        _ => {
            let completion: Completion = response.json().await?;
            completion.choices.into_iter().next().map(|choice| choice.message.content).ok_or(LlmError::NoAnswer)
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
            Self::Status(status) => status.is_server_error(),
            Self::NoAnswer => false,
            Self::Http(error) => error.is_connect() || error.is_request() || error.is_body(),
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

/// How long an answer may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// One attempt at it.
    attempt: Duration,
    /// All attempts, and the waits between them.
    total: Duration,
}

impl Limits {
    pub(crate) const FOR_OUR_SERVER: Self = Self { attempt: Duration::from_secs(1), total: Duration::from_secs(15) };
    pub(crate) const FOR_A_REAL_MODEL: Self =
        Self { attempt: Duration::from_secs(60), total: Duration::from_secs(300) };
}

/// Where the model is. Cheap to clone, as `with_context` clones it for each attempt.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    http: reqwest::Client,
    base: Arc<str>,
    model: Arc<str>,
}

impl Api {
    pub(crate) fn new(base: &str, model: &str) -> reqwest::Result<Self> {
        // A proxy from the environment would be asked for loopback addresses too.
        let http = reqwest::Client::builder().no_proxy().build()?;
        Ok(Self { http, base: base.into(), model: model.into() })
    }

    /// What our own server counted; other servers have no such path.
    pub(crate) async fn stats(&self) -> reqwest::Result<Stats> {
        self.http.get(format!("{}/stats", self.base)).send().await?.error_for_status()?.json().await
    }
}
