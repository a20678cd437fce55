//! Error types that tell which of their errors are worth another attempt.

use crate::{Error, Failure};
use std::{io, time::Duration};

/// An error that tells if another attempt could succeed, and when.
///
/// # Examples
///
/// Implement the trait once, beside the error type. Each retry then uses
/// [`.transient()`](crate::Retry::transient) in place of a predicate:
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
/// use decor::{Transient, prelude::*};
/// use std::time::Duration;
///
/// #[derive(Debug, Clone, PartialEq)]
/// enum ApiError { Throttled { retry_after: Duration }, NotFound }
///
/// impl Transient for ApiError {
///     fn is_transient(&self) -> bool {
///         matches!(self, Self::Throttled { .. })
///     }
///     fn retry_after(&self) -> Option<Duration> {
///         match self {
///             Self::Throttled { retry_after } => Some(*retry_after),
///             Self::NotFound => None,
///         }
///     }
/// }
///
/// let throttled = ApiError::Throttled { retry_after: Duration::from_secs(7) };
/// let mut answers = vec![Ok("user"), Err(throttled)];
/// let begun = tokio::time::Instant::now();
/// let user = (|| std::future::ready(answers.pop().unwrap()))
///     .retry_with(RetryPolicy::fixed(Duration::from_millis(1)))
///     .transient()
///     .await;
/// assert_eq!(user, Ok("user"));
/// assert_eq!(begun.elapsed(), Duration::from_secs(7));
/// # }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say which of its errors are worth another attempt",
    label = "the decorated call fails with `{Self}`",
    note = "implement `decor::Transient` for it, or, if it is foreign, say it here: `.when(|error| ..)`"
)]
pub trait Transient {
    /// Returns `true` if another attempt could succeed.
    fn is_transient(&self) -> bool;

    /// Returns the delay before another attempt that the error asks for, such as a `Retry-After`.
    /// `None`, the default, leaves the delay to the retry's policy.
    fn retry_after(&self) -> Option<Duration> {
        None
    }
}

/// All errors are transient, except an invalid argument, a closed limiter and an open circuit. A
/// refusal by a limiter, by a circuit breaker or by a [gate](crate::layer::Gate) carries the delay
/// before another attempt.
///
/// # Examples
///
/// ```
/// use decor::{Error, Transient};
/// use std::time::Duration;
///
/// let limited = Error::RateLimited { retry_after: Duration::from_secs(3) };
/// assert!(limited.is_transient());
/// assert_eq!(limited.retry_after(), Some(Duration::from_secs(3)));
///
/// let (by, message) = ("breaker", "the circuit is open".to_owned());
/// let rejected = Error::Rejected { by, message, retry_after: Some(Duration::from_secs(30)) };
/// assert!(rejected.is_transient());
/// assert_eq!(rejected.retry_after(), Some(Duration::from_secs(30)));
///
/// assert!(!Error::InvalidArgument { message: "empty".into() }.is_transient());
/// assert!(!Error::Closed { what: "the rate limiter" }.is_transient());
///
/// let retry_after = Some(Duration::from_secs(30));
/// let open = Error::CircuitOpen { name: "users".into(), retry_after };
/// assert!(!open.is_transient());
/// assert_eq!(open.retry_after(), retry_after);
/// ```
impl Transient for Error {
    fn is_transient(&self) -> bool {
        !matches!(self, Self::InvalidArgument { .. } | Self::Closed { .. } | Self::CircuitOpen { .. })
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after } => Some(*retry_after),
            Self::Rejected { retry_after, .. } | Self::CircuitOpen { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

/// Delegates to the error that it holds.
///
/// # Examples
///
/// ```
/// use decor::{Failure, Transient};
///
/// let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
/// assert!(Failure::Call(refused).is_transient());
/// ```
impl<E: Transient> Transient for Failure<E> {
    fn is_transient(&self) -> bool {
        match self {
            Self::Call(error) => error.is_transient(),
            Self::Policy(error) => error.is_transient(),
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Call(error) => error.retry_after(),
            Self::Policy(error) => error.retry_after(),
        }
    }
}

/// Transient are connections that are refused, reset, aborted, broken or not yet made, hosts and
/// networks that are down or unreachable, timeouts, interruptions, and resources that are busy or
/// would block. An [`Error`] that was converted into an [`io::Error`] decides by itself.
///
/// # Examples
///
/// ```
/// use decor::Transient;
/// use std::io::{Error, ErrorKind};
///
/// assert!(Error::from(ErrorKind::ConnectionReset).is_transient());
/// assert!(!Error::from(ErrorKind::PermissionDenied).is_transient());
/// assert!(!Error::from(decor::Error::InvalidArgument { message: "empty".into() }).is_transient());
/// ```
impl Transient for io::Error {
    fn is_transient(&self) -> bool {
        use io::ErrorKind as Kind;
        policy_inside(self).map_or_else(
            || {
                matches!(
                    self.kind(),
                    Kind::ConnectionRefused
                        | Kind::ConnectionReset
                        | Kind::ConnectionAborted
                        | Kind::NotConnected
                        | Kind::BrokenPipe
                        | Kind::HostUnreachable
                        | Kind::NetworkUnreachable
                        | Kind::NetworkDown
                        | Kind::TimedOut
                        | Kind::Interrupted
                        | Kind::WouldBlock
                        | Kind::ResourceBusy
                )
            },
            Transient::is_transient,
        )
    }

    fn retry_after(&self) -> Option<Duration> {
        policy_inside(self).and_then(Transient::retry_after)
    }
}

fn policy_inside(error: &io::Error) -> Option<&Error> {
    error.get_ref()?.downcast_ref()
}
