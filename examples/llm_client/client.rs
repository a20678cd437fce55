//! The client: one bare request, and the chain of decorators for production use.

use crate::{
    chat::{Completion, Message, Request, tokens},
    server::Stats,
    tally::Tally,
};
use decor::{BoxedFn, Timing, Transient, prelude::*};
use reqwest::{Response, StatusCode, header::RETRY_AFTER};
use std::{error::Error as _, future::ready, iter, sync::Arc, time::Duration};

/// The API as the rest of the program sees it: a function from a prompt to an answer.
pub(crate) type Complete = BoxedFn<(Arc<str>,), Result<Answer, LlmError>>;

/// The answers by prompt. The key does not include the model, because a run asks only one.
pub(crate) type Answers = Memo<Arc<str>, Answer>;

/// An answer, and the tokens that answer and prompt have used.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) text: Arc<str>,
    pub(crate) source: Source,
    tokens_used: u32,
}

/// The origin of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    Model,
    /// The text stands in for an answer of the model, because of this error.
    Fallback(Arc<str>),
}

impl Answer {
    /// Stands in for an answer while the server is out of reach. Raises the error again if the
    /// caller can do something about it, as with a 400.
    fn instead_of(error: LlmError) -> Result<Self, LlmError> {
        if !error.is_transient() && !matches!(error, LlmError::Policy(decor::Error::CircuitOpen { .. })) {
            return Err(error);
        }
        let text = "The model is out of reach. Please ask again in a minute.".into();
        Ok(Self { text, source: Source::Fallback(error.to_string().into()), tokens_used: 0 })
    }
}

/// Decorates the bare request. The decorators before `retry_with` act on each attempt, those before
/// `memoized` on each load, and those after `memoized` on each call.
///
/// The timeout of an attempt begins when the limiter admits the attempt. The total timeout includes
/// all waits, so every caller has its answer within `limits.total`, callers that wait for another
/// call's load included. A prompt with a remembered answer takes no permit and sends no request,
/// but is validated, logged and timed.
///
/// A request that is slower than 99 of 100 gets a second one beside it. The budget pays for it, as
/// for a retry. While the breaker is open, calls take no permit and send no request. They get the
/// fallback's text at once. The memo does not keep this text, because the fallback stands behind
/// it.
pub(crate) fn production_ready(api: Api, memo: &Answers) -> Complete {
    let Api { limits, tally, limiter, breaker, budget, hedge, .. } = api.clone();
    let policy = RetryPolicy::exponential(Duration::from_millis(100))
        .max_delay(Duration::from_secs(2))
        .max_attempts(12)
        .deadline(limits.total.saturating_sub(limits.attempt)) // no attempt begins that the total would cut off
        .jitter(Jitter::Full);

    decor::with_context(api, complete)
        .timed_with(Timing::new("attempt").by_result().record_to(|attempt| tally.attempt_ended(attempt)))
        .timeout(limits.attempt)
        .map_err(move |error| tally.attempt_failed(error))
        .pausing(&limiter, limits.pause)
        .guarded_by(&breaker)
        .when(LlmError::is_the_servers)
        .rate_limited_by(&limiter, move |prompt: &Arc<str>| [1, limits.tokens_reserved(prompt)])
        .settled(|answer| [1, tally.used(answer.tokens_used)])
        .unless_open(&breaker)
        .hedged(&hedge)
        .retry_with(&policy)
        .transient()
        .budgeted(&budget)
        .on_retry(|retrying| tally.retried(retrying.error))
        .on_give_up(|given_up| tally.gave_up(given_up.error))
        .memoized(memo)
        .timeout(limits.total)
        .fallback(|error: LlmError, _: Arc<str>| ready(Answer::instead_of(error).inspect(|_| tally.fell_back())))
        .validated(|prompt: &Arc<str>| if prompt.trim().is_empty() { Err("the prompt is empty") } else { Ok(()) })
        .logged()
        .timed_with(Timing::new("complete").by_result().record_to(|call| tally.call_ended(call)))
        .boxed()
}

/// Makes a single attempt, without retries, timeouts, limits or logs.
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
            Ok(Answer { text: text.into(), source: Source::Model, tokens_used })
        }
    }
}

/// Reads the seconds of a `Retry-After`. HTTP also allows a date there; the policy's own delay then
/// applies.
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
    #[error("the response has no answer")]
    NoAnswer,
    #[error("{}", with_reason(.0))]
    Http(#[from] reqwest::Error),
    #[error(transparent)]
    Policy(#[from] decor::Error),
}

/// Returns the error's text with its cause. reqwest's own text lacks the cause: "connection
/// refused" is in the innermost source.
fn with_reason(error: &reqwest::Error) -> String {
    match iter::successors(error.source(), |&source| source.source()).last() {
        Some(reason) => format!("{error}: {reason}"),
        None => error.to_string(),
    }
}

impl LlmError {
    /// Returns `true` for errors that count against the server. A server that throttles works, and
    /// so does a server that rejects a prompt.
    fn is_the_servers(&self) -> bool {
        self.is_transient() && !matches!(self, Self::Throttled { .. })
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
            Self::Policy(error) => error.is_transient(), // a timeout is, and an open circuit is not
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

/// Time limits of a call, and the limiter's share in them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Time limit of an attempt, without the wait for its permit.
    attempt: Duration,
    /// Time for which the breaker refuses all calls before it probes the server.
    open_for: Duration,
    /// Number of retries that a successful call pays for, and the number that is saved up.
    retries: (f64, u32),
    /// Time limit of a call: all its attempts and waits, or the wait for another call's load.
    total: Duration,
    /// Tokens that are reserved for an answer: a length that answers seldom exceed. The length of
    /// an answer is known only at its end. Without this reservation, a burst of short prompts would
    /// pass at once, and its answers would overdraw the limit.
    answer_tokens: u32,
    /// Returns the time for which an error pauses all calls; `None` if it pauses none.
    pause: fn(&LlmError) -> Option<Duration>,
}

impl Limits {
    pub(crate) const FOR_OUR_SERVER: Self = Self {
        attempt: Duration::from_secs(2),
        total: Duration::from_secs(15),
        open_for: Duration::from_millis(500),
        // One request in four fails.
        retries: (0.5, 20),
        answer_tokens: 50,
        pause: LlmError::retry_after,
    };
    pub(crate) const FOR_A_REAL_MODEL: Self = Self {
        attempt: Duration::from_secs(60),
        total: Duration::from_secs(300),
        open_for: Duration::from_secs(10),
        retries: (0.1, 10),
        answer_tokens: 500,
        pause: LlmError::retry_after,
    };

    /// The same limits without pauses: a 429 then delays only the call that got it. Each call may
    /// be retried several times.
    pub(crate) fn without_pauses(self) -> Self {
        Self { pause: |_| None, retries: (10.0, 1_000), ..self }
    }

    /// Tokens that a request will probably use at most. The difference is settled when the server
    /// reports the usage.
    pub(crate) fn tokens_reserved(&self, prompt: &str) -> u32 {
        tokens(prompt) + self.answer_tokens
    }
}

/// Maximum number of requests and tokens within a period.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rate {
    pub(crate) requests: u32,
    pub(crate) tokens: u32,
    pub(crate) period: Duration,
}

impl Rate {
    /// A rate at which no call waits.
    pub(crate) const UNLIMITED: Self =
        Self { requests: 1_000_000, tokens: 1_000_000_000, period: Duration::from_secs(1) };

    /// Margin for the network. The limiter counts when a request leaves, and the server counts when
    /// it arrives. A burst that first opens connections travels longer than the next, so the two
    /// arrive closer together than they left.
    const NETWORK: Duration = Duration::from_millis(100);

    fn limiter(self) -> RateLimiter {
        let period = self.period + Self::NETWORK;
        RateLimiter::windows([(self.requests, period), (self.tokens, period)])
    }
}

/// The address of the model, the HTTP client, and the handles that all calls share. Cheap to clone,
/// because `with_context` clones it for each attempt.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    http: reqwest::Client,
    base: Arc<str>,
    model: Arc<str>,
    limits: Limits,
    pub(crate) limiter: RateLimiter,
    pub(crate) breaker: CircuitBreaker,
    pub(crate) budget: RetryBudget,
    pub(crate) hedge: Hedge,
    tally: &'static Tally,
}

impl Api {
    pub(crate) fn new(
        base: &str,
        model: &str,
        limits: Limits,
        rate: Rate,
        tally: &'static Tally,
    ) -> reqwest::Result<Self> {
        let (ratio, saved) = limits.retries;
        let budget = RetryBudget::new(ratio).capacity(saved);
        Ok(Self {
            // A proxy of the environment must not get requests for loopback addresses.
            http: reqwest::Client::builder().no_proxy().build()?,
            base: base.into(),
            model: model.into(),
            limits,
            limiter: rate.limiter(),
            breaker: CircuitBreaker::builder()
                .consecutive(12)
                .open_for(limits.open_for)
                .named("model")
                .on_change(|change| tally.circuit_changed(change))
                .build(),
            hedge: Hedge::percentile(0.99).budget(&budget),
            budget,
            tally,
        })
    }

    /// Fetches the counts of the built-in server. Other servers have no such path.
    pub(crate) async fn stats(&self) -> reqwest::Result<Stats> {
        self.http.get(format!("{}/stats", self.base)).send().await?.error_for_status()?.json().await
    }
}
