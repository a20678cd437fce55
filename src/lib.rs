//! Retries, timeouts, rate limits, memos and logs as methods on any async function, any future and
//! any sync function.
//!
//! ```
//! use decor::prelude::*;
//! use std::{io, time::Duration};
//!
//! async fn fetch(id: u64) -> io::Result<String> {
//!     // a call that fails, throttles or hangs
//! #   Ok(format!("user {id}"))
//! }
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() -> io::Result<()> {
//! let fetch = fetch
//!     .timeout(Duration::from_secs(2)) // limit of each attempt
//!     .retry_with(RetryPolicy::default())
//!     .transient()
//!     .timeout(Duration::from_secs(10)) // limit of all attempts together
//!     .logged();
//!
//! let user = fetch.call(42).await?; // still an io::Result<String>
//! # assert_eq!(user, "user 42");
//! # Ok(())
//! # }
//! ```
//!
//! # What there is
//!
//! | decorator | future | async fn | what it does |
//! |---|---|---|---|
//! | [`timed`](FnExt::timed), [`timed_with`](FnExt::timed_with) | yes | yes | reports how long each call takes, and how it ended |
//! | [`logged`](FnExt::logged), [`logged_with`](FnExt::logged_with) | yes | yes | a line when a call begins, and one when it ends |
//! | [`logged_values`](FnExt::logged_values) | the value | yes | the same with arguments and value |
//! | [`logged_args`](FnExt::logged_args) | | yes | the same with arguments picked by hand |
//! | [`timeout`](FnExt::timeout) | yes | yes | bounds how long a call may take; `.labelled("total")` tells it from other limits |
//! | [`retry_with`](FnExt::retry_with) | | yes | calls again when it fails, by a [`RetryPolicy`] |
//! | [`rate_limited`](FnExt::rate_limited), [`rate_limited_by`](FnExt::rate_limited_by) | yes | yes | waits for permits of a shared [`RateLimiter`]; [`settled`](Around::settled) counts what was used in place of what was reserved |
//! | [`rate_limited_within`](FnExt::rate_limited_within), [`try_rate_limited`](FnExt::try_rate_limited) | yes | yes | the same, but not for ever, or not at all; for several permits with [`permits`](Around::permits) |
//! | [`rate_limited_by_key`](FnExt::rate_limited_by_key), [`rate_limited_within_by_key`](FnExt::rate_limited_within_by_key), [`try_rate_limited_by_key`](FnExt::try_rate_limited_by_key) | by a given key | yes | a limit for each user, host, .. of a [`KeyedLimiter`] |
//! | [`pausing`](FnExt::pausing), [`pausing_result`](FnExt::pausing_result), [`pausing_by_key`](FnExt::pausing_by_key), [`pausing_result_by_key`](FnExt::pausing_result_by_key) | yes | yes | a 429 that one call sees pauses the limiter for all |
//! | [`memoized`](FnExt::memoized), [`memoized_by`](FnExt::memoized_by) | by a given key | yes | remembers answers in a shared [`Memo`], each loaded by one call at a time; stale values, negative ones, statistics |
//! | [`invalidating`](FnExt::invalidating), [`invalidating_tag`](FnExt::invalidating_tag) | yes | yes | a call that writes removes what a [`Memo`] remembers |
//! | [`validated`](FnExt::validated) | | yes | refuses arguments before the function sees them |
//! | [`deprecated`](FnExt::deprecated), [`deprecated_with`](FnExt::deprecated_with) | | yes | warns those who still call it |
//! | [`lifted`](FnExt::lifted), [`fallible`](FnExt::fallible) | yes | yes | makes room for a policy's errors |
//! | [`map_err`](FnExt::map_err), [`err_into`](FnExt::err_into) | futures' own | yes | changes the error |
//! | [`named`](FnExt::named), [`boxed`](FnExt::boxed) | | yes | a name; a type that can be written down |
//! | [`gated`](FnExt::gated), [`gated_by`](FnExt::gated_by) | `gated` | yes | a decorator of your own: see [`layer`] |
//!
//! [`FnExt`] describes the decorators of functions, async and sync; [`FutureExt`] those of futures.
//! A decorator has the same name and the same meaning in both. Sync functions have the decorators
//! after `.blocking()`: see [`blocking`]. The arguments of a future are gone, so a future takes a
//! key where a function takes a closure that makes one.
//!
//! # Reading a chain
//!
//! Read a chain from left to right and inside out: the leftmost decorator is the innermost.
//! Decorators before `retry_with` act on each attempt, those after it once for all attempts.
//!
#![doc = include_str!("../docs/order.svg")]
//!
//! # Calling
//!
//! A decorated function is called with [`fetch.call(42).await`](calling), for 0 to 8 arguments. It
//! is `Clone` when its parts are, and can be put into an `Arc`. [`.into_fn()`](calling#as-a-function)
//! makes a closure of it, for code that takes `Fn(u64) -> Fut`. Without arguments it is awaited
//! directly (to spawn it, use `.call()`):
//!
//! ```
//! # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
//! # use decor::prelude::*;
//! let mut attempts = 0;
//! let answer = (|| {
//!     attempts += 1;
//!     std::future::ready(if attempts < 3 { Err("busy") } else { Ok(attempts) })
//! })
//! .retry_with(RetryPolicy::default())
//! .await;
//! assert_eq!(answer, Ok(3));
//! # }
//! ```
//!
//! A method is a function of its receiver: `Client::get.retry_with(&policy).call(&client, id)`.
//! Async closures that borrow from outside work as well. An async closure that lends what it owns,
//! such as a client, needs [`with_context`]. For struct fields, statics and application state there
//! is [`BoxedFn`]. The module [`calling`] has these and further recipes: a function that decorates
//! any function, a bound `F: AsyncFn(..)`, `async_trait`, and a struct that stores its own method. On
//! a function that is not decorated, `.call` belongs to the standard library's
//! unstable `Fn` traits, and rustc warns: call it with `(..)`.
//!
//! A function that returns a chain says how the chain is called. The bounds are those of what calls
//! it, here of any number of spawned tasks:
//!
//! ```
//! use decor::{Callable, Error, prelude::*};
//!
//! fn client(
//!     limiter: &RateLimiter,
//! ) -> impl Callable<(String,), Output = Result<usize, Error>, Future: Send> + Clone + Send + Sync + 'static {
//!     let complete = |prompt: String| async move { Ok::<_, Error>(prompt.len()) }; // the request itself
//!     complete
//!         .rate_limited(limiter)
//!         .retry_with(RetryPolicy::default())
//!         .transient()
//! }
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
//! let client = client(&RateLimiter::new(10, std::time::Duration::from_secs(1)));
//! let answer = tokio::spawn(async move { client.call("What is a decorator?".into()).await });
//! assert_eq!(answer.await.unwrap(), Ok(20));
//! # }
//! ```
//!
//! # Errors
//!
//! Types never change: `Result<T, E>` in, `Result<T, E>` out. Decorators report their own failures
//! as [`decor::Error`](Error), which reaches `E` through `From`, as with `?`. `anyhow::Error`,
//! `Box<dyn Error + Send + Sync>`, `io::Error` and `String` take it as they are. An enum needs one
//! `#[from]` variant, a foreign error type needs [`.lifted()`](FnExt::lifted), and a plain output
//! needs [`.fallible()`](FnExt::fallible).
//!
//! # Laws
//!
//! - **Lazy.** Nothing is logged, timed or admitted before the first poll. Decorators only look at
//!   the arguments at [`.call(..)`](calling). A decorator that may hold a call back or refuse it (a
//!   limiter, a [gate](layer) of your own, a retry, a memo) calls the function once it has let the
//!   call through. Chains can be built outside of a runtime.
//! - **Dropping is safe** at every await, and is an outcome: `timed` and `logged` report it as
//!   `cancelled`, and a panic as `panicked`.
//! - **A handle is shared.** A [`RateLimiter`] or a [`Memo`] is cheap to clone, and a clone is the
//!   same handle. It serves tasks and functions of any return type.
//! - **Success costs next to nothing.** No allocation, no boxing and no task unless you ask for it
//!   (`boxed`, `detached`). No clock is read without need, and no log line is formatted without a
//!   listener.
//! - **One clock** for tasks, tokio's: under `start_paused = true` (tokio's feature `test-util`)
//!   every delay, limit and TTL is virtual. Waits are exact to the millisecond of tokio's timer:
//!   each ends at the first whole millisecond that is not early. Threads wait in real time, or by
//!   the clock of `decor::test_util` (feature `test-util`).
//! - **Wrong settings fail where they are written**, with the setting, its value and the allowed
//!   values. Constructors for literals panic, `try_` constructors and [`RetryConfig`] return a
//!   [`ConfigError`].
//!
//! # Clocks
//!
//! decor reads the monotonic clock only. A wall clock that jumps, or is set, changes no delay, no
//! limit and no TTL. On Linux and macOS the monotonic clock stands still while the machine sleeps:
//! delays, timeouts, pauses, windows and TTLs then last longer by that time, so a value that
//! expires at a time of day needs a check of its own. A process that forks has each handle twice:
//! parent and child admit as many calls each. Fork before the first use, because a lock that
//! another thread holds at that moment stays locked in the child.
//!
//! # Features
//!
//! - `memo` (on by default): the [`Memo`], and with it the `moka` crate.
//! - `test-util`: a virtual clock for threads, to test blocking code without waiting.
//!
//! # Logs
//!
//! decor emits events of the `tracing` crate to the subscriber of the program (such as
//! `tracing_subscriber::fmt::init()`), under the targets `decor::call` (timed, logged, deprecated)
//! and `decor::retry`. `RUST_LOG=info,decor=debug` shows all of them,
//! `RUST_LOG=info,decor::retry=off` none of the retries'. Each [policy](RetryPolicy#logs) sets the
//! levels of its retries. `timed` and `logged` do not support tracing's feature `log`, which sends
//! events to a `log` logger if there is no subscriber.
#![forbid(unsafe_code)]
// Without the memo, what is said of it has nothing to point to. (docs.rs has all features.)
#![cfg_attr(not(feature = "memo"), allow(rustdoc::broken_intra_doc_links))]

mod attempt;
pub mod blocking;
mod call;
pub mod calling;
#[cfg(test)]
mod cases;
mod clock;
mod decorators;
mod diagnostics;
mod error;
mod fallible;
mod fn_ext;
mod future_ext;
pub mod layer;
#[cfg(feature = "memo")]
mod memo;
#[cfg(all(test, shuttle))]
mod model_check;
mod name;
mod policy;
pub mod prelude;
mod random;
mod rate_limiter;
mod sync;
#[cfg(feature = "test-util")]
pub mod test_util;
mod thread;
mod trace;
mod transient;

pub use attempt::attempt;
pub use call::{
    Callable, CallableMut, CallableOnce, Repeat, Stop,
    args::{DebugArgs, Inspect},
    context::{WithContext, with_context},
};
#[doc(hidden)]
pub use decorators::DECORATORS;
#[cfg(feature = "memo")]
pub use decorators::memoized::Memoized;
pub use decorators::{
    boxed::BoxedFn,
    deprecated::Deprecation,
    logged::Logging,
    retry::{GiveUpEvent, Retry, RetryEvent},
    timed::{Measurement, Timing},
    timeout::Timeout,
};
pub use error::{ConfigError, Error, Failure, GiveUpReason, RetryError};
pub use fallible::{Fallible, ResultLike};
pub use fn_ext::FnExt;
pub use future_ext::FutureExt;
pub use layer::{Around, MemoOutcome, Outcome};
#[cfg(feature = "memo")]
pub use memo::{Cacheable, Eviction, KeyPart, Memo, MemoBuilder, MemoKey, MemoStats, Negative};
pub use name::Name;
pub use policy::{Backoff, Jitter, Permits, RetryConfig, RetryPolicy, Schedule};
pub use rate_limiter::{KeyedLimiter, KeyedLimiterBuilder, RateLimiter, RateLimiterBuilder, RateLimiterStats};
pub use transient::Transient;

// Names for rustc's messages alone: rustc prints a type without its path only if the path is
// public.
#[doc(hidden)]
pub use {
    call::{
        CloneFunction, Late, LateCalls,
        args::CloneArgs,
        context::TakesContext,
        mode::{AsyncHalf, BlockingHalf, Repeatable},
    },
    decorators::{
        boxed::Boxable,
        logged::{CallLog, Discreet, Logged, Picked, Values},
        rate_limited::{Admission, OfKey, One, OneWithin, RateLimited, RefusableAdmission, Weighted},
        retry::Rules,
        settled::{Settled, Settling},
        timed::{AnyOutput, ByResult, Stopwatch},
        timeout::{Labelled, Unlabelled},
        validated::Validated,
    },
    layer::{ByArgs, ByMemo, CloneGate, Each, GateLayer, GatedCalls, Mapped},
};
#[cfg(feature = "memo")]
#[doc(hidden)]
pub use {
    decorators::invalidating::{Invalidating, Invalidation, KeyBy, TagBy, Writing},
    memo::{IsolatedErrors, Load, ReportedErrors, SharedErrors},
};

/// The futures of decorated calls, as `.call(..)` returns them, for code that must name the type.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// use decor::{Error, future::{Called, TimeoutFuture}, prelude::*};
/// use std::{future::Ready, time::Duration};
///
/// struct Request {
///     answer: TimeoutFuture<Called<Ready<Result<u8, Error>>>>,
/// }
///
/// let request = Request { answer: std::future::ready(Ok(7)).timeout(Duration::from_secs(1)) };
/// assert_eq!(request.answer.await, Ok(7));
/// # }
/// ```
pub mod future {
    #[cfg(feature = "memo")]
    pub use crate::memo::MemoizedFuture;
    pub use crate::{
        call::{Called, LateFuture, Repeated},
        decorators::{retry::RetryFuture, timeout::TimeoutFuture},
        layer::{GatedFuture, MappedFuture},
        rate_limiter::{Acquire, AcquireMany},
    };
}

/// The README's examples are tests as well.
#[cfg(all(doctest, feature = "memo"))]
#[doc = include_str!("../README.md")]
struct Readme;

/// So are those of the comparison with the peers.
#[cfg(all(doctest, feature = "memo"))]
#[doc = include_str!("../COMPARE.md")]
struct Compare;
