//! Decorators of sync functions: after `.blocking()`, a sync function has every decorator of async
//! functions, with the same policies and the same handles.
//!
//! # Examples
//!
//! ```
//! use decor::prelude::*;
//! use std::time::Duration;
//!
//! fn parse(text: &str) -> Result<u8, decor::Error> {
//!     let message = format!("{text:?} is no number");
//!     text.parse().map_err(|_| decor::Error::InvalidArgument { message })
//! }
//!
//! let limiter = RateLimiter::new(10, Duration::from_secs(1));
//! let policy = RetryPolicy::exponential(Duration::from_millis(100)).max_attempts(5);
//!
//! let parse = parse.blocking().rate_limited(&limiter).retry_with(&policy).when(|_| false);
//! let parse = parse.timed("parse");
//! assert_eq!(parse.call("42"), Ok(42));
//! ```
//!
//! A sync function without `.blocking()` has no decorators. rustc then says "not an async
//! function".
//!
//! # Waiting
//!
//! Waiting blocks the thread. A retry sleeps. A call that has no permit parks, in one queue with
//! tasks and other threads. A call for a value that another thread or task is loading parks until
//! the value is there. No runtime is needed.
//!
//! In a task, a blocking wait stops the thread that it runs on. On a runtime with several threads
//! the other tasks move to another thread (`tokio::task::block_in_place`). On a current-thread
//! runtime (such as that of `#[tokio::test]`) and in a `LocalSet`, a call that has to wait panics,
//! because it would stop the tasks that it waits for. The panic names the line of the call, except
//! for a wait inside of another decorator. In async code, make such calls on a thread for blocking
//! work:
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! use decor::prelude::*;
//!
//! fn load(id: u64) -> Result<u64, String> {
//!     if id == 0 { Err("no such user".into()) } else { Ok(id * 10) }
//! }
//!
//! // The whole chain runs on that thread, which the call keeps during its waits.
//! let chain = load.blocking().retry_with(RetryPolicy::default());
//! assert_eq!(tokio::task::spawn_blocking(move || chain.call(42)).await.unwrap(), Ok(420));
//!
//! // Or only the function runs there, within an async chain. The chain waits as a task, keeps a
//! // thread only while `load` runs, and needs no second thread for a timeout.
//! let load = |id: u64| async move {
//!     tokio::task::spawn_blocking(move || load(id)).await.unwrap()
//! };
//! assert_eq!(load.retry_with(RetryPolicy::default()).call(42).await, Ok(420));
//! # }
//! ```
//!
//! Threads wait and count TTLs in real time, even while tokio's clock is paused for tasks. A handle
//! that both use sees two times. In a test with a paused clock, use each handle either in tasks or
//! on threads. To test blocking code without waiting, use a
#![cfg_attr(feature = "test-util", doc = "[`VirtualClock`](crate::test_util::VirtualClock).")]
#![cfg_attr(not(feature = "test-util"), doc = "`test_util::VirtualClock` (feature `test-util`).")]
//!
//! # Cancellation
//!
//! A [`CancelToken`] ends the waits of calls from outside, such as at a shutdown. A thread makes
//! its call by `token.run(|| chain.call(..))`, and another thread ends the call's waits by
//! `token.cancel()`. The function in progress runs to its end, and decor begins nothing after it.
//!
//! A runtime that is dropped cancels the calls that wait in its tasks, most of all in
//! `spawn_blocking`. The end of a runtime therefore does not wait for the delays of a retry. The
//! `JoinHandle` of the task returns an error that [`is_panic`](tokio::task::JoinError::is_panic),
//! although the panic hook is not called. To end such calls with a value, cancel a token first:
//!
//! ```
//! use decor::{blocking::CancelToken, prelude::*};
//! use std::{sync::mpsc, time::Duration};
//!
//! let runtime = tokio::runtime::Runtime::new().unwrap();
//! let shutdown = CancelToken::new();
//!
//! let (tell, told) = mpsc::channel();
//! let load = (move || Err::<u64, _>(tell.send("connecting"))).blocking();
//! let load = load.retry_with(RetryPolicy::fixed(Duration::from_secs(3600)));
//! let its_token = shutdown.clone();
//! let load = runtime.spawn_blocking(move || its_token.run(|| load.call()));
//! assert_eq!(told.recv(), Ok("connecting")); // then the call waits for its next attempt
//!
//! shutdown.cancel();
//! assert!(runtime.block_on(load).unwrap().is_none());
//! drop(runtime);
//! ```
//!
//! A wait ends when the runtime drops its tasks. Two runtimes drop them only after their own wait:
//! a current-thread runtime in `shutdown_timeout`, and a runtime of several threads if a wait in an
//! async task begins at that very moment. In these cases, cancel a token before the shutdown. With
//! `panic = "abort"`, no wait is ended.
//!
//! # Timeouts
//!
//! A thread cannot be cancelled. Therefore [`timeout`](crate::FnExt::timeout) runs the call on
//! another thread, and the caller returns within the limit.
//!
//! A call that its caller has abandoned runs on, and its result is dropped. A memo inside keeps the
//! value that the call loaded. No attempt, permit or load begins in an abandoned call: decor
//! unwinds the call at that point, without the panic hook. A panic within the limit reaches the
//! caller. Log lines keep the caller's subscriber and span.
//!
//! Calls made from a `Drop` during unwinding are not interrupted. With `panic = "abort"` an
//! abandoned call always runs to its end.
//!
//! At most 512 such calls run at once. An abandoned call keeps its slot until it ends. If all slots
//! are taken, a call waits for one, and its limit includes that wait. If the limit passes first,
//! the call is not made: its function and arguments are dropped at once, in the caller's thread. A
//! timeout within a timeout shares the slot of its caller. When its caller abandons it, a nested
//! call takes a slot of its own, even beyond the 512. With 1,024 slots taken, nested calls wait as
//! well. An idle thread ends after 5 s.
//!
//! Give calls that block in the operating system a limit of their own, a little longer than the
//! `timeout` (`TcpStream::set_read_timeout`). Otherwise each call that hangs keeps its thread for
//! good. A limit of zero never calls the function. [`Duration::MAX`](std::time::Duration::MAX)
//! needs no thread.
//!
//! The function and its arguments must be `Send + 'static`. Use `String` or `Arc<str>` in place of
//! `&str`, and a closure that owns its client in place of a method. A function that is called many
//! times must be `Clone`. The other thread has none of the caller's thread-locals, such as the
//! `Handle` of a runtime. If a call is unwound while it waits in decor, a `Mutex` that it holds is
//! poisoned.
//!
//! ```
//! use decor::prelude::*;
//! use std::{sync::Arc, time::Duration};
//!
//! struct Client;
//! impl Client {
//!     fn get(&self, path: &str) -> Result<String, decor::Error> { Ok(format!("page {path}")) }
//! }
//!
//! let client = Arc::new(Client);
//! let get = (move |path: String| client.get(&path)).blocking().timeout(Duration::from_secs(2));
//! assert_eq!(get.call("/".into()).unwrap(), "page /");
//! ```

pub use crate::{
    FnExt,
    call::blocking::{Blocking, Callable, CallableMut, CallableOnce, Run, SyncFn},
    decorators::boxed::BlockingFn as BoxedFn,
    thread::CancelToken,
};
