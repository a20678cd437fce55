//! Tests of chains: delays, limits and failures at exact times, without waiting.
//!
//! # Tasks: the paused clock of tokio
//!
//! decor reads tokio's clock, and arms tokio's timers. With tokio's feature `test-util`, a test
//! pauses that clock. Time then jumps to the next timer once all tasks wait, so that an hour takes
//! no time, and every moment is exact:
//!
//! ```
//! # use decor::prelude::*;
//! # use std::{io, time::Duration};
//! # /*
//! #[tokio::test(start_paused = true)]
//! # */
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() { the_eleventh_call_waits_for_a_minute().await }
//! async fn the_eleventh_call_waits_for_a_minute() {
//!     let limiter = RateLimiter::new(10, Duration::from_secs(60));
//!     let fetch = (async |id: u64| Ok::<_, io::Error>(id)).rate_limited(&limiter);
//!
//!     let begun = tokio::time::Instant::now();
//!     for id in 0..11 {
//!         fetch.call(id).await.unwrap();
//!     }
//!     assert_eq!(begun.elapsed(), Duration::from_secs(60)); // not "about"
//!     assert_eq!(limiter.stats().delayed, 1);
//! }
//! ```
//!
//! Use `tokio::time::Instant`: the `Instant` of the standard library does not stand still. A test
//! with a real socket or a real file lets time jump while it waits for them. Give such a test the
//! real clock, or a function in place of the socket.
//!
//! # A function in place of the server
//!
//! A chain takes any function. If the program makes its chain in a function of its own, a test
//! gives it another function, and keeps the rest:
//!
//! ```
//! use decor::{Callable, Error, prelude::*};
//! use std::{sync::atomic::{AtomicU32, Ordering::Relaxed}, time::Duration};
//!
//! /// The chain of the program, around any function.
//! fn hardened<F>(fetch: F) -> impl Callable<(u64,), Output = Result<String, Error>>
//! where
//!     F: Callable<(u64,), Output = Result<String, Error>> + Clone,
//! {
//!     fetch
//!         .timeout(Duration::from_secs(2))
//!         .retry_with(RetryPolicy::default())
//!         .transient()
//!         .timeout(Duration::from_secs(10))
//! }
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
//! let calls = AtomicU32::new(0);
//! let fetch = hardened(async |id: u64| match calls.fetch_add(1, Relaxed) {
//!     0 => std::future::pending().await, // the first attempt hangs
//!     1 => Err(Error::RateLimited { retry_after: Duration::from_secs(4) }),
//!     _ => Ok(format!("user {id}")),
//! });
//!
//! let begun = tokio::time::Instant::now();
//! assert_eq!(fetch.call(42).await.unwrap(), "user 42");
//! // The limit of an attempt, a delay, and the wait that the server asked for.
//! assert_eq!(begun.elapsed(), Duration::from_secs(2 + 1 + 4));
//! # }
//! ```
//!
//! If the function hangs, every caller has its error after 9 s. To spawn or to box such a chain,
//! its function has [further bounds](crate::calling#functions-of-functions).
//!
//! # Faults by script or by seed
//!
//! With the feature `chaos`, calls fail, hang and slow down where
//! [`chaotic`](crate::FnExt::chaotic) stands. The script of a [`Chaos`](crate::Chaos) lists the
//! faults of the first calls, and later calls have none. With a seed, faults have probabilities,
//! and come in the same sequence in each run.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
//! use decor::{Chaos, Error, Fault, prelude::*};
//! use std::time::Duration;
//!
//! # async fn fetch(id: u64) -> Result<u64, Error> { Ok(id) }
//! let chaos = Chaos::script([Fault::Fail, Fault::Hang, Fault::Slow(Duration::from_millis(300))]);
//! let fetch = fetch
//!     .chaotic(&chaos, || Error::QueueFull { waiting: 9 })
//!     .timeout(Duration::from_secs(1))
//!     .retry_with(RetryPolicy::fixed(Duration::from_secs(1)));
//!
//! let begun = tokio::time::Instant::now();
//! assert_eq!(fetch.call(42).await, Ok(42));
//! assert_eq!(begun.elapsed(), Duration::from_millis(1_000 + 1_000 + 1_000 + 300));
//! # }
//! ```
//!
//! If each call hangs, every caller has its error after 5 s.
//!
//! # Threads: a virtual clock
//!
//! Threads wait in real time, unless a test starts a
//! [`VirtualClock`](crate::test_util::VirtualClock) (feature `test-util`). Time then jumps once all
//! threads of the clock wait in decor:
//!
//! ```
//! use decor::{prelude::*, test_util::VirtualClock};
//! use std::time::Duration;
//!
//! let clock = VirtualClock::start();
//! let limiter = RateLimiter::new(1, Duration::from_secs(1));
//! let threads = [0; 4].map(|_| {
//!     let limiter = limiter.clone();
//!     clock.spawn(move || limiter.acquire_blocking())
//! });
//! threads.map(|thread| thread.join());
//! assert_eq!(clock.elapsed(), Duration::from_secs(3));
//! ```
//!
//! [`test_util`](crate::test_util) says which waits the clock does not see.
//!
//! # The order of a chain
//!
//! A test that asks the chain needs no call:
//!
//! ```
//! use decor::prelude::*;
//! use std::{io, time::Duration};
//!
//! # async fn fetch(id: u64) -> io::Result<String> { Ok(format!("user {id}")) }
//! let fetch = fetch
//!     .timeout(Duration::from_secs(4))
//!     .retry_with(RetryPolicy::default())
//!     .timeout(Duration::from_secs(10));
//!
//! let lints = fetch.describe().lints();
//! assert_eq!(lints[0].code, "retries-do-not-fit"); // 3 attempts of 4 s, and waits of 1 s and 2 s
//! ```
//!
//! If `fetch` hangs, every caller has its error after 9 s. There is never a third attempt, because
//! its delay would end after the limit.
//!
//! # Limits that processes share
//!
//! A [`FakeStore`](crate::test_util::FakeStore) stands for a Redis, with virtual time and faults:
//! [`past_one_machine`](super::past_one_machine) has examples.
//!
//! # What a test should assert
//!
//! - Exact times and exact counts. "At least 2 s" does not notice a limit that is ignored.
//! - The statistics of the handles: `limiter.stats()`, `memo.stats()`, `breaker.stats()`.
//! - A crowd. Twenty callers at once (`futures::future::join_all`) find a missing bound, which one
//!   caller does not.
//! - A dropped call. Drop the future at a wait, and assert that the next caller is served.
//!
//! # From here
//!
//! - [`clients`](super::clients) and [`services`](super::services) end with a test of each.
//! - `cargo run --example resilience_lab` runs whole scenarios of a failing server in virtual time.
