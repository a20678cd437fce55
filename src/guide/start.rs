//! The first steps: from an empty crate to a tested function with limits.
//!
//! # An empty crate
//!
//! ```sh
//! cargo new client && cd client
//! cargo add --path ../decor # a clone of the repository: decor is not on crates.io yet
//! cargo add tokio --features macros,rt-multi-thread,time
//! cargo add tokio --dev --features test-util
//! cargo add tracing tracing-subscriber
//! ```
//!
//! # A time limit
//!
//! decor adds methods to functions. Each method puts one decorator around the function. The result
//! is a function with the same arguments and the same return type, and `.call(..)` calls it:
//!
//! ```
//! use decor::prelude::*;
//! use std::{io, time::Duration};
//!
//! async fn fetch(id: u64) -> io::Result<String> {
//!     // a request, which may fail, throttle or hang
//!     Ok(format!("user {id}"))
//! }
//!
//! #[tokio::main]
//! async fn main() -> io::Result<()> {
//!     let fetch = fetch.timeout(Duration::from_secs(2));
//!     println!("{}", fetch.call(42).await?);
//!     Ok(())
//! }
//! ```
//!
//! If `fetch` hangs, every caller has an `io::Error` of the kind `TimedOut` after 2 s.
//!
//! # Further attempts
//!
//! A retry calls the function again. [`transient`](crate::Retry::transient) chooses the errors that
//! are worth it: a refused connection is, and a missing file is not. In this example, the first two
//! attempts fail: [`decor::attempt()`](crate::attempt) is the number of the attempt.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
//! # use decor::prelude::*;
//! # use std::{io, time::Duration};
//! async fn fetch(id: u64) -> io::Result<String> {
//!     if decor::attempt() < 3 {
//!         return Err(io::ErrorKind::ConnectionRefused.into());
//!     }
//!     Ok(format!("user {id}"))
//! }
//!
//! let fetch = fetch
//!     .timeout(Duration::from_secs(2)) // limit of each attempt
//!     .retry_with(RetryPolicy::default())
//!     .transient()
//!     .timeout(Duration::from_secs(10)); // limit of all attempts together
//!
//! # let begun = tokio::time::Instant::now();
//! assert_eq!(fetch.call(42).await.unwrap(), "user 42");
//! # assert_eq!(begun.elapsed(), Duration::from_secs(3));
//! # }
//! ```
//!
//! Read a chain from left to right and inside out. The first `timeout` is inside of the retry, so
//! each attempt has a limit of its own. The second one is outside, and holds for all of them. If
//! `fetch` hangs, every caller has its error after 9 s: three attempts of 2 s, with waits of 1 s
//! and 2 s, which are the [default](crate::RetryPolicy#impl-Default-for-RetryPolicy).
//!
//! # A limit for all calls
//!
//! A [`RateLimiter`](crate::RateLimiter) is a *handle*: all clones of it, and all functions that
//! use it, share its limit. A call without a permit waits in a queue:
//!
//! ```
//! # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
//! # use decor::prelude::*;
//! # use std::{io, time::Duration};
//! async fn fetch(id: u64) -> io::Result<String> { Ok(format!("user {id}")) }
//! async fn fetch_orders(id: u64) -> io::Result<String> { Ok(format!("orders of {id}")) }
//!
//! let api = RateLimiter::new(10, Duration::from_secs(1)); // of one account
//!
//! let fetch = fetch.timeout(Duration::from_secs(2)).rate_limited(&api);
//! let fetch_orders = fetch_orders.timeout(Duration::from_secs(2)).rate_limited(&api);
//!
//! # let begun = tokio::time::Instant::now();
//! for id in 0..10 {
//!     fetch.call(id).await.unwrap();
//! }
//! fetch_orders.call(0).await.unwrap(); // the 11th call waits for the end of the period
//! # assert_eq!(begun.elapsed(), Duration::from_secs(1));
//! # }
//! ```
//!
//! If both hang, every one of 20 callers has its error within 3 s: a wait of 1 s for a permit, and
//! 2 s. The next chain also bounds the wait, however many callers there are.
//!
//! # An answer for many callers
//!
//! A [`Memo`](crate::Memo) is a cache, and a handle too. If many callers ask for a value that it
//! does not have, one of them loads it, and all others wait for that load. The limiter now stands
//! inside of the retry: each attempt takes a permit, because the server counts attempts.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
//! # use decor::prelude::*;
//! # use std::{io, time::Duration};
//! async fn fetch(id: u64) -> io::Result<String> { Ok(format!("user {id}")) }
//!
//! let secs = Duration::from_secs;
//! let api = RateLimiter::new(10, secs(1));
//! let users: Memo<u64, String> = Memo::ttl(secs(300));
//!
//! let fetch = fetch
//!     .timeout(secs(2)) // limit of each attempt
//!     .rate_limited(&api)
//!     .retry_with(RetryPolicy::default())
//!     .transient()
//!     .timeout(secs(15)) // limit of each load
//!     .memoized(&users)
//!     .timeout(secs(20)) // limit of each caller
//!     .logged();
//!
//! assert_eq!(fetch.call(42).await.unwrap(), "user 42");
//! assert_eq!(fetch.call(42).await.unwrap(), "user 42");
//! assert_eq!(users.stats().hits, 1);
//! assert_eq!(api.stats().admitted, 1);
//! # }
//! ```
//!
//! If `fetch` hangs, every one of 20 callers has its error within 10 s: three attempts of 2 s,
//! waits of 1 s and 2 s, and up to 1 s for a permit. With more callers, a load ends after 15 s. If
//! calls that load are dropped and others take over, no caller waits longer than 20 s.
//!
//! # What happens in a call
//!
//! `logged` sends its lines to the subscriber of `tracing`, and the retry reports each failure.
//! This line, at the start of `main`, prints them, here for a call with two attempts that fail:
//!
//! ```
//! tracing_subscriber::fmt().with_max_level(tracing::Level::DEBUG).init();
//! ```
//!
//! ```text
//! DEBUG decor::call: calling fetch name="fetch"
//! DEBUG decor::retry: fetch failed at attempt 1, retrying in 1s name="fetch" attempt=1 delay=1s
//! DEBUG decor::retry: fetch failed at attempt 2, retrying in 2s name="fetch" attempt=2 delay=2s
//! DEBUG decor::retry: fetch succeeded at attempt 3 name="fetch" attempt=3
//!  INFO decor::call: fetch returned in 3s name="fetch" elapsed=3.00378878 outcome="ok"
//! ```
//!
//! # A chain in a struct
//!
//! The type of a chain names all of its decorators. [`boxed`](crate::FnExt::boxed) gives the chain
//! a short type, for a field, a static, or the state of a server:
//!
//! ```
//! use decor::prelude::*;
//! use std::{io, time::Duration};
//!
//! #[derive(Clone)]
//! struct Client {
//!     fetch: BoxedFn<(u64,), io::Result<String>>,
//! }
//!
//! impl Client {
//!     fn new(api: &RateLimiter) -> Self {
//!         async fn fetch(id: u64) -> io::Result<String> { Ok(format!("user {id}")) }
//!         Self { fetch: fetch.rate_limited(api).timeout(Duration::from_secs(15)).boxed() }
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
//! let client = Client::new(&RateLimiter::new(10, Duration::from_secs(1)));
//! assert_eq!(client.fetch.call(42).await.unwrap(), "user 42");
//! # }
//! ```
//!
//! If the request hangs, every caller has its error after 15 s. [`calling`](crate::calling) has
//! further forms: a closure, a trait, a struct that decorates its own method.
//!
//! # Above the function
//!
//! With decor's feature `macros` (`cargo add --path ../decor --features macros`), a chain stands
//! above the function, as in Python. Its handles are statics:
//!
//! ```
//! use decor::prelude::*;
//! use std::{io, sync::LazyLock, time::Duration};
//!
//! const SECOND: Duration = Duration::from_secs(1);
//! static API: LazyLock<RateLimiter> = LazyLock::new(|| RateLimiter::new(10, SECOND));
//!
//! #[decor::decorated(.rate_limited(&API).timeout(15 * SECOND))]
//! async fn fetch(id: u64) -> io::Result<String> {
//!     Ok(format!("user {id}"))
//! }
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
//! assert_eq!(fetch(42).await.unwrap(), "user 42"); // a plain function, without `.call`
//! # }
//! ```
//!
//! If the request hangs, every caller has its error after 15 s.
//!
//! # Tested
//!
//! On tokio's paused clock, delays and limits take no time, and each moment is exact. The last line
//! fails if a decorator stands at a wrong place:
//!
//! ```
//! # use decor::prelude::*;
//! # use std::{io, time::Duration};
//! # /*
//! #[tokio::test(start_paused = true)]
//! # */
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() { a_refused_connection_is_tried_again().await }
//! async fn a_refused_connection_is_tried_again() {
//!     let refused = async || Err::<(), _>(io::Error::from(io::ErrorKind::ConnectionRefused));
//!     let fetch = refused
//!         .timeout(Duration::from_secs(2))
//!         .retry_with(RetryPolicy::default())
//!         .transient()
//!         .timeout(Duration::from_secs(10));
//!
//!     let begun = tokio::time::Instant::now();
//!     assert!(fetch.call().await.is_err());
//!     assert_eq!(begun.elapsed(), Duration::from_secs(1 + 2));
//!     assert!(fetch.describe().lints().is_empty());
//! }
//! ```
//!
//! If the function hangs, the call ends after 9 s.
//!
//! # From here
//!
//! - [`order`](super::order): the place of each decorator, and how a test finds a wrong one.
//! - [`errors`](super::errors): the error type of a program, and what is worth another attempt.
//! - [`clients`](super::clients): a client of an HTTP API. [`services`](super::services): an API
//!   with limits.
//! - [`testing`](super::testing): more tests. The [front page](crate): a table of all decorators.
