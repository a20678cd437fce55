//! The errors of decorators, and the types that carry them beside a function's own errors.

use crate::Name;
use std::{fmt, io, time::Duration};

/// The error of a decorator that refused or ended a call. A decorator leaves the errors that the
/// call itself returned as they are.
///
/// A decorator converts it into the error type of the decorated function by `From<decor::Error>`,
/// as `?` does. These error types carry it:
///
/// - `anyhow::Error`, `Box<dyn std::error::Error + Send + Sync>`, [`std::io::Error`] and `String`,
///   as they are;
/// - an enum with a variant `#[from] decor::Error`, by `thiserror`;
/// - any other error, after [`.lifted()`](crate::FutureExt::lifted).
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// #[derive(Debug, thiserror::Error)]
/// enum ApiError {
///     #[error("server answered {0}")]
///     Status(u16),
///     #[error(transparent)]
///     Policy(#[from] decor::Error),
/// }
///
/// let name = "fetch".into();
/// let error = decor::Error::TimedOut { name, after: Duration::from_secs(2), label: None };
/// assert_eq!(ApiError::from(error).to_string(), "fetch timed out after 2s");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The call did not end within the limit of a `.timeout(..)`. A blocking call may not even have
    /// begun, if all threads for calls with a limit were in use.
    #[error("{name} timed out after {after:?}{}", .label.map_or_else(String::new, |label| format!(" ({label})")))]
    TimedOut {
        /// The name of the function or future.
        name: Name,
        /// The time limit.
        after: Duration,
        /// The limit's [label](crate::Timeout::labelled); `None` if it has none. Distinguishes the
        /// limits of a chain: `Error::TimedOut { label: Some("total"), .. }`.
        label: Option<&'static str>,
    },
    /// A limiter could not admit the call at once, or within the time that the call may wait. The
    /// function was not called.
    #[error("rate limited: try again in {retry_after:?}")]
    RateLimited {
        /// Time from the refusal until the call could be admitted. Exact if every waiting call
        /// takes one permit, otherwise a lower bound.
        retry_after: Duration,
    },
    /// A limiter's queue is full. The function was not called.
    #[error("rate limited: the queue is full ({waiting} waiting)")]
    QueueFull {
        /// Number of callers in the queue.
        waiting: usize,
    },
    /// A [`CircuitBreaker`](crate::CircuitBreaker) is open. The function was not called. Not
    /// [transient](crate::Transient), because a retry at once would be refused as well. A retry
    /// with [`retry_after`](crate::Retry::retry_after) waits until the circuit is half-open.
    #[error("circuit {name} is open{}", .retry_after.map_or_else(String::new, |after| format!(": try again in {after:?}")))]
    CircuitOpen {
        /// The [name](crate::CircuitBreakerBuilder::named) of the breaker; `breaker` if it has
        /// none.
        name: Name,
        /// Time from the refusal until the circuit is half-open. `None` if the breaker is
        /// [isolated](crate::CircuitBreaker::isolate), or if as many probes are running as are
        /// allowed.
        retry_after: Option<Duration>,
    },
    /// A concurrency limiter had no permit for the call at once, or within the time that the call
    /// may wait or has left, or its queue is full. The function was not called.
    /// [Transient](crate::Transient), because permits come back when other calls end.
    #[error("{name} is at its limit of {limit} ({waiting} waiting)")]
    ConcurrencyLimited {
        /// The name of the limiter, or `the concurrency limiter` if it has none.
        name: Name,
        /// The limit at the moment of the refusal.
        limit: u32,
        /// Number of calls in the queue, without this one.
        waiting: usize,
    },
    /// The store of a [shared](crate::RateLimiterBuilder::shared) limiter is down, and the limiter
    /// admits no call without it ([`OnFailure::Closed`](crate::OnFailure::Closed)), or the call
    /// asks for more permits than the part of this process
    /// ([`OnFailure::Local`](crate::OnFailure::Local)). The function was not called.
    /// [Transient](crate::Transient), because the store is tried again all the time.
    #[error("the store of the rate limit {name} is down")]
    StoreDown {
        /// The name of the limit in the store.
        name: Name,
    },
    /// The call needs a handle that was closed, such as a limiter after
    /// [`close`](crate::RateLimiter::close). The function was not called. Not
    /// [transient](crate::Transient), because a closed handle stays closed.
    #[error("{what} is closed, and admits no more calls")]
    Closed {
        /// The closed handle, as the message names it, such as `the rate limiter`.
        what: &'static str,
    },
    /// The call waited for another call to load the value of a memo, and that load failed. The call
    /// that loaded has the error itself. [Transient](crate::Transient), because the next call loads
    /// anew, whatever the error was.
    #[error("loading failed in another call of {name}: {message}")]
    LoadFailed {
        /// The name of the function that failed.
        name: Name,
        /// The text of its error.
        message: String,
    },
    /// A [gate](crate::layer::Gate) of your own refused the call. The function was not called.
    ///
    /// The circuit breaker of [`decor::layer`](crate::layer#a-circuit-breaker) returns this error.
    #[error("rejected by {by}: {message}")]
    Rejected {
        /// The name of the gate.
        by: &'static str,
        /// The reason of the refusal.
        message: String,
        /// Time from the refusal until the gate may let a call through; `None` if it is not known.
        /// A [transient](crate::Retry::transient) retry waits at least that long.
        retry_after: Option<Duration>,
    },
    /// `.validated(..)` rejected the arguments, or the call requested more permits than a limiter
    /// can ever give. The function was not called.
    #[error("invalid argument: {message}")]
    InvalidArgument {
        /// The message of the validation or of the limiter.
        message: String,
    },
}

/// Converts into an [`io::Error`] with the kind that fits.
///
/// | error | kind |
/// |---|---|
/// | `TimedOut` | `TimedOut` |
/// | `InvalidArgument` | `InvalidInput` |
/// | `RateLimited`, `QueueFull`, `ConcurrencyLimited`, `Rejected` | `WouldBlock` |
/// | `StoreDown` | `NotConnected` |
/// | `LoadFailed`, `Closed`, `CircuitOpen` | `Other` |
///
/// `Closed` and `CircuitOpen` are `Other`, because other code retries the kinds of a lost
/// connection and of a resource that would block.
/// [`io::Error::get_ref`] returns the [`Error`] itself.
///
/// # Examples
///
/// ```
/// let error = decor::Error::InvalidArgument { message: "id must not be 0".into() };
/// assert_eq!(std::io::Error::from(error).kind(), std::io::ErrorKind::InvalidInput);
/// ```
impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        let kind = match error {
            Error::TimedOut { .. } => io::ErrorKind::TimedOut,
            Error::InvalidArgument { .. } => io::ErrorKind::InvalidInput,
            Error::RateLimited { .. }
            | Error::QueueFull { .. }
            | Error::ConcurrencyLimited { .. }
            | Error::Rejected { .. } => io::ErrorKind::WouldBlock,
            Error::StoreDown { .. } => io::ErrorKind::NotConnected,
            Error::LoadFailed { .. } | Error::Closed { .. } | Error::CircuitOpen { .. } => io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}

/// Converts into the error's text.
///
/// # Examples
///
/// ```
/// let error = decor::Error::InvalidArgument { message: "id must not be 0".into() };
/// assert_eq!(String::from(error), "invalid argument: id must not be 0");
/// ```
impl From<Error> for String {
    fn from(error: Error) -> Self {
        error.to_string()
    }
}

/// The call's own error or a decorator's error. `.lifted()` makes it for an error type that cannot
/// carry [`Error`] itself.
///
/// Displays as the error that it holds. A library that keeps decor out of its public types ends its
/// chain with `.map_err(..)`.
///
/// # Examples
///
/// ```
/// use decor::Failure;
///
/// let failure: Failure<std::num::ParseIntError> = Failure::Call("x".parse::<u8>().unwrap_err());
/// assert_eq!(failure.to_string(), "invalid digit found in string");
/// assert!(failure.call().is_some() && failure.policy().is_none());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure<E> {
    /// The call returned this error.
    #[error(transparent)]
    Call(E),
    /// A decorator returned this error.
    #[error(transparent)]
    Policy(#[from] Error),
}

impl<E> Failure<E> {
    /// Returns the call's own error; `None` if a decorator returned the error.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(decor::Failure::Call("refused").call(), Some(&"refused"));
    /// ```
    pub fn call(&self) -> Option<&E> {
        match self {
            Self::Call(error) => Some(error),
            Self::Policy(_) => None,
        }
    }

    /// Returns the decorator's error; `None` if the call returned the error.
    ///
    /// # Examples
    ///
    /// ```
    /// let (name, after) = ("fetch".into(), std::time::Duration::ZERO);
    /// let timed_out = decor::Error::TimedOut { name, after, label: None };
    /// assert_eq!(decor::Failure::<String>::Policy(timed_out.clone()).policy(), Some(&timed_out));
    /// ```
    pub fn policy(&self) -> Option<&Error> {
        match self {
            Self::Call(_) => None,
            Self::Policy(error) => Some(error),
        }
    }
}

/// The reason for which a retry made no further attempt.
///
/// # Examples
///
/// ```
/// assert_eq!(decor::GiveUpReason::Exhausted.to_string(), "attempts exhausted");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum GiveUpReason {
    /// All attempts that `max_attempts` allows were made. The predicate was not called for the last
    /// error.
    Exhausted,
    /// The predicate does not retry this error.
    NotRetryable,
    /// The next attempt would have begun after the policy's deadline, or after the limit of a
    /// `.timeout(..)` around the retry.
    DeadlineReached,
    /// The server asked for a longer wait than the policy's
    /// [`max_hint`](crate::RetryPolicy::max_hint).
    HintTooLong,
    /// The [`RetryBudget`](crate::RetryBudget) could not pay for the next attempt.
    BudgetExhausted,
    /// A decorator outside of the retry, such as a total timeout, ended the call.
    Interrupted,
}

/// Writes the reason in lower case, as log lines do.
///
/// # Examples
///
/// ```
/// assert_eq!(decor::GiveUpReason::DeadlineReached.to_string(), "deadline reached");
/// ```
impl fmt::Display for GiveUpReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Exhausted => "attempts exhausted",
            Self::NotRetryable => "not retryable",
            Self::DeadlineReached => "deadline reached",
            Self::HintTooLong => "hint too long",
            Self::BudgetExhausted => "budget exhausted",
            Self::Interrupted => "interrupted",
        })
    }
}

/// The last error of a retried call, with the number of attempts, the time and the reason. Returned
/// after [`.explained()`](crate::Retry::explained), in place of the bare error.
///
/// Displays as `retry failed after 3 attempts: connection refused`. An error that was not retried
/// displays as itself.
///
/// Implements [`std::error::Error`] if `E` is `Debug + Display`, which includes `anyhow::Error`.
/// The text contains the cause's text. [`source`](std::error::Error::source) is therefore empty,
/// and [`cause`](Self::cause) returns the cause.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
/// use decor::{GiveUpReason, prelude::*};
/// use std::time::Duration;
///
/// async fn connect() -> Result<(), String> {
///     Err("connection refused".into())
/// }
///
/// let policy = RetryPolicy::fixed(Duration::from_secs(1));
/// let error = connect.retry_with(&policy).explained().call().await.unwrap_err();
/// assert_eq!(error.to_string(), "retry failed after 3 attempts: connection refused");
/// assert_eq!(error.attempts(), 3);
/// assert_eq!(error.elapsed(), Duration::from_secs(2));
/// assert_eq!(error.reason(), GiveUpReason::Exhausted);
/// assert_eq!(error.into_cause(), "connection refused");
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryError<E> {
    pub(crate) attempts: u32,
    pub(crate) elapsed: Duration,
    pub(crate) reason: GiveUpReason,
    pub(crate) cause: E,
}

impl<E> RetryError<E> {
    /// Returns the number of attempts. 0 if a decorator outside of the retry ended the call
    /// ([`GiveUpReason::Interrupted`]), because that decorator cannot count the attempts.
    ///
    /// # Examples
    ///
    /// ```
    /// fn alert(error: &decor::RetryError<String>) -> bool { error.attempts() >= 3 }
    /// ```
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Returns the time from the start of the first attempt to the end of the last. Zero if the
    /// reason is [`Interrupted`](GiveUpReason::Interrupted).
    ///
    /// # Examples
    ///
    /// ```
    /// fn alert(error: &decor::RetryError<String>) -> bool { error.elapsed().as_secs() > 30 }
    /// ```
    pub fn elapsed(&self) -> Duration {
        self.elapsed
    }

    /// Returns the reason for which there was no further attempt.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::{GiveUpReason, RetryError};
    ///
    /// fn alert(error: &RetryError<String>) -> bool {
    ///     error.reason() != GiveUpReason::NotRetryable
    /// }
    /// ```
    pub fn reason(&self) -> GiveUpReason {
        self.reason
    }

    /// Returns the last attempt's error.
    ///
    /// # Examples
    ///
    /// ```
    /// fn alert(error: &decor::RetryError<String>) -> bool { error.cause().contains("refused") }
    /// ```
    pub fn cause(&self) -> &E {
        &self.cause
    }

    /// Returns the last attempt's error by value.
    ///
    /// # Examples
    ///
    /// ```
    /// fn plain(result: Result<u8, decor::RetryError<String>>) -> Result<u8, String> {
    ///     result.map_err(decor::RetryError::into_cause)
    /// }
    /// ```
    pub fn into_cause(self) -> E {
        self.cause
    }
}

impl<E: fmt::Display> fmt::Display for RetryError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { attempts, cause, reason, .. } = self;
        let plural = if *attempts == 1 { "" } else { "s" };
        match reason {
            GiveUpReason::NotRetryable | GiveUpReason::Interrupted => {}
            GiveUpReason::Exhausted => write!(f, "retry failed after {attempts} attempt{plural}: ")?,
            GiveUpReason::DeadlineReached | GiveUpReason::HintTooLong | GiveUpReason::BudgetExhausted => {
                write!(f, "retry failed after {attempts} attempt{plural} ({reason}): ")?;
            }
        }
        // Keeps the formatter's flags, because anyhow's `{:#}` prints the whole chain of causes.
        cause.fmt(f)
    }
}

impl<E: fmt::Debug + fmt::Display> std::error::Error for RetryError<E> {}

/// Converts the error of a decorator outside of an explained retry, as in
/// `.retry_with(&p).explained().timeout(d)`. The reason is [`GiveUpReason::Interrupted`].
impl<E: From<Error>> From<Error> for RetryError<E> {
    fn from(error: Error) -> Self {
        Self { attempts: 0, elapsed: Duration::ZERO, reason: GiveUpReason::Interrupted, cause: error.into() }
    }
}

/// The error of a setting with an invalid value.
///
/// Constructors for literals panic with the text of this error. For values from a file or a user,
/// `try_` constructors and `TryFrom<RetryConfig>` return the error.
///
/// # Examples
///
/// ```
/// use decor::RetryPolicy;
/// use std::time::Duration;
///
/// let error = RetryPolicy::fixed(Duration::from_secs(1)).try_max_attempts(0).unwrap_err();
/// assert_eq!(error.to_string(), "`max_attempts` is 0, but must be at least 1");
/// assert_eq!((error.setting(), error.value()), ("max_attempts", "0"));
/// assert_eq!(error.allowed(), "at least 1");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{setting}` is {value}, but must be {allowed}")]
pub struct ConfigError {
    setting: &'static str,
    value: String,
    allowed: &'static str,
}

impl ConfigError {
    /// Makes an error for a setting of another crate. The value is shown, so it must be no
    /// password.
    ///
    /// # Examples
    ///
    /// ```
    /// let error = decor::ConfigError::new("timeout", "0ns", "longer than zero");
    /// assert_eq!(error.to_string(), "`timeout` is 0ns, but must be longer than zero");
    /// ```
    pub fn new(setting: &'static str, value: impl fmt::Display, allowed: &'static str) -> Self {
        Self { setting, value: value.to_string(), allowed }
    }

    /// Returns the name of the setting.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!("cubic".parse::<decor::Backoff>().unwrap_err().setting(), "backoff");
    /// ```
    pub fn setting(&self) -> &'static str {
        self.setting
    }

    /// Returns the invalid value as text.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!("cubic".parse::<decor::Backoff>().unwrap_err().value(), "\"cubic\"");
    /// ```
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Returns the description of valid values, as it follows "must be".
    ///
    /// # Examples
    ///
    /// ```
    /// let error = "cubic".parse::<decor::Backoff>().unwrap_err();
    /// assert_eq!(error.allowed(), "one of fixed, linear, exponential, fibonacci");
    /// ```
    pub fn allowed(&self) -> &'static str {
        self.allowed
    }
}

/// Checks that a config does not rename a handle: it has no name, or the name that the handle has.
pub(crate) fn unchanged_name(name: Option<&str>, of_config: Option<&str>) -> Result<(), ConfigError> {
    match of_config {
        Some(other) if name != Some(other) => {
            Err(ConfigError::new("name", format_args!("{other:?}"), "left as it is, because a handle keeps its name"))
        }
        _ => Ok(()),
    }
}

/// Returns the value, or panics with the text of the error. For constructors that take literals.
#[track_caller]
pub(crate) fn or_panic<T>(checked: Result<T, ConfigError>) -> T {
    match checked {
        Ok(value) => value,
        Err(error) => panic!("{error}"),
    }
}
