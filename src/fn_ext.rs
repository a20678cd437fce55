//! The catalogue of decorators: behaviour, place in a chain, errors and panics of each.
//!
//! Each decorator has one entry, for async and for sync functions.

#[cfg(feature = "metrics")]
use crate::decorators::metered::{Classifies, Metered, Metering};
#[cfg(feature = "chaos")]
use crate::{Chaos, decorators::chaotic::Chaotic};
use crate::{
    CircuitBreaker, ConcurrencyLimiter, Fallible, Hedge, KeyedBreaker, KeyedConcurrencyLimiter, KeyedLimiter, Name,
    Permits, RateLimiter, ResultLike, RetryPolicy,
    call::{
        Describe, Late,
        args::{CloneArgs, DebugArgs, Inspect},
        mode::{Function, Hedgeable, Repeatable},
        stack::Decorates,
    },
    decorators::{
        backing_off::BackingOff,
        boxed::Boxable,
        concurrency_limited::{ConcurrencyLimited, ConcurrencyOfKey},
        deprecated::{Deprecated, Deprecation},
        errors::{ErrInto, Lifted, MadeFallible, MapErr},
        fallback::{Answers, Fallback, FallbackTo},
        guarded_by::{BreakerOfKey, Guarded},
        hedged::Hedged,
        logged::{HideValues, Logged, Logging, ShowArgs, ShowDebug, ShowPicked, ShowValue},
        named::Named,
        pausing::{ByError, ByResult, Pausing},
        rate_limited::{OfKey, One, OneWithin, RateLimited, Weighted},
        retry::Retry,
        timed::{OutcomeOf, Timing},
        timeout::Timeout,
        traced::{SpanByArgs, Spanned, Traced},
        unless_open::UnlessOpen,
        validated::Validated,
    },
    describe::Chain,
    layer::{Around, ByArgs, CloneGate, Decoration, Each, Gate, GateLayer, Gated, GatedBy, Mapped},
};
#[cfg(feature = "memo")]
use crate::{
    Memo, MemoKey, Memoized,
    decorators::invalidating::{Invalidating, KeyBy, TagBy, Writing},
    memo::{Key, KeyFromFn, Memoizable, Options, Value},
};
#[cfg(feature = "memo")]
use std::borrow::Cow;
use std::{
    fmt::{Debug, Display},
    hash::Hash,
    marker::PhantomData,
    panic::Location,
    time::Duration,
};
use tracing::Span;

/// The decorators, as methods of async functions, of closures that return a future, and of sync
/// functions after [`.blocking()`](crate::blocking::SyncFn::blocking), with 0 to 8 arguments.
///
/// Read a chain from left to right and inside out: the leftmost decorator is the innermost. The
/// place of a decorator decides what it acts on. Each method below says where it stands, and for
/// what its limit holds at that place. `Args` is the tuple of the function's arguments. `Half`
/// marks the function as async or sync. rustc infers both from the function, so no chain names
/// them.
///
/// A decorated function is called with [`.call(..)`](crate::calling). Without arguments, an async
/// function can be awaited directly, and a sync function is called with `.run()`. Apart from what
/// `.call` documents, nothing happens before the first poll of an async call.
///
/// Sync functions have the same errors, log lines, policies and handles. Waiting blocks the thread.
/// The module [`blocking`](crate::blocking) describes the differences.
pub trait FnExt<Args, Half>: Function<Args, Half> + Sized {
    /// Reports the duration of each call: `fetch took 123ms`.
    ///
    /// Emits one event when a call ends, under the target `decor::call`, at level `info`. Its
    /// fields are `name`, `elapsed` (seconds) and `outcome` (`completed`, `cancelled`, `panicked`).
    /// The time counts from the first poll. Without a listener, the clock is not read.
    /// [`timed_with`](Self::timed_with) sets level, threshold and destination, and can tell hits of
    /// a memo from misses. Takes any output.
    ///
    /// # Place in a chain
    ///
    /// Stands last to time the whole call, waits and retries included. Before `retry_with`, times
    /// each attempt. Before `memoized`, times each load.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped is reported once, as `cancelled`. A call that panics is reported
    /// once, as `panicked`.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use decor::prelude::*;
    ///
    /// async fn fetch(id: u64) -> u64 { id }
    /// assert_eq!(fetch.timed("fetch").call(42).await, 42);
    /// # }
    /// ```
    #[track_caller]
    fn timed(self, name: impl Into<Name>) -> Around<Self, GateLayer<Timing>> {
        self.timed_with(Timing::new(name))
    }

    /// [`timed`](Self::timed), with a [`Timing`] of your own: level, threshold, outcome by result
    /// and by memo, a sink in place of the log.
    ///
    /// Stands where [`timed`](Self::timed) stands.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::{Timing, prelude::*};
    /// use std::time::Duration;
    ///
    /// async fn nap(millis: u64) { tokio::time::sleep(Duration::from_millis(millis)).await }
    ///
    /// let half_a_second = Duration::from_millis(500);
    /// let timing = Timing::new("nap").record_to(move |m| assert_eq!(m.elapsed, half_a_second));
    /// nap.timed_with(timing).call(500).await;
    /// # }
    /// ```
    #[track_caller]
    fn timed_with<O>(self, timing: Timing<O>) -> Around<Self, GateLayer<Timing<O>>>
    where
        O: OutcomeOf<Self::Output>,
    {
        watched(self, timing)
    }

    /// Logs the start and the end of each call: `calling fetch` (`debug`), then `fetch returned in
    /// 120ms` (`info`) or `fetch failed in 120ms: ApiError: message` (`warn`).
    ///
    /// Shows neither arguments nor values, so that no secret in them reaches a log by accident.
    /// Therefore the arguments and the value need no `Debug`. The text of an error is shown. The
    /// events have the target `decor::call` and the fields `name`, `elapsed` (seconds) and
    /// `outcome` (`ok`, `err`, `cancelled`, `panicked`). `RUST_LOG=info,decor::call=debug` shows
    /// all of them. Takes `Result`s.
    ///
    /// # Place in a chain
    ///
    /// Stands last to log each call once. Before `retry_with`, logs each attempt. Before
    /// `memoized`, logs each load.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped logs `fetch cancelled in 120ms` (`info`), once. A call that panics
    /// logs `fetch panicked in 120ms` (`warn`), once.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use decor::prelude::*;
    ///
    /// async fn fetch(id: u64) -> Result<u64, String> { Ok(id) }
    /// assert_eq!(fetch.logged().call(42).await, Ok(42));
    /// # }
    /// ```
    #[track_caller]
    fn logged(self) -> Around<Self, GateLayer<Logged<HideValues>>>
    where
        Self::Output: ResultLike<Err: Display>,
    {
        self.logged_with(Logging::new())
    }

    /// [`logged`](Self::logged), with arguments and value: `calling fetch(42, "en")`, `fetch
    /// returned User { id: 42 }`.
    ///
    /// Shows both by their `Debug`, each cut at [`MAX_SHOWN`](crate::Logging::MAX_SHOWN)
    /// characters. Both may contain secrets, and the receiver of a method is an argument too.
    /// Stands where [`logged`](Self::logged) stands.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use decor::prelude::*;
    ///
    /// async fn fetch(id: u64, lang: &str) -> Result<String, String> { Ok(format!("{id} {lang}")) }
    /// assert_eq!(fetch.logged_values().call(42, "en").await.unwrap(), "42 en");
    /// # }
    /// ```
    #[track_caller]
    fn logged_values(self) -> Around<Self, GateLayer<Logged<ShowDebug>>>
    where
        Args: DebugArgs,
        Self::Output: ResultLike<Ok: Debug, Err: Display>,
    {
        self.logged_with(Logging::new().values())
    }

    /// [`logged`](Self::logged), with a text that the closure `pick` makes from the arguments:
    /// `calling fetch(42)`.
    ///
    /// The closure takes each argument by reference, with its type written, and returns any
    /// `Display`. It is called only if there is a listener. Its text is cut at
    /// [`MAX_SHOWN`](crate::Logging::MAX_SHOWN) characters. Stands where [`logged`](Self::logged)
    /// stands.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use decor::prelude::*;
    ///
    /// struct Token(String);
    /// async fn fetch(id: u64, token: Token) -> Result<u64, String> { Ok(id) }
    ///
    /// let fetch = fetch.logged_args(|id: &u64, _: &Token| format!("{id}, .."));
    /// assert_eq!(fetch.call(42, Token("secret".into())).await, Ok(42));
    /// # }
    /// ```
    #[track_caller]
    fn logged_args<P>(self, pick: P) -> Around<Self, GateLayer<Logged<ShowPicked<P>>>>
    where
        P: Inspect<Args, Output: Display>,
        Self::Output: ResultLike<Err: Display>,
    {
        self.logged_with(Logging::new().args(pick))
    }

    /// [`logged`](Self::logged), with a [`Logging`] of your own: the levels, and the parts of a
    /// call that are shown.
    ///
    /// Stands where [`logged`](Self::logged) stands.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use decor::{Logging, prelude::*};
    /// use tracing::Level;
    ///
    /// async fn fetch(id: u64) -> Result<u64, String> { Ok(id) }
    ///
    /// let logging = Logging::new().values().level(Level::INFO).error_level(Level::ERROR);
    /// assert_eq!(fetch.logged_with(logging).call(42).await, Ok(42));
    /// # }
    /// ```
    #[track_caller]
    fn logged_with<S>(self, logging: Logging<S>) -> Around<Self, GateLayer<Logged<S>>>
    where
        Self::Output: ResultLike<Err: Display>,
        S: ShowArgs<Args> + ShowValue<<Self::Output as ResultLike>::Ok>,
    {
        let name = self.name().or_place(Location::caller());
        watched(self, Logged::new(logging, name))
    }

    /// Makes a span of `tracing` for each call: `call`, with the name of the call as `otel.name`.
    ///
    /// The span begins at the first poll, is entered at each poll, and closes when the call ends.
    /// What the call does is within the span: events, spans of other libraries, requests that carry
    /// the span on. Its target is `decor::call`, its level `info`. Its fields:
    ///
    /// | field | value |
    /// |---|---|
    /// | `otel.name` | the name |
    /// | `attempt` | number of the attempt, from 2 on |
    /// | `outcome` | `ok`, `err`, `cancelled` or `panicked` |
    /// | `otel.status_code` | `ERROR` if the call failed or panicked |
    /// | `otel.status_description` | the text of the error |
    ///
    /// `tracing-opentelemetry` takes the fields with `otel.` as the name and the status of its
    /// span. Other subscribers show them as fields. Takes `Result`s.
    ///
    /// # Place in a chain
    ///
    /// Before `retry_with`, makes a span of each attempt. Behind it, makes one span of the call as
    /// a whole, which is an error only if the call as a whole failed. With both, the attempts are
    /// children of the call. Before `memoized`, makes a span of each load.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped closes its span once, with the outcome `cancelled` and without an
    /// error. A call that panics closes its span once, with the outcome `panicked`. The call itself
    /// is dropped outside of the span.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::{Error, prelude::*};
    /// use std::time::Duration;
    ///
    /// async fn fetch(id: u64) -> Result<u64, Error> { Ok(id) }
    ///
    /// let fetch = fetch
    ///     .timeout(Duration::from_secs(2))
    ///     .traced("attempt")
    ///     .retry_with(RetryPolicy::default())
    ///     .transient()
    ///     .timeout(Duration::from_secs(10))
    ///     .traced("fetch");
    /// assert_eq!(fetch.call(42).await, Ok(42));
    /// # }
    /// ```
    #[track_caller]
    fn traced(self, name: impl Into<Name>) -> Around<Self, GateLayer<Traced>>
    where
        Self::Output: ResultLike<Err: Display>,
    {
        watched(self, Traced(name.into()))
    }

    /// [`traced`](Self::traced), with a span of your own, which the closure `span` makes from the
    /// arguments.
    ///
    /// The closure takes each argument by reference, with its type written, as in `|id: &u64| ..`.
    /// Without the type, rustc answers that an implementation of `FnOnce` is not general enough.
    /// The closure is called at the first poll, with or without a subscriber, and the function is
    /// called within the span. Of the fields of [`traced`](Self::traced), the span gets those that
    /// it declares, as in `info_span!("fetch", id, outcome = Empty)`. For
    /// [`.call(..)`](crate::calling), the function must be `Clone`. Stands where
    /// [`traced`](Self::traced) stands.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use decor::prelude::*;
    /// use tracing::{field::Empty, info_span};
    ///
    /// async fn fetch(id: u64) -> Result<u64, String> { Ok(id) }
    ///
    /// let fetch = fetch.traced_with(|id: &u64| {
    ///     info_span!("fetch", id, outcome = Empty, otel.status_code = Empty)
    /// });
    /// assert_eq!(fetch.call(42).await, Ok(42));
    /// # }
    /// ```
    #[track_caller]
    fn traced_with<P>(self, span: P) -> Around<Spanned<Self, P>, SpanByArgs>
    where
        P: Inspect<Args, Output = Span>,
        Self::Output: ResultLike<Err: Display>,
    {
        let describe = Describe::new(|spanned: &Spanned<Self, P>, chain| spanned.callable().add_to(chain));
        Around::new(Spanned::new(self, span), SpanByArgs, describe)
    }

    /// Records the duration of each call in the histogram `decor.call.duration`, and counts the
    /// calls in progress in the gauge `decor.call.active`. Feature `metrics`.
    ///
    /// The labels are `name` and, of the histogram, `outcome` (`completed`, `cancelled`,
    /// `panicked`). The time counts from the first poll, in seconds.
    /// [`metered_with`](Self::metered_with) tells successes from failures, and adds labels. Takes
    /// any output.
    ///
    /// The metrics go to the recorder of the `metrics` crate, which is looked up at each call. A
    /// recorder that is installed later gets the calls that begin after that. Without a recorder,
    /// the clock is not read. The module [`metrics`](crate::metrics) has the metrics of handles,
    /// and says how exporters show them.
    ///
    /// A name that is a literal costs less than one that is made at run time. Its labels are kept
    /// for ever, as the recorder keeps them.
    ///
    /// # Place in a chain
    ///
    /// Stands last to measure the whole call, waits and retries included. Before `retry_with`,
    /// measures each attempt. Before `memoized`, measures each load.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped, or that panics, is recorded once, and is no longer active.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use decor::prelude::*;
    ///
    /// async fn fetch(id: u64) -> u64 { id }
    /// assert_eq!(fetch.metered("fetch").call(42).await, 42);
    /// # }
    /// ```
    #[cfg(feature = "metrics")]
    #[track_caller]
    fn metered(self, name: impl Into<Name>) -> Around<Self, GateLayer<Metered>> {
        self.metered_with(Metering::new(name))
    }

    /// [`metered`](Self::metered), with a [`Metering`] of your own: outcome by result, types of
    /// errors, labels. Feature `metrics`.
    ///
    /// Stands where [`metered`](Self::metered) stands.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use decor::{Metering, prelude::*};
    ///
    /// async fn fetch(id: u64) -> Result<u64, String> { Ok(id) }
    ///
    /// let metering = Metering::new("fetch").by_result().label("server.address", "api.example");
    /// assert_eq!(fetch.metered_with(metering).call(42).await, Ok(42));
    /// # }
    /// ```
    #[cfg(feature = "metrics")]
    #[track_caller]
    fn metered_with<O>(self, metering: Metering<O>) -> Around<Self, GateLayer<Metered<O>>>
    where
        O: Classifies<Self::Output>,
    {
        watched(self, metering.ready())
    }

    /// Gives each call at most `limit`, and then drops the call and returns
    /// [`Error::TimedOut`](crate::Error::TimedOut).
    ///
    /// The call is polled first, then the timer. A call that ends exactly at the limit therefore
    /// succeeds, and a call that is ready at its first poll needs neither timer nor clock. The time
    /// counts from the first poll, if that poll returns pending. A limit of zero allows one poll.
    /// [`Duration::MAX`] never ends a call. Takes [`Fallible`] outputs.
    ///
    /// # Place in a chain
    ///
    /// The limit holds for all that stands before it. Several timeouts in one chain are usual;
    /// [`.labelled("total")`](Timeout::labelled) tells them apart in the error.
    ///
    /// What stands before it knows how much time is left. A retry begins no delay that ends after
    /// the limit. A rate limiter that may refuse a call refuses a wait that ends after the limit.
    /// Both return their own error, and return it earlier. A concurrency limiter that may refuse a
    /// call returns its own error at the limit. The function knows as well, by
    /// [`Deadline::current`](crate::Deadline::current).
    ///
    /// | place | bounds |
    /// |---|---|
    /// | before `rate_limited` | the call without its wait for a permit |
    /// | behind `rate_limited` | the call and its wait for a permit |
    /// | before `retry_with` | each attempt |
    /// | behind `retry_with` | all attempts and the delays between them |
    /// | before `memoized` | each load |
    /// | behind `memoized` | each caller, its wait for another call's load included |
    ///
    /// # Sync functions
    ///
    /// A thread cannot be cancelled. Therefore the call runs on a thread of its own, and function
    /// and arguments must be `Send + 'static`. When the limit passes, the caller abandons the call
    /// on that thread: see [`blocking`](crate::blocking#timeouts).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the call and the timer. When the limit passes, the call is dropped
    /// before the error is returned. Work that must not be left half done belongs in a task of its
    /// own.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`](crate::Error::TimedOut), with the name of the function, the limit and
    /// the label.
    ///
    /// # Panics
    ///
    /// When a pending call is polled outside of a tokio runtime with its timer enabled. A chain can
    /// be built anywhere, and a call that is ready at its first poll can be polled anywhere. A sync
    /// function panics in a task of a current-thread runtime, or if no thread can be started.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::{Error, prelude::*};
    /// use std::time::Duration;
    ///
    /// async fn hang(id: u64) -> Result<u64, Error> { std::future::pending().await }
    ///
    /// let limit = Duration::from_secs(2);
    /// let error = hang.timeout(limit).call(42).await.unwrap_err();
    /// assert_eq!(error, Error::TimedOut { name: "hang".into(), after: limit, label: None });
    /// # }
    /// ```
    #[track_caller]
    fn timeout(self, limit: Duration) -> Timeout<Self>
    where
        Self::Output: Fallible,
    {
        let name = self.name().or_place(Location::caller());
        Timeout::new(self, limit, name, Describe::new(Self::add_to))
    }

    /// Calls the function again after a failure, by a policy. Retries every error, unless a method
    /// of [`Retry`] selects the errors.
    ///
    /// The policy is taken by reference or by value. The function is first called when the future
    /// is polled. The arguments are cloned for each attempt that may be followed by another, the
    /// first included. Pass `&str` or `Arc<str>` if those clones cost too much.
    ///
    /// A function that is called many times must be `Clone`, because each call works on a clone. A
    /// chain that is awaited once needs no `Clone`. The closure of such a chain may change a
    /// captured variable, such as a counter, whatever decorators stand before the retry.
    ///
    /// A function of `&mut self` cannot be retried, because its receiver is lent to the first
    /// attempt. A closure `async move |id: u64| client.get(id).await` cannot be retried either,
    /// because its future borrows the client that the closure owns. Write `async |id: u64| ..`,
    /// which borrows the client, or use [`with_context`](crate::with_context).
    ///
    /// With a delay of zero, the future lets other tasks run between two attempts.
    ///
    /// Emits events under the target `decor::retry`: `debug` for each retry and for a success after
    /// a retry, `warn` for giving up (`debug` if the error of the first attempt is not retried).
    /// The [policy](crate::RetryPolicy#logs) sets other levels, and the minimum time between lines
    /// about giving up. The events show the errors after
    /// [`.logging_errors()`](crate::Retry::logging_errors). In the function,
    /// [`attempt()`](crate::attempt()) returns the number of the attempt. Takes `Result`s.
    ///
    /// # Place in a chain
    ///
    /// Repeats all that stands before it. Decorators for each attempt stand before it: `timeout`,
    /// `pausing`, `rate_limited`. Decorators for the call as a whole stand behind it: `memoized`, a
    /// total `timeout`, `validated`, `logged`.
    ///
    /// A retry alone does not bound its caller, because an attempt may hang. A `timeout` before it
    /// bounds each attempt. A `timeout` behind it, or the policy's
    /// [`deadline`](RetryPolicy::deadline), bounds the whole. If a delay would end after either,
    /// the retry returns the last error at once.
    ///
    /// Retries multiply the load on a server that is down. A budget that many calls share, by
    /// [`.budgeted(&budget)`](crate::Retry::budgeted), bounds their number.
    ///
    /// Each attempt joins the end of the queue of a limiter before the retry, unless the policy is
    /// [`keeping_place`](crate::RetryPolicy::keeping_place).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the attempt in progress, or ends the wait for the next. No further
    /// attempt is made.
    ///
    /// # Errors
    ///
    /// The error of the last attempt, unchanged. [`.explained()`](crate::Retry::explained) adds the
    /// number of attempts, the time and the reason.
    ///
    /// # Panics
    ///
    /// When the retry has to wait outside of a tokio runtime with its timer enabled. A sync
    /// function sleeps in its thread, and panics if that thread runs a task of a current-thread
    /// runtime.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::prelude::*;
    /// use std::time::Duration;
    ///
    /// let policy = RetryPolicy::exponential(Duration::from_millis(100)).max_attempts(5);
    /// let policy = policy.jitter(Jitter::Full);
    ///
    /// let mut attempts = 0;
    /// let flaky = || {
    ///     attempts += 1;
    ///     let attempt = attempts;
    ///     async move { if attempt < 3 { Err("busy") } else { Ok("done") } }
    /// };
    /// assert_eq!(flaky.retry_with(&policy).await, Ok("done"));
    /// assert_eq!(attempts, 3);
    /// # }
    /// ```
    #[track_caller]
    fn retry_with(self, policy: impl Into<RetryPolicy>) -> Retry<Self>
    where
        Self: Repeatable<Args, Half>, // not a lending async closure: see `decor::with_context`
        Args: CloneArgs,
    {
        let describe = Describe::new(Self::add_to).or_place_of(&self.name());
        Retry::new(self, policy.into(), describe)
    }

    /// Starts another call beside a call that takes too long, and returns the first success.
    ///
    /// The delay before the other call is a [`Duration`], or a [`Hedge`](crate::Hedge), which can
    /// follow the durations of the calls, start more than one other call, and be paid for by a
    /// [`RetryBudget`](crate::RetryBudget). The delay counts from the first poll, if that poll
    /// returns pending. The other call is a *hedge*. All calls run in the task of the caller.
    ///
    /// The first `Ok` wins, and all other calls are dropped before it is returned. A failure never
    /// starts a call. If the call that fails is the only one, its error is returned at once. If
    /// others are in progress, they go on, no further one starts, and the error of the last one is
    /// returned.
    ///
    /// Hedge only functions that may be called twice for one result. The function is first called
    /// when the future is polled, and must be `Fn`, because its calls run at the same time. The
    /// arguments are cloned for each call except the last that the hedge allows. Nothing is
    /// allocated before the second call starts. A call that is ready at its first poll needs
    /// neither timer nor clock. If several calls are ready in one poll, the earliest wins. Takes
    /// `Result`s of async functions. Sync functions have no hedge, because a thread cannot be
    /// cancelled.
    ///
    /// # Place in a chain
    ///
    /// Each hedge is a call of all that stands before it: a limiter there admits each hedge, a
    /// breaker counts each, and a decorator that watches reports each loser as `cancelled`. Stands
    /// behind those decorators and the `timeout` of an attempt, and before `retry_with`, so that
    /// each attempt may be hedged. A hedge behind a retry would start a second series of attempts.
    ///
    /// A hedge does not bound its caller, because all its calls may hang. A `timeout` behind it
    /// does. A `timeout` before it bounds each call, and must be longer than the delay.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops all calls in progress.
    ///
    /// # Errors
    ///
    /// The error of the last call that ended, unchanged.
    ///
    /// # Panics
    ///
    /// When a pending call is polled outside of a tokio runtime with its timer enabled. If one of
    /// the calls panics, the panic reaches the caller, and the other calls are dropped.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::prelude::*;
    /// use std::{sync::atomic::{AtomicU64, Ordering::Relaxed}, time::Duration};
    /// use tokio::time::{Instant, sleep};
    ///
    /// /// Hangs at its first call.
    /// async fn fetch(id: u64) -> Result<u64, decor::Error> {
    ///     static CALLS: AtomicU64 = AtomicU64::new(0);
    ///     let first = CALLS.fetch_add(1, Relaxed) == 0;
    ///     sleep(Duration::from_millis(if first { 60_000 } else { 20 })).await;
    ///     Ok(id)
    /// }
    ///
    /// let fetch = fetch.hedged(Duration::from_millis(50)).timeout(Duration::from_secs(2));
    /// let begun = Instant::now();
    /// assert_eq!(fetch.call(42).await, Ok(42));
    /// assert_eq!(begun.elapsed(), Duration::from_millis(70));
    /// # }
    /// ```
    ///
    /// If both calls hang, every caller has its error after 2 s.
    #[track_caller]
    fn hedged(self, hedge: impl Into<Hedge>) -> Hedged<Self>
    where
        Self: Hedgeable<Args, Half>, // not a sync function, and not a closure that is `FnMut`
        Args: CloneArgs,
    {
        let describe = Describe::new(Self::add_to).or_place_of(&self.name());
        Hedged::new(self, hedge.into(), describe)
    }

    /// Waits for a permit before each call.
    ///
    /// All functions that were given the limiter or a clone share its permits. Calls are admitted
    /// in the order in which they came. Threads and tasks stand in one queue. The permit is taken
    /// at the first poll or later. The function is called after its permit is taken. Work that a
    /// closure does before it returns its future therefore waits as well. Takes any output.
    ///
    /// The wait has no limit of its own. If the limiter is [closed](RateLimiter::close), a call
    /// stays pending, because not every output can carry an error.
    /// [`rate_limited_by`](Self::rate_limited_by) has no limit of its own either, but fails if the
    /// limiter is closed. [`rate_limited_within`](Self::rate_limited_within) bounds the wait.
    ///
    /// # Place in a chain
    ///
    /// Stands before `retry_with`, so that each attempt takes a permit. Stands behind the `timeout`
    /// of an attempt, so that the wait for a permit does not count as time of the attempt. A
    /// `timeout` behind the limiter bounds the wait too. Stands before `memoized`, so that hits
    /// need no permit.
    ///
    /// A retried attempt joins the end of the queue, unless the policy is
    /// [`keeping_place`](crate::RetryPolicy::keeping_place).
    ///
    /// # Cancel safety
    ///
    /// If the call is dropped while it waits, it leaves the queue, and the next call moves up. If
    /// it is dropped later, its permit stays taken.
    ///
    /// # Panics
    ///
    /// If a task has to wait outside of a tokio runtime with its timer enabled. If a thread has to
    /// wait in a task of a current-thread runtime.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::prelude::*;
    /// use std::time::Duration;
    /// use tokio::time::Instant;
    ///
    /// async fn fetch(id: u64) -> u64 { id }
    ///
    /// let limiter = RateLimiter::new(3, Duration::from_secs(1));
    /// let fetch = fetch.rate_limited(&limiter);
    /// let begun = Instant::now();
    /// for id in 0..5 {
    ///     fetch.call(id).await;
    /// }
    /// assert_eq!(begun.elapsed(), Duration::from_secs(1));
    /// # }
    /// ```
    #[track_caller]
    fn rate_limited(self, limiter: &RateLimiter) -> Limited<Self, RateLimiter, One> {
        limited(self, limiter.clone(), One)
    }

    /// [`rate_limited`](Self::rate_limited), with as many permits as the arguments ask for: a
    /// number for every window, or an array with one for each.
    ///
    /// The closure takes each argument by reference, with its type written. It runs when the call
    /// is made. If the decorator stands before a retry, the closure runs for each attempt. A call
    /// for more than the burst of a paced limiter waits for a full
    /// [burst](crate::RateLimiterBuilder::burst). Takes [`Fallible`] outputs. Stands where
    /// [`rate_limited`](Self::rate_limited) stands. The wait has no limit of its own, but ends
    /// before the limit of a `timeout` behind it: a longer wait is refused at once.
    ///
    /// If the permits are an estimate, [`.settled(..)`](crate::Around::settled) replaces the
    /// estimate by the number of permits that the call has used. Behind the other decorators with a
    /// limiter, [`.permits(..)`](crate::Around::permits) asks for several permits.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`](crate::Error::InvalidArgument) at once, if the call asks for more
    /// permits than the limit. [`Error::QueueFull`](crate::Error::QueueFull), if the queue is full.
    /// [`Error::RateLimited`](crate::Error::RateLimited) at once, if the wait is known to be longer
    /// than the time that the call has left ([`Deadline`](crate::Deadline)).
    /// [`Error::Closed`](crate::Error::Closed), if the limiter is [closed](RateLimiter::close).
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::{Error, prelude::*};
    /// use std::time::Duration;
    ///
    /// async fn complete(prompt: String) -> Result<String, Error> { Ok(prompt) }
    ///
    /// let minute = Duration::from_secs(60);
    /// let limiter = RateLimiter::windows([(60, minute), (90_000, minute)]);
    /// let complete = complete.rate_limited_by(&limiter, |prompt: &String| [1, prompt.len() / 4]);
    /// complete.call("Say hello in French.".into()).await.unwrap();
    /// assert_eq!(limiter.available_per_window(), [59, 89_995]);
    /// # }
    /// ```
    #[track_caller]
    fn rate_limited_by<P>(self, limiter: &RateLimiter, permits: P) -> Limited<Self, RateLimiter, Weighted<P>>
    where
        P: Inspect<Args, Output: Into<Permits>>,
        Self::Output: Fallible,
    {
        limited(self, limiter.clone(), Weighted::new(permits))
    }

    /// [`rate_limited`](Self::rate_limited), by the limiter of a key that a closure takes from the
    /// arguments: a user, a host.
    ///
    /// The closure takes each argument by reference, with its type written. It runs when the call
    /// is made. If the decorator stands before a retry, the closure runs for each attempt. The key
    /// is remembered for as long as the call waits or runs. Takes any output. If the key is
    /// [closed](KeyedLimiter::close), a call stays pending. With
    /// [`permits`](crate::Around::permits) the call fails.
    ///
    /// # Place in a chain
    ///
    /// Stands where [`rate_limited`](Self::rate_limited) stands. A limit for all calls stands
    /// before the limit of a key: `.rate_limited(&all).rate_limited_by_key(&per_user, ..)`. A call
    /// that waits for its user's turn then holds no permit of the limit for all.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::{KeyedLimiter, prelude::*};
    /// use std::time::Duration;
    ///
    /// async fn notify(user: u64, text: &str) -> String { format!("{user}: {text}") }
    ///
    /// let per_user = KeyedLimiter::new(1, Duration::from_secs(60));
    /// let notify = notify.rate_limited_by_key(&per_user, |user: &u64, _: &&str| *user);
    /// notify.call(7, "hello").await;
    /// assert_eq!(per_user.for_key(&7).available(), 0);
    /// assert_eq!(per_user.for_key(&8).available(), 1);
    /// # }
    /// ```
    #[track_caller]
    fn rate_limited_by_key<K, P>(self, limiter: &KeyedLimiter<K>, key: P) -> Limited<Self, OfKey<K, P>, One>
    where
        K: Eq + Hash + Clone,
        P: Inspect<Args, Output = K>,
    {
        limited(self, OfKey { limiter: limiter.clone(), key }, One)
    }

    /// [`rate_limited`](Self::rate_limited), with a wait of at most `max_wait` for the permit.
    ///
    /// If the wait is known to be longer than `max_wait`, or than the time that the call has left
    /// ([`Deadline`](crate::Deadline)), the call fails at once. With a `max_wait` of zero, the call
    /// does not wait. Takes [`Fallible`] outputs.
    ///
    /// # Place in a chain
    ///
    /// Stands where [`rate_limited`](Self::rate_limited) stands. `max_wait` bounds the wait for one
    /// permit. Before `retry_with`, it bounds the wait of each attempt.
    ///
    /// # Errors
    ///
    /// [`Error::RateLimited`](crate::Error::RateLimited), with the shortest time until a permit can
    /// be free. Calls ahead that ask for several permits may delay the permit further.
    /// [`Error::QueueFull`](crate::Error::QueueFull), if the queue is full.
    /// [`Error::Closed`](crate::Error::Closed), if the limiter is [closed](RateLimiter::close).
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::{Error, prelude::*};
    /// use std::time::Duration;
    ///
    /// async fn fetch(id: u64) -> Result<u64, Error> { Ok(id) }
    ///
    /// let limiter = RateLimiter::new(1, Duration::from_secs(60));
    /// let fetch = fetch.rate_limited_within(&limiter, Duration::from_secs(5));
    /// assert_eq!(fetch.call(1).await, Ok(1));
    /// let retry_after = Duration::from_secs(60);
    /// assert_eq!(fetch.call(2).await, Err(Error::RateLimited { retry_after }));
    /// # }
    /// ```
    #[track_caller]
    fn rate_limited_within(self, limiter: &RateLimiter, max_wait: Duration) -> Limited<Self, RateLimiter, OneWithin>
    where
        Self::Output: Fallible,
    {
        limited(self, limiter.clone(), OneWithin(max_wait))
    }

    /// [`rate_limited_within`](Self::rate_limited_within), by the limiter of a key: waits at most
    /// `max_wait` for a permit of the key.
    ///
    /// The key comes from the arguments as in [`rate_limited_by_key`](Self::rate_limited_by_key).
    /// Takes [`Fallible`] outputs. Stands where [`rate_limited_by_key`](Self::rate_limited_by_key)
    /// stands.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::{Error, KeyedLimiter, prelude::*};
    /// use std::time::Duration;
    ///
    /// async fn notify(user: u64, text: &str) -> Result<usize, Error> { Ok(text.len()) }
    ///
    /// let minute = Duration::from_secs(60);
    /// let per_user = KeyedLimiter::new(1, minute);
    /// let (within, key) = (Duration::from_secs(5), |user: &u64, _: &&str| *user);
    /// let notify = notify.rate_limited_within_by_key(&per_user, within, key);
    /// assert_eq!(notify.call(7, "hello").await, Ok(5));
    /// assert_eq!(notify.call(7, "again").await, Err(Error::RateLimited { retry_after: minute }));
    /// assert_eq!(notify.call(8, "hello").await, Ok(5));
    /// # }
    /// ```
    #[track_caller]
    fn rate_limited_within_by_key<K, P>(
        self,
        limiter: &KeyedLimiter<K>,
        max_wait: Duration,
        key: P,
    ) -> Limited<Self, OfKey<K, P>, OneWithin>
    where
        K: Eq + Hash + Clone,
        P: Inspect<Args, Output = K>,
        Self::Output: Fallible,
    {
        limited(self, OfKey { limiter: limiter.clone(), key }, OneWithin(max_wait))
    }

    /// [`rate_limited`](Self::rate_limited), without a wait: fails if no permit is free.
    ///
    /// Takes [`Fallible`] outputs. Stands where [`rate_limited`](Self::rate_limited) stands.
    ///
    /// # Errors
    ///
    /// [`Error::RateLimited`](crate::Error::RateLimited), if the call would have to wait.
    /// [`Error::QueueFull`](crate::Error::QueueFull), if the queue is full.
    /// [`Error::Closed`](crate::Error::Closed), if the limiter is [closed](RateLimiter::close).
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::{Error, prelude::*};
    /// use std::time::Duration;
    ///
    /// async fn fetch(id: u64) -> Result<u64, Error> { Ok(id) }
    ///
    /// let limiter = RateLimiter::new(1, Duration::from_secs(60));
    /// let fetch = fetch.try_rate_limited(&limiter);
    /// assert_eq!(fetch.call(1).await, Ok(1));
    /// assert!(fetch.call(2).await.is_err());
    /// # }
    /// ```
    #[track_caller]
    fn try_rate_limited(self, limiter: &RateLimiter) -> Limited<Self, RateLimiter, OneWithin>
    where
        Self::Output: Fallible,
    {
        self.rate_limited_within(limiter, Duration::ZERO)
    }

    /// [`try_rate_limited`](Self::try_rate_limited), by the limiter of a key: fails if no permit of
    /// the key is free.
    ///
    /// The key comes from the arguments as in [`rate_limited_by_key`](Self::rate_limited_by_key).
    /// Takes [`Fallible`] outputs. Stands where [`rate_limited_by_key`](Self::rate_limited_by_key)
    /// stands.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::{Error, KeyedLimiter, prelude::*};
    /// use std::time::Duration;
    ///
    /// async fn log_in(user: u64) -> Result<u64, Error> { Ok(user) }
    ///
    /// let per_user = KeyedLimiter::new(1, Duration::from_secs(60));
    /// let log_in = log_in.try_rate_limited_by_key(&per_user, |user: &u64| *user);
    /// assert_eq!(log_in.call(7).await, Ok(7));
    /// assert!(log_in.call(7).await.is_err());
    /// assert_eq!(log_in.call(8).await, Ok(8));
    /// # }
    /// ```
    #[track_caller]
    fn try_rate_limited_by_key<K, P>(self, limiter: &KeyedLimiter<K>, key: P) -> Limited<Self, OfKey<K, P>, OneWithin>
    where
        K: Eq + Hash + Clone,
        P: Inspect<Args, Output = K>,
        Self::Output: Fallible,
    {
        self.rate_limited_within_by_key(limiter, Duration::ZERO, key)
    }

    /// Pauses the limiter for all calls when a call fails with an error that asks for a pause, such
    /// as a 429.
    ///
    /// `hint` returns the length of the pause; `None` for no pause. A pause of zero has no effect.
    /// A pause is cut to the limiter's [longest](RateLimiter::longest_pause) (1 h by default).
    /// [`resume`](RateLimiter::resume) ends a pause. Takes `Result`s.
    ///
    /// # Place in a chain
    ///
    /// Stands close to the request: before `rate_limited` on the same limiter, and before
    /// `retry_with`. Behind `rate_limited`, `hint` would also see the errors of that limiter.
    ///
    /// If the rest of the pause is longer than the policy's delay, a retry behind `pausing` reports
    /// that rest as the wait before the next attempt. The attempt itself begins after the policy's
    /// delay, and then waits for the limiter in the order of the queue.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::prelude::*;
    /// use std::time::Duration;
    ///
    /// #[derive(Debug)]
    /// struct Throttled { retry_after: Duration }
    /// async fn fetch(id: u64) -> Result<u64, Throttled> {
    ///     Err(Throttled { retry_after: Duration::from_secs(30) })
    /// }
    ///
    /// let limiter = RateLimiter::new(10, Duration::from_secs(1));
    /// let fetch = fetch.pausing(&limiter, |e| Some(e.retry_after)).rate_limited(&limiter);
    /// fetch.call(1).await.unwrap_err();
    /// let begun = tokio::time::Instant::now();
    /// fetch.call(2).await.unwrap_err();
    /// assert_eq!(begun.elapsed(), Duration::from_secs(30));
    /// # }
    /// ```
    #[track_caller]
    fn pausing<P>(self, limiter: &RateLimiter, hint: P) -> Around<Self, GateLayer<Pausing<ByError<P>>>>
    where
        Self::Output: ResultLike,
        P: FnMut(&<Self::Output as ResultLike>::Err) -> Option<Duration>,
    {
        watched(self, Pausing::new(limiter.clone(), ByError(hint)))
    }

    /// Pauses the limiter for all calls when an output asks for a pause, an `Ok` included. Most
    /// clients return a 429 as a response.
    ///
    /// Works like [`pausing`](Self::pausing), but `hint` takes the whole output, which may be of
    /// any type. If the output borrows from the arguments, use a named function, because a closure
    /// pins the lifetimes. Stands where [`pausing`](Self::pausing) stands.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::prelude::*;
    /// use std::time::Duration;
    ///
    /// struct Response { retry_after: Option<Duration> }
    /// async fn fetch(id: u64) -> Result<Response, String> {
    ///     Ok(Response { retry_after: Some(Duration::from_secs(30)) }) // status 429
    /// }
    ///
    /// let limiter = RateLimiter::new(10, Duration::from_secs(1));
    /// let fetch = fetch
    ///     .pausing_result(&limiter, |r: &Result<Response, String>| r.as_ref().ok()?.retry_after)
    ///     .rate_limited(&limiter);
    /// fetch.call(1).await.unwrap();
    /// let begun = tokio::time::Instant::now();
    /// fetch.call(2).await.unwrap();
    /// assert_eq!(begun.elapsed(), Duration::from_secs(30));
    /// # }
    /// ```
    #[track_caller]
    fn pausing_result<P>(self, limiter: &RateLimiter, hint: P) -> Around<Self, GateLayer<Pausing<ByResult<P>>>>
    where
        P: FnMut(&Self::Output) -> Option<Duration>,
    {
        watched(self, Pausing::new(limiter.clone(), ByResult(hint)))
    }

    /// [`pausing`](Self::pausing), by key: pauses the limiter of the call's key, and no other.
    ///
    /// The key comes from the arguments as in [`rate_limited_by_key`](Self::rate_limited_by_key).
    /// The key's limiter is looked up when a pause begins, so a call that is not throttled adds no
    /// key. A pause adds the key if it is not remembered. Takes `Result`s. Stands where
    /// [`pausing`](Self::pausing) stands.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::{KeyedLimiter, prelude::*};
    /// use std::time::Duration;
    ///
    /// #[derive(Debug)]
    /// struct Throttled { retry_after: Duration }
    /// async fn fetch(host: String) -> Result<String, Throttled> {
    ///     Err(Throttled { retry_after: Duration::from_secs(30) })
    /// }
    ///
    /// let per_host = KeyedLimiter::new(10, Duration::from_secs(1));
    /// let fetch = fetch
    ///     .pausing_by_key(&per_host, |host: &String| host.clone(), |e| Some(e.retry_after))
    ///     .rate_limited_by_key(&per_host, |host: &String| host.clone());
    /// fetch.call("a.example".into()).await.unwrap_err();
    /// assert_eq!(per_host.for_key("a.example").available(), 0);
    /// assert_eq!(per_host.for_key("b.example").available(), 10);
    /// # }
    /// ```
    #[track_caller]
    fn pausing_by_key<K, Q, P>(self, limiter: &KeyedLimiter<K>, key: Q, hint: P) -> PausingOfKey<Self, K, Q, ByError<P>>
    where
        K: Eq + Hash + Clone,
        Q: Inspect<Args, Output = K>,
        Self::Output: ResultLike,
        P: FnMut(&<Self::Output as ResultLike>::Err) -> Option<Duration>,
    {
        watched(self, Pausing::new(OfKey { limiter: limiter.clone(), key }, ByError(hint)))
    }

    /// [`pausing_result`](Self::pausing_result), by key: pauses the limiter of the call's key, and
    /// no other.
    ///
    /// The key comes from the arguments as in [`pausing_by_key`](Self::pausing_by_key). Stands
    /// where [`pausing`](Self::pausing) stands.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::{KeyedLimiter, prelude::*};
    /// use std::time::Duration;
    ///
    /// struct Response { retry_after: Option<Duration> }
    /// async fn fetch(host: String) -> Response {
    ///     Response { retry_after: Some(Duration::from_secs(30)) } // status 429
    /// }
    ///
    /// let per_host = KeyedLimiter::new(10, Duration::from_secs(1));
    /// let host = |host: &String| host.clone();
    /// let fetch = fetch
    ///     .pausing_result_by_key(&per_host, host, |response: &Response| response.retry_after)
    ///     .rate_limited_by_key(&per_host, host);
    /// fetch.call("a.example".into()).await;
    /// assert_eq!(per_host.for_key("a.example").available(), 0);
    /// assert_eq!(per_host.for_key("b.example").available(), 10);
    /// # }
    /// ```
    #[track_caller]
    fn pausing_result_by_key<K, Q, P>(
        self,
        limiter: &KeyedLimiter<K>,
        key: Q,
        hint: P,
    ) -> PausingOfKey<Self, K, Q, ByResult<P>>
    where
        K: Eq + Hash + Clone,
        Q: Inspect<Args, Output = K>,
        P: FnMut(&Self::Output) -> Option<Duration>,
    {
        watched(self, Pausing::new(OfKey { limiter: limiter.clone(), key }, ByResult(hint)))
    }

    /// Refuses calls while a circuit is open, because the service behind the function fails.
    ///
    /// [`CircuitBreaker`](crate::CircuitBreaker) describes when the circuit opens and closes. The
    /// breaker is shared: give all functions that call a service the same one. Every `Err` counts
    /// as a failure, unless [`when`](crate::Around::when),
    /// [`when_result`](crate::Around::when_result), [`transient`](crate::Around::transient) or
    /// [`ignoring`](crate::Around::ignoring) follows and chooses the results. Takes [`Fallible`]
    /// outputs.
    ///
    /// A call that ends without a call of the function counts as neither a success nor a failure,
    /// because it says nothing about the service. A refusal by a limiter, a gate or another breaker
    /// before this one therefore opens no circuit. As with
    /// [`settled`](crate::Around::settled), a call that reaches a memo counts as a call of the
    /// function.
    ///
    /// # Place in a chain
    ///
    /// Stands directly behind the `timeout` of an attempt, so that a call that hangs is a failure.
    /// A timeout behind the breaker drops the call, which counts as neither. Stands before
    /// `rate_limited` and `retry_with`: calls that wait for a limiter are then refused when their
    /// turn comes, and each attempt counts. [`unless_open`](Self::unless_open) behind the limiter
    /// keeps calls from queueing while the circuit is open.
    ///
    /// An attempt that opens the circuit is retried as any other: its delay passes, and the next
    /// attempt is refused. A retry that is `.transient()` returns that refusal at once. With
    /// `.retry_after(|e| e.retry_after())`, a retry of all errors waits until the circuit is
    /// half-open.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped counts as neither, unless it lasted
    /// [`slow_after`](crate::CircuitBreakerBuilder::slow_after) or longer. A probe gives its place
    /// to another call.
    ///
    /// # Errors
    ///
    /// [`Error::CircuitOpen`](crate::Error::CircuitOpen), with the time until the circuit is
    /// half-open; `None` if the breaker is isolated, or if all probes of a half-open circuit are
    /// running. The function is not called.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::{Error, prelude::*};
    /// use std::time::Duration;
    ///
    /// async fn fetch(id: u64) -> Result<u64, Error> { std::future::pending().await }
    ///
    /// let breaker = CircuitBreaker::builder().consecutive(3).named("users").build();
    /// let fetch = fetch.timeout(Duration::from_secs(2)).guarded_by(&breaker);
    /// for id in 0..3 {
    ///     assert_eq!(fetch.call(id).await.unwrap_err().to_string(), "fetch timed out after 2s");
    /// }
    /// let refused = fetch.call(42).await.unwrap_err();
    /// assert_eq!(refused.to_string(), "circuit users is open: try again in 30s");
    /// # }
    /// ```
    ///
    /// If `fetch` hangs, every caller has its error after 2 s, and at once while the circuit is
    /// open.
    #[track_caller]
    fn guarded_by(self, breaker: &CircuitBreaker) -> Around<Late<Self>, GateLayer<Guarded<CircuitBreaker>>>
    where
        Self::Output: Fallible,
    {
        held(self, Guarded::new(breaker.clone()))
    }

    /// [`guarded_by`](Self::guarded_by), by key: guards the calls of each key by themselves, such
    /// as a host or a tenant.
    ///
    /// The closure takes each argument by reference, with its type written, and returns the key. It
    /// runs when the call is made, and before a retry for each attempt. Cancel safety, errors and
    /// the place in a chain are those of [`guarded_by`](Self::guarded_by).
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::{Error, prelude::*};
    ///
    /// async fn fetch(host: String) -> Result<usize, Error> {
    ///     if host == "a.example" { Err(Error::QueueFull { waiting: 0 }) } else { Ok(host.len()) }
    /// }
    ///
    /// let per_host = KeyedBreaker::consecutive(1);
    /// let fetch = fetch.guarded_by_key(&per_host, |host: &String| host.clone());
    /// fetch.call("a.example".into()).await.unwrap_err();
    /// assert!(matches!(fetch.call("a.example".into()).await, Err(Error::CircuitOpen { .. })));
    /// assert_eq!(fetch.call("b.example".into()).await, Ok(9));
    /// # }
    /// ```
    #[track_caller]
    fn guarded_by_key<K, P>(
        self,
        breaker: &KeyedBreaker<K>,
        key: P,
    ) -> Around<Late<Self>, GateLayer<Guarded<BreakerOfKey<K, P>>>>
    where
        K: Eq + Hash + Clone,
        P: Inspect<Args, Output = K>,
        Self::Output: Fallible,
    {
        held(self, Guarded::new(BreakerOfKey { breaker: breaker.clone(), key }))
    }

    /// Refuses calls while a circuit is open, and does nothing else. Counts no result, and takes no
    /// probe's place.
    ///
    /// A half-open circuit lets every call pass here. Takes [`Fallible`] outputs.
    ///
    /// # Place in a chain
    ///
    /// Stands behind `rate_limited`, with [`guarded_by`](Self::guarded_by) and the same breaker
    /// before the limiter. While the circuit is open, new calls are then refused at once, and do
    /// not queue for a permit first.
    ///
    /// # Errors
    ///
    /// [`Error::CircuitOpen`](crate::Error::CircuitOpen). The function is not called.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::{Error, prelude::*};
    /// use std::time::Duration;
    ///
    /// async fn fetch(id: u64) -> Result<u64, Error> { Ok(id) }
    ///
    /// let breaker = CircuitBreaker::consecutive(5);
    /// let limiter = RateLimiter::new(1, Duration::from_secs(60));
    /// let fetch = fetch
    ///     .timeout(Duration::from_secs(2))
    ///     .guarded_by(&breaker)
    ///     .rate_limited(&limiter)
    ///     .unless_open(&breaker)
    ///     .timeout(Duration::from_secs(90));
    ///
    /// assert_eq!(fetch.call(1).await, Ok(1)); // takes the permit
    /// breaker.trip();
    /// let begun = tokio::time::Instant::now();
    /// assert!(matches!(fetch.call(2).await, Err(Error::CircuitOpen { .. })));
    /// assert_eq!(begun.elapsed(), Duration::ZERO);
    /// # }
    /// ```
    ///
    /// If `fetch` hangs, every caller has its error after 90 s.
    #[track_caller]
    fn unless_open(self, breaker: &CircuitBreaker) -> Around<Late<Self>, GateLayer<UnlessOpen>>
    where
        Self::Output: Fallible,
    {
        held(self, UnlessOpen::new(breaker.clone()))
    }

    /// Lets a call begin when the limiter has a permit for it, which the call holds until it has
    /// ended. Calls that find no permit free wait in the order in which they came.
    ///
    /// Takes any output. The wait has no limit of its own. If the limiter is
    /// [closed](ConcurrencyLimiter::close), the call stays pending, because not every output can
    /// carry an error. [`concurrency_limited_by`](Self::concurrency_limited_by) has no limit of its
    /// own either, but fails if the limiter is closed.
    /// [`concurrency_limited_within`](Self::concurrency_limited_within) bounds the wait.
    ///
    /// # Place in a chain
    ///
    /// Stands before `retry_with`, so that each attempt takes a permit, and gives it back before
    /// the delay. Stands behind the `timeout` of an attempt, so that an attempt that hangs gives
    /// its permit back, and so that the wait for a permit does not count as time of the attempt.
    /// Stands behind `rate_limited`: a call takes its concurrency permit first, and its permit of
    /// the rate last. A call that waits for concurrency uses up no rate. A call that waits for the
    /// rate holds a concurrency permit. A `timeout` behind the limiter bounds the wait too. Stands
    /// before `memoized`, so that hits need no permit.
    ///
    /// A retried attempt joins the end of the queue, whatever its policy is.
    ///
    /// Do not put a limiter around a function that calls itself, or that calls another function of
    /// the same limiter: the inner call would wait for a permit that the outer call holds.
    ///
    /// # Cancel safety
    ///
    /// If the call is dropped while it waits, it leaves the queue. If it is dropped later, its
    /// permit goes to the next waiter, after the call itself was dropped. The same holds for a call
    /// that panics.
    ///
    /// # Panics
    ///
    /// If a thread has to wait in a task of a current-thread runtime.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::prelude::*;
    /// use futures::future::join_all;
    /// use std::time::Duration;
    /// use tokio::time::{Instant, sleep};
    ///
    /// async fn fetch(id: u64) { sleep(Duration::from_secs(1)).await }
    ///
    /// let limiter = ConcurrencyLimiter::new(2);
    /// let fetch = fetch.concurrency_limited(&limiter);
    /// let begun = Instant::now();
    /// join_all((0..5).map(|id| fetch.call(id))).await;
    /// assert_eq!(begun.elapsed(), Duration::from_secs(3));
    /// # }
    /// ```
    #[doc(alias = "bulkhead")]
    #[doc(alias = "semaphore")]
    #[track_caller]
    fn concurrency_limited(self, limiter: &ConcurrencyLimiter) -> Concurrent<Self, ConcurrencyLimiter, One> {
        concurrent(self, limiter.clone(), One)
    }

    /// [`concurrency_limited`](Self::concurrency_limited), with as many permits as the arguments
    /// ask for.
    ///
    /// The closure takes each argument by reference, with its type written. It runs when the call
    /// is made. If the decorator stands before a retry, the closure runs for each attempt. Takes
    /// [`Fallible`] outputs. Stands where [`concurrency_limited`](Self::concurrency_limited)
    /// stands. The wait has no limit of its own, but ends at the limit of a `timeout` behind it.
    /// Behind the other decorators with a limiter, [`.permits(..)`](crate::Around::permits) asks
    /// for several permits.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`](crate::Error::InvalidArgument), if the call asks for
    /// [more permits than the limit](ConcurrencyLimiter#calls-for-more-than-the-limit).
    /// [`Error::ConcurrencyLimited`](crate::Error::ConcurrencyLimited), if the queue is full, or if
    /// the call's [`Deadline`](crate::Deadline) comes before the permits.
    /// [`Error::Closed`](crate::Error::Closed), if the limiter is
    /// [closed](ConcurrencyLimiter::close).
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::{Error, prelude::*};
    /// use futures::future::join;
    /// use std::time::Duration;
    /// use tokio::time::{Instant, sleep};
    ///
    /// async fn store(rows: Vec<u64>) -> Result<usize, Error> {
    ///     sleep(Duration::from_secs(1)).await;
    ///     Ok(rows.len())
    /// }
    ///
    /// let limiter = ConcurrencyLimiter::new(5); // rows at once
    /// let store = store.concurrency_limited_by(&limiter, |rows: &Vec<u64>| rows.len());
    /// let begun = Instant::now();
    /// let stored = join(store.call(vec![1, 2, 3]), store.call(vec![4, 5, 6])).await;
    /// assert_eq!(stored, (Ok(3), Ok(3)));
    /// assert_eq!(begun.elapsed(), Duration::from_secs(2));
    /// # }
    /// ```
    #[doc(alias = "bulkhead")]
    #[doc(alias = "semaphore")]
    #[track_caller]
    fn concurrency_limited_by<P>(
        self,
        limiter: &ConcurrencyLimiter,
        permits: P,
    ) -> Concurrent<Self, ConcurrencyLimiter, Weighted<P>>
    where
        P: Inspect<Args, Output: Into<Permits>>,
        Self::Output: Fallible,
    {
        concurrent(self, limiter.clone(), Weighted::new(permits))
    }

    /// [`concurrency_limited`](Self::concurrency_limited), by the limiter of a key that a closure
    /// takes from the arguments: a user, a host.
    ///
    /// The closure takes each argument by reference, with its type written. It runs when the call
    /// is made. If the decorator stands before a retry, the closure runs for each attempt. The key
    /// is remembered for as long as the call waits or runs. Takes any output. If the key is
    /// [closed](KeyedConcurrencyLimiter::close), a call stays pending.
    ///
    /// # Place in a chain
    ///
    /// Stands where [`concurrency_limited`](Self::concurrency_limited) stands. A limit for all
    /// calls stands before the limit of a key:
    /// `.concurrency_limited(&all).concurrency_limited_by_key(&per_host, ..)`. A call that waits
    /// for its host then holds no permit of the limit for all.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::{KeyedConcurrencyLimiter, prelude::*};
    /// use futures::future::join_all;
    /// use std::time::Duration;
    /// use tokio::time::{Instant, sleep};
    ///
    /// async fn fetch(host: &str) { sleep(Duration::from_secs(1)).await }
    ///
    /// let per_host = KeyedConcurrencyLimiter::<String>::new(1);
    /// let fetch = fetch.concurrency_limited_by_key(&per_host, |host: &&str| host.to_string());
    /// let begun = Instant::now();
    /// join_all(["a.example", "b.example", "a.example"].map(|host| fetch.call(host))).await;
    /// assert_eq!(begun.elapsed(), Duration::from_secs(2));
    /// # }
    /// ```
    #[doc(alias = "bulkhead")]
    #[doc(alias = "semaphore")]
    #[track_caller]
    fn concurrency_limited_by_key<K, P>(
        self,
        limiter: &KeyedConcurrencyLimiter<K>,
        key: P,
    ) -> Concurrent<Self, ConcurrencyOfKey<K, P>, One>
    where
        K: Eq + Hash + Clone,
        P: Inspect<Args, Output = K>,
    {
        concurrent(self, ConcurrencyOfKey { limiter: limiter.clone(), key }, One)
    }

    /// [`concurrency_limited`](Self::concurrency_limited), with a wait of at most `max_wait` for
    /// the permit. With a `max_wait` of zero, the call does not wait.
    ///
    /// Takes [`Fallible`] outputs.
    ///
    /// # Place in a chain
    ///
    /// Stands where [`concurrency_limited`](Self::concurrency_limited) stands. `max_wait` bounds
    /// the wait for one permit. Before `retry_with`, it bounds the wait of each attempt. If the
    /// limit of a `timeout` behind it passes earlier, the wait ends then.
    ///
    /// # Errors
    ///
    /// [`Error::ConcurrencyLimited`](crate::Error::ConcurrencyLimited), if the wait ends without a
    /// permit, at `max_wait` or at the call's [`Deadline`](crate::Deadline), or if the queue is
    /// full. [`Error::Closed`](crate::Error::Closed), if the limiter is
    /// [closed](ConcurrencyLimiter::close).
    ///
    /// # Panics
    ///
    /// If a task has to wait outside of a tokio runtime with its timer enabled. If a thread has to
    /// wait in a task of a current-thread runtime.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::{Error, prelude::*};
    /// use futures::future::join;
    /// use std::time::Duration;
    /// use tokio::time::sleep;
    ///
    /// async fn fetch(id: u64) -> Result<u64, Error> {
    ///     sleep(Duration::from_secs(8)).await;
    ///     Ok(id)
    /// }
    ///
    /// let limiter = ConcurrencyLimiter::builder().limit(1).named("users").build();
    /// let fetch = fetch.concurrency_limited_within(&limiter, Duration::from_secs(5));
    /// let limited = Error::ConcurrencyLimited { name: "users".into(), limit: 1, waiting: 0 };
    /// assert_eq!(join(fetch.call(1), fetch.call(2)).await, (Ok(1), Err(limited)));
    /// # }
    /// ```
    #[doc(alias = "bulkhead")]
    #[doc(alias = "semaphore")]
    #[track_caller]
    fn concurrency_limited_within(
        self,
        limiter: &ConcurrencyLimiter,
        max_wait: Duration,
    ) -> Concurrent<Self, ConcurrencyLimiter, OneWithin>
    where
        Self::Output: Fallible,
    {
        concurrent(self, limiter.clone(), OneWithin(max_wait))
    }

    /// [`concurrency_limited_within`](Self::concurrency_limited_within), by the limiter of a key:
    /// waits at most `max_wait` for a permit of the key.
    ///
    /// The key comes from the arguments as in
    /// [`concurrency_limited_by_key`](Self::concurrency_limited_by_key). Takes [`Fallible`]
    /// outputs. Stands where [`concurrency_limited_by_key`](Self::concurrency_limited_by_key)
    /// stands.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::{Error, KeyedConcurrencyLimiter, prelude::*};
    /// use std::time::Duration;
    ///
    /// async fn fetch(host: &str) -> Result<usize, Error> { Ok(host.len()) }
    ///
    /// let per_host = KeyedConcurrencyLimiter::<String>::new(1);
    /// let (within, key) = (Duration::from_secs(5), |host: &&str| host.to_string());
    /// let fetch = fetch.concurrency_limited_within_by_key(&per_host, within, key);
    /// let busy = per_host.for_key("a.example").try_acquire().unwrap();
    /// assert!(fetch.call("a.example").await.is_err());
    /// assert_eq!(fetch.call("b.example").await, Ok(9));
    /// # drop(busy);
    /// # }
    /// ```
    #[doc(alias = "bulkhead")]
    #[doc(alias = "semaphore")]
    #[track_caller]
    fn concurrency_limited_within_by_key<K, P>(
        self,
        limiter: &KeyedConcurrencyLimiter<K>,
        max_wait: Duration,
        key: P,
    ) -> Concurrent<Self, ConcurrencyOfKey<K, P>, OneWithin>
    where
        K: Eq + Hash + Clone,
        P: Inspect<Args, Output = K>,
        Self::Output: Fallible,
    {
        concurrent(self, ConcurrencyOfKey { limiter: limiter.clone(), key }, OneWithin(max_wait))
    }

    /// [`concurrency_limited`](Self::concurrency_limited), without a wait: fails if no permit is
    /// free, or if another call waits.
    ///
    /// Takes [`Fallible`] outputs. Stands where [`concurrency_limited`](Self::concurrency_limited)
    /// stands.
    ///
    /// # Errors
    ///
    /// [`Error::ConcurrencyLimited`](crate::Error::ConcurrencyLimited), if the call would have to
    /// wait. [`Error::Closed`](crate::Error::Closed), if the limiter is
    /// [closed](ConcurrencyLimiter::close).
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::{Error, prelude::*};
    ///
    /// async fn fetch(id: u64) -> Result<u64, Error> { Ok(id) }
    ///
    /// let limiter = ConcurrencyLimiter::new(1);
    /// let fetch = fetch.try_concurrency_limited(&limiter);
    /// assert_eq!(fetch.call(1).await, Ok(1));
    /// let busy = limiter.try_acquire().unwrap();
    /// assert!(fetch.call(2).await.is_err());
    /// # drop(busy);
    /// # }
    /// ```
    #[doc(alias = "bulkhead")]
    #[doc(alias = "semaphore")]
    #[track_caller]
    fn try_concurrency_limited(self, limiter: &ConcurrencyLimiter) -> Concurrent<Self, ConcurrencyLimiter, OneWithin>
    where
        Self::Output: Fallible,
    {
        self.concurrency_limited_within(limiter, Duration::ZERO)
    }

    /// [`try_concurrency_limited`](Self::try_concurrency_limited), by the limiter of a key: fails
    /// if no permit of the key is free.
    ///
    /// The key comes from the arguments as in
    /// [`concurrency_limited_by_key`](Self::concurrency_limited_by_key). Takes [`Fallible`]
    /// outputs. Stands where [`concurrency_limited_by_key`](Self::concurrency_limited_by_key)
    /// stands.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::{Error, KeyedConcurrencyLimiter, prelude::*};
    ///
    /// async fn log_in(user: u64) -> Result<u64, Error> { Ok(user) }
    ///
    /// let per_user = KeyedConcurrencyLimiter::new(1);
    /// let log_in = log_in.try_concurrency_limited_by_key(&per_user, |user: &u64| *user);
    /// let busy = per_user.for_key(&7).try_acquire().unwrap();
    /// assert!(log_in.call(7).await.is_err());
    /// assert_eq!(log_in.call(8).await, Ok(8));
    /// # drop(busy);
    /// # }
    /// ```
    #[doc(alias = "bulkhead")]
    #[doc(alias = "semaphore")]
    #[track_caller]
    fn try_concurrency_limited_by_key<K, P>(
        self,
        limiter: &KeyedConcurrencyLimiter<K>,
        key: P,
    ) -> Concurrent<Self, ConcurrencyOfKey<K, P>, OneWithin>
    where
        K: Eq + Hash + Clone,
        P: Inspect<Args, Output = K>,
        Self::Output: Fallible,
    {
        self.concurrency_limited_within_by_key(limiter, Duration::ZERO, key)
    }

    /// Signals an overload to an [adaptive](ConcurrencyLimiter#adaptive-limits) limiter when a call
    /// fails with an error that says so, such as a 429, a 503 or a timeout. The limiter decreases
    /// its limit, once for all calls that are in progress at that moment.
    ///
    /// `is_overload` returns `true` for such an error. Takes `Result`s. A limiter with a fixed
    /// limit ignores the signals.
    ///
    /// # Place in a chain
    ///
    /// Stands before `concurrency_limited` with the same limiter, and before `retry_with`. Stands
    /// behind the `timeout` of an attempt, so that `is_overload` sees its error. Behind
    /// `concurrency_limited`, a call would seem to begin before it has waited, and its signals
    /// might have no effect.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::prelude::*;
    ///
    /// #[derive(Debug)]
    /// enum ApiError { Throttled, NotFound }
    /// async fn fetch(id: u64) -> Result<u64, ApiError> {
    ///     Err(if id == 0 { ApiError::NotFound } else { ApiError::Throttled })
    /// }
    ///
    /// let limiter = ConcurrencyLimiter::adaptive(4..=100);
    /// let fetch = fetch
    ///     .backing_off(&limiter, |error| matches!(error, ApiError::Throttled))
    ///     .concurrency_limited(&limiter);
    /// fetch.call(0).await.unwrap_err();
    /// assert_eq!(limiter.limit(), 20);
    /// fetch.call(42).await.unwrap_err();
    /// assert_eq!(limiter.limit(), 15);
    /// # }
    /// ```
    #[doc(alias = "aimd")]
    #[track_caller]
    fn backing_off<P>(self, limiter: &ConcurrencyLimiter, is_overload: P) -> Around<Self, GateLayer<BackingOff<P>>>
    where
        Self::Output: ResultLike,
        P: FnMut(&<Self::Output as ResultLike>::Err) -> bool,
    {
        watched(self, BackingOff::new(limiter.clone(), is_overload))
    }

    /// [`backing_off`](Self::backing_off), by key: signals an overload to the limiter of the call's
    /// key, and to no other.
    ///
    /// The key comes from the arguments as in
    /// [`concurrency_limited_by_key`](Self::concurrency_limited_by_key). Takes `Result`s. Stands
    /// where [`backing_off`](Self::backing_off) stands.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::{KeyedConcurrencyLimiter, prelude::*};
    ///
    /// async fn fetch(host: String) -> Result<u64, String> { Err("429".into()) }
    ///
    /// let per_host = KeyedConcurrencyLimiter::adaptive(4..=100);
    /// let key = |host: &String| host.clone();
    /// let fetch = fetch
    ///     .backing_off_by_key(&per_host, key, |error| error == "429")
    ///     .concurrency_limited_by_key(&per_host, key);
    /// fetch.call("a.example".into()).await.unwrap_err();
    /// assert_eq!(per_host.for_key("a.example").limit(), 15);
    /// assert_eq!(per_host.for_key("b.example").limit(), 20);
    /// # }
    /// ```
    #[doc(alias = "aimd")]
    #[track_caller]
    fn backing_off_by_key<K, Q, P>(
        self,
        limiter: &KeyedConcurrencyLimiter<K>,
        key: Q,
        is_overload: P,
    ) -> BackingOffOfKey<Self, K, Q, P>
    where
        K: Eq + Hash + Clone,
        Q: Inspect<Args, Output = K>,
        Self::Output: ResultLike,
        P: FnMut(&<Self::Output as ResultLike>::Err) -> bool,
    {
        watched(self, BackingOff::new(ConcurrencyOfKey { limiter: limiter.clone(), key }, is_overload))
    }

    /// Remembers outputs: a call with the same arguments as an earlier one gets the value from the
    /// memo, until its TTL ends.
    ///
    /// All functions that were given the memo or a clone share its values. The arguments are the
    /// key, element by element: `(u64,)` is a `u64`, `(&str, u32)` a `(String, u32)`. A lookup
    /// borrows the arguments, and only a miss makes them owned (see [`MemoKey`](crate::MemoKey)).
    /// The value type of the memo decides which part of an output is kept: a `Memo<K, User>` keeps
    /// the `Ok` of a `Result<User, E>` (see [`Cacheable`](crate::Cacheable)). Therefore write the
    /// type of the memo out.
    ///
    /// A function that is called many times must be `Clone`. The key includes neither the context
    /// of [`with_context`](crate::with_context) nor the captures of a closure. Functions that share
    /// a memo must mean the same by a key.
    ///
    /// # One load, and its failure
    ///
    /// If many calls ask for a missing key, one of them calls the function, and the others wait for
    /// its load. If that load fails, the loading call gets the error, and every waiting call gets
    /// [`Error::LoadFailed`](crate::Error::LoadFailed) with the error's text at once. A call waits
    /// only for the load that it joined. If the load is dropped or panics, a waiting call starts a
    /// new one.
    ///
    /// The error of a `Result` must therefore be `From<decor::Error>`, as for a
    /// [`timeout`](Self::timeout), and `Display`. An error enum needs a variant `#[from]
    /// decor::Error`; a foreign error needs [`.lifted()`](Self::lifted). If the output is an
    /// `Option`, waiting calls get `None`. Other outputs have no failures. With
    /// [`.sharing_errors()`](crate::Memoized::sharing_errors) waiting calls get the error itself.
    /// With [`.isolating_errors()`](crate::Memoized::isolating_errors) each waiting call starts a
    /// load of its own, one after the other. With [`.detached()`](crate::Memoized::detached) loads
    /// go on without their callers.
    ///
    /// # Place in a chain
    ///
    /// Stands behind the decorators of a load (`timeout`, `rate_limited`, `retry_with`), because a
    /// hit needs none of them. Stands before the decorators that look at every call (`validated`,
    /// `logged`, `timed`).
    ///
    /// A timeout before the memo bounds each load. It bounds a waiting call only as long as the
    /// call joins one load: a call that takes over after a dropped load gets the full limit again.
    /// A timeout behind the memo bounds each caller, its wait for another call's load included. Put
    /// one timeout on each side, so that neither a load nor a caller hangs.
    ///
    /// # Cancel safety
    ///
    /// If a waiting call is dropped, it leaves the load that it joined. If the loading call is
    /// dropped, the load is dropped too, and a waiting call starts a new one.
    ///
    /// # Errors
    ///
    /// [`Error::LoadFailed`](crate::Error::LoadFailed), if the call waited for a load that failed.
    /// The error of the function, if the call itself loaded.
    ///
    /// # Panics
    ///
    /// If the function calls itself with the same key, because the call would wait for itself. Such
    /// a call in a task that the function spawns and awaits is not detected, and hangs. A panic of
    /// the function reaches only the call that loads.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::prelude::*;
    /// use std::time::Duration;
    ///
    /// async fn fetch(id: u64, lang: &str) -> Result<String, String> {
    ///     Ok(format!("user {id} in {lang}"))
    /// }
    ///
    /// let users: Memo<(u64, String), String> = Memo::ttl(Duration::from_secs(300));
    /// let fetch = fetch.memoized(&users);
    /// fetch.call(42, "en").await.unwrap();
    /// assert_eq!(fetch.call(42, "en").await.unwrap(), "user 42 in en");
    /// assert_eq!((users.stats().hits, users.stats().loads), (1, 1));
    /// # }
    /// ```
    #[cfg(feature = "memo")]
    #[track_caller]
    fn memoized<K, V>(self, memo: &Memo<K, V>) -> Memoized<Self, K, V>
    where
        Args: MemoKey<K>,
        Self::Output: Memoizable<V>,
    {
        Memoized::by_args(self, memo, Describe::new(Self::add_to))
    }

    /// [`memoized`](Self::memoized), by a key that a closure makes from the arguments.
    ///
    /// The closure takes each argument by reference, with its type written (`&&str` for a `&str`),
    /// and returns the owned key. It runs when the call is polled. Arguments that the closure
    /// leaves out, such as a client or a deadline, do not tell calls apart. A `String` key is
    /// allocated for each hit; [`get_or_load`](Memo::get_or_load) takes a `&str` instead. Stands
    /// where [`memoized`](Self::memoized) stands.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::prelude::*;
    /// use std::time::Duration;
    ///
    /// struct Client;
    /// impl Client {
    ///     async fn get(&self, id: u64) -> Result<String, String> { Ok(format!("user {id}")) }
    /// }
    ///
    /// let users: Memo<u64, String> = Memo::ttl(Duration::from_secs(300));
    /// let get = Client::get.memoized_by(&users, |_: &&Client, id: &u64| *id);
    /// get.call(&Client, 42).await.unwrap();
    /// assert_eq!(users.get(&42).unwrap(), "user 42");
    /// # }
    /// ```
    #[cfg(feature = "memo")]
    #[track_caller]
    fn memoized_by<K, V, P>(self, memo: &Memo<K, V>, key: P) -> Memoized<Self, K, V, Options<KeyFromFn<P>>>
    where
        P: Inspect<Args, Output = K>,
        Self::Output: Memoizable<V>,
    {
        Memoized::by_closure(self, memo, key, Describe::new(Self::add_to))
    }

    /// Removes from a memo the value that a call has changed, for functions that write. A closure
    /// makes the key of the value from the arguments.
    ///
    /// The value is removed after a success. A load of the key that began earlier is not kept
    /// either, so the next call loads what was written. After an `Err` the value stays.
    /// [`.before_and_after()`](Around::before_and_after) removes the value at the beginning of the
    /// call as well. Takes `Result`s. [`.fallible()`](Self::fallible) makes a plain output a
    /// `Result`.
    ///
    /// The closure takes each argument by reference, with its type written, and returns the owned
    /// key. It runs when the call is made.
    ///
    /// # Place in a chain
    ///
    /// Stands close to the function, before `timeout` and `retry_with`. A call that a timeout ends
    /// then counts as cancelled, not as an `Err`, so the value is removed.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped, or that panics, may have written, so the value is removed. A call
    /// that was never polled has not written, and the value stays.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use decor::prelude::*;
    ///
    /// struct NewName { id: u64, name: String }
    /// async fn rename(user: NewName) -> Result<(), String> {
    ///     if user.name.is_empty() { Err("a name is needed".to_owned()) } else { Ok(()) }
    /// }
    ///
    /// let users: Memo<u64, String> = Memo::builder().build();
    /// users.insert(42, "Ada".to_owned());
    /// let rename = rename.invalidating(&users, |user: &NewName| user.id);
    ///
    /// rename.call(NewName { id: 42, name: String::new() }).await.unwrap_err();
    /// assert!(users.contains(&42));
    /// rename.call(NewName { id: 42, name: "Grace".to_owned() }).await.unwrap();
    /// assert!(!users.contains(&42));
    /// # }
    /// ```
    #[cfg(feature = "memo")]
    #[track_caller]
    fn invalidating<K, V, P>(self, memo: &Memo<K, V>, key: P) -> Writing<Self, K, V, KeyBy<P>>
    where
        K: Key,
        V: Value,
        P: Inspect<Args, Output = K>,
        Self::Output: ResultLike,
    {
        held(self, Invalidating::new(memo, KeyBy(key)))
    }

    /// [`invalidating`](Self::invalidating), for all values that have a
    /// [tag](crate::MemoBuilder::tags_by).
    ///
    /// The closure returns a `String` or a `&'static str`. Stands where
    /// [`invalidating`](Self::invalidating) stands.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use decor::prelude::*;
    ///
    /// async fn order(user: u64, item: &str) -> Result<(), String> { Ok(()) }
    ///
    /// let pages: Memo<&str, u64> =
    ///     Memo::builder().tags_by(|_page: &&str, user: &u64| [format!("user:{user}")]).build();
    /// pages.insert("/cart", 42);
    /// let order = order.invalidating_tag(&pages, |user: &u64, _: &&str| format!("user:{user}"));
    /// order.call(42, "book").await.unwrap();
    /// assert!(!pages.contains(&"/cart"));
    /// # }
    /// ```
    #[cfg(feature = "memo")]
    #[track_caller]
    fn invalidating_tag<K, V, P>(self, memo: &Memo<K, V>, tag: P) -> Writing<Self, K, V, TagBy<P>>
    where
        K: Key,
        V: Value,
        P: Inspect<Args, Output: Into<Cow<'static, str>>>,
        Self::Output: ResultLike,
    {
        held(self, Invalidating::new(memo, TagBy(tag)))
    }

    /// Answers for a call that fails: calls a closure with the error and the arguments, and returns
    /// its `Result` in place of the failure.
    ///
    /// The closure takes the error and then each argument by value, with its type written, and
    /// returns a future of the function's `Result`. The closure may return the error that it was
    /// given, or another one. It is called at most once for each call, after the call has failed
    /// and was dropped. It is called neither for an `Ok` nor for a call that is dropped or panics.
    ///
    /// The arguments are cloned at each [`.call(..)`](crate::calling), because the function takes
    /// them. A function that is called many times clones the closure for each call. A closure that
    /// borrows from an argument must be an async one: `async |error: ApiError, name: &str| ..`.
    /// Takes `Result`s. For futures, use `or_else` of the `futures` crate.
    ///
    /// # Place in a chain
    ///
    /// The answer is a part of the call. Decorators behind it see the answer, not the failure.
    /// Stands behind `retry_with` and the total `timeout`, so that every failure gets an answer.
    /// Stands behind `memoized`, so that the memo keeps no answer as a value. Stands before
    /// `logged` and `timed`. Before `retry_with`, answers for each attempt, and the retry sees only
    /// the answers.
    ///
    /// The answer itself has no limit. If it may wait, a `timeout` behind it bounds both.
    ///
    /// A `logged` behind the fallback logs an answered failure as a success. A `logged` before it
    /// logs the failure. To tell an answer from the function's own output, put a mark into the
    /// output, as the example `llm_client` does.
    ///
    /// [`Transient`](crate::Transient) does not choose the failures to answer, because the refusal
    /// of a breaker, which needs an answer most, is not transient.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the call, or the answer that has begun. No answer begins then. If
    /// the caller of a sync call has abandoned it, no answer begins either.
    ///
    /// # Errors
    ///
    /// The error that the closure returns.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use decor::prelude::*;
    ///
    /// #[derive(Debug, PartialEq)]
    /// enum ApiError { Busy, NotFound }
    ///
    /// async fn fetch(id: u64) -> Result<String, ApiError> {
    ///     Err(if id == 404 { ApiError::NotFound } else { ApiError::Busy })
    /// }
    ///
    /// let fetch = fetch.fallback(|error: ApiError, id: u64| async move {
    ///     match error {
    ///         ApiError::Busy => Ok(format!("user {id}, details later")),
    ///         error => Err(error),
    ///     }
    /// });
    /// assert_eq!(fetch.call(42).await.unwrap(), "user 42, details later");
    /// assert_eq!(fetch.call(404).await, Err(ApiError::NotFound));
    ///
    /// // A sync function: the closure returns the `Result` itself.
    /// let parse = |text: &str| text.parse::<u8>();
    /// let parse = parse.blocking().fallback(|_: std::num::ParseIntError, _: &str| Ok(0));
    /// assert_eq!(parse.call("x"), Ok(0));
    /// # }
    /// ```
    #[track_caller]
    fn fallback<H>(self, answer: H) -> Around<Self, Fallback<H>>
    where
        Self::Output: ResultLike,
        Args: CloneArgs,
        H: Answers<Args, Half, Self::Output>,
    {
        Around::new(self, Fallback(answer), Describe::new(Self::add_to))
    }

    /// Answers for a call that fails: calls another function with the same arguments, and returns
    /// its `Result` in place of the failure.
    ///
    /// The other function may be decorated. It has the same arguments and the same output, and is
    /// called at most once for each call, as the closure of [`fallback`](Self::fallback) is. The
    /// error of the failed call is dropped. Takes `Result`s. A function that is called many times
    /// clones the other function for each call. Stands where [`fallback`](Self::fallback) stands,
    /// and has the same cancel safety.
    ///
    /// # Errors
    ///
    /// The error of the other function.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::prelude::*;
    /// use std::time::Duration;
    ///
    /// async fn primary(id: u64) -> Result<String, decor::Error> { std::future::pending().await }
    /// async fn replica(id: u64) -> Result<String, decor::Error> { Ok(format!("user {id}")) }
    ///
    /// let second = Duration::from_secs(1);
    /// let fetch = primary.timeout(second).fallback_to(replica.timeout(second));
    /// assert_eq!(fetch.call(42).await.unwrap(), "user 42");
    /// # }
    /// ```
    ///
    /// If both servers hang, every caller has its error after 2 s.
    #[track_caller]
    fn fallback_to<O>(self, other: O) -> Around<Self, FallbackTo<O>>
    where
        Self::Output: ResultLike,
        Args: CloneArgs,
        O: Function<Args, Half, Output = Self::Output>,
    {
        Around::new(self, FallbackTo::new(other, Describe::new(O::add_to)), Describe::new(Self::add_to))
    }

    /// Rejects arguments before the function is called.
    ///
    /// The closure takes each argument by reference, with its type written, and returns `Result<(),
    /// M>` where `M` is `Display`. It runs when the call is made, before the first poll. Takes
    /// [`Fallible`] outputs.
    ///
    /// # Place in a chain
    ///
    /// Stands behind `retry_with` and `memoized`, so that each call is validated once. Before
    /// `retry_with`, the arguments are validated for each attempt. Before `memoized`, they are
    /// validated for each load.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`](crate::Error::InvalidArgument), with the text of `M` as its
    /// message. The error contains no argument.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use decor::prelude::*;
    ///
    /// async fn fetch(id: u64, lang: &str) -> Result<u64, decor::Error> { Ok(id) }
    ///
    /// let fetch = fetch.validated(|id: &u64, _lang: &&str| match id {
    ///     0 => Err("id must not be 0"),
    ///     _ => Ok(()),
    /// });
    /// assert_eq!(fetch.call(42, "en").await, Ok(42));
    /// let error = fetch.call(0, "en").await.unwrap_err();
    /// assert_eq!(error.to_string(), "invalid argument: id must not be 0");
    /// # }
    /// ```
    #[track_caller]
    fn validated<V, M>(self, validate: V) -> Around<Self, Validated<V>>
    where
        V: Inspect<Args, Output = Result<(), M>>,
        M: Display,
        Self::Output: Fallible,
    {
        Around::new(self, Validated(validate), Describe::new(Self::add_to))
    }

    /// Warns callers that the function will be removed: `fetch is deprecated: use fetch_v2 (called
    /// at src/main.rs:12:5)`.
    ///
    /// Emits one `warn` event under the target `decor::call`, at the first poll of the first call
    /// of this decorated function and its clones. [`deprecated_with`](Self::deprecated_with) warns
    /// at every call. Takes any output.
    ///
    /// Decorate the function once, in a field or a static, because each `.deprecated(..)` makes a
    /// decorated function that warns for itself.
    ///
    /// # Place in a chain
    ///
    /// Stands last, so that every call passes it and the line shows the call site of the
    /// `.call(..)`. Before a retry, a memo or a limiter, decor itself makes the call, as it does
    /// for `.await`. The line then shows no call site.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use decor::prelude::*;
    ///
    /// async fn fetch(id: u64) -> u64 { id }
    /// assert_eq!(fetch.deprecated("use fetch_v2").call(42).await, 42);
    /// # }
    /// ```
    #[track_caller]
    fn deprecated(self, advice: &'static str) -> Around<Self, GateLayer<Deprecated>> {
        self.deprecated_with(Deprecation::new(advice))
    }

    /// [`deprecated`](Self::deprecated), with a [`Deprecation`] of your own.
    ///
    /// Stands where [`deprecated`](Self::deprecated) stands.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use decor::{Deprecation, prelude::*};
    ///
    /// async fn fetch(id: u64) -> u64 { id }
    /// let fetch = fetch.deprecated_with(Deprecation::new("use fetch_v2").every_call());
    /// assert_eq!(fetch.call(42).await, 42);
    /// # }
    /// ```
    #[track_caller]
    fn deprecated_with(self, deprecation: Deprecation) -> Around<Self, GateLayer<Deprecated>> {
        let name = self.name().or_place(Location::caller());
        watched(self, Deprecated::new(deprecation, name))
    }

    /// Lets a foreign error type carry decor's own errors: `Result<T, E>` becomes `Result<T,
    /// Failure<E>>`.
    ///
    /// Stands before the first decorator that reports errors of its own, such as `timeout` or
    /// `memoized`.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use decor::{Failure, prelude::*};
    /// use std::time::Duration;
    ///
    /// async fn parse(text: &str) -> Result<u8, std::num::ParseIntError> { text.parse() }
    ///
    /// let parse = parse.lifted().timeout(Duration::from_secs(1));
    /// assert!(matches!(parse.call("x").await, Err(Failure::Call(_))));
    /// # }
    /// ```
    #[track_caller]
    fn lifted(self) -> Around<Self, Mapped<Lifted>>
    where
        Self::Output: ResultLike,
    {
        mapped(self, Lifted)
    }

    /// Lets a plain output carry decor's own errors: `T` becomes `Result<T, decor::Error>`.
    ///
    /// Stands before the first decorator that reports errors of its own, such as `timeout` or
    /// `memoized`.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use decor::prelude::*;
    /// use std::time::Duration;
    ///
    /// async fn double(n: u32) -> u32 { n * 2 }
    /// assert_eq!(double.fallible().timeout(Duration::from_secs(1)).call(21).await, Ok(42));
    /// # }
    /// ```
    #[track_caller]
    fn fallible(self) -> Around<Self, Mapped<MadeFallible>> {
        mapped(self, MadeFallible)
    }

    /// Changes the error by a closure.
    ///
    /// The closure is cloned for each call. If the error borrows from the arguments, use a named
    /// function in its place. For futures, use `map_err` of the `futures` crate.
    ///
    /// Stands last, if a public type should not show decor's errors. Otherwise stands before the
    /// decorators that need the new error type.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use decor::prelude::*;
    ///
    /// async fn parse(text: &str) -> Result<u8, std::num::ParseIntError> { text.parse() }
    ///
    /// let parse = parse.map_err(|e: std::num::ParseIntError| e.to_string());
    /// assert_eq!(parse.call("x").await.unwrap_err(), "invalid digit found in string");
    /// # }
    /// ```
    #[track_caller]
    fn map_err<M, E2>(self, change: M) -> Around<Self, Mapped<MapErr<M>>>
    where
        Self::Output: ResultLike,
        M: FnMut(<Self::Output as ResultLike>::Err) -> E2,
    {
        mapped(self, MapErr(change))
    }

    /// Converts the error with `Into`, as `?` would.
    ///
    /// For futures, use `err_into` of the `futures` crate. Stands where [`map_err`](Self::map_err)
    /// stands.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use decor::prelude::*;
    /// use std::time::Duration;
    ///
    /// async fn parse(text: &str) -> Result<u8, std::num::ParseIntError> { text.parse() }
    ///
    /// let parse = parse.err_into::<anyhow::Error>().timeout(Duration::from_secs(1));
    /// assert!(parse.call("x").await.unwrap_err().is::<std::num::ParseIntError>());
    /// # }
    /// ```
    #[track_caller]
    fn err_into<E2>(self) -> Around<Self, Mapped<ErrInto<E2>>>
    where
        Self::Output: ResultLike<Err: Into<E2>>,
    {
        mapped(self, ErrInto(PhantomData))
    }

    /// Fails, delays and hangs calls by a [`Chaos`](crate::Chaos), to try the chain behind it.
    ///
    /// The closure makes the error of a call that fails. Such a call does not call the function. A
    /// [breaker](Self::guarded_by) behind it counts the failure all the same, as one of a server. A
    /// call that hangs waits until it is dropped. A sync call that hangs waits until its caller
    /// abandons it, as after a [`timeout`](Self::timeout), or until its
    /// [`CancelToken`](crate::blocking::CancelToken) is cancelled. A slow call calls the function
    /// after its wait. The fault of a call is decided at its first poll. Takes `Result`s. Needs the
    /// feature `chaos`.
    ///
    /// # Place in a chain
    ///
    /// Stands first, in the place of a server that fails. Before `retry_with` and `hedged`, each
    /// attempt and each hedge has a fault of its own.
    ///
    /// # Cancel safety
    ///
    /// If the call is dropped while it waits, the function is never called.
    ///
    /// # Errors
    ///
    /// The error that the closure makes.
    ///
    /// # Panics
    ///
    /// If a task has to wait outside of a tokio runtime with its timer enabled. If a thread has to
    /// wait in a task of a current-thread runtime.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::{Chaos, Error, prelude::*};
    /// use std::time::Duration;
    ///
    /// async fn fetch(id: u64) -> Result<u64, Error> { Ok(id) }
    ///
    /// let chaos = Chaos::seeded(7).failing(0.3).hanging(0.1);
    /// let fetch = fetch
    ///     .chaotic(&chaos, || Error::QueueFull { waiting: 9 })
    ///     .timeout(Duration::from_secs(1))
    ///     .retry_with(RetryPolicy::fixed(Duration::from_millis(100)).max_attempts(9));
    /// for id in 0..100 {
    ///     assert_eq!(fetch.call(id).await, Ok(id));
    /// }
    /// assert!(chaos.stats().failed > 30 && chaos.stats().hung > 10);
    /// # }
    /// ```
    ///
    /// If each call hangs, every caller has its error after 9.8 s.
    #[cfg(feature = "chaos")]
    #[track_caller]
    fn chaotic<M>(self, chaos: &Chaos, error: M) -> Around<Late<Self>, GateLayer<Chaotic<M>>>
    where
        Self::Output: ResultLike,
        M: FnMut() -> <Self::Output as ResultLike>::Err,
    {
        held(self, Chaotic::new(chaos.clone(), error))
    }

    /// Names the function, for the log lines and errors of the decorators behind it.
    ///
    /// Functions and methods have their own name. A closure without a name shows the file and line
    /// of its first decorator, such as `src/main.rs:12`. If a memo stands directly behind such a
    /// closure, [`LoadFailed`](crate::Error::LoadFailed) shows the function around the closure.
    ///
    /// A [`Name`] may be made at run time: `.named(format!("job {id}"))`. Such a name is allocated
    /// once, and shared by all calls and their errors. A future has no method `named`. Name the
    /// closure that makes the future instead: `(|| fetch(42)).named("job")`.
    ///
    /// # Place in a chain
    ///
    /// Stands first, so that all decorators have the name. May stand between any two decorators.
    /// The decorators before `.named(..)` keep the earlier name. A method that refines a decorator,
    /// such as `.when(..)` or `.labelled(..)`, follows its decorator directly, and so stands before
    /// `.named(..)`.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::prelude::*;
    /// use std::time::Duration;
    ///
    /// let hang = || std::future::pending::<Result<(), String>>();
    /// let hang = hang.named("hang").timeout(Duration::from_secs(1));
    /// assert_eq!(hang.await.unwrap_err(), "hang timed out after 1s");
    /// # }
    /// ```
    #[track_caller]
    fn named(self, name: impl Into<Name>) -> Around<Self, Named> {
        Around::new(self, Named(name.into()), Describe::new(Self::add_to))
    }

    /// Ends a chain with a short type, [`BoxedFn<Args, Output>`](crate::BoxedFn), for struct
    /// fields, statics and application state.
    ///
    /// Allocates once when it is built. Each async call allocates one box. Arguments must be owned
    /// (`String`, `Arc<str>`), because the type names no lifetime. Stands last.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use decor::{BoxedFn, prelude::*};
    /// use std::sync::LazyLock;
    ///
    /// async fn fetch(id: u64) -> Result<u64, String> { Ok(id) }
    ///
    /// static FETCH: LazyLock<BoxedFn<(u64,), Result<u64, String>>> =
    ///     LazyLock::new(|| fetch.retry_with(RetryPolicy::default()).boxed());
    /// assert_eq!(FETCH.call(42).await, Ok(42));
    /// # }
    /// ```
    #[track_caller]
    fn boxed(self) -> Self::Boxed
    where
        Self: Boxable<Args, Half>, // use owned arguments: `String` or `Arc<str>`, not `&str`
    {
        self.into_boxed()
    }

    /// Puts a [`Gate`] of your own before each call.
    ///
    /// Each call gets a clone of the gate. The module [`decor::layer`](crate::layer) describes how
    /// to write a gate, how to give it a method of its own, and [what its place in a chain
    /// means](crate::layer#the-place-in-a-chain).
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use decor::{layer::{Decoration, End, Gate, Wait}, prelude::*};
    /// use std::{fmt, sync::{Arc, atomic::{AtomicU32, Ordering::Relaxed}}, task::Poll};
    ///
    /// #[derive(Clone, Default)]
    /// struct Counted(Arc<AtomicU32>);
    ///
    /// impl Decoration for Counted {
    ///     fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    ///         f.write_str(".counted()")
    ///     }
    /// }
    ///
    /// impl<T> Gate<T> for Counted {
    ///     fn end(&mut self, _: End<'_, T>) {
    ///         self.0.fetch_add(1, Relaxed);
    ///     }
    /// }
    ///
    /// async fn fetch(id: u64) -> u64 { id }
    ///
    /// let counted = Counted::default();
    /// assert_eq!(fetch.gated(counted.clone()).call(42).await, 42);
    /// assert_eq!(counted.0.load(Relaxed), 1);
    /// # }
    /// ```
    #[track_caller]
    fn gated<G>(self, gate: G) -> Gated<Self, G>
    where
        G: Gate<Self::Output> + Decoration + CloneGate,
    {
        held(self, Each(gate))
    }

    /// [`gated`](Self::gated), with a gate that a closure makes from the arguments of each call.
    ///
    /// The closure runs at [`.call(..)`](crate::calling). Before a retry, each attempt gets a new
    /// gate, made by the closure from the same arguments. A type of your own that implements
    /// [`Inspect`] can replace the closure, as in the audit log of
    /// [`decor::layer`](crate::layer#an-audit-log).
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use decor::{Error, Fallible, layer::{Gate, Wait}, prelude::*};
    /// use std::task::Poll;
    ///
    /// #[derive(Clone)]
    /// struct Allowed(bool);
    ///
    /// impl<T: Fallible> Gate<T> for Allowed {
    ///     fn enter(&mut self, _: &mut Wait<'_>) -> Poll<Result<(), T>> {
    ///         if self.0 {
    ///             return Poll::Ready(Ok(()));
    ///         }
    ///         let message = "this user is blocked".to_owned();
    ///         let error = Error::Rejected { by: "allowed", message, retry_after: None };
    ///         Poll::Ready(Err(T::from_policy(error)))
    ///     }
    /// }
    ///
    /// async fn fetch(user: u64) -> Result<u64, Error> { Ok(user) }
    ///
    /// let fetch = fetch.gated_by(|user: &u64| Allowed(*user != 13));
    /// assert_eq!(fetch.call(42).await, Ok(42));
    /// let error = fetch.call(13).await.unwrap_err();
    /// assert_eq!(error.to_string(), "rejected by allowed: this user is blocked");
    /// # }
    /// ```
    #[track_caller]
    fn gated_by<P>(self, gate: P) -> GatedBy<Self, P>
    where
        P: Inspect<Args, Output: Gate<Self::Output> + Clone>,
    {
        held(self, ByArgs::new(gate))
    }

    /// Decorates the function by a [stack](crate::stack()): by all its decorators, in their order.
    ///
    /// The decorated function has the same type and behaviour as the chain written by hand, and its
    /// own name in errors and log lines. It shares the handles of the stack. A closure is named by
    /// the file and line of its `.decorated_by(..)`, unless it is [`named`](Self::named) before.
    ///
    /// # Place in a chain
    ///
    /// Stands where the decorators of the stack would stand.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::{Error, prelude::*};
    /// use std::time::Duration;
    ///
    /// async fn hang(_host: &str) -> Result<u64, Error> { std::future::pending().await }
    ///
    /// let standard = decor::stack::<Error>().timeout(Duration::from_secs(2)).logged();
    /// let hang = hang.decorated_by(&standard);
    /// assert_eq!(format!("{hang:?}"), "hang.timeout(2s).logged()");
    /// let error = hang.call("a.example").await.unwrap_err();
    /// assert_eq!(error.to_string(), "hang timed out after 2s");
    /// # }
    /// ```
    #[track_caller]
    fn decorated_by<S>(self, stack: &S) -> S::Decorated
    where
        S: Decorates<Self, Args, Half, Decorated: Function<Args, Half>>,
    {
        stack.decorate(self, Location::caller())
    }

    /// Describes the chain: its decorators as data, as a picture, and what is wrong with their
    /// order. The module [`decor::describe`](crate::describe) has the table of lints.
    ///
    /// Costs nothing until it is called, and never calls the function. A function without
    /// decorators has a description too, and a [`BoxedFn`](crate::BoxedFn) keeps that of its chain.
    /// A future has none: describe the function that makes it.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::prelude::*;
    /// use std::time::Duration;
    ///
    /// async fn fetch(id: u64) -> Result<u64, String> { Ok(id) }
    ///
    /// let chain = fetch
    ///     .timeout(Duration::from_secs(2))
    ///     .retry_with(RetryPolicy::default())
    ///     .timeout(Duration::from_secs(10))
    ///     .describe();
    /// assert_eq!(chain.steps().len(), 3);
    /// ```
    fn describe(&self) -> Chain {
        Chain::of(|chain| self.add_to(chain))
    }
}

impl<C: Function<Args, Half>, Args, Half> FnExt<Args, Half> for C {}

/// A function with a limiter before each call.
type Limited<C, L, R> = Around<Late<C>, GateLayer<RateLimited<L, R>>>;

/// A function with a concurrency limiter around each call.
type Concurrent<C, L, R> = Around<Late<C>, GateLayer<ConcurrencyLimited<L, R>>>;

/// A function with calls that can signal an overload to the limiter of their key.
type BackingOffOfKey<C, K, Q, P> = Around<C, GateLayer<BackingOff<P, ConcurrencyOfKey<K, Q>>>>;

/// A function with calls that can pause the limiter of their key.
type PausingOfKey<C, K, Q, P> = Around<C, GateLayer<Pausing<P, OfKey<K, Q>>>>;

#[track_caller]
fn limited<C: Function<Args, Half>, Args, Half, L, R>(callable: C, limiter: L, request: R) -> Limited<C, L, R> {
    held(callable, RateLimited { limiter, request })
}

#[track_caller]
fn concurrent<C: Function<Args, Half>, Args, Half, L, R>(callable: C, limiter: L, request: R) -> Concurrent<C, L, R> {
    held(callable, ConcurrencyLimited { limiter, request })
}

/// Adds a gate that only watches. The function is called at once, as by `f(x)`.
#[track_caller]
fn watched<C: Function<Args, Half>, Args, Half, S>(callable: C, source: S) -> Around<C, GateLayer<S>> {
    Around::new(callable, GateLayer(source), Describe::new(C::add_to))
}

/// Adds a gate that may hold a call back or refuse it. The function is called once the gate has let
/// the call through.
#[track_caller]
fn held<C: Function<Args, Half>, Args, Half, S>(callable: C, source: S) -> Around<Late<C>, GateLayer<S>> {
    Around::new(Late(callable), GateLayer(source), Describe::new(|late: &Late<C>, chain| late.0.add_to(chain)))
}

#[track_caller]
fn mapped<C: Function<Args, Half>, Args, Half, M>(callable: C, change: M) -> Around<C, Mapped<M>> {
    Around::new(callable, Mapped(change), Describe::new(C::add_to))
}
