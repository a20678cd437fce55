//! A circuit breaker around each call.

use crate::{
    CircuitBreaker, Fallible, KeyedBreaker, ResultLike, Transient,
    call::{Late, args::Inspect, called, mode::Function},
    circuit_breaker::{Core, Ending},
    clock::{Clock, Nanos},
    describe::StepKind,
    layer::{
        Around, Captures, Decoration, End, Gate, GateLayer, GateSource, GatedFuture, Outcome, Renewable, Wait,
        captures_nothing, repeats_in_place,
    },
    policy::Ticket,
};
use std::{fmt, hash::Hash, task::Poll};

/// The gate of a call that a breaker guards.
#[derive(Debug, Clone)]
pub struct Guard<B, W = AnyError, I = NoError> {
    breaker: B,
    ticket: Ticket,
    /// Time from which the duration of the call counts; `None` before that, and if no duration is a
    /// failure.
    began: Option<Nanos>,
    when: W,
    ignoring: I,
    /// `true` once the function has been called.
    called: bool,
}

impl<B, W, I> Guard<B, W, I> {
    fn with(breaker: B, when: W, ignoring: I) -> Self {
        Self { breaker, ticket: Ticket::UNCOUNTED, began: None, when, ignoring, called: false }
    }
}

impl<B> Guard<B> {
    /// The gate of a future. A future counts as called when it is polled.
    pub(crate) fn of_future(breaker: B) -> Self {
        Self { called: true, ..Self::with(breaker, AnyError, NoError) }
    }
}

/// Ends a call at its drop, so that a predicate that panics leaves nothing behind.
struct Ended<'c> {
    core: &'c Core,
    clock: Clock,
    ticket: Ticket,
    began: Option<Nanos>,
    ending: Ending,
}

impl Drop for Ended<'_> {
    #[inline]
    fn drop(&mut self) {
        self.core.end(self.clock, self.ticket, self.began, self.ending);
    }
}

#[diagnostic::do_not_recommend]
impl<T: Fallible, B: BreakerOfCall, W: FailureOf<T>, I: IgnoredOf<T>> Gate<T> for Guard<B, W, I> {
    #[inline]
    fn enter(&mut self, wait: &mut Wait<'_>) -> Poll<Result<(), T>> {
        let (core, clock) = (self.breaker.breaker().core(), wait.clock());
        match core.enter(clock) {
            Ok(ticket) => {
                self.ticket = ticket;
                if clock == Clock::Thread {
                    self.began = core.begin(clock);
                }
                Poll::Ready(Ok(()))
            }
            Err(error) => Poll::Ready(Err(T::from_policy(error))),
        }
    }

    #[inline]
    fn drive<P>(&mut self, call: impl FnOnce() -> P) -> P {
        if self.called { call() } else { called::watch(&mut self.called, call) }
    }

    #[inline]
    fn pended(&mut self, clock: Clock) {
        if self.began.is_none() {
            self.began = self.breaker.breaker().core().begin(clock);
        }
    }

    #[inline]
    fn end(&mut self, end: End<'_, T>) {
        let Self { breaker, ticket, began, when, ignoring, called } = self;
        let mut ended = Ended {
            core: breaker.breaker().core(),
            clock: end.clock(),
            ticket: *ticket,
            began: *began,
            ending: Ending::NotCalled,
        };
        ended.ending = match end.output() {
            None if end.outcome() == Outcome::Panicked => Ending::Failed,
            _ if !*called => Ending::NotCalled,
            None => Ending::Ignored,
            Some(output) if ignoring.is_ignored(output) => Ending::Ignored,
            Some(output) if when.is_failure(output) => Ending::Failed,
            Some(_) => Ending::Succeeded,
        };
    }
}

impl<B: BreakerOfCall, W, I> Renewable for Guard<B, W, I> {
    #[inline]
    fn release(&mut self) {
        (self.ticket, self.began, self.called) = (Ticket::UNCOUNTED, None, false);
        self.breaker.release();
    }

    #[inline]
    fn prepare(&mut self) {
        self.breaker.prepare();
    }
}

/// The breaker of a call in progress.
pub trait BreakerOfCall {
    /// Returns the breaker.
    fn breaker(&self) -> &CircuitBreaker;

    /// Releases the breaker of a key at the end of an attempt.
    #[inline]
    fn release(&mut self) {}

    /// Looks the breaker of a key up for the next attempt.
    #[inline]
    fn prepare(&mut self) {}
}

impl BreakerOfCall for CircuitBreaker {
    #[inline]
    fn breaker(&self) -> &CircuitBreaker {
        self
    }
}

/// The breaker of a key that each attempt takes from the arguments.
///
/// All attempts share the closures of the gate, because these may have a state.
#[derive(Debug)]
pub struct BreakerByArgs<K, Q, Args> {
    breaker: KeyedBreaker<K>,
    key: Q,
    args: Args,
    find: fn(&KeyedBreaker<K>, &Q, &Args) -> CircuitBreaker,
    /// The breaker of this attempt; `None` between attempts.
    current: Option<CircuitBreaker>,
}

impl<K, Q, Args> BreakerOfCall for BreakerByArgs<K, Q, Args> {
    fn breaker(&self) -> &CircuitBreaker {
        self.current.as_ref().expect("a gate is prepared before it is entered")
    }

    fn release(&mut self) {
        self.current = None;
    }

    fn prepare(&mut self) {
        self.current = Some((self.find)(&self.breaker, &self.key, &self.args));
    }
}

/// Tells failures from successes.
pub trait FailureOf<T>: fmt::Debug {
    /// Returns `true` if the output is a failure.
    fn is_failure(&mut self, output: &T) -> bool;
}

/// Finds the outputs that count as neither.
pub trait IgnoredOf<T>: fmt::Debug {
    /// Returns `true` if the output counts as neither a success nor a failure.
    fn is_ignored(&mut self, output: &T) -> bool;
}

/// Counts every error as a failure.
#[derive(Clone, Copy)]
pub struct AnyError;

/// Counts the errors that the closure of `.when(..)` picks as failures.
#[derive(Clone, Copy)]
pub struct When<P>(P);

/// Counts the results that the closure of `.when_result(..)` picks as failures.
#[derive(Clone, Copy)]
pub struct WhenResult<P>(P);

/// Counts the errors that are [`Transient`] as failures.
#[derive(Clone, Copy)]
pub struct TransientError;

/// Ignores no error.
#[derive(Clone, Copy)]
pub struct NoError;

/// Ignores the errors that the closure of `.ignoring(..)` picks.
#[derive(Clone, Copy)]
pub struct Ignoring<P>(P);

/// Implements `Debug` for options. Each writes the method that set it, and a default writes
/// nothing.
macro_rules! shown_as {
    ($($Option:ident $(<$P:ident>)? $text:literal)*) => {$(
        impl$(<$P>)? fmt::Debug for $Option$(<$P>)? {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str($text)
            }
        }
    )*};
}
shown_as! {
    AnyError ""
    When<P> ".when(..)"
    WhenResult<P> ".when_result(..)"
    TransientError ".transient()"
    NoError ""
    Ignoring<P> ".ignoring(..)"
}

impl<T: ResultLike> FailureOf<T> for AnyError {
    #[inline]
    fn is_failure(&mut self, output: &T) -> bool {
        output.as_result().is_err()
    }
}

impl<T: ResultLike, P: FnMut(&T::Err) -> bool> FailureOf<T> for When<P> {
    fn is_failure(&mut self, output: &T) -> bool {
        output.as_result().is_err_and(&mut self.0)
    }
}

impl<T, E, P: FnMut(&Result<T, E>) -> bool> FailureOf<Result<T, E>> for WhenResult<P> {
    fn is_failure(&mut self, output: &Result<T, E>) -> bool {
        (self.0)(output)
    }
}

impl<T: ResultLike<Err: Transient>> FailureOf<T> for TransientError {
    fn is_failure(&mut self, output: &T) -> bool {
        output.as_result().is_err_and(Transient::is_transient)
    }
}

impl<T> IgnoredOf<T> for NoError {
    #[inline]
    fn is_ignored(&mut self, _: &T) -> bool {
        false
    }
}

impl<T: ResultLike, P: FnMut(&T::Err) -> bool> IgnoredOf<T> for Ignoring<P> {
    fn is_ignored(&mut self, output: &T) -> bool {
        output.as_result().is_err_and(&mut self.0)
    }
}

/// The decoration of [`.guarded_by(..)`](crate::FnExt::guarded_by) and
/// [`.guarded_by_key(..)`](crate::FnExt::guarded_by_key), with the methods that refine them.
#[derive(Debug, Clone)]
pub struct Guarded<B, W = AnyError, I = NoError> {
    breaker: B,
    when: W,
    ignoring: I,
}

impl<B> Guarded<B> {
    pub(crate) fn new(breaker: B) -> Self {
        Self { breaker, when: AnyError, ignoring: NoError }
    }
}

/// The breaker of a key, which a closure takes from the arguments.
#[derive(Debug)]
pub struct BreakerOfKey<K, Q> {
    pub(crate) breaker: KeyedBreaker<K>,
    pub(crate) key: Q,
}

impl<K, Q: Clone> Clone for BreakerOfKey<K, Q> {
    fn clone(&self) -> Self {
        Self { breaker: self.breaker.clone(), key: self.key.clone() }
    }
}

impl<W: fmt::Debug, I: fmt::Debug> Decoration for Guarded<CircuitBreaker, W, I> {
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, ".guarded_by({}){:?}{:?}", self.breaker, self.when, self.ignoring)
    }

    fn kind(&self) -> StepKind {
        StepKind::GuardedBy { handle: self.breaker.id(), counts_slow_calls: self.breaker.counts_slow_calls() }
    }
}

impl<K, Q, W: fmt::Debug, I: fmt::Debug> Decoration for Guarded<BreakerOfKey<K, Q>, W, I> {
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let breaker = self.breaker.breaker.displayed();
        write!(f, ".guarded_by_key({breaker}, ..){:?}{:?}", self.when, self.ignoring)
    }

    fn kind(&self) -> StepKind {
        let breaker = &self.breaker.breaker;
        StepKind::GuardedBy { handle: breaker.id(), counts_slow_calls: breaker.counts_slow_calls() }
    }
}

captures_nothing!(Guarded<CircuitBreaker, W, I>, W, I);

impl<Args, W: fmt::Debug, I: fmt::Debug> GateSource<Args> for Guarded<CircuitBreaker, W, I> {
    type Gate = Guard<CircuitBreaker, W, I>;

    #[inline]
    fn gate(self, (): ()) -> Self::Gate {
        Guard::with(self.breaker, self.when, self.ignoring)
    }

    repeats_in_place!(Args);
}

impl<Args, K, Q, W, I> Captures<Args> for Guarded<BreakerOfKey<K, Q>, W, I>
where
    K: Eq + Hash + Clone,
    Q: Inspect<Args, Output = K>,
{
    type Captured = CircuitBreaker;

    #[inline]
    fn capture(&self, args: &Args) -> CircuitBreaker {
        let BreakerOfKey { breaker, key } = &self.breaker;
        breaker.for_key(&key.inspect(args))
    }
}

impl<Args, K, Q, W: fmt::Debug, I: fmt::Debug> GateSource<Args> for Guarded<BreakerOfKey<K, Q>, W, I>
where
    K: Eq + Hash + Clone,
    Q: Inspect<Args, Output = K>,
{
    type Gate = Guard<CircuitBreaker, W, I>;
    type Repeated = Guard<BreakerByArgs<K, Q, Args>, W, I>;
    type Kept = Args;

    #[inline]
    fn gate(self, breaker: CircuitBreaker) -> Self::Gate {
        Guard::with(breaker, self.when, self.ignoring)
    }

    fn keep(&self, args: &Args) -> Args
    where
        Args: Clone,
    {
        args.clone()
    }

    fn repeated(self, args: Args) -> Self::Repeated {
        let Self { breaker: BreakerOfKey { breaker, key }, when, ignoring } = self;
        let find = |breaker: &KeyedBreaker<K>, key: &Q, args: &Args| breaker.for_key(&key.inspect(args));
        Guard::with(BreakerByArgs { breaker, key, args, find, current: None }, when, ignoring)
    }
}

/// A function that a breaker guards.
type GuardedFn<C, B, W, I> = Around<Late<C>, GateLayer<Guarded<B, W, I>>>;

/// The results that a circuit breaker counts.
impl<C, B, W, I> GuardedFn<C, B, W, I> {
    fn with_options<W2, I2>(self, change: impl FnOnce(W, I) -> (W2, I2)) -> GuardedFn<C, B, W2, I2> {
        self.with_layer(|GateLayer(Guarded { breaker, when, ignoring })| {
            let (when, ignoring) = change(when, ignoring);
            GateLayer(Guarded { breaker, when, ignoring })
        })
    }

    /// Counts the errors for which the closure returns `true` as failures of the service. All other
    /// errors count as successes, because the server has answered.
    ///
    /// Follows [`guarded_by`](crate::FnExt::guarded_by) or
    /// [`guarded_by_key`](crate::FnExt::guarded_by_key). A later `.when_result(..)` or
    /// `.transient()` replaces it. The closure is cloned for each call.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use decor::{CircuitState, Error, prelude::*};
    ///
    /// #[derive(Debug, thiserror::Error)]
    /// enum ApiError {
    ///     #[error("server answered {0}")]
    ///     Status(u16),
    ///     #[error(transparent)]
    ///     Policy(#[from] Error),
    /// }
    /// async fn fetch(status: u16) -> Result<(), ApiError> { Err(ApiError::Status(status)) }
    ///
    /// let breaker = CircuitBreaker::consecutive(1);
    /// let fetch = fetch
    ///     .guarded_by(&breaker)
    ///     .when(|e| !matches!(e, ApiError::Status(400..=499)));
    /// fetch.call(404).await.unwrap_err();
    /// assert_eq!(breaker.state(), CircuitState::Closed);
    /// fetch.call(503).await.unwrap_err();
    /// assert_eq!(breaker.state(), CircuitState::Open);
    /// # }
    /// ```
    pub fn when<Args, Half, P>(self, is_failure: P) -> GuardedFn<C, B, When<P>, I>
    where
        C: Function<Args, Half, Output: ResultLike>,
        P: FnMut(&<C::Output as ResultLike>::Err) -> bool,
    {
        self.with_options(|_, ignoring| (When(is_failure), ignoring))
    }

    /// Counts the results for which the closure returns `true` as failures of the service, such as
    /// a response with status 503 in an `Ok`. All others count as successes.
    ///
    /// Replaces [`when`](Self::when). If the value borrows from the arguments, use a named function
    /// in place of a closure.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use decor::{CircuitState, Error, prelude::*};
    ///
    /// async fn fetch(status: u16) -> Result<u16, Error> { Ok(status) }
    ///
    /// let breaker = CircuitBreaker::consecutive(1);
    /// let fetch = fetch.guarded_by(&breaker).when_result(|r| !matches!(r, Ok(200..500)));
    /// assert_eq!(fetch.call(404).await, Ok(404));
    /// assert_eq!(breaker.state(), CircuitState::Closed);
    /// assert_eq!(fetch.call(503).await, Ok(503));
    /// assert_eq!(breaker.state(), CircuitState::Open);
    /// # }
    /// ```
    pub fn when_result<Args, Half, P>(self, is_failure: P) -> GuardedFn<C, B, WhenResult<P>, I>
    where
        C: Function<Args, Half, Output: ResultLike>,
        P: FnMut(&Result<<C::Output as ResultLike>::Ok, <C::Output as ResultLike>::Err>) -> bool,
    {
        self.with_options(|_, ignoring| (WhenResult(is_failure), ignoring))
    }

    /// Counts the errors that are [`Transient`] as failures of the service. All other errors count
    /// as successes, because the server has answered.
    ///
    /// Replaces [`when`](Self::when).
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use decor::{CircuitState, prelude::*};
    /// use std::io::{Error, ErrorKind};
    ///
    /// async fn fetch(kind: ErrorKind) -> Result<(), Error> { Err(kind.into()) }
    ///
    /// let breaker = CircuitBreaker::consecutive(1);
    /// let fetch = fetch.guarded_by(&breaker).transient();
    /// fetch.call(ErrorKind::PermissionDenied).await.unwrap_err();
    /// assert_eq!(breaker.state(), CircuitState::Closed);
    /// fetch.call(ErrorKind::ConnectionReset).await.unwrap_err();
    /// assert_eq!(breaker.state(), CircuitState::Open);
    /// # }
    /// ```
    pub fn transient<Args, Half>(self) -> GuardedFn<C, B, TransientError, I>
    where
        C: Function<Args, Half, Output: ResultLike<Err: Transient>>,
    {
        self.with_options(|_, ignoring| (TransientError, ignoring))
    }

    /// Counts the errors for which the closure returns `true` as neither failures nor successes. A
    /// probe that ends in such an error gives its place to another call.
    ///
    /// Such an error does not reach `.when(..)`. An error after
    /// [`slow_after`](crate::CircuitBreakerBuilder::slow_after) is a failure in any case.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use decor::{CircuitState, Error, prelude::*};
    ///
    /// async fn fetch(message: &str) -> Result<(), String> { Err(message.to_owned()) }
    ///
    /// let breaker = CircuitBreaker::consecutive(2);
    /// let fetch = fetch.guarded_by(&breaker).ignoring(|e| e == "the caller gave up");
    /// fetch.call("connection refused").await.unwrap_err();
    /// fetch.call("the caller gave up").await.unwrap_err();
    /// assert_eq!(breaker.state(), CircuitState::Closed);
    /// fetch.call("connection refused").await.unwrap_err();
    /// assert_eq!(breaker.state(), CircuitState::Open);
    /// # }
    /// ```
    pub fn ignoring<Args, Half, P>(self, is_ignored: P) -> GuardedFn<C, B, W, Ignoring<P>>
    where
        C: Function<Args, Half, Output: ResultLike>,
        P: FnMut(&<C::Output as ResultLike>::Err) -> bool,
    {
        self.with_options(|when, _| (when, Ignoring(is_ignored)))
    }
}

/// A future that a breaker guards.
type GuardedFuture<F, W, I, T> = GatedFuture<F, Guard<CircuitBreaker, W, I>, T>;

/// The results that a circuit breaker counts.
impl<F, T, W, I> GuardedFuture<F, W, I, T>
where
    T: Fallible,
    W: FailureOf<T> + Clone,
    I: IgnoredOf<T> + Clone,
{
    #[track_caller]
    fn with_options<W2, I2>(self, change: impl FnOnce(W, I) -> (W2, I2)) -> GuardedFuture<F, W2, I2, T>
    where
        W2: FailureOf<T>,
        I2: IgnoredOf<T>,
    {
        self.with_gate(|Guard { breaker, when, ignoring, called, .. }| {
            let (when, ignoring) = change(when.clone(), ignoring.clone());
            Guard { called: *called, ..Guard::with(breaker.clone(), when, ignoring) }
        })
    }

    /// Counts the errors for which the closure returns `true` as failures, and all others as
    /// successes: see [`Around::when`](crate::Around::when).
    ///
    /// # Panics
    ///
    /// If the future has been polled.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use decor::{CircuitState, Error, prelude::*};
    /// use std::future::ready;
    ///
    /// let breaker = CircuitBreaker::consecutive(1);
    /// let fetch = |message: &str| ready(Err::<(), _>(message.to_owned()));
    /// let is_down = |e: &String| e != "not found";
    /// fetch("not found").guarded_by(&breaker).when(is_down).await.unwrap_err();
    /// assert_eq!(breaker.state(), CircuitState::Closed);
    /// fetch("refused").guarded_by(&breaker).when(is_down).await.unwrap_err();
    /// assert_eq!(breaker.state(), CircuitState::Open);
    /// # }
    /// ```
    #[track_caller]
    pub fn when<P>(self, is_failure: P) -> GuardedFuture<F, When<P>, I, T>
    where
        P: FnMut(&T::Err) -> bool,
    {
        self.with_options(|_, ignoring| (When(is_failure), ignoring))
    }

    /// Counts the errors that are [`Transient`] as failures, and all others as successes: see
    /// [`Around::transient`](crate::Around::transient).
    ///
    /// # Panics
    ///
    /// If the future has been polled.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use decor::{CircuitState, prelude::*};
    /// use std::{future::ready, io::{Error, ErrorKind}};
    ///
    /// let breaker = CircuitBreaker::consecutive(1);
    /// let denied = ready(Err::<(), _>(Error::from(ErrorKind::PermissionDenied)));
    /// denied.guarded_by(&breaker).transient().await.unwrap_err();
    /// assert_eq!(breaker.state(), CircuitState::Closed);
    /// # }
    /// ```
    #[track_caller]
    pub fn transient(self) -> GuardedFuture<F, TransientError, I, T>
    where
        T: ResultLike<Err: Transient>,
    {
        self.with_options(|_, ignoring| (TransientError, ignoring))
    }

    /// Counts the errors for which the closure returns `true` as neither: see
    /// [`Around::ignoring`](crate::Around::ignoring).
    ///
    /// # Panics
    ///
    /// If the future has been polled.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use decor::{CircuitState, prelude::*};
    /// use std::future::ready;
    ///
    /// let breaker = CircuitBreaker::consecutive(1);
    /// let call = ready(Err::<(), _>("the caller gave up".to_owned()));
    /// call.guarded_by(&breaker).ignoring(|e| e.contains("caller")).await.unwrap_err();
    /// assert_eq!(breaker.state(), CircuitState::Closed);
    /// # }
    /// ```
    #[track_caller]
    pub fn ignoring<P>(self, is_ignored: P) -> GuardedFuture<F, W, Ignoring<P>, T>
    where
        P: FnMut(&T::Err) -> bool,
    {
        self.with_options(|when, _| (when, Ignoring(is_ignored)))
    }
}

/// The results that a circuit breaker counts.
impl<F, T, E, W, I> GuardedFuture<F, W, I, Result<T, E>>
where
    Result<T, E>: Fallible,
    W: FailureOf<Result<T, E>> + Clone,
    I: IgnoredOf<Result<T, E>> + Clone,
{
    /// Counts the results for which the closure returns `true` as failures, and all others as
    /// successes: see [`Around::when_result`](crate::Around::when_result).
    ///
    /// # Panics
    ///
    /// If the future has been polled.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use decor::{CircuitState, Error, prelude::*};
    /// use std::future::ready;
    ///
    /// let breaker = CircuitBreaker::consecutive(1);
    /// let response = ready(Ok::<u16, Error>(503));
    /// let status = response.guarded_by(&breaker).when_result(|r| !matches!(r, Ok(200..500)));
    /// assert_eq!(status.await, Ok(503));
    /// assert_eq!(breaker.state(), CircuitState::Open);
    /// # }
    /// ```
    #[track_caller]
    pub fn when_result<P>(self, is_failure: P) -> GuardedFuture<F, WhenResult<P>, I, Result<T, E>>
    where
        P: FnMut(&Result<T, E>) -> bool,
    {
        self.with_options(|_, ignoring| (WhenResult(is_failure), ignoring))
    }
}
