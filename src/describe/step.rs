//! A decorator as data.

use crate::sync::Arc;
use std::{
    fmt::{Display, Write},
    time::Duration,
};

/// A decorator of a chain: its text, and what it does.
///
/// # Examples
///
/// ```
/// use decor::{describe::StepKind, prelude::*};
/// use std::time::Duration;
///
/// async fn fetch(id: u64) -> Result<u64, String> { Ok(id) }
///
/// let chain = fetch.timeout(Duration::from_secs(2)).labelled("attempt").logged().describe();
/// let [timeout, logged] = chain.steps() else { panic!("two decorators") };
/// assert_eq!(timeout.text, r#".timeout(2s).labelled("attempt")"#);
/// assert_eq!(timeout.method(), "timeout");
/// assert!(matches!(timeout.kind, StepKind::Timeout { label: Some("attempt"), .. }));
/// assert_eq!((&*logged.text, &logged.kind), (".logged()", &StepKind::Immediate));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Step {
    /// The method calls that added the decorator, as they were written, with the settings in place
    /// of the names of variables: `.timeout(2s).labelled("attempt")`.
    pub text: String,
    /// The kind of the decorator, with its settings.
    pub kind: StepKind,
}

impl Step {
    pub(crate) fn new(text: impl Display, kind: StepKind) -> Self {
        let mut written = String::new();
        // Unlike `to_string`, does not panic if the text of a user's own gate fails.
        let _ = write!(written, "{text}");
        Self { text: written, kind }
    }

    /// The name of the method that added the decorator: `timeout`.
    ///
    /// # Examples
    ///
    /// See [`Step`].
    #[must_use]
    pub fn method(&self) -> &str {
        let name = self.text.trim_start_matches('.');
        name.split('(').next().unwrap_or(name)
    }
}

/// The kind of a decorator, with the settings that matter to the decorators around it.
///
/// # Examples
///
/// ```
/// use decor::{describe::StepKind, prelude::*};
/// use std::time::Duration;
///
/// async fn fetch(id: u64) -> Result<u64, String> { Ok(id) }
///
/// let chain = fetch.retry_with(RetryPolicy::default().max_attempts(5)).describe();
/// match chain.steps()[0].kind {
///     StepKind::Retried { max_attempts, delays, .. } => {
///         assert_eq!((max_attempts, delays), (5, Some(Duration::from_secs(1 + 2 + 4 + 8))));
///     }
///     _ => unreachable!("a retry"),
/// }
/// ```
// No variant has the name of a public type. rustc would print that type with its whole path.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StepKind {
    /// Bounds the duration of a call.
    #[non_exhaustive]
    Timeout {
        /// Longest duration; `Duration::MAX` for no limit.
        limit: Duration,
        /// The text of `.labelled(..)`; `None` without it.
        label: Option<&'static str>,
    },
    /// Calls the function again after a failure.
    #[non_exhaustive]
    Retried {
        /// Maximum number of attempts, the first included; `u32::MAX` for any number.
        max_attempts: u32,
        /// Longest total of the policy's delays; `None` for a custom policy, because only its
        /// closure knows.
        delays: Option<Duration>,
        /// The policy's deadline; `None` without one.
        deadline: Option<Duration>,
        /// The errors that are retried.
        retries: Retries,
        /// `true` if a hint of the server may replace a delay.
        follows_hints: bool,
        /// The retry budget; `None` without one.
        budget: Option<HandleId>,
    },
    /// Waits for permits of a rate limiter, or is refused.
    #[non_exhaustive]
    RateLimited {
        /// The limiter, or the limiter of each key.
        handle: HandleId,
        /// `true` if each key has a limit of its own.
        is_keyed: bool,
        /// Longest wait before the call is refused; zero if the call only tries, `None` if it waits
        /// without a bound.
        max_wait: Option<Duration>,
    },
    /// Remembers the outputs of calls.
    #[non_exhaustive]
    Remembered {
        /// The memo.
        handle: HandleId,
        /// `true` if loads run on when their callers are gone.
        is_detached: bool,
    },
    /// Refuses calls while a circuit is open, and counts the failures of the others.
    #[non_exhaustive]
    GuardedBy {
        /// The breaker, or the breaker of each key.
        handle: HandleId,
        /// `true` if a call that is dropped after some time counts as a failure.
        counts_slow_calls: bool,
    },
    /// Refuses calls while a circuit is open, and counts nothing.
    #[non_exhaustive]
    UnlessOpen {
        /// The breaker.
        handle: HandleId,
    },
    /// Waits until fewer calls than the limit are running, or is refused.
    #[non_exhaustive]
    ConcurrencyLimited {
        /// The limiter, or the limiter of each key.
        handle: HandleId,
        /// Longest wait before the call is refused; zero if the call only tries, `None` if it waits
        /// without a bound.
        max_wait: Option<Duration>,
    },
    /// Starts another call if the first one is slow.
    #[non_exhaustive]
    Hedging {
        /// Time between the starts of two calls; `None` if it depends on the calls so far.
        delay: Option<Duration>,
        /// Maximum number of calls, the first included; at least 2.
        max_calls: u32,
        /// The budget; `None` without one.
        budget: Option<HandleId>,
    },
    /// Answers in place of a call that failed.
    Fallback,
    /// Neither waits nor refuses nor repeats: `timed`, `logged`, `map_err`, `named`.
    Immediate,
    /// Anything else, such as a [gate](crate::layer::Gate) of your own. It may wait and refuse.
    Other,
}

/// The errors that a retry retries.
///
/// # Examples
///
/// ```
/// use decor::{describe::{Retries, StepKind}, prelude::*};
///
/// async fn fetch(id: u64) -> Result<u64, std::io::Error> { Ok(id) }
///
/// let chain = fetch.retry_with(RetryPolicy::default()).transient().describe();
/// let StepKind::Retried { retries, .. } = chain.steps()[0].kind else { panic!("a retry") };
/// assert_eq!(retries, Retries::TransientErrors);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Retries {
    /// Every error, refusals included.
    AllErrors,
    /// Errors that are [`Transient`](crate::Transient).
    TransientErrors,
    /// Errors or results that a closure chooses.
    ChosenErrors,
}

/// The identity of a handle. Two decorators with the same identity share one handle.
///
/// Identities are compared within one [`Chain`](super::Chain). The identity of a handle that is
/// gone may return for a new one.
///
/// # Examples
///
/// ```
/// use decor::{describe::StepKind, prelude::*};
/// use std::time::Duration;
///
/// async fn fetch(id: u64) -> u64 { id }
///
/// let limiter = RateLimiter::new(10, Duration::from_secs(1));
/// let chain = fetch.rate_limited(&limiter).rate_limited(&limiter.clone()).describe();
/// let handles = chain.steps().iter().map(|step| match step.kind {
///     StepKind::RateLimited { handle, .. } => handle,
///     _ => panic!("a limiter"),
/// });
/// let handles: Vec<_> = handles.collect();
/// assert_eq!(handles[0], handles[1]);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct HandleId(usize);

impl HandleId {
    /// The identity of the handle with this state.
    pub(crate) fn of<T: ?Sized>(state: &Arc<T>) -> Self {
        Self(Arc::as_ptr(state).addr())
    }
}
