//! Gates, on which most decorators are built. One future drives gates in tasks, and one function
//! drives them on threads.

use super::{
    Around, BlockingLayer, BoxedTimer, Captures, Decoration, Layer, Outcome, RepeatLayer, Timer, Wait,
    captures_nothing, wait_blocking,
};
use crate::{
    Name, ResultLike,
    call::{Late, Repeat, Stop, args::Inspect},
    clock::{Clock, Instant},
    describe::StepKind,
    thread::UnwindMark,
};
use pin_project::pin_project;
use std::{
    fmt,
    future::Future,
    marker::PhantomData,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

/// Stands before one call: can make the call wait, can refuse it, and is told its outcome.
///
/// The fields of a gate belong to one call, because [`.gated(..)`](crate::FnExt::gated) clones the
/// gate for each call. `T` is the output of the call. [`decor::layer`](crate::layer) describes the
/// rules, and has three complete gates.
///
/// # Examples
///
/// A gate that refuses a call without its permission:
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// use decor::{Error, Fallible, layer::{Gate, Wait}, prelude::*};
/// use std::{future::ready, task::Poll};
///
/// struct Allowed(bool);
///
/// impl<T: Fallible> Gate<T> for Allowed {
///     fn enter(&mut self, _: &mut Wait<'_>) -> Poll<Result<(), T>> {
///         if self.0 {
///             return Poll::Ready(Ok(()));
///         }
///         let message = "not allowed".to_owned();
///         let error = Error::Rejected { by: "gate", message, retry_after: None };
///         Poll::Ready(Err(T::from_policy(error)))
///     }
/// }
///
/// let answer = || ready(Ok::<_, String>(42));
/// assert_eq!(answer().gated(Allowed(true)).await, Ok(42));
/// assert_eq!(answer().gated(Allowed(false)).await.unwrap_err(), "rejected by gate: not allowed");
/// # }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a gate for calls that return `{T}`",
    label = "not a `decor::layer::Gate<{T}>`",
    note = "implement it for every output that the gate can serve: `impl<T> Gate<T> for ..`, or `impl<T: Fallible> Gate<T> for ..` if it refuses calls"
)]
pub trait Gate<T> {
    /// Lets the call begin with `Ok`, or refuses the call with `Err`.
    ///
    /// The value in `Err` is the output of the refused call. Neither the function nor
    /// [`end`](Self::end) is called after a refusal.
    ///
    /// `enter` is polled at the first poll of the call, and again until it is ready. Before it
    /// returns `Pending`, it must ask `wait` to be polled again. The default lets every call begin.
    ///
    /// # Examples
    ///
    /// See [`Wait`] for a gate that waits, and [`Gate`] for one that refuses.
    #[inline]
    fn enter(&mut self, wait: &mut Wait<'_>) -> Poll<Result<(), T>> {
        let _ = wait;
        Poll::Ready(Ok(()))
    }

    /// Makes the call, or polls it. A gate overrides this method to know whether the function was
    /// called, or the outcome of a memo.
    #[doc(hidden)]
    #[inline]
    fn drive<P>(&mut self, call: impl FnOnce() -> P) -> P
    where
        Self: Sized,
    {
        call()
    }

    /// Is told that a poll of the call was pending. A gate overrides this method to know how long
    /// the call takes, without a look at the clock if the call is ready at once.
    #[doc(hidden)]
    #[inline]
    fn pended(&mut self, clock: Clock)
    where
        Self: Sized,
    {
        let _ = clock;
    }

    /// Is called at the end of the call, once for each call that was let through.
    ///
    /// # Examples
    ///
    /// See [`End`].
    #[inline]
    fn end(&mut self, end: End<'_, T>) {
        let _ = end;
    }
}

/// The end of a call, as [`Gate::end`] gets it.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// use decor::{layer::{End, Gate}, prelude::*};
/// use std::{cell::RefCell, future::ready};
///
/// struct Audit<'a>(&'a RefCell<Vec<String>>);
///
/// impl Gate<Result<u64, String>> for Audit<'_> {
///     fn end(&mut self, end: End<'_, Result<u64, String>>) {
///         self.0.borrow_mut().push(match end.as_result() {
///             Some(Ok(user)) => format!("user {user}"),
///             Some(Err(error)) => format!("failed: {error}"),
///             None => end.outcome().to_string(), // cancelled or panicked
///         });
///     }
/// }
///
/// let lines = RefCell::new(Vec::new());
/// let _ = ready(Ok(42)).gated(Audit(&lines)).await;
/// let _ = ready(Err("not found".to_owned())).gated(Audit(&lines)).await;
/// assert_eq!(*lines.borrow(), ["user 42", "failed: not found"]);
/// # }
/// ```
#[derive(Debug)]
pub struct End<'a, T> {
    kind: EndKind<'a, T>,
    clock: Clock,
}

#[derive(Debug)]
enum EndKind<'a, T> {
    Completed(&'a T),
    /// The call was dropped. A sync call was abandoned by its caller.
    Cancelled,
    Panicked,
}

impl<'a, T> End<'a, T> {
    /// Returns the outcome: [`Completed`](Outcome::Completed),
    /// [`Cancelled`](Outcome::Cancelled) or [`Panicked`](Outcome::Panicked).
    ///
    /// # Examples
    ///
    /// See [`End`].
    #[inline]
    pub fn outcome(&self) -> Outcome {
        match self.kind {
            EndKind::Completed(_) => Outcome::Completed,
            EndKind::Cancelled => Outcome::Cancelled,
            EndKind::Panicked => Outcome::Panicked,
        }
    }

    /// Returns the [`outcome`](Self::outcome), with [`Ok`](Outcome::Ok) or [`Err`](Outcome::Err) in
    /// place of [`Completed`](Outcome::Completed).
    ///
    /// # Examples
    ///
    /// See the audit log of [`decor::layer`](crate::layer#an-audit-log).
    pub fn outcome_by_result(&self) -> Outcome
    where
        T: ResultLike,
    {
        match self.as_result() {
            Some(Ok(_)) => Outcome::Ok,
            Some(Err(_)) => Outcome::Err,
            None => self.outcome(),
        }
    }

    /// Returns the output of the call; `None` if the call was cancelled or panicked.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::layer::{End, Gate};
    ///
    /// struct Sum(u64);
    ///
    /// impl Gate<u64> for Sum {
    ///     fn end(&mut self, end: End<'_, u64>) {
    ///         self.0 += end.output().copied().unwrap_or_default();
    ///     }
    /// }
    /// ```
    #[inline]
    pub fn output(&self) -> Option<&'a T> {
        match self.kind {
            EndKind::Completed(output) => Some(output),
            EndKind::Cancelled | EndKind::Panicked => None,
        }
    }

    /// Returns the `Result` of the call; `None` if the call was cancelled or panicked.
    ///
    /// # Examples
    ///
    /// See [`End`].
    #[inline]
    pub fn as_result(&self) -> Option<Result<&'a T::Ok, &'a T::Err>>
    where
        T: ResultLike,
    {
        self.output().map(T::as_result)
    }

    #[inline]
    pub(crate) fn clock(&self) -> Clock {
        self.clock
    }

    /// Returns the time of decor's clock, as [`Wait::now`] does.
    ///
    /// # Examples
    ///
    /// See the circuit breaker of [`decor::layer`](crate::layer#a-circuit-breaker).
    pub fn now(&self) -> Instant {
        self.clock.now()
    }
}

/// A call behind a [`Gate`].
///
/// # Cancel safety
///
/// If the future is dropped before the gate has let the call through, the function is not called,
/// and the gate is dropped. If the future is dropped later, the call is dropped, and then
/// [`Gate::end`] is called with [`Cancelled`](Outcome::Cancelled).
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// use decor::prelude::*;
/// use std::{future::ready, time::Duration};
///
/// let limiter = RateLimiter::new(10, Duration::from_secs(1));
/// let call = ready(7).rate_limited(&limiter);
/// assert_eq!(format!("{call:?}"), "GatedFuture { state: Unpolled, .. }");
/// assert_eq!(limiter.available(), 10); // nothing is taken before the first poll
/// assert_eq!(call.await, 7);
/// assert_eq!(limiter.available(), 9);
/// # }
/// ```
#[must_use = "futures do nothing unless you `.await` or poll them"]
#[pin_project]
pub struct GatedFuture<F, G: Gate<T>, T> {
    // Dropped before the passage, so that a gate inside is told the end first.
    #[pin]
    call: F,
    passage: Passage<T, G, TASK>,
}

/// The kinds of passage: `IS_TASK` of a [`Passage`].
const TASK: bool = true;
const THREAD: bool = false;

/// A call's passage through a gate. On drop, reports an end that was not reported yet.
// The gate last: the padding behind its moments would be copied along with what follows it.
#[repr(C)]
struct Passage<T, G: Gate<T>, const IS_TASK: bool> {
    state: State,
    timer: BoxedTimer,
    gate: G,
    output: PhantomData<fn() -> T>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)] // A byte would leave padding, which would be copied along with the call.
enum State {
    Unpolled,
    /// Held back by the gate.
    Waiting,
    /// Let through, and in progress.
    Entered,
    /// Refused, or ended.
    Ended,
}

impl<F, G: Gate<T>, T> GatedFuture<F, G, T> {
    #[inline]
    pub(crate) fn new(call: F, gate: G) -> Self {
        Self { call, passage: Passage::new(gate) }
    }

    #[cfg(feature = "memo")]
    pub(crate) fn gate_mut(&mut self) -> &mut G {
        &mut self.passage.gate
    }
}

impl<F, G: Gate<T>, T> GatedFuture<F, G, T> {
    /// The call and its gate; `None` after the first poll.
    #[inline]
    pub(crate) fn before_first_poll(self: Pin<&mut Self>) -> Option<(&F, &mut G)> {
        let this = self.project();
        let is_due = this.passage.state == State::Unpolled;
        is_due.then(|| (this.call.into_ref().get_ref(), &mut this.passage.gate))
    }

    /// Puts the call behind another gate, made from this one.
    ///
    /// # Panics
    ///
    /// If the call has been polled.
    #[track_caller]
    pub(crate) fn with_gate<H: Gate<T>>(self, change: impl FnOnce(&G) -> H) -> GatedFuture<F, H, T> {
        let Self { call, passage } = self;
        assert!(passage.state == State::Unpolled, "a call cannot be changed after it was polled");
        GatedFuture::new(call, change(&passage.gate))
    }
}

impl<F: Future<Output = T>, G: Gate<T>, T> Future for GatedFuture<F, G, T> {
    type Output = T;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let this = self.project();
        this.passage.poll(this.call, cx)
    }
}

/// Makes a blocking call behind a gate.
#[inline]
#[track_caller]
pub(crate) fn gated<T, G: Gate<T>>(gate: G, call: impl FnOnce() -> T) -> T {
    let mut passage = Passage::<T, G, THREAD>::new(gate);
    if let Some(refusal) = passage.enter_blocking() {
        return refusal;
    }
    let guard = PanicGuard::new(&mut passage);
    let output = guard.passage.gate.drive(call);
    std::mem::forget(guard);
    passage.end(EndKind::Completed(&output));
    output
}

impl<T, G: Gate<T>, const IS_TASK: bool> Passage<T, G, IS_TASK> {
    #[inline]
    fn new(gate: G) -> Self {
        Self { gate, state: State::Unpolled, timer: BoxedTimer::new(), output: PhantomData }
    }

    #[inline]
    fn poll<F: Future<Output = T>>(&mut self, call: Pin<&mut F>, cx: &mut Context<'_>) -> Poll<T> {
        if self.state != State::Entered {
            if let Some(refusal) = ready!(self.poll_enter(cx)) {
                return Poll::Ready(refusal);
            }
        }
        let guard = PanicGuard::new(self);
        let poll = guard.passage.gate.drive(|| call.poll(cx));
        std::mem::forget(guard);
        let Poll::Ready(output) = poll else {
            self.gate.pended(Clock::Task);
            return Poll::Pending;
        };
        self.end(EndKind::Completed(&output));
        Poll::Ready(output)
    }

    /// Polls the gate. Returns the output of a refused call; `None` if the call may begin.
    #[inline]
    fn poll_enter(&mut self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        assert!(self.state != State::Ended, "`GatedFuture` polled after it completed");
        match self.gate.enter(&mut Wait::of_task(cx, Timer::Boxed(&mut self.timer))) {
            Poll::Ready(entered) => {
                self.timer.disarm();
                Poll::Ready(self.entered(entered))
            }
            Poll::Pending => {
                self.state = State::Waiting;
                Poll::Pending
            }
        }
    }

    /// Parks until the gate has decided. Returns the output of a refused call; `None` if the call
    /// may begin.
    #[inline]
    #[track_caller]
    fn enter_blocking(&mut self) -> Option<T> {
        let entered = wait_blocking(|wait| self.gate.enter(wait));
        self.entered(entered)
    }

    #[inline]
    fn entered(&mut self, entered: Result<(), T>) -> Option<T> {
        self.state = if entered.is_ok() { State::Entered } else { State::Ended };
        entered.err()
    }

    /// Reports a call in progress as cancelled, and frees everything that the gate holds.
    #[inline]
    fn release(&mut self)
    where
        G: Renewable,
    {
        if self.state == State::Unpolled {
            return;
        }
        self.end(EndKind::Cancelled);
        self.gate.release();
        self.timer.disarm();
        self.state = State::Unpolled;
    }

    #[inline]
    fn end(&mut self, kind: EndKind<'_, T>) {
        if self.state == State::Entered {
            self.state = State::Ended;
            let clock = if IS_TASK { Clock::Task } else { Clock::Thread };
            self.gate.end(End { kind, clock });
        }
    }
}

impl<T, G: Gate<T>, const IS_TASK: bool> Drop for Passage<T, G, IS_TASK> {
    #[inline]
    fn drop(&mut self) {
        self.end(EndKind::Cancelled);
    }
}

/// Reports the panic that drops this guard. `std::thread::panicking` is not enough. A future may be
/// dropped while another panic unwinds, and a future that panicked is usually dropped after the
/// unwinding.
struct PanicGuard<'p, T, G: Gate<T>, const IS_TASK: bool> {
    passage: &'p mut Passage<T, G, IS_TASK>,
    mark: UnwindMark,
}

impl<'p, T, G: Gate<T>, const IS_TASK: bool> PanicGuard<'p, T, G, IS_TASK> {
    #[inline]
    fn new(passage: &'p mut Passage<T, G, IS_TASK>) -> Self {
        Self { passage, mark: UnwindMark::new() }
    }
}

impl<T, G: Gate<T>, const IS_TASK: bool> Drop for PanicGuard<'_, T, G, IS_TASK> {
    fn drop(&mut self) {
        // An abandoned blocking call is unwound as well, when it next waits or begins something in
        // decor.
        self.passage.end(if self.mark.is_cancelled() { EndKind::Cancelled } else { EndKind::Panicked });
    }
}

impl<F, G: Gate<T>, T> fmt::Debug for GatedFuture<F, G, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GatedFuture").field("state", &self.passage.state).finish_non_exhaustive()
    }
}

/// The source of gates: a decorator that makes a gate for each call.
pub trait GateSource<Args>: Decoration + Captures<Args> {
    /// The gate of one call.
    type Gate;
    /// The gate of repeated calls.
    type Repeated;
    /// The part of the arguments that the gate of repeated calls keeps.
    type Kept;

    /// Makes the gate of one call, from the capture of its arguments.
    fn gate(self, captured: Self::Captured) -> Self::Gate;

    /// Looks at the arguments before the first of the repeated calls.
    #[track_caller]
    fn keep(&self, args: &Args) -> Self::Kept
    where
        Args: Clone;

    /// Makes the gate of repeated calls.
    fn repeated(self, kept: Self::Kept) -> Self::Repeated;

    /// The time until the limiter that the gate of these arguments pauses admits calls again. Zero
    /// without a pause.
    fn pause_left(&self, args: &Args) -> Duration {
        let _ = args;
        Duration::ZERO
    }
}

/// Implements the second half of [`GateSource`] for gates that serve all calls, one after the
/// other.
macro_rules! repeats_in_place {
    ($Args:ty) => {
        type Repeated = Self::Gate;
        type Kept = Self::Captured;

        #[inline]
        fn keep(&self, args: &$Args) -> Self::Kept
        where
            $Args: Clone,
        {
            $crate::layer::Captures::<$Args>::capture(self, args)
        }

        #[inline]
        fn repeated(self, kept: Self::Kept) -> Self::Repeated {
            GateSource::<$Args>::gate(self, kept)
        }
    };
}

pub(crate) use repeats_in_place;

/// Implements the second half of [`GateSource`] for gates that are made from the arguments of each
/// call. The function borrows the source, which need not be `Clone`.
macro_rules! repeats_from_args {
    ($Args:ty, $make:expr) => {
        type Repeated = $crate::layer::FromArgs<Self, $Args, Self::Gate>;
        type Kept = $Args;

        #[inline]
        fn keep(&self, args: &$Args) -> $Args
        where
            $Args: Clone,
        {
            args.clone()
        }

        #[inline]
        fn repeated(self, args: $Args) -> Self::Repeated {
            $crate::layer::FromArgs::new(self, args, $make)
        }
    };
}

pub(crate) use repeats_from_args;

/// A gate that serves several calls, one after the other.
pub trait Renewable {
    /// Frees everything that the gate holds, at the end of a call.
    fn release(&mut self);

    /// Prepares the gate for the next call.
    fn prepare(&mut self) {}

    /// The time until the limiter that the gate pauses admits calls again. Zero without a pause.
    fn pause_left(&self) -> Duration {
        Duration::ZERO
    }
}

const PREPARED: &str = "a gate is prepared before it is entered";

/// A clone of the same gate for each call.
///
/// A function pointer makes the clone, because a bound on `G` would name its lifetimes twice.
#[derive(Debug)]
pub struct Cloned<G> {
    new: G,
    clone: fn(&G) -> G,
    gate: Option<G>,
}

#[diagnostic::do_not_recommend]
impl<T, G: Gate<T>> Gate<T> for Cloned<G> {
    fn enter(&mut self, wait: &mut Wait<'_>) -> Poll<Result<(), T>> {
        self.gate.as_mut().expect(PREPARED).enter(wait)
    }

    fn end(&mut self, end: End<'_, T>) {
        self.gate.as_mut().expect(PREPARED).end(end);
    }
}

impl<G> Renewable for Cloned<G> {
    fn release(&mut self) {
        self.gate = None;
    }

    fn prepare(&mut self) {
        self.gate = Some((self.clone)(&self.new));
    }
}

/// A gate that is made from the arguments for each call.
#[derive(Debug)]
pub struct FromArgs<S, Args, G> {
    source: S,
    args: Args,
    make: fn(&S, &Args) -> G,
    gate: Option<G>,
}

impl<S, Args, G> FromArgs<S, Args, G> {
    pub(crate) fn new(source: S, args: Args, make: fn(&S, &Args) -> G) -> Self {
        Self { source, args, make, gate: None }
    }

    /// The gate of the call in progress.
    pub(crate) fn gate(&self) -> &G {
        self.gate.as_ref().expect(PREPARED)
    }
}

#[diagnostic::do_not_recommend]
impl<T, S, Args, G: Gate<T>> Gate<T> for FromArgs<S, Args, G> {
    fn enter(&mut self, wait: &mut Wait<'_>) -> Poll<Result<(), T>> {
        self.gate.as_mut().expect(PREPARED).enter(wait)
    }

    fn end(&mut self, end: End<'_, T>) {
        self.gate.as_mut().expect(PREPARED).end(end);
    }
}

impl<S, Args, G> Renewable for FromArgs<S, Args, G> {
    fn release(&mut self) {
        self.gate = None;
    }

    fn prepare(&mut self) {
        self.gate = Some((self.make)(&self.source, &self.args));
    }
}

/// The layer of every gate.
///
/// Made by [`.gated(..)`](crate::FnExt::gated) and by the decorators that are gates.
#[derive(Debug, Clone)]
pub struct GateLayer<S>(pub(crate) S);

/// A function with a [`Gate`] before each call, made by [`.gated(..)`](crate::FnExt::gated).
///
/// # Examples
///
/// See the counter of [`decor::layer`](crate::layer#a-counter-of-calls-in-flight).
pub type Gated<C, G> = Around<Late<C>, GateLayer<Each<G>>>;

/// A function with a [`Gate`] that is made from the arguments of each call, by
/// [`.gated_by(..)`](crate::FnExt::gated_by).
///
/// # Examples
///
/// See the audit log of [`decor::layer`](crate::layer#an-audit-log).
pub type GatedBy<C, P> = Around<Late<C>, GateLayer<ByArgs<P>>>;

impl<C, P> GatedBy<C, P> {
    /// Sets the method that the `Debug` of a chain shows, for an extension trait with a method of
    /// its own.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::{layer::Gate, prelude::*};
    ///
    /// #[derive(Clone)]
    /// struct Open;
    /// impl<T> Gate<T> for Open {}
    ///
    /// async fn fetch(id: u64) -> u64 { id }
    ///
    /// let gated = fetch.gated_by(|_: &u64| Open);
    /// assert_eq!(format!("{gated:?}"), "fetch.gated_by(..)");
    /// assert_eq!(format!("{:?}", gated.shown_as(".opened(..)")), "fetch.opened(..)");
    /// ```
    pub fn shown_as(mut self, method: &'static str) -> Self {
        self.layer_mut().0.shown_as = method;
        self
    }
}

impl<S: Decoration> Decoration for GateLayer<S> {
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.describe(f)
    }

    fn kind(&self) -> StepKind {
        self.0.kind()
    }

    fn decorates(&mut self, function: Name) {
        self.0.decorates(function);
    }
}

impl<Args, S: Captures<Args>> Captures<Args> for GateLayer<S> {
    type Captured = S::Captured;

    #[inline]
    fn capture(&self, args: &Args) -> S::Captured {
        self.0.capture(args)
    }
}

impl<Args, T, S> Layer<Args, T> for GateLayer<S>
where
    S: GateSource<Args, Gate: Gate<T>>,
{
    type Output = T;
    type Future<F: Future<Output = T>> = GatedFuture<F, S::Gate, T>;

    #[inline]
    fn around<F: Future<Output = T>>(self, captured: S::Captured, call: F) -> Self::Future<F> {
        GatedFuture::new(call, self.0.gate(captured))
    }
}

impl<Args, T, S> RepeatLayer<Args, T> for GateLayer<S>
where
    S: GateSource<Args, Gate: Gate<T>, Repeated: Gate<T> + Renewable>,
{
    type Kept = S::Kept;
    type Repeated<A: Repeat<Output = T>> = GatedCalls<A, S::Repeated, T>;

    #[inline]
    fn keep(&self, args: &Args) -> S::Kept
    where
        Args: Clone,
    {
        self.0.keep(args)
    }

    #[inline]
    fn repeated<A: Repeat<Output = T>>(self, kept: S::Kept, calls: A) -> Self::Repeated<A> {
        GatedCalls { calls, passage: Passage::new(self.0.repeated(kept)) }
    }
}

impl<Args, T, S> BlockingLayer<Args, T> for GateLayer<S>
where
    S: GateSource<Args, Gate: Gate<T>>,
{
    type Output = T;

    #[inline]
    fn around(self, captured: S::Captured, call: impl FnOnce() -> T) -> T {
        gated(self.0.gate(captured), call)
    }

    fn pause_left(&self, args: &Args) -> Duration {
        self.0.pause_left(args)
    }
}

/// Repeated calls. The gate is renewed for each of them.
#[pin_project]
pub struct GatedCalls<A, G: Gate<T>, T> {
    #[pin]
    calls: A,
    passage: Passage<T, G, TASK>,
}

impl<A: Future<Output = T>, G: Gate<T>, T> Future for GatedCalls<A, G, T> {
    type Output = T;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let this = self.project();
        this.passage.poll(this.calls, cx)
    }
}

impl<A: Stop<Output = T>, G: Gate<T> + Renewable, T> Stop for GatedCalls<A, G, T> {
    #[inline]
    fn stop(self: Pin<&mut Self>) {
        let this = self.project();
        this.calls.stop();
        this.passage.release();
    }
}

impl<A: Repeat<Output = T>, G: Gate<T> + Renewable, T> Repeat for GatedCalls<A, G, T> {
    #[inline]
    fn start(mut self: Pin<&mut Self>, last: bool) {
        if self.passage.state != State::Unpolled {
            self.as_mut().stop();
        }
        let this = self.project();
        this.passage.gate.prepare();
        this.calls.start(last);
    }

    fn name(&self) -> Name {
        self.calls.name()
    }

    #[inline]
    fn holds_back(&self) -> bool {
        self.calls.holds_back()
    }

    fn pause_left(&self) -> Duration {
        self.passage.gate.pause_left().max(self.calls.pause_left())
    }
}

impl<A, G: Gate<T>, T> fmt::Debug for GatedCalls<A, G, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GatedCalls").field("state", &self.passage.state).finish_non_exhaustive()
    }
}

/// `Clone` under another name, so that the compiler can explain why `.gated(..)` clones a gate.
#[diagnostic::on_unimplemented(
    message = "a gate is cloned for each call, and `{Self}` is not `Clone`",
    label = "not `Clone`",
    note = "derive `Clone` for it, and put the state that all calls share into an `Arc`",
    note = "or make a gate for each call: `.gated_by(|id: &u64| ..)`"
)]
pub trait CloneGate: Clone {}

#[diagnostic::do_not_recommend]
impl<G: Clone> CloneGate for G {}

/// A source that clones one gate for each call: the source of [`.gated(..)`](crate::FnExt::gated).
#[derive(Debug, Clone)]
pub struct Each<G>(pub(crate) G);

impl<G: Decoration> Decoration for Each<G> {
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.describe(f)
    }

    fn kind(&self) -> StepKind {
        self.0.kind()
    }
}

captures_nothing!(Each<G>, G);

impl<G: Decoration + Clone, Args> GateSource<Args> for Each<G> {
    type Gate = G;
    type Repeated = Cloned<G>;
    type Kept = ();

    fn gate(self, (): ()) -> G {
        self.0
    }

    fn keep(&self, _: &Args)
    where
        Args: Clone,
    {
    }

    fn repeated(self, (): ()) -> Cloned<G> {
        Cloned { new: self.0, clone: G::clone, gate: None }
    }
}

/// A source with a closure that makes a gate from the arguments: the source of
/// [`.gated_by(..)`](crate::FnExt::gated_by).
#[derive(Debug, Clone)]
pub struct ByArgs<P> {
    gate: P,
    shown_as: &'static str,
}

impl<P> ByArgs<P> {
    pub(crate) fn new(gate: P) -> Self {
        Self { gate, shown_as: ".gated_by(..)" }
    }
}

impl<P> Decoration for ByArgs<P> {
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.shown_as)
    }
}

impl<P: Inspect<Args>, Args> Captures<Args> for ByArgs<P> {
    type Captured = P::Output;

    fn capture(&self, args: &Args) -> P::Output {
        self.gate.inspect(args)
    }
}

impl<P: Inspect<Args>, Args> GateSource<Args> for ByArgs<P> {
    type Gate = P::Output;

    fn gate(self, gate: P::Output) -> P::Output {
        gate
    }

    repeats_from_args!(Args, Self::capture);
}
