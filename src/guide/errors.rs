//! Errors: the type of a chain's errors, the errors to retry, and what a refused caller gets.
//!
//! # The type
//!
//! A chain keeps the type of its function: `Result<T, E>` in, `Result<T, E>` out. A decorator that
//! ends or refuses a call makes a [`decor::Error`](crate::Error), and converts it into `E` by
//! `From`, as `?` does. What to do depends on `E`:
//!
//! | `E` | what to do | what a retry takes |
//! |---|---|---|
//! | an enum of the program | add a variant `#[from] decor::Error` | `.transient()`, if the enum implements [`Transient`](crate::Transient) |
//! | `io::Error` | nothing | `.transient()` |
//! | `anyhow::Error`, `Box<dyn Error + Send + Sync>`, `String` | nothing | `.when(\|error\| ..)` |
//! | a type of another crate | begin the chain with [`.lifted()`](crate::FnExt::lifted) | `.when(\|failure\| ..)`; `.transient()` for `reqwest::Error` |
//! | the function returns no `Result` | begin the chain with [`.fallible()`](crate::FnExt::fallible) | `.transient()` |
//!
//! # An enum of the program
//!
//! A program that looks at its errors has an enum, with a variant for each source of failures. The
//! trait [`Transient`](crate::Transient) says which of them are worth another attempt, and how long
//! the server asks to wait:
//!
//! ```
//! use decor::{Error, prelude::*};
//! use std::time::Duration;
//!
//! #[derive(Debug, thiserror::Error)]
//! enum ApiError {
//!     #[error("the server answered {status}")]
//!     Status { status: u16, retry_after: Option<Duration> },
//!     #[error("no such user")]
//!     NotFound,
//!     #[error(transparent)]
//!     Policy(#[from] Error),
//! }
//!
//! impl Transient for ApiError {
//!     fn is_transient(&self) -> bool {
//!         match self {
//!             Self::Status { status, .. } => matches!(status, 429 | 500..),
//!             Self::NotFound => false,
//!             Self::Policy(error) => error.is_transient(), // decor knows its own
//!         }
//!     }
//!
//!     fn retry_after(&self) -> Option<Duration> {
//!         match self {
//!             Self::Status { retry_after, .. } => *retry_after,
//!             Self::NotFound => None,
//!             Self::Policy(error) => error.retry_after(),
//!         }
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
//! async fn fetch(id: u64) -> Result<String, ApiError> {
//!     let retry_after = Some(Duration::from_secs(7));
//!     match (id, decor::attempt()) {
//!         (0, _) => Err(ApiError::NotFound),
//!         (_, 1) => Err(ApiError::Status { status: 429, retry_after }),
//!         _ => Ok(format!("user {id}")),
//!     }
//! }
//!
//! let fetch = fetch
//!     .timeout(Duration::from_secs(2))
//!     .retry_with(RetryPolicy::default())
//!     .transient()
//!     .timeout(Duration::from_secs(30));
//!
//! let begun = tokio::time::Instant::now();
//! assert!(matches!(fetch.call(0).await, Err(ApiError::NotFound)));
//! assert_eq!(begun.elapsed(), Duration::ZERO); // at the first attempt
//! assert_eq!(fetch.call(42).await.unwrap(), "user 42");
//! assert_eq!(begun.elapsed(), Duration::from_secs(7)); // as the server asked
//! # }
//! ```
//!
//! If the server hangs, every caller has its error after 9 s. If it asks for long waits, callers
//! wait for 30 s at most.
//!
//! Without `.transient()`, a retry tries again after every error. [`.when(..)`](crate::Retry::when)
//! takes a closure in place of the trait.
//!
//! # A type of another crate
//!
//! [`.lifted()`](crate::FnExt::lifted) makes a [`Failure<E>`](crate::Failure) of the error: either
//! `Call`, with the error of the function, or `Policy`, with the error of a decorator. The error
//! need not be `Clone`, not even under a memo:
//!
//! ```
//! use decor::{Error, Failure, prelude::*};
//! use std::time::Duration;
//!
//! # mod http {
//! #     #[derive(Debug, thiserror::Error)]
//! #     #[error("connection refused")]
//! #     pub struct Error;
//! #     pub async fn get(_: String) -> Result<String, Error> { Err(Error) }
//! # }
//! # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
//! # let get = http::get;
//! let pages: Memo<String, String> = Memo::ttl(Duration::from_secs(300));
//! let get = get
//!     .lifted() // Result<String, Failure<http::Error>>
//!     .timeout(Duration::from_secs(1)) // limit of each load
//!     .memoized(&pages)
//!     .timeout(Duration::from_secs(2)); // limit of each caller
//!
//! let text = match get.call("/".into()).await {
//!     Ok(page) => page,
//!     Err(Failure::Call(error)) => format!("this call loaded, and failed: {error}"),
//!     Err(Failure::Policy(Error::LoadFailed { message, .. })) => {
//!         format!("the call that loaded failed: {message}")
//!     }
//!     Err(Failure::Policy(error)) => format!("a decorator's error: {error}"),
//! };
//! # assert_eq!(text, "this call loaded, and failed: connection refused");
//! # }
//! ```
//!
//! If the server hangs, every caller has its error after 1 s. If calls that load are dropped and
//! others take over, no caller waits longer than 2 s.
//!
//! One call loads for many. If the load fails, that call has the error, and the others have its
//! text in [`LoadFailed`](crate::Error::LoadFailed). To give the error itself to all callers, begin
//! with `.map_err(Arc::new).lifted()`, and put
//! [`.sharing_errors()`](crate::Memoized::sharing_errors) behind `memoized`.
//!
//! # The errors of decorators
//!
//! | error | the function was called | transient | the answer to an HTTP request |
//! |---|---|---|---|
//! | [`TimedOut`](crate::Error::TimedOut) | yes, unless its limit passed in a queue | yes | 504 |
//! | [`RateLimited`](crate::Error::RateLimited) | no | yes | 429 |
//! | [`QueueFull`](crate::Error::QueueFull), [`ConcurrencyLimited`](crate::Error::ConcurrencyLimited) | no | yes | 503 |
//! | [`CircuitOpen`](crate::Error::CircuitOpen) | no | no, because a retry at once is refused as well | 503 |
//! | [`StoreDown`](crate::Error::StoreDown) | no | yes | 503 |
//! | [`LoadFailed`](crate::Error::LoadFailed) | by another call | yes | 503 |
//! | [`Rejected`](crate::Error::Rejected), by a gate of the program | no | yes | 503 |
//! | [`Closed`](crate::Error::Closed) | no | no | 503 |
//! | [`InvalidArgument`](crate::Error::InvalidArgument) | no | no | 400 |
//!
//! The feature `http` makes these [answers](crate::http), with `Retry-After` where the wait is
//! known.
//!
//! # The limit that ended a call, and a substitute
//!
//! If a chain has two time limits, a [label](crate::Timeout::labelled) tells them apart. A
//! [`fallback`](crate::FnExt::fallback) answers in place of an error:
//!
//! ```
//! # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
//! use decor::{Error, prelude::*};
//! use std::{future::pending, time::Duration};
//!
//! async fn fetch(_id: u64) -> Result<String, Error> { pending().await }
//!
//! let breaker = CircuitBreaker::consecutive(5);
//! let fetch = fetch
//!     .timeout(Duration::from_secs(2)).labelled("attempt")
//!     .guarded_by(&breaker)
//!     .retry_with(RetryPolicy::default())
//!     .transient()
//!     .timeout(Duration::from_secs(10)).labelled("total")
//!     .fallback(async |error: Error, id: u64| match error {
//!         Error::CircuitOpen { .. } => Ok(format!("user {id}, not loaded")),
//!         error => Err(error),
//!     });
//!
//! let error = fetch.call(42).await.unwrap_err();
//! assert_eq!(error.to_string(), "fetch timed out after 2s (attempt)");
//! breaker.trip();
//! assert_eq!(fetch.call(42).await.unwrap(), "user 42, not loaded");
//! # }
//! ```
//!
//! If `fetch` hangs, every caller has its answer within 9 s: an error after three attempts, or the
//! substitute once the circuit is open.
//!
//! # From here
//!
//! - [`Retry`](crate::Retry) says what a retry returns: the last error, or with
//!   [`explained`](crate::Retry::explained) the number of attempts and the reason to stop as well.
//! - [`clients`](super::clients) has the errors of reqwest, [`recipes`](super::recipes) those of
//!   sqlx, tonic and the AWS SDK.
