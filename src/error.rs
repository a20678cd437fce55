//! What decor itself has to say, and the types that carry it beside a caller's own errors.

use crate::Name;
use std::{fmt, io, time::Duration};

/// What a policy decided about a call: never what the call itself returned.
///
/// It reaches the error type of the decorated function through `From<decor::Error>`, the way `?` would convert it.
/// `anyhow::Error`, `Box<dyn std::error::Error + Send + Sync>`, [`std::io::Error`] and `String` take it as they are;
/// a `thiserror` enum takes it with one `#[from]` variant; anything else takes it after
/// [`.lifted()`](crate::FutureExt::lifted).
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
    /// The call did not end within the limit of a `.timeout(..)`, or could not even begin: on a thread, when all threads for calls
    /// with a limit are in use.
    #[error("{name} timed out after {after:?}{}", .label.map_or_else(String::new, |label| format!(" ({label})")))]
    TimedOut {
        /// The function or future that was bounded.
        name: Name,
        /// The limit it was given.
        after: Duration,
        /// The limit's [label](crate::Timeout::labelled); `None` if it has none. Tells the limits
        /// of a chain apart: `Error::TimedOut { label: Some("total"), .. }`.
        label: Option<&'static str>,
    },
    /// A limiter would not admit the call now, and the call was not meant to wait.
    #[error("rate limited: try again in {retry_after:?}")]
    RateLimited {
        /// How long from the refusal until the call could be admitted, at the earliest: exact where every call takes one
        /// permit, a lower bound where some that wait take more.
        retry_after: Duration,
    },
    /// A limiter's queue already holds as many callers as it may.
    #[error("rate limited: {waiting} callers are waiting already")]
    QueueFull {
        /// The number of callers in the queue.
        waiting: usize,
    },
    /// The call needs something that was closed, such as a limiter after
    /// [`close`](crate::RateLimiter::close). The function was not called. Not
    /// [transient](crate::Transient), because what is closed stays closed.
    #[error("{what} is closed, and admits no more calls")]
    Closed {
        /// The closed thing, as the message names it: `the rate limiter`.
        what: &'static str,
    },
    /// The call waited for another call to load the value from a memo, and that load failed. The
    /// call that loaded has the error itself. [Transient](crate::Transient), because the next call
    /// loads anew, whatever the load failed with.
    #[error("loading failed in another call of {name}: {message}")]
    LoadFailed {
        /// The function that failed.
        name: Name,
        /// The text of its error.
        message: String,
    },
    /// A [gate](crate::layer::Gate) of your own refused the call; the function was not called.
    ///
    /// The circuit breaker of [`decor::layer`](crate::layer#a-circuit-breaker) returns this error.
    #[error("rejected by {by}: {message}")]
    Rejected {
        /// The name of the gate.
        by: &'static str,
        /// The reason of the refusal.
        message: String,
        /// The time from the refusal until the gate may let a call through; `None` if that is not
        /// known. A [transient](crate::Retry::transient) retry waits at least as long.
        retry_after: Option<Duration>,
    },
    /// A `.validated(..)` function refused its arguments, or a limiter permits that it could never give; the function was not called.
    #[error("invalid argument: {message}")]
    InvalidArgument {
        /// What the validation said, or the limiter.
        message: String,
    },
}

/// A timeout becomes `TimedOut`, an invalid argument `InvalidInput`, a refusal by a limiter or a
/// gate `WouldBlock`, a load that failed `Other`. A closed limiter becomes `Other` as well, because
/// other code retries the kinds that stand for a lost connection. [`io::Error::get_ref`] returns
/// the [`Error`] itself.
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
            Error::RateLimited { .. } | Error::QueueFull { .. } | Error::Rejected { .. } => io::ErrorKind::WouldBlock,
            Error::LoadFailed { .. } | Error::Closed { .. } => io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}

/// The error's text.
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

/// Either the call's own error or a policy's: what `.lifted()` makes of an error type that cannot carry
/// [`Error`] itself.
///
/// Displays as whichever it is. A library that keeps decor out of its public types ends its chain with `.map_err(..)`.
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
    /// A decorator did.
    #[error(transparent)]
    Policy(#[from] Error),
}

impl<E> Failure<E> {
    /// The call's own error, if that is what it was.
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

    /// The policy's error, if that is what it was.
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

/// Why a retried call ended without a result that its policy would accept.
///
/// ```
/// assert_eq!(decor::GiveUpReason::Exhausted.to_string(), "attempts exhausted");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum GiveUpReason {
    /// Every attempt that `max_attempts` allows was made. The last error was not judged any more.
    Exhausted,
    /// The error is not one that this policy retries.
    NotRetryable,
    /// The next attempt would have begun after the policy's deadline.
    DeadlineReached,
    /// The server asked for a longer wait than the policy's
    /// [`max_hint`](crate::RetryPolicy::max_hint).
    HintTooLong,
    /// A decorator outside of the retry ended the call, a total timeout for one.
    Interrupted,
}

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
            Self::Interrupted => "interrupted",
        })
    }
}

/// The last error of a retried call together with the story of its attempts: what
/// [`.explained()`](crate::Retry::explained) returns in place of the bare error.
///
/// Displays as `retry failed after 3 attempts: connection refused`. An error that was not to be retried displays as
/// itself, for there was nothing to explain.
///
/// It is a [`std::error::Error`] wherever `E` is `Debug + Display`, `anyhow::Error` included. Its text contains the
/// cause's, so [`source`](std::error::Error::source) stays empty; the cause is reached by [`cause`](Self::cause).
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
    /// How many times the function was called. 0 if a decorator outside of the retry ended it
    /// ([`GiveUpReason::Interrupted`]), because that decorator cannot count them.
    ///
    /// ```
    /// fn alert(error: &decor::RetryError<String>) -> bool { error.attempts() >= 3 }
    /// ```
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// The time from the first attempt's start to the end of the last.
    ///
    /// ```
    /// fn alert(error: &decor::RetryError<String>) -> bool { error.elapsed().as_secs() > 30 }
    /// ```
    pub fn elapsed(&self) -> Duration {
        self.elapsed
    }

    /// Why there was no further attempt.
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

    /// The last attempt's error.
    ///
    /// ```
    /// fn alert(error: &decor::RetryError<String>) -> bool { error.cause().contains("refused") }
    /// ```
    pub fn cause(&self) -> &E {
        &self.cause
    }

    /// The last attempt's error, by value.
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
            GiveUpReason::DeadlineReached | GiveUpReason::HintTooLong => {
                write!(f, "retry failed after {attempts} attempt{plural} ({reason}): ")?;
            }
        }
        // With the formatter's own flags: anyhow's `{:#}` prints the whole chain of causes.
        cause.fmt(f)
    }
}

impl<E: fmt::Debug + fmt::Display> std::error::Error for RetryError<E> {}

/// Lets a decorator outside of an explained retry speak: `.retry_with(&p).explained().timeout(d)`.
impl<E: From<Error>> From<Error> for RetryError<E> {
    fn from(error: Error) -> Self {
        Self { attempts: 0, elapsed: Duration::ZERO, reason: GiveUpReason::Interrupted, cause: error.into() }
    }
}

/// A setting that cannot work, refused where it was written.
///
/// Constructors for literals panic with its text; `try_` constructors and `TryFrom<RetryConfig>` return it, for values
/// that come from a file or a user.
///
/// ```
/// use decor::RetryPolicy;
/// use std::time::Duration;
///
/// let error = RetryPolicy::fixed(Duration::from_secs(1)).try_max_attempts(0).unwrap_err();
/// assert_eq!(error.to_string(), "`max_attempts` is 0, but must be at least 1");
/// assert_eq!((error.setting(), error.value(), error.allowed()), ("max_attempts", "0", "at least 1"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{setting}` is {value}, but must be {allowed}")]
pub struct ConfigError {
    setting: &'static str,
    value: String,
    allowed: &'static str,
}

impl ConfigError {
    pub(crate) fn new(setting: &'static str, value: impl fmt::Display, allowed: &'static str) -> Self {
        Self { setting, value: value.to_string(), allowed }
    }

    /// The setting's name.
    ///
    /// ```
    /// assert_eq!("cubic".parse::<decor::Backoff>().unwrap_err().setting(), "backoff");
    /// ```
    pub fn setting(&self) -> &'static str {
        self.setting
    }

    /// The value it was given.
    ///
    /// ```
    /// assert_eq!("cubic".parse::<decor::Backoff>().unwrap_err().value(), "\"cubic\"");
    /// ```
    pub fn value(&self) -> &str {
        &self.value
    }

    /// What it may be.
    ///
    /// ```
    /// let error = "cubic".parse::<decor::Backoff>().unwrap_err();
    /// assert_eq!(error.allowed(), "one of fixed, linear, exponential, fibonacci");
    /// ```
    pub fn allowed(&self) -> &'static str {
        self.allowed
    }
}

/// What constructors for literals do with a refusal.
#[track_caller]
pub(crate) fn or_panic<T>(checked: Result<T, ConfigError>) -> T {
    match checked {
        Ok(value) => value,
        Err(error) => panic!("{error}"),
    }
}
