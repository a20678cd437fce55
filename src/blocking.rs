//! The same words for sync functions: `.blocking()` lifts one, and from there it has every decorator that async functions have, with the
//! same policies and the same handles.
//!
//! ```
//! use decor::prelude::*;
//! use std::time::Duration;
//!
//! fn parse(text: &str) -> Result<u8, decor::Error> {
//!     text.parse().map_err(|_| decor::Error::InvalidArgument { message: format!("{text:?} is no number") })
//! }
//!
//! let limiter = RateLimiter::new(10, Duration::from_secs(1));
//! let policy = RetryPolicy::exponential(Duration::from_millis(100)).max_attempts(5);
//!
//! let parse = parse.blocking().rate_limited(&limiter).retry_with(&policy).when(|_| false).timed("parse");
//! assert_eq!(parse.call("42"), Ok(42));
//! ```
//!
//! A bare sync function has none of it, and rustc says so: "not an async function". What is missing is `.blocking()`.
//!
//! # Waiting
//!
//! Waiting blocks the thread: a retry sleeps, a call of a full limiter parks in the one queue in which tasks and threads stand, and a call
//! for a value that another is loading parks until it is there, be that a thread or a task. No runtime is needed, made or looked for.
//!
//! In a task, a blocking wait stops the thread that it runs on. On a runtime with several threads the other tasks go on elsewhere (by
//! `tokio::task::block_in_place`); on a current-thread runtime (which `#[tokio::test]` is) and in a `LocalSet` a call that has to wait panics
//! (after a message of tokio's own) instead of waiting for what it has stopped. In async code the right place is a thread for such things:
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! use decor::prelude::*;
//!
//! fn load(id: u64) -> Result<u64, String> { if id == 0 { Err("no such user".into()) } else { Ok(id * 10) } }
//!
//! // The chain on that thread: one thread for the whole call, its waits included.
//! let chain = load.blocking().retry_with(RetryPolicy::default());
//! assert_eq!(tokio::task::spawn_blocking(move || chain.call(42)).await.unwrap(), Ok(420));
//!
//! // Or the function alone, within a chain of the async half: it waits as a task, holds a thread only while `load` runs, and can be
//! // timed out without a second thread.
//! let load = |id: u64| async move { tokio::task::spawn_blocking(move || load(id)).await.unwrap() };
//! assert_eq!(load.retry_with(RetryPolicy::default()).call(42).await, Ok(420));
//! # }
//! ```
//!
//! Threads wait and count TTLs in real time, also where tokio's clock is paused for tasks: a handle that both use sees two times, so in a
//! test with a paused clock leave each handle to one of the two. To test blocking code without waiting there is a
#![cfg_attr(feature = "test-util", doc = "[`VirtualClock`](crate::test_util::VirtualClock).")]
#![cfg_attr(not(feature = "test-util"), doc = "`test_util::VirtualClock` (feature `test-util`).")]
//!
//! # What a thread cannot do
//!
//! It cannot be cancelled. [`timeout`](FnExt::timeout) therefore makes its call on another thread and leaves it when its time is over;
//! what that means is described there.

pub use crate::{
    FnExt,
    call::blocking::{Blocking, Callable, CallableMut, CallableOnce, Run, SyncFn},
    decorators::boxed::BlockingFn as BoxedFn,
};
