//! Retries, timeouts, limits, circuit breakers, hedges, memos and logs as methods on any async
//! function, any future and any sync function.
//!
//! # A first call
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
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> io::Result<()> {
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
//! If `fetch` hangs, every caller has its error after 9 s: three attempts of 2 s, with waits of 1 s
//! and 2 s.
//!
//! # The guide
//!
//! [`guide`] has a page for each task. Begin with [`start`](guide::start), [`order`](guide::order)
//! and [`errors`](guide::errors). Then: [`testing`](guide::testing), [`clients`](guide::clients),
//! [`services`](guide::services), [`recipes`](guide::recipes), [`config`](guide::config),
//! [`streams`](guide::streams), [`past_one_machine`](guide::past_one_machine),
//! [`observing`](guide::observing), [`blocking`](guide::blocking) and
//! [`writing_a_decorator`](guide::writing_a_decorator). The rest of this page is the overview.
//!
//! # What there is
//!
//! | decorator | future | async fn | what it does |
//! |---|---|---|---|
//! | [`timed`](FnExt::timed), [`timed_with`](FnExt::timed_with) | yes | yes | reports duration and outcome of each call |
//! | [`logged`](FnExt::logged), [`logged_with`](FnExt::logged_with) | yes | yes | logs the start and the end of each call |
//! | [`logged_values`](FnExt::logged_values) | the value | yes | the same with arguments and value |
//! | [`logged_args`](FnExt::logged_args) | | yes | the same with a text that a closure makes from the arguments |
//! | [`traced`](FnExt::traced), [`traced_with`](FnExt::traced_with) | yes | yes | makes a span of each call, and of each attempt before a retry |
//! | [`metered`](FnExt::metered), [`metered_with`](FnExt::metered_with) | yes | yes | records duration and outcome of each call as metrics; feature `metrics` |
//! | [`timeout`](FnExt::timeout) | yes | yes | bounds the duration of each call; `.labelled("total")` tells the limit from others; the call knows its [`Deadline`] |
//! | [`retry_with`](FnExt::retry_with) | | yes | calls the function again after a failure, by a [`RetryPolicy`]; [`budgeted`](Retry::budgeted) lets a shared [`RetryBudget`] pay for the retries of many calls |
//! | [`hedged`](FnExt::hedged) | | yes | starts another call beside a call that takes too long, by a [`Hedge`]; not for sync functions |
//! | [`rate_limited`](FnExt::rate_limited), [`rate_limited_by`](FnExt::rate_limited_by) | yes | yes | waits for permits of a shared [`RateLimiter`]; [`settled`](Around::settled) replaces the reserved permits by the permits that the call has used |
//! | [`rate_limited_within`](FnExt::rate_limited_within), [`try_rate_limited`](FnExt::try_rate_limited) | yes | yes | the same with a bounded wait, or without a wait; [`permits`](Around::permits) takes several permits |
//! | [`rate_limited_by_key`](FnExt::rate_limited_by_key), [`rate_limited_within_by_key`](FnExt::rate_limited_within_by_key), [`try_rate_limited_by_key`](FnExt::try_rate_limited_by_key) | by a given key | yes | a limit for each user, host, .. of a [`KeyedLimiter`] |
//! | [`pausing`](FnExt::pausing), [`pausing_result`](FnExt::pausing_result), [`pausing_by_key`](FnExt::pausing_by_key), [`pausing_result_by_key`](FnExt::pausing_result_by_key) | yes | yes | a 429 of one call pauses the limiter for all calls |
//! | [`guarded_by`](FnExt::guarded_by), [`guarded_by_key`](FnExt::guarded_by_key) | yes | yes | refuses calls while a [`CircuitBreaker`] is open, because the service behind them fails; [`when`](Around::when), [`transient`](Around::transient) and [`ignoring`](Around::ignoring) choose the failures |
//! | [`unless_open`](FnExt::unless_open) | yes | yes | refuses calls while a [`CircuitBreaker`] is open, before they queue |
//! | [`concurrency_limited`](FnExt::concurrency_limited), [`concurrency_limited_by`](FnExt::concurrency_limited_by) | yes | yes | limits the calls that run at once, by a shared [`ConcurrencyLimiter`] |
//! | [`concurrency_limited_within`](FnExt::concurrency_limited_within), [`try_concurrency_limited`](FnExt::try_concurrency_limited) | yes | yes | the same with a bounded wait, or without a wait |
//! | [`concurrency_limited_by_key`](FnExt::concurrency_limited_by_key), [`concurrency_limited_within_by_key`](FnExt::concurrency_limited_within_by_key), [`try_concurrency_limited_by_key`](FnExt::try_concurrency_limited_by_key) | by a given key | yes | a limit for each user, host, .. of a [`KeyedConcurrencyLimiter`] |
//! | [`backing_off`](FnExt::backing_off), [`backing_off_by_key`](FnExt::backing_off_by_key) | yes | yes | an overload decreases an [adaptive](ConcurrencyLimiter#adaptive-limits) limit for all calls |
//! | [`memoized`](FnExt::memoized), [`memoized_by`](FnExt::memoized_by) | by a given key | yes | remembers outputs in a shared [`Memo`]; one call at a time loads a value |
//! | [`invalidating`](FnExt::invalidating), [`invalidating_tag`](FnExt::invalidating_tag) | yes | yes | removes the value that a call has changed from a [`Memo`] |
//! | [`fallback`](FnExt::fallback), [`fallback_to`](FnExt::fallback_to) | futures' own | yes | answers for a call that fails, by a closure or by another function |
//! | [`validated`](FnExt::validated) | | yes | rejects arguments before the function is called |
//! | [`deprecated`](FnExt::deprecated), [`deprecated_with`](FnExt::deprecated_with) | | yes | warns callers that the function will be removed |
//! | [`lifted`](FnExt::lifted), [`fallible`](FnExt::fallible) | yes | yes | lets an output carry decor's own errors |
//! | [`map_err`](FnExt::map_err), [`err_into`](FnExt::err_into) | futures' own | yes | changes the error |
//! | [`chaotic`](FnExt::chaotic) | yes | yes | fails, delays and hangs calls by a script or a seed, to try a chain; feature `chaos` |
//! | [`named`](FnExt::named), [`boxed`](FnExt::boxed) | | yes | names the function; gives the chain a short type |
//! | [`gated`](FnExt::gated), [`gated_by`](FnExt::gated_by) | `gated` | yes | puts a decorator of your own before each call: see [`layer`] |
//! | [`decorated_by`](FnExt::decorated_by) | | yes | adds all decorators of a [`stack`](stack()), which is written once for any number of functions |
//!
//! [`FnExt`] describes the decorators of functions, async and sync. [`FutureExt`] describes those
//! of futures, with the same names and meanings. [`StreamExt`] has a permit and a time limit for
//! each item of a stream. Sync functions have the decorators after `.blocking()`: see [`blocking`].
//! A future does not show its arguments. `by a given key` therefore means that the method takes the
//! key itself, in place of a closure that makes the key.
//!
//! # Reading a chain
//!
//! Read a chain from left to right and inside out: the leftmost decorator is the innermost.
//! Decorators before `retry_with` act on each attempt, those behind it on the call as a whole.
//!
//! The chain below has a place for each handle. A chain of yours takes the decorators that it
//! needs, and keeps their order:
//!
#![cfg_attr(feature = "memo", doc = "```")]
#![cfg_attr(not(feature = "memo"), doc = "```text")]
//! use decor::{Error, Hedge, prelude::*};
//! use std::time::Duration;
//!
//! # async fn fetch(id: u64) -> Result<String, Error> { Ok(format!("user {id}")) }
//! # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
//! let secs = Duration::from_secs;
//! let limiter = RateLimiter::new(100, secs(1));
//! let places = ConcurrencyLimiter::new(20);
//! let breaker = CircuitBreaker::consecutive(5);
//! let budget = RetryBudget::new(0.1);
//! let hedge = Hedge::percentile(0.95).budget(&budget);
//! let users: Memo<u64, String> = Memo::ttl(secs(300));
//!
//! let fetch = fetch
//!     .timeout(secs(1)) // limit of each attempt
//!     .guarded_by(&breaker) // counts the attempts that fail, and refuses all while the circuit is open
//!     .rate_limited(&limiter) // calls that wait here reach the breaker when their turn comes
//!     .concurrency_limited(&places)
//!     .unless_open(&breaker) // calls do not queue only to be refused
//!     .hedged(&hedge) // a second call beside one of the slowest
//!     .retry_with(RetryPolicy::fixed(secs(1)))
//!     .transient()
//!     .budgeted(&budget) // hedges and retries share a budget, and each success pays twice
//!     .timeout(secs(8)) // limit of each load
//!     .memoized(&users)
//!     .timeout(secs(10)) // limit of each caller
//!     .fallback(|error: Error, id: u64| async move {
//!         match error {
//!             Error::CircuitOpen { .. } => Ok(format!("user {id}, not loaded")),
//!             error => Err(error),
//!         }
//!     })
//!     .logged();
//!
//! assert!(fetch.describe().lints().is_empty());
//! # assert_eq!(fetch.call(42).await.unwrap(), "user 42");
//! # }
//! ```
//!
//! If `fetch` hangs, every one of 20 callers with different ids has the fallback or its error
//! within 2 s, because the breaker opens, and later callers have the fallback at once.
//!
//! [`.describe()`](FnExt::describe) draws this chain, with the longest time of a call at each
//! place:
//!
#![doc = include_str!("../docs/order.svg")]
//!
//! It also has the decorators as data, and finds [faults in their order](describe#lints). A test
//! asserts that there are none.
//!
//! The other decorators stand beside these: `pausing` and `backing_off` directly behind the timeout
//! of an attempt, `validated` and `timed` outside. A chain should bound its callers. A `timeout`
//! before `memoized` bounds one load, and a `timeout` behind `memoized` bounds one caller, its wait
//! for another call's load included. Each method of [`FnExt`] names its place in a chain, and
//! [`guide::order`] has the reasons, and what a limit holds for at each place.
//!
//! # Calling
//!
//! A decorated function is called with [`fetch.call(42).await`](calling), for 0 to 8 arguments. It
//! is `Clone` if its parts are, and can be put into an `Arc`. [`.into_fn()`](calling#as-a-function)
//! makes a closure of it, for code that takes `Fn(u64) -> Fut`. A chain without arguments can be
//! awaited directly. To spawn its call, use `.call()`:
//!
//! ```
//! # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
//! # use decor::prelude::*;
//! # use std::time::Duration;
//! let mut attempts = 0;
//! let answer = (|| {
//!     attempts += 1;
//!     std::future::ready(if attempts < 3 { Err("busy".to_owned()) } else { Ok(attempts) })
//! })
//! .retry_with(RetryPolicy::default())
//! .timeout(Duration::from_secs(10))
//! .await;
//! assert_eq!(answer, Ok(3));
//! # }
//! ```
//!
//! If the closure hangs, the call ends after 10 s: the limit holds for all attempts together.
//!
//! A method is a function of its receiver: `Client::get.retry_with(&policy).call(&client, id)`.
//! Async closures that borrow from outside work as well. If the future of an async closure borrows
//! what the closure owns, such as a client, use [`with_context`]. For struct fields, statics and
//! application state there is [`BoxedFn`]. The module [`calling`] has these and further recipes: a
//! function that decorates any function, a bound `F: AsyncFn(..)`, `async_trait`, and a struct that
//! stores its own method. Call a function without decorators with `(..)`, because its `.call`
//! belongs to the standard library's unstable `Fn` traits, and rustc warns.
//!
//! The return type of a function that returns a chain states the bounds that its callers need.
//! These bounds allow calls from any number of spawned tasks:
//!
//! ```
//! use decor::{Callable, Error, prelude::*};
//! use std::time::Duration;
//!
//! type Answer = Result<usize, Error>;
//!
//! fn client(
//!     limiter: &RateLimiter,
//! ) -> impl Callable<(String,), Output = Answer, Future: Send> + Clone + Send + Sync + 'static {
//!     // the request itself
//!     let complete = |prompt: String| async move { Ok::<_, Error>(prompt.len()) };
//!     complete
//!         .timeout(Duration::from_secs(15))
//!         .rate_limited(limiter)
//!         .retry_with(RetryPolicy::default())
//!         .transient()
//!         .timeout(Duration::from_secs(60))
//! }
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
//! let client = client(&RateLimiter::new(10, Duration::from_secs(1)));
//! let answer = tokio::spawn(async move { client.call("What is a decorator?".into()).await });
//! assert_eq!(answer.await.unwrap(), Ok(20));
//! # }
//! ```
//!
//! If the request hangs, every one of 20 callers has its error within 49 s: three attempts of 15 s,
//! waits of 1 s and 2 s, and the wait for a permit.
//!
//! # Errors
//!
//! A chain keeps the type of its function: `Result<T, E>` in, `Result<T, E>` out. Decorators report
//! their own failures as [`decor::Error`](Error), which becomes an `E` through `From`, as with `?`.
//! `anyhow::Error`, `Box<dyn Error + Send + Sync>`, `io::Error` and `String` take it as they are.
//! An enum needs one `#[from]` variant, a foreign error type needs [`.lifted()`](FnExt::lifted),
//! and a plain output needs [`.fallible()`](FnExt::fallible).
//!
//! An error need not be `Clone`, not even under a memo. [`guide::errors`] has each of these types
//! with an example, and says which errors are worth another attempt.
//!
//! # Laws
//!
//! - **Lazy.** Nothing is logged, timed or admitted before the first poll. At
//!   [`.call(..)`](calling), decorators look at the arguments, and do nothing else. A decorator
//!   that may hold a call back or refuse it (a limiter, a [gate](layer) of your own, a retry, a
//!   memo) calls the function after the decorator has let the call through. Chains can be built
//!   outside of a runtime.
//! - **Dropping is safe** at every await, and counts as an outcome. `timed` and `logged` report a
//!   dropped call as `cancelled`, and a panic as `panicked`.
//! - **A handle is shared.** A [`RateLimiter`], a [`ConcurrencyLimiter`], a [`CircuitBreaker`], a
//!   [`RetryBudget`], a [`Hedge`] or a [`Memo`] is cheap to clone, and a clone is the same handle.
//!   A handle serves tasks and threads, and a limiter serves functions of any return type.
//! - **Success costs next to nothing.** A call that succeeds at once allocates nothing and spawns
//!   no task, except with `boxed` and `detached`. No clock is read without need, and no log line is
//!   formatted without a listener.
//! - **One clock** for tasks: tokio's. Under `start_paused = true` (tokio's feature `test-util`)
//!   every delay, limit and TTL is virtual. Waits are exact to the millisecond of tokio's timer. A
//!   wait ends at the first whole millisecond at which its time has passed. Threads wait in real
//!   time, or by the clock of `decor::test_util` (feature `test-util`).
//! - **Wrong settings fail where they are written.** The error shows the setting, its value and the
//!   allowed values. Constructors for literals panic. `try_` constructors and [`RetryConfig`]
//!   return a [`ConfigError`].
//!
//! # Clocks
//!
//! decor reads the monotonic clock only. A wall clock that jumps, or is set, changes no delay, no
//! limit and no TTL. On Linux and macOS the monotonic clock stands still while the machine sleeps.
//! Delays, timeouts, pauses, windows and TTLs then last longer by that time. A value that expires
//! at a time of day therefore needs a check of its own.
//!
//! With the feature `fast-clock`, decor reads the processor's counter between two reads of the
//! monotonic clock, for the times of admissions, of stored values and of measurements. Timers stay
//! tokio's, and all instants in the API stay those of tokio.
//!
//! - A time is off by tens of nanoseconds, and by less than a microsecond. The times of two threads
//!   may differ by that.
//! - A counter can be wrong. It may jump or stand still while the machine sleeps, while a virtual
//!   machine moves to another host, and where the cores of a machine count differently. NTP, which
//!   slews the monotonic clock, does not slew the counter. Each thread therefore reads the
//!   monotonic clock again after 0.1 ms of counting, after each wait, and if the counter has gone
//!   back. A fault of the counter lasts until then. A thread that needs the time less often than
//!   each 0.1 ms gains nothing.
//! - The first read of the counter takes up to 200 ms, in which `quanta` measures the rate of the
//!   counter. On a processor without a constant rate, `quanta` reads the system's clock.
//! - The feature has no effect in a build with `test-util`, of tokio or of decor. Paused and
//!   virtual clocks work as without it.
//!
//! A handle limits one process. Three instances of a service admit three times the limit, unless
//! they [share](guide::past_one_machine) it. After a fork, parent and child have a copy of each
//! handle, and each copy admits as many calls as its limit. Fork before the first use, because a
//! lock that another thread holds at that moment stays locked in the child.
//!
//! # Features
//!
//! - `http`: [errors as HTTP responses](http), and `Retry-After` of a server for retries.
//! - `reqwest`: [`Transient`] for `reqwest::Error`, and `http`. [`guide::clients`] has a client.
//! - `metrics`: [`metered`](FnExt::metered) calls, and the statistics of handles, [as
//!   metrics](metrics) of the `metrics` crate.
//! - `memo` (on by default): the [`Memo`], which depends on the `moka` crate.
//! - `macros`: [`#[decorated(..)]`](decorated), a chain written above a function.
//! - `chaos`: [`Chaos`], faults by script or by seed, to try a chain.
//! - `serde`: [configs from files, and statistics for output](mod@serde).
//! - `test-util`: a virtual clock for threads, to test blocking code without waiting, and a store
//!   for limits that processes share.
//! - `tower`: [services in chains, chains as services and layers](tower); with `http`, a layer that
//!   answers 429, 503 and 504 by itself.
//! - `fast-clock`: times by the counter of the processor, which the `quanta` crate reads. A hit of
//!   a memo and a free permit take half of their time or less. [Clocks](#clocks) has the price.
//!
//! # Logs
//!
//! decor emits events of the `tracing` crate to the subscriber of the program (such as
//! `tracing_subscriber::fmt::init()`), under the targets `decor::call` (timed, logged, deprecated),
//! `decor::retry`, `decor::breaker` and `decor::shared` (failures of a store).
//! `RUST_LOG=info,decor=debug` shows all of them. `RUST_LOG=info,decor::retry=off` hides the events
//! of retries. Each [policy](RetryPolicy#logs) sets the levels of its retries. Hedges and fallbacks
//! emit no event: [`Hedge::stats`] counts the hedges, and a `logged` before a fallback logs the
//! failures that it answers. `timed` and `logged`
//! do not support tracing's feature `log`, which sends events to a `log` logger if there is no
//! subscriber.
//!
//! [`traced`](FnExt::traced) makes spans, under the target `decor::call`. They need a subscriber
//! for spans, such as that of `tracing-opentelemetry`.
#![forbid(unsafe_code)]
// Without a feature, links to its items are broken. docs.rs has all features.
#![cfg_attr(
    not(all(
        feature = "chaos",
        feature = "http",
        feature = "macros",
        feature = "memo",
        feature = "metrics",
        feature = "serde",
        feature = "test-util",
        feature = "tower"
    )),
    allow(rustdoc::broken_intra_doc_links)
)]

mod attempt;
pub mod blocking;
mod call;
pub mod calling;
#[cfg(test)]
mod cases;
#[cfg(feature = "chaos")]
mod chaos;
mod circuit_breaker;
mod clock;
mod concurrency_limiter;
mod deadline;
mod decorators;
pub mod describe;
mod diagnostics;
mod error;
mod fallible;
mod fn_ext;
mod future_ext;
pub mod guide;
mod hedge;
#[cfg(feature = "http")]
pub mod http;
mod keys;
pub mod layer;
#[cfg(feature = "memo")]
mod memo;
#[cfg(feature = "metrics")]
pub mod metrics;
#[cfg(all(test, shuttle))]
mod model_check;
mod name;
mod policy;
pub mod prelude;
mod random;
mod rate_limiter;
#[cfg(feature = "reqwest")]
mod reqwest;
mod retry_budget;
mod ring;
#[cfg(feature = "serde")]
pub mod serde;
mod stream_ext;
mod striped;
mod sync;
#[cfg(feature = "test-util")]
pub mod test_util;
mod thread;
#[cfg(feature = "tower")]
pub mod tower;
mod trace;
mod transient;

pub use attempt::attempt;
pub use call::{
    Callable, CallableMut, CallableOnce, Repeat, Stop,
    args::{DebugArgs, Inspect},
    context::{WithContext, with_context},
    stack::{Stack, stack},
};
#[cfg(feature = "chaos")]
pub use chaos::{Chaos, ChaosStats};
pub use circuit_breaker::{
    CircuitBreaker, CircuitBreakerBuilder, CircuitBreakerStats, CircuitChange, KeyedBreaker, KeyedBreakerBuilder,
    Passage,
};
#[doc(hidden)] // for the tests of the feature
pub use clock::HAS_FAST_CLOCK;
#[cfg(feature = "http")]
pub use concurrency_limiter::HeldBody;
pub use concurrency_limiter::{
    ConcurrencyLimiter, ConcurrencyLimiterBuilder, ConcurrencyPermit, ConcurrencyStats, KeyedConcurrencyLimiter,
    KeyedConcurrencyLimiterBuilder,
};
pub use deadline::Deadline;
/// Decorates the function below, so that every call of the function goes through a chain.
///
/// The parentheses hold a chain as it is written behind a function:
/// `#[decorated(.timeout(limit).logged())]`. The first decorator is the innermost. The function
/// keeps its name, signature, visibility, generics, documentation and other attributes, and its
/// callers see no difference. The name of the function is the name in errors and log lines.
///
/// - An async function is decorated as it is, and a sync one after `.blocking()`.
/// - The chain is made at each call, so its handles are statics, or come from an expression such as
///   `limiter()`. A handle that is made in the chain, as by `RateLimiter::new(..)`, would be new at
///   each call. Such a chain does not compile.
/// - A method works too. The method without its decorators is private, and is named
///   `fetch_undecorated` if the method is `fetch`. The receiver is the first argument of closures
///   over arguments. The chain of a method cannot name `self`.
/// - A body that calls its own function calls the decorated one.
/// - A method in an `impl` of a trait cannot be decorated, because it would need a method beside it
///   that the trait lacks. Decorate a method of the type, and call it.
///
/// Needs the feature `macros`.
///
/// # Errors
///
/// Those of the chain. The error of the function must carry [`Error`], as for a chain that is
/// written behind a function.
///
/// # Examples
///
#[cfg_attr(feature = "memo", doc = "```")]
#[cfg_attr(not(feature = "memo"), doc = "```text")]
/// use decor::{decorated, prelude::*};
/// use std::{io, sync::LazyLock, time::Duration};
///
/// const TTL: Duration = Duration::from_secs(300);
/// static USERS: LazyLock<Memo<u64, String>> = LazyLock::new(|| Memo::ttl(TTL));
///
/// /// Asks for a user, at most 2 s in all.
/// #[decorated(
///     .timeout(Duration::from_secs(1))
///     .memoized(&USERS)
///     .timeout(Duration::from_secs(2))
/// )]
/// async fn user(id: u64) -> io::Result<String> {
///     Ok(format!("user {id}"))
/// }
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> io::Result<()> {
/// assert_eq!(user(42).await?, "user 42");
/// assert_eq!(user(42).await?, "user 42");
/// assert_eq!(USERS.stats().loads, 1);
/// # Ok(())
/// # }
/// ```
///
/// A method, and a sync function:
///
/// ```
/// use decor::{decorated, prelude::*};
/// use std::{fs, io, sync::LazyLock, time::Duration};
///
/// static POLICY: LazyLock<RetryPolicy> = LazyLock::new(RetryPolicy::default);
///
/// struct Client { host: String }
///
/// impl Client {
///     #[decorated(.timeout(Duration::from_secs(1)).retry_with(&*POLICY).transient())]
///     async fn get(&self, path: &str) -> io::Result<String> {
///         Ok(format!("{}/{path}", self.host))
///     }
/// }
///
/// #[decorated(.retry_with(&*POLICY).transient().timed("read"))]
/// fn read(path: &str) -> io::Result<String> {
///     fs::read_to_string(path)
/// }
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> io::Result<()> {
/// let client = Client { host: "api.example".into() };
/// assert_eq!(client.get("users").await?, "api.example/users");
/// assert!(read("Cargo.toml")?.contains("decor"));
/// # Ok(())
/// # }
/// ```
#[cfg(feature = "macros")]
pub use decor_macros::decorated;
#[doc(hidden)]
pub use decorators::DECORATORS;
#[cfg(feature = "memo")]
pub use decorators::memoized::Memoized;
#[cfg(feature = "metrics")]
pub use decorators::metered::Metering;
pub use decorators::{
    boxed::BoxedFn,
    deprecated::Deprecation,
    hedged::Hedged,
    logged::Logging,
    retry::{GiveUpEvent, Retry, RetryEvent},
    timed::{Measurement, Timing},
    timeout::Timeout,
};
pub use error::{ConfigError, Error, Failure, GiveUpReason, RetryError};
pub use fallible::{Fallible, ResultLike};
pub use fn_ext::FnExt;
pub use future_ext::FutureExt;
pub use hedge::{Hedge, HedgeStats};
pub use layer::{Around, MemoOutcome, Outcome};
#[cfg(feature = "memo")]
pub use memo::{Cacheable, Eviction, KeyPart, Memo, MemoBuilder, MemoConfig, MemoKey, MemoStats, Negative};
pub use name::Name;
pub use policy::{
    Backoff, CircuitBreakerConfig, CircuitReason, CircuitState, CircuitWindow, ConcurrencyConfig, HedgeConfig, Jitter,
    OnFailure, Permits, RateLimit, RateLimiterConfig, RetryBudgetConfig, RetryConfig, RetryPolicy, Schedule,
};
#[cfg(feature = "chaos")]
pub use policy::{ChaosConfig, Fault};
pub use rate_limiter::{KeyedLimiter, KeyedLimiterBuilder, RateLimiter, RateLimiterBuilder, RateLimiterStats};
pub use retry_budget::{RetryBudget, RetryBudgetStats};
pub use stream_ext::StreamExt;
pub use transient::Transient;

// Names for rustc's messages alone: rustc prints a type without its path only if the path is
// public.
#[cfg(feature = "chaos")]
#[doc(hidden)]
pub use decorators::chaotic::Chaotic;
#[cfg(feature = "metrics")]
#[doc(hidden)]
pub use decorators::metered::{ByErrorType, CallMeter, Classifies};
#[doc(hidden)]
pub use {
    call::{
        CloneFunction, Late, LateCalls,
        args::CloneArgs,
        context::TakesContext,
        mode::{AsyncHalf, BlockingHalf, Hedgeable, Repeatable},
    },
    concurrency_limiter::OnePermit,
    decorators::{
        backing_off::{BackingOff, LimiterByArgs},
        boxed::Boxable,
        concurrency_limited::{
            ConcurrencyAdmission, ConcurrencyLimited, ConcurrencyOfKey, RefusableConcurrencyAdmission,
        },
        fallback::{Answers, Fallback, FallbackTo},
        guarded_by::{BreakerByArgs, BreakerOfKey, Guard, Guarded},
        hedged::HedgedCalls,
        logged::{CallLog, HideValues, Logged, ShowDebug, ShowPicked},
        rate_limited::{Admission, OfKey, One, OneWithin, RateLimited, RefusableAdmission, Weighted},
        retry::RetryOptions,
        settled::{Settled, Settling},
        timed::{AnyOutput, ByResult, Stopwatch},
        timeout::{Labelled, Unlabelled},
        traced::{CallSpan, SpanByArgs, Spanned, Traced},
        unless_open::UnlessOpen,
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
/// # Examples
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
        concurrency_limiter::{AcquireConcurrency, AcquireManyConcurrency},
        decorators::{
            fallback::FallbackFuture, hedged::HedgedFuture, retry::RetryFuture, timeout::TimeoutFuture,
            traced::SpannedFuture,
        },
        layer::{GatedFuture, MappedFuture},
        rate_limiter::{Acquire, AcquireMany},
    };
}

/// The decorated streams, for code that must name the type.
///
/// # Examples
///
/// See [`RateLimited`](stream::RateLimited).
pub mod stream {
    pub use crate::decorators::stream::{rate_limited::RateLimited, timeout_each::TimeoutEach};
}

/// The parts of a memo's second tier, which several processes share, for the author of one. See
/// [`MemoTier`](tier::MemoTier).
#[cfg(feature = "memo")]
pub mod tier {
    pub use crate::memo::{Found, Keep, KeyBytes, Lease, MemoTier, Promise, Resolver, TierCounts, TieredMemo, promise};
}

/// The parts of a limit that several processes share through a store, for the author of a store.
///
/// [`RateLimiterBuilder::shared`] says what such a limit does. [`SharedQuota`](shared::SharedQuota)
/// has the protocol, and [`Ask`](shared::Ask) says what a store does with a request.
/// `decor::test_util::FakeStore` is a complete store, in memory.
///
/// # Examples
///
/// A store that grants every call at once, to show the protocol. Its thread drives the limiters.
///
/// ```
/// use decor::{Name, OnFailure, RateLimiter, shared::*};
/// use std::{
///     sync::{Arc, mpsc},
///     thread,
///     time::{Duration, Instant},
/// };
///
/// #[derive(Debug, Clone)]
/// struct Generous {
///     name: Name,
///     opened: Instant,
///     wants: mpsc::Sender<(Arc<dyn Asker>, Duration)>,
/// }
///
/// impl Generous {
///     fn open() -> Self {
///         let (wants, wanted) = mpsc::channel::<(Arc<dyn Asker>, Duration)>();
///         thread::spawn(move || {
///             for (asker, after) in wanted {
///                 thread::sleep(after); // a real store has a queue of moments
///                 if let Some(ask) = asker.ask() {
///                     asker.answered(Ok(answer(&ask)));
///                 }
///             }
///         });
///         Self { name: "generous".into(), opened: Instant::now(), wants }
///     }
/// }
///
/// fn answer(ask: &Ask) -> Answer {
///     let mut answer = Answer::new(1);
///     for run in &ask.runs {
///         let grants = vec![Grant { calls: run.calls, due: Duration::ZERO }];
///         answer.runs.push(RunAnswer { grants, next: None });
///     }
///     answer
/// }
///
/// impl SharedQuota for Generous {
///     fn name(&self) -> Name {
///         self.name.clone()
///     }
///     fn now(&self) -> Duration {
///         self.opened.elapsed()
///     }
///     fn is_up(&self) -> bool {
///         true
///     }
///     fn want(&self, asker: Arc<dyn Asker>, after: Duration) {
///         let _ = self.wants.send((asker, after));
///     }
///     fn of_key(&self, key: &str) -> Arc<dyn SharedQuota> {
///         Arc::new(Self { name: format!("{}:{key}", self.name).into(), ..self.clone() })
///     }
/// }
///
/// let limit = RateLimiter::builder().window(1, Duration::from_secs(3600));
/// let limiter = limit.shared(Generous::open(), OnFailure::Closed).build();
/// for _ in 0..3 {
///     limiter.acquire_blocking();
/// }
/// assert_eq!(limiter.stats().admitted, 3);
/// ```
pub mod shared {
    pub use crate::{
        policy::{Answer, Ask, Charge, Grant, Limits, Probe, Run, RunAnswer, StoreError},
        rate_limiter::shared::{Asker, SharedQuota},
    };
}

/// The README's examples are tests as well.
#[cfg(all(doctest, feature = "memo"))]
#[doc = include_str!("../README.md")]
struct Readme;

/// The examples of the comparison with the peers are tests as well.
#[cfg(all(doctest, feature = "memo"))]
#[doc = include_str!("../COMPARE.md")]
struct Compare;
