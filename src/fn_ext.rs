//! Every decorator of an async function: what it is called, where it stands in a chain, and why.

use crate::{
    BoxedFn, Callable, CallableMut, CallableOnce, Fallible, ResultLike, RetryPolicy,
    args::{CloneArgs, DebugArgs, Inspect},
    around::Around,
    decorators::{
        convert::{ErrInto, Lifted, MadeFallible, MapErr},
        deprecated::{Deprecated, Deprecation},
        logged::{Discreet, Logged, Logging, Picked, ShowArgs, ShowValue, Values},
        named::Named,
        retry::Retry,
        timed::{OutcomeOf, Timing},
        timeout::Timeout,
        validated::Validated,
    },
    name::Name,
};
use std::{
    fmt::{Debug, Display},
    marker::PhantomData,
    time::Duration,
};

/// The decorators, as methods on every async function and every closure that returns a future, of 0 to 8 arguments.
///
/// Read a chain from left to right and inside out: the leftmost decorator is the innermost. `Args` is the tuple of the
/// function's arguments; nobody needs to name it.
///
/// What is decorated stays a function: it is called with [`.call(..)`](crate::prelude), and without arguments it can be
/// awaited directly. Nothing happens before the first poll, save what `.call` says.
pub trait FnExt<Args>: CallableOnce<Args> + Sized {
    /// Reports how long each call takes: `fetch took 0.1234s`.
    ///
    /// One event per call when it ends, under the target `decor::call`, level `info`, with the fields `name`, `elapsed`
    /// (seconds) and `outcome` (`completed`, `cancelled`, `panicked`). The clock starts at the first poll, and is not
    /// read at all where nobody listens. [`timed_with`](Self::timed_with) sets level, threshold and destination.
    ///
    /// Stands last to time everything; before `retry_with` to time each attempt. Takes any output.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped reports `cancelled`, one that panics `panicked`; once.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use decor::prelude::*;
    ///
    /// async fn fetch(id: u64) -> u64 { id }
    /// assert_eq!(fetch.timed("fetch").call(42).await, 42);
    /// # }
    /// ```
    fn timed(self, name: &'static str) -> Around<Self, Timing> {
        self.timed_with(Timing::new(name))
    }

    /// [`timed`](Self::timed), with a [`Timing`] of one's own: level, threshold, outcome by result, a sink in place of
    /// the log.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::{Timing, prelude::*};
    /// use std::time::Duration;
    ///
    /// async fn nap(millis: u64) { tokio::time::sleep(Duration::from_millis(millis)).await }
    ///
    /// let timing = Timing::new("nap").to(|m| assert_eq!(m.elapsed, Duration::from_millis(500)));
    /// nap.timed_with(timing).call(500).await;
    /// # }
    /// ```
    fn timed_with<O>(self, timing: Timing<O>) -> Around<Self, Timing<O>>
    where
        O: OutcomeOf<Self::Output>,
    {
        Around::new(self, timing)
    }

    /// Logs each call: `calling fetch` (`debug`), then `fetch returned in 0.12s` (`info`) or
    /// `fetch failed in 0.12s: ApiError: message` (`warn`).
    ///
    /// Shows neither arguments nor values, so that no secret reaches a log by accident, and needs no `Debug`. The
    /// events have the target `decor::call` and the fields `name`, `elapsed` (seconds) and `outcome` (`ok`, `err`,
    /// `cancelled`, `panicked`). `RUST_LOG=info,decor::call=debug` shows all of them.
    ///
    /// Stands last to log each call once; before `retry_with` to log each attempt. Takes `Result`s.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped logs `fetch cancelled in 0.12s` (`info`), one that panics `fetch panicked in 0.12s`
    /// (`warn`); once.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use decor::prelude::*;
    ///
    /// async fn fetch(id: u64) -> Result<u64, String> { Ok(id) }
    /// assert_eq!(fetch.logged().call(42).await, Ok(42));
    /// # }
    /// ```
    fn logged(self) -> Around<Self, Logged<Discreet>>
    where
        Self::Output: ResultLike<Err: Display>,
    {
        let name = self.name();
        Around::new(self, Logged::new(Logging::new(), name))
    }

    /// [`logged`](Self::logged), with arguments and value: `calling fetch(42, "en")`,
    /// `fetch returned User { id: 42 }`.
    ///
    /// Both by their `Debug`, each cut at [`MAX_SHOWN`](crate::Logging::MAX_SHOWN) characters. Mind what they may
    /// contain.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use decor::prelude::*;
    ///
    /// async fn fetch(id: u64, lang: &str) -> Result<String, String> { Ok(format!("{id} {lang}")) }
    /// assert_eq!(fetch.logged_values().call(42, "en").await.unwrap(), "42 en");
    /// # }
    /// ```
    fn logged_values(self) -> Around<Self, Logged<Values>>
    where
        Args: DebugArgs,
        Self::Output: ResultLike<Ok: Debug, Err: Display>,
    {
        let name = self.name();
        Around::new(self, Logged::new(Logging::new().values(), name))
    }

    /// [`logged`](Self::logged), with what `pick` makes of the arguments: `calling fetch(42)`.
    ///
    /// The closure takes each argument by reference, with its type written, and returns anything that is `Display`. It
    /// is called only when somebody listens. Its text is cut at [`MAX_SHOWN`](crate::Logging::MAX_SHOWN) characters.
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
    fn logged_args<P>(self, pick: P) -> Around<Self, Logged<Picked<P>>>
    where
        P: Inspect<Args, Output: Display>,
        Self::Output: ResultLike<Err: Display>,
    {
        let name = self.name();
        Around::new(self, Logged::new(Logging::new().args(pick), name))
    }

    /// [`logged`](Self::logged), with a [`Logging`] of one's own: levels, and what is shown.
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
    fn logged_with<S>(self, logging: Logging<S>) -> Around<Self, Logged<S>>
    where
        Self::Output: ResultLike<Err: Display>,
        S: ShowArgs<Args> + ShowValue<<Self::Output as ResultLike>::Ok>,
    {
        let name = self.name();
        Around::new(self, Logged::new(logging, name))
    }

    /// Gives each call at most `limit`, and then drops it and returns [`Error::TimedOut`](crate::Error::TimedOut).
    ///
    /// The call is polled first, then the timer: a call that ends exactly at the limit wins, and one that is ready at
    /// its first poll costs neither timer nor clock. The time counts from when that first poll came back pending.
    /// A limit of zero allows just that poll; [`Duration::MAX`] never fires.
    ///
    /// Stands before `retry_with` to bound each attempt, after it to bound all of them together. Takes
    /// [`Fallible`] outputs.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the call and the timer. When the limit passes, the call is dropped with the future,
    /// not before; what it must not leave half done belongs into a task of its own.
    ///
    /// # Panics
    ///
    /// When a pending call is polled outside of a tokio runtime with its timer enabled. Building it, calling it, and
    /// polling a call that is ready work anywhere.
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
    /// assert_eq!(error, Error::TimedOut { name: "hang", after: limit });
    /// # }
    /// ```
    fn timeout(self, limit: Duration) -> Around<Self, Timeout>
    where
        Self::Output: Fallible,
    {
        let name = Name::Given(self.name());
        Around::new(self, Timeout::new(limit, name))
    }

    /// Calls the function again when it fails, as the policy says; every error, until [`Retry`]'s methods say which.
    ///
    /// The policy is taken by reference or by value. The function is first called when the future is polled.
    /// Arguments are cloned for each attempt that may be followed by another, the first included: pass `&str` or
    /// `Arc<str>` where that matters. To be called many times the function itself must be `Clone`; to be awaited once
    /// it need not, and may count in a closure.
    ///
    /// Between attempts that fail at once with a zero delay the future gives way to other tasks.
    ///
    /// Events under the target `decor::retry`: `debug` for each retry and for a success that was not the first attempt,
    /// `warn` for giving up (`debug` if the first attempt's error is not to be retried, for then nothing was). They do not
    /// show the errors, which need not be `Display`: `.logged()` before the retry does.
    ///
    /// Stands after what belongs to each attempt (its timeout, its permit) and before what bounds or remembers the
    /// whole. Takes `Result`s.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the attempt in progress, or ends the wait for the next; no further attempt is made.
    ///
    /// # Panics
    ///
    /// When it has to wait outside of a tokio runtime with its timer enabled.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::prelude::*;
    /// use std::time::Duration;
    ///
    /// let policy = RetryPolicy::exponential(Duration::from_millis(100)).max_attempts(5).jitter(Jitter::Full);
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
    fn retry_with(self, policy: impl Into<RetryPolicy>) -> Retry<Self>
    where
        Self: CallableMut<Args>, // not an async closure that lends what it owns: see `decor::with_context`
        Self::Output: ResultLike,
        Args: CloneArgs,
    {
        Retry::new(self, policy.into())
    }

    /// Refuses arguments with [`Error::InvalidArgument`](crate::Error::InvalidArgument) before the function is called.
    ///
    /// The closure takes each argument by reference, with its type written, and returns `Result<(), M>` where `M` is
    /// `Display`. It runs when the call is made, not when it is polled. The error carries its message, and not the
    /// value.
    ///
    /// Stands before `retry_with` only if the arguments should be looked at for each attempt; better after it. Takes
    /// [`Fallible`] outputs.
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
    /// assert_eq!(fetch.call(0, "en").await.unwrap_err().to_string(), "invalid argument: id must not be 0");
    /// # }
    /// ```
    fn validated<V, M>(self, validate: V) -> Validated<Self, V>
    where
        V: Inspect<Args, Output = Result<(), M>>,
        M: Display,
        Self::Output: Fallible,
    {
        Validated::new(self, validate)
    }

    /// Warns that the function will go: `fetch is deprecated: use fetch_v2 (called at src/main.rs:12:5)`.
    ///
    /// One `warn` event under the target `decor::call`, at the first poll of the first call of this decorated function
    /// and its clones. The place is that of the `.call(..)`; where decor itself makes the call (inside `retry_with`, by
    /// `.await`) none is given. [`deprecated_with`](Self::deprecated_with) warns at every call.
    ///
    /// Takes any output.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use decor::prelude::*;
    ///
    /// async fn fetch(id: u64) -> u64 { id }
    /// assert_eq!(fetch.deprecated("use fetch_v2").call(42).await, 42);
    /// # }
    /// ```
    fn deprecated(self, advice: &'static str) -> Around<Self, Deprecated> {
        self.deprecated_with(Deprecation::new(advice))
    }

    /// [`deprecated`](Self::deprecated), with a [`Deprecation`] of one's own.
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
    fn deprecated_with(self, deprecation: Deprecation) -> Around<Self, Deprecated> {
        let name = self.name();
        Around::new(self, Deprecated::new(deprecation, name))
    }

    /// Makes room for a policy's own errors in a foreign error type: `Result<T, E>` becomes
    /// `Result<T, Failure<E>>`.
    ///
    /// Stands before the first decorator that needs it.
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
    fn lifted(self) -> Around<Self, Lifted>
    where
        Self::Output: ResultLike,
    {
        Around::new(self, Lifted)
    }

    /// Makes room for a policy's errors where there are no others: `T` becomes `Result<T, decor::Error>`.
    ///
    /// Stands before the first decorator that needs it.
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
    fn fallible(self) -> Around<Self, MadeFallible> {
        Around::new(self, MadeFallible)
    }

    /// Changes the error: where decor should not show in a public type, it ends the chain.
    ///
    /// Only on functions; futures have futures' own.
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
    fn map_err<M, E2>(self, change: M) -> Around<Self, MapErr<M>>
    where
        Self::Output: ResultLike,
        M: FnOnce(<Self::Output as ResultLike>::Err) -> E2,
    {
        Around::new(self, MapErr(change))
    }

    /// Converts the error as `?` would.
    ///
    /// Only on functions; futures have futures' own.
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
    fn err_into<E2>(self) -> Around<Self, ErrInto<E2>>
    where
        Self::Output: ResultLike<Err: Into<E2>>,
    {
        Around::new(self, ErrInto(PhantomData))
    }

    /// Names what has no good name, for the log lines and errors of the decorators after it.
    ///
    /// Functions and methods are called by their own name; a closure shows its place until it is named. Stands first.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::prelude::*;
    /// use std::time::Duration;
    ///
    /// let hang = (|| std::future::pending::<Result<(), String>>()).named("hang").timeout(Duration::from_secs(1));
    /// assert_eq!(hang.await.unwrap_err(), "hang timed out after 1s");
    /// # }
    /// ```
    fn named(self, name: &'static str) -> Around<Self, Named> {
        Around::new(self, Named(name))
    }

    /// Ends a chain with a type that can be written down: [`BoxedFn<Args, Output>`](BoxedFn), for struct fields,
    /// statics and application state.
    ///
    /// Allocates once here, and one box per call. Arguments must be owned (`String`, `Arc<str>`), for the type names no
    /// lifetime.
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
    fn boxed(self) -> BoxedFn<Args, Self::Output>
    where
        Self: Callable<Args> + Send + Sync + 'static,
        Self::Future: Send + 'static, // so its arguments are owned: `String` or `Arc<str>` in place of `&str`
    {
        BoxedFn::new(self)
    }
}

impl<C: CallableOnce<Args>, Args> FnExt<Args> for C {}
