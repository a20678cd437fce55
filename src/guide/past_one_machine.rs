//! Past one machine: one limit and one memo for many processes, on Redis.
//!
//! # A limit of an account
//!
//! A limit of an API belongs to an account. Four instances of a service that each have a
//! [`RateLimiter`](crate::RateLimiter) of 100 calls per second make 400. A
//! [shared](crate::RateLimiterBuilder::shared) limiter keeps its count in a store, and is the same
//! type: every decorator, queue and deadline works unchanged. Only the line that builds it differs.
//!
//! The crate `decor-redis`, beside decor in the repository, has the store for Redis from 6.2 on,
//! and for Valkey from 7.2 on:
//!
//! ```toml
//! [dependencies]
//! decor = { path = "../decor" }
//! decor-redis = { path = "../decor/decor-redis" } # a clone: neither is on crates.io yet
//!
//! [dev-dependencies]
//! decor = { path = "../decor", features = ["test-util"] }
//! ```
//!
//! ```text
//! let redis = Redis::open("redis://:password@127.0.0.1:6379")?; // connects when it is needed
//! let api = RateLimiter::builder()
//!     .window(100, Duration::from_secs(1))
//!     .shared(redis.quota("github"), OnFailure::Local { instances: 4 })
//!     .build();
//! ```
//!
//! The examples of this page use a [`FakeStore`](crate::test_util::FakeStore) of the feature
//! `test-util` in its place, which has virtual time and needs no server. A program's own tests do
//! the same.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
//! use decor::{OnFailure, prelude::*, test_util::FakeStore};
//! use std::{io, time::Duration};
//!
//! async fn fetch(id: u64) -> io::Result<String> { Ok(format!("user {id}")) }
//!
//! let secs = Duration::from_secs;
//! let store = FakeStore::new(); // in a service: `Redis::open(url)?`
//! let limiter = || {
//!     let limit = RateLimiter::builder().window(10, secs(1));
//!     limit.shared(store.quota("github"), OnFailure::Closed).build()
//! };
//! let (here, elsewhere) = (limiter(), limiter()); // as in two processes
//! let fetch_here = fetch.timeout(secs(2)).rate_limited(&here).timeout(secs(10));
//! let fetch_elsewhere = fetch.timeout(secs(2)).rate_limited(&elsewhere).timeout(secs(10));
//!
//! let begun = tokio::time::Instant::now();
//! for id in 0..5 {
//!     fetch_here.call(id).await.unwrap();
//!     fetch_elsewhere.call(id).await.unwrap();
//! }
//! assert_eq!(begun.elapsed(), Duration::ZERO);
//! fetch_here.call(5).await.unwrap(); // the eleventh of both
//! assert_eq!(begun.elapsed(), Duration::from_millis(1_020));
//! # }
//! ```
//!
//! If `fetch` hangs, every one of 20 callers has its error within 3.02 s: up to 1.02 s for its
//! permit, and 2 s. No caller waits longer than 10 s.
//!
//! The extra 20 ms are the *hold*. The store counts a permit from the last moment at which it may
//! be used, and a permit that is older is thrown away. A call that gets its answer late is
//! therefore counted in the window in which it runs, and no stretch of one period has more calls
//! than the limit, in all processes together. The price is that a limit of N calls is reached once
//! per period and hold. [`shared`](crate::RateLimiterBuilder::shared) names the three exceptions.
//!
//! With settings [from a file](super::config), the builder is
//! `RateLimiterBuilder::try_from(&config)?`. A limiter that is shared takes over a changed file by
//! [`reload`](crate::RateLimiter::reload) as any other.
//!
//! # While the store is down
//!
//! The choice has no default, because it depends on what the limit is for:
//!
//! | [`OnFailure`](crate::OnFailure) | calls while the store is down | for |
//! |---|---|---|
//! | `Closed` | wait; calls that can fail get [`StoreDown`](crate::Error::StoreDown) at once | a limit that costs money |
//! | `Local { instances: n }` | go by a limit of this process: the limit divided by n, and at least 1 | a limit that the server enforces anyway |
//! | `Open` | go at once | a limit that only spreads load |
//!
//! Permits that the store has granted before stay valid.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
//! # use decor::{Error, OnFailure, prelude::*, test_util::FakeStore};
//! # use std::time::Duration;
//! let store = FakeStore::new();
//! let limit = || RateLimiter::builder().window(100, Duration::from_secs(1));
//! let local = limit().shared(store.quota("spread"), OnFailure::Local { instances: 4 }).build();
//! let closed = limit().shared(store.quota("paid"), OnFailure::Closed).build();
//! local.acquire().await;
//!
//! store.hang();
//! let begun = tokio::time::Instant::now();
//! local.acquire().await; // the first call meets the failure
//! assert_eq!(begun.elapsed(), Duration::from_millis(100));
//! local.acquire().await; // the next ones know of it
//! let refused = closed.acquire_within(Duration::from_secs(1)).await;
//! assert_eq!(begun.elapsed(), Duration::from_millis(100));
//! assert!(matches!(refused, Err(Error::StoreDown { .. })));
//! assert!(!local.stats().is_up);
//! # }
//! ```
//!
//! When the store is back, with or without its state, processes with `Local` report their calls,
//! and the store counts them. Calls that `Open` admitted are never counted.
//! [`stats`](crate::RateLimiter::stats) shows whether the store [is
//! up](crate::RateLimiterStats::is_up), and how many calls went [without
//! it](crate::RateLimiterStats::admitted_alone).
//!
//! # A limit for each user
//!
//! [`KeyedLimiter::shared`](crate::KeyedLimiter::shared) takes a builder, and a name in the store
//! for each key:
//!
//! ```
//! # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
//! use decor::{OnFailure, prelude::*, test_util::FakeStore};
//! use std::time::Duration;
//!
//! let store = FakeStore::new();
//! let limit = RateLimiter::builder().window(2, Duration::from_secs(60));
//! let limit = limit.shared(store.quota("per-user"), OnFailure::Closed);
//! let per_user: KeyedLimiter<u64> = KeyedLimiter::shared(limit, u64::to_string);
//!
//! let ada = per_user.for_key(&7);
//! ada.acquire().await;
//! ada.acquire().await;
//! assert!(ada.acquire_within(Duration::ZERO).await.is_err());
//! assert!(per_user.for_key(&8).acquire_within(Duration::ZERO).await.is_ok());
//! # }
//! ```
//!
//! # One memo for all
//!
//! A [tier](crate::MemoBuilder::tier) puts a store under a memo. For each key, one process loads
//! the value, and the others take it from the store or wait for that load:
//!
//! ```text
//! let users: Memo<u64, User> = Memo::builder()
//!     .ttl(Duration::from_secs(300))
//!     .tier(redis.tier("users").version(3)) // `User: Serialize + DeserializeOwned`
//!     .build();
//! users.invalidate(&42); // here at once, and in the other processes after a message of the store
//! users.settled().await?; // the store has confirmed the change, and published it
//! ```
//!
//! While the store is down, each process loads for itself, values live for 10 s at most, and no
//! error of the store reaches a caller. A new `version` has keys of its own, so that a type can
//! change while old processes run.
//!
//! # From here
//!
//! - `cargo run -p decor-redis --example fleet` starts a server and four processes that share a
//!   limit and a memo, kills the server in the middle, and prints what each process did. It needs
//!   `redis-server` (`apt-get install redis-server`).
//! - The README of `decor-redis` has what is promised and what is not, sizing, keys, the rights of
//!   an account, and what to alert on.
//! - [`shared`](crate::shared) has the traits for a store of another kind.
