//! The order of a chain: the place of each decorator, and a test that checks it.
//!
//! # The rule
//!
//! Read a chain from left to right and inside out: the leftmost decorator is the innermost, next to
//! the function. *Before* a decorator means to its left, and inside of it. *After* or *behind* a
//! decorator means to its right, and around it. Two decorators divide a chain:
//!
//! - `retry_with`: what stands before it acts on each *attempt*, and what stands behind it on the
//!   *call*.
//! - `memoized`: what stands before it acts on each *load*, and what stands behind it on each
//!   *caller*.
//!
//! The same two decorators in both orders:
//!
//! ```
//! # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
//! use decor::prelude::*;
//! use std::{io, time::Duration};
//!
//! async fn refused(_id: u64) -> io::Result<String> {
//!     Err(io::ErrorKind::ConnectionRefused.into())
//! }
//!
//! let limiter = RateLimiter::new(100, Duration::from_secs(1));
//! let each_attempt = refused.rate_limited(&limiter).retry_with(RetryPolicy::default());
//! each_attempt.call(42).await.unwrap_err();
//! assert_eq!(limiter.stats().admitted, 3); // as many as the server has seen
//!
//! let limiter = RateLimiter::new(100, Duration::from_secs(1));
//! let each_call = refused.retry_with(RetryPolicy::default()).rate_limited(&limiter);
//! each_call.call(42).await.unwrap_err();
//! assert_eq!(limiter.stats().admitted, 1); // the server has seen three
//! # }
//! ```
//!
//! Neither chain has a time limit. If the function hangs, their callers wait for ever.
//!
//! # The usual order
//!
//! From the inside. A chain takes the rows that it needs, and keeps their order:
//!
//! | decorator | the reason for its place |
//! |---|---|
//! | `timeout` of an attempt | it ends a call that hangs, so that the decorators around it see a failure |
//! | `pausing`, `backing_off` | they read what the server says of this attempt |
//! | `guarded_by` | it counts attempts that fail or end by their limit; a call that waited for a permit meets it last |
//! | `rate_limited` | a server counts attempts |
//! | `concurrency_limited` | a call first waits for a free place, and then for its permit of the rate, which would get old in the other queue |
//! | `unless_open` | while a circuit is open, calls are refused before they queue |
//! | `hedged` | a second call passes the limits and the breaker as well |
//! | `retry_with` | all decorators above hold for each attempt, and none holds anything during a delay |
//! | total `timeout` | it holds for one load: all attempts, and their waits |
//! | `memoized` | one call retries for all that wait |
//! | `timeout` of a caller | it holds for the wait for another call's load too |
//! | `fallback` | the memo keeps no substitute |
//! | `validated` | a call with wrong arguments takes no permit |
//! | `logged`, `timed`, `traced`, `metered` | they see what the caller sees; directly behind the `timeout` of an attempt, they see attempts, without the waits for permits |
//!
#![doc = include_str!("../../docs/order.svg")]
//!
//! The [front page](crate#reading-a-chain) has the chain of this picture.
//!
//! # The place of a limit
//!
//! | what stands where | what it holds for |
//! |---|---|
//! | `timeout` before `rate_limited` | one attempt, without the wait for its permit |
//! | `timeout` before `guarded_by` | one attempt; its end by the limit is a failure of the service |
//! | `timeout` after `rate_limited` | one attempt, with the wait for its permit |
//! | `timeout` after `retry_with` | one call or one load: all its attempts and waits |
//! | `timeout` after `memoized` | every caller, those that wait for another call's load included |
//! | `rate_limited` before `retry_with` | every attempt takes a permit |
//! | `rate_limited` after `retry_with` | one permit for all attempts of a call |
//! | `guarded_by` before `rate_limited` | calls that wait for a permit are refused when their turn comes, and not sent |
//! | `unless_open` after `rate_limited` | new calls, which do not queue only to be refused |
//! | `hedged` before `retry_with` | each attempt; a second call takes a permit of its own |
//! | `fallback` after `memoized` | the answer to the caller; the memo keeps no substitute |
//! | `concurrency_limited` before `retry_with` | every attempt holds a permit, and no delay does |
//! | `timeout` before `concurrency_limited` | an attempt that hangs gives its permit back |
//!
//! A `timeout` behind everything that waits (limiter, retry, memo) bounds every caller. What stands
//! before it knows the [`Deadline`](crate::Deadline). A retry begins no delay that would be cut
//! off. `rate_limited_by` and `rate_limited_within` refuse a call at once if its permit would come
//! after the deadline. `rate_limited` and `concurrency_limited` cannot return an error, and wait
//! until the `timeout` ends the call.
//!
//! # A chain that is asked
//!
//! [`describe`](crate::FnExt::describe) draws a chain, from the outside, with the longest time of a
//! call at each place:
//!
//! ```
//! use decor::prelude::*;
//! use std::{io, time::Duration};
//!
//! async fn fetch(id: u64) -> io::Result<String> { Ok(format!("user {id}")) }
//!
//! let secs = Duration::from_secs;
//! let users: Memo<u64, String> = Memo::ttl(secs(300));
//! let fetch = fetch
//!     .timeout(secs(2))
//!     .memoized(&users)
//!     .retry_with(RetryPolicy::fixed(secs(1)))
//!     .timeout(secs(10));
//!
//! assert_eq!(fetch.describe().to_string(), "\
//! .timeout(10s)                                     at most 10s
//! └─ .retry_with(fixed 1s, no jitter, 3 attempts)   no bound
//!    └─ .memoized(ttl 300s)                         no bound
//!       └─ .timeout(2s)                             at most 2s
//!          └─ fetch");
//!
//! let lints = fetch.describe().lints().iter().map(|lint| lint.code).collect::<Vec<_>>();
//! assert_eq!(lints, ["retry-around-memo"]);
//! ```
//!
//! A memo has no bound of its own: a caller may wait for the loads of several other calls, one
//! after the other, if they fail or are dropped.
//!
//! A [lint](crate::describe#lints) names a place that does what it says, and seldom what is meant.
//! Here, each caller of a failed load retries by itself. With the retry before `memoized`, one call
//! retries for all:
//!
//! ```
//! # use decor::prelude::*;
//! # use std::{io, time::Duration};
//! # async fn fetch(id: u64) -> io::Result<String> { Ok(format!("user {id}")) }
//! # let secs = Duration::from_secs;
//! # let users: Memo<u64, String> = Memo::ttl(secs(300));
//! let fetch = fetch
//!     .timeout(secs(2))
//!     .retry_with(RetryPolicy::fixed(secs(1)))
//!     .memoized(&users)
//!     .timeout(secs(10));
//!
//! assert!(fetch.describe().lints().is_empty()); // in a test
//! ```
//!
//! If `fetch` hangs, every caller has its error after 8 s. If calls that load are dropped and
//! others take over, no caller waits longer than 10 s.
//!
//! # One order for many functions
//!
//! A [`stack`](crate::stack()) is a chain without a function. It is written once, checked once, and
//! put around any number of functions:
//!
//! ```
//! # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
//! use decor::prelude::*;
//! use std::{io, time::Duration};
//!
//! # async fn fetch_user(id: u64) -> io::Result<String> { Ok(format!("user {id}")) }
//! # async fn fetch_page(path: &str) -> io::Result<usize> { Ok(path.len()) }
//! let secs = Duration::from_secs;
//! let api = RateLimiter::new(10, secs(1));
//! let outbound = decor::stack::<io::Error>()
//!     .timeout(secs(2))
//!     .rate_limited(&api)
//!     .retry_with(RetryPolicy::default())
//!     .transient()
//!     .timeout(secs(15));
//! assert!(outbound.describe().lints().is_empty());
//!
//! let fetch_user = fetch_user.decorated_by(&outbound);
//! let fetch_page = fetch_page.decorated_by(&outbound);
//! assert_eq!(fetch_user.call(42).await.unwrap(), "user 42");
//! assert_eq!(fetch_page.call("/").await.unwrap(), 1);
//! # }
//! ```
//!
//! If the server hangs, every one of 20 callers has its error within 10 s: three attempts of 2 s,
//! waits of 1 s and 2 s, and up to 1 s for a permit.
//!
//! # From here
//!
//! - [`describe`](crate::describe) lists all lints, and what to write instead.
//! - Each method of [`FnExt`](crate::FnExt) says where it stands, and why.
//! - [`testing`](super::testing) has tests of what a chain does.
