//! Sync functions: decorators on threads, and beside tasks.
//!
//! # A sync function
//!
//! After `.blocking()`, a sync function has the decorators of an async one, except `hedged`, with
//! the same policies and the same handles. Waiting blocks the thread, and no runtime is needed:
//!
//! ```
//! use decor::prelude::*;
//! use std::{io, thread, time::Duration};
//!
//! fn fetch(id: u64) -> io::Result<String> {
//!     // a request of a sync client, such as ureq
//!     Ok(format!("user {id}"))
//! }
//!
//! let secs = Duration::from_secs;
//! let api = RateLimiter::new(10, secs(1));
//! let users: Memo<u64, String> = Memo::ttl(secs(300));
//! let fetch = fetch
//!     .blocking()
//!     .timeout(secs(2)) // limit of each attempt
//!     .rate_limited(&api)
//!     .retry_with(RetryPolicy::default())
//!     .transient()
//!     .memoized(&users)
//!     .timeout(secs(20)); // limit of each caller
//!
//! let threads = [1, 2, 2].map(|id| {
//!     let fetch = fetch.clone();
//!     thread::spawn(move || fetch.call(id).unwrap())
//! });
//! assert_eq!(threads.map(|thread| thread.join().unwrap()), ["user 1", "user 2", "user 2"]);
//! assert_eq!(users.stats().loads, 2); // one load for both threads that asked for user 2
//! ```
//!
//! If `fetch` hangs, every one of 20 callers has its error within 10 s: three attempts of 2 s,
//! waits of 1 s and 2 s, and up to 1 s for a permit. No caller waits longer than 20 s.
//!
//! # Time limits
//!
//! A thread cannot be cancelled. A `timeout` runs the call on a second thread, and the caller
//! returns within the limit. The call itself runs on until it ends, and keeps its thread. Three
//! things follow:
//!
//! - The function and its arguments are `Send + 'static`, and the function is `Clone`: a `String`
//!   in place of a `&str`, a closure that owns its client in place of a method.
//! - Give the client a limit of its own, a little longer than the `timeout`
//!   (`TcpStream::set_read_timeout`). Otherwise each call that hangs keeps a thread for good.
//! - At most 512 such calls run at once, and further ones wait within their limit.
//!
//! # Beside tasks
//!
//! A handle serves tasks and threads at once. Both take permits of one limiter, and wait for one
//! load:
//!
//! ```
//! # #[tokio::main] async fn main() {
//! use decor::prelude::*;
//! use std::{io, time::Duration};
//!
//! async fn fetch(id: u64) -> io::Result<String> { Ok(format!("user {id}")) }
//! fn fetch_sync(id: u64) -> io::Result<String> { Ok(format!("user {id}")) }
//!
//! let secs = Duration::from_secs;
//! let users: Memo<u64, String> = Memo::ttl(secs(300));
//! let fetch = fetch.timeout(secs(1)).memoized(&users).timeout(secs(2));
//! let fetch_sync = fetch_sync.blocking().timeout(secs(1)).memoized(&users).timeout(secs(2));
//!
//! assert_eq!(fetch.call(42).await.unwrap(), "user 42");
//! // In async code, a sync chain runs on a thread for blocking work.
//! let name = tokio::task::spawn_blocking(move || fetch_sync.call(42)).await.unwrap().unwrap();
//! assert_eq!((name.as_str(), users.stats().hits), ("user 42", 1));
//! # }
//! ```
//!
//! If either function hangs, its caller has an error after 1 s. If calls that load are dropped and
//! others take over, no caller waits longer than 2 s.
//!
//! A sync chain that waits within a task blocks a thread of the runtime. On a current-thread
//! runtime, such as that of `#[tokio::test]`, it panics, because the wait would stop all tasks.
//!
//! If only the function is sync, decorate it as an async one: an async closure calls it in
//! `spawn_blocking`, and the waits of the chain cost no thread:
//!
//! ```
//! # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
//! use decor::prelude::*;
//! use std::{io, time::Duration};
//!
//! fn parse(text: &str) -> io::Result<usize> { Ok(text.len()) }
//!
//! let parse = async |text: String| {
//!     tokio::task::spawn_blocking(move || parse(&text)).await.map_err(io::Error::other)?
//! };
//! let parse = parse.timeout(Duration::from_secs(2));
//! assert_eq!(parse.call("four".into()).await.unwrap(), 4);
//! # }
//! ```
//!
//! If `parse` hangs, the caller has its error after 2 s. The thread stays occupied.
//!
//! # Shutdown
//!
//! A [`CancelToken`](crate::blocking::CancelToken) ends the waits of a thread's calls from outside:
//! `token.run(|| chain.call(..))` makes the call, and `token.cancel()` ends its waits. The function
//! in progress runs to its end, and no other attempt begins.
//!
//! # Tested
//!
//! A [`VirtualClock`](crate::test_util::VirtualClock) (feature `test-util`) lets delays and limits
//! of threads pass at once:
//!
//! ```
//! use decor::{prelude::*, test_util::VirtualClock};
//! use std::{io, time::Duration};
//!
//! let clock = VirtualClock::start();
//! let refused = || Err::<(), _>(io::Error::from(io::ErrorKind::ConnectionRefused));
//! let policy = RetryPolicy::default();
//! let fetch = refused.blocking().retry_with(&policy).timeout(Duration::from_secs(10));
//! assert!(fetch.call().is_err());
//! assert_eq!(clock.elapsed(), Duration::from_secs(1 + 2));
//! ```
//!
//! If the function hangs, its caller has an error after 10 s.
//!
//! # From here
//!
//! - The module [`decor::blocking`](crate::blocking) has every difference between both halves.
//! - `cargo run --example blocking` is a sync client of a real server.
