//! A span of `tracing` around each call.
//!
//! `.traced(name)` makes decor's own span. Its gate only watches. `.traced_with(..)` makes the span
//! from the arguments, at the first poll. The future of such a call therefore holds the arguments
//! until then, and the function is called within its span.

use crate::{
    Name, ResultLike,
    attempt::attempt,
    call::{
        Callable, CallableMut, CallableOnce, CloneFunction, Late, LateCalls, LateFuture, Repeat, args::Inspect,
        blocking, stack::Decorates,
    },
    describe::{Chain, StepKind},
    layer::{
        BlockingLayer, Captures, Decoration, End, Gate, GateLayer, GateSource, GatedCalls, GatedFuture, Layer, Outcome,
        Renewable, RepeatLayer, Wait, captures_nothing, repeats_in_place,
    },
    trace::{CALL, may_be_enabled},
};
use pin_project::pin_project;
use std::{
    fmt::{self, Display},
    future::Future,
    mem::{self, ManuallyDrop},
    panic::Location,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use tracing::{
    Level, Span,
    field::{Empty, display},
    span,
};

/// The source of the span of one call.
pub trait MakesSpan {
    /// Puts the span in place of a disabled one. Is called at the first poll of each call.
    // A span that is returned would be moved, and a disabled one is slow to move: its stores are
    // narrower than the loads, 4 ns.
    fn begin(&mut self, span: &mut Span);
}

/// Makes decor's own span.
#[derive(Debug, Clone)]
pub struct CallNamed(Name);

impl CallNamed {
    #[inline(never)]
    fn begin_enabled(&self, span: &mut Span) {
        let number = attempt();
        *span = span!(
            target: CALL,
            Level::INFO,
            "call",
            otel.name = self.0.get(),
            attempt = (number > 1).then_some(number),
            outcome = Empty,
            otel.status_code = Empty,
            otel.status_description = Empty,
        );
    }
}

impl MakesSpan for CallNamed {
    #[inline]
    fn begin(&mut self, span: &mut Span) {
        if may_be_enabled(Level::INFO) {
            self.begin_enabled(span);
        }
    }
}

/// A span that was made from the arguments. A disabled one until then.
#[derive(Debug)]
pub(crate) struct Given(Span);

impl MakesSpan for Given {
    fn begin(&mut self, span: &mut Span) {
        *span = numbered(mem::replace(&mut self.0, Span::none()));
    }
}

/// Makes the span of a future, by a closure without arguments.
#[derive(Debug)]
pub struct ByClosure<P>(P);

impl<P: Fn() -> Span> MakesSpan for ByClosure<P> {
    fn begin(&mut self, span: &mut Span) {
        *span = numbered((self.0)());
    }
}

/// Makes the span of each of several calls, from the arguments that all of them have.
#[derive(Debug)]
pub struct FromArguments<P, Args> {
    spans: P,
    args: Args,
    // A function pointer in place of a bound, as in `LateFuture`.
    make: fn(&P, &Args) -> Span,
}

impl<P, Args> MakesSpan for FromArguments<P, Args> {
    fn begin(&mut self, span: &mut Span) {
        *span = numbered((self.make)(&self.spans, &self.args));
    }
}

/// Adds the number of a later attempt to a span of the user, if the span has the field.
fn numbered(span: Span) -> Span {
    let number = attempt();
    if number > 1 {
        span.record("attempt", number);
    }
    span
}

/// The gate of [`.traced(..)`](crate::FnExt::traced) and
/// [`.traced_with(..)`](crate::FnExt::traced_with): the span of one call.
#[derive(Debug)]
pub struct CallSpan<M> {
    make: M,
    /// Disabled before the first poll, after the end, and without a listener.
    // Dropped by `Drop`, out of line: otherwise each call without a listener has 20 instructions
    // more.
    span: ManuallyDrop<Span>,
}

impl<M> CallSpan<M> {
    #[inline]
    fn of(make: M) -> Self {
        Self { make, span: ManuallyDrop::new(Span::none()) }
    }
}

impl<M> Drop for CallSpan<M> {
    #[inline]
    fn drop(&mut self) {
        if !self.span.is_disabled() {
            close(&mut self.span);
        }
    }
}

#[cold]
#[inline(never)]
fn close(span: &mut Span) {
    *span = Span::none();
}

impl CallSpan<CallNamed> {
    pub(crate) fn named(name: Name) -> Self {
        Self::of(CallNamed(name))
    }
}

impl<P> CallSpan<ByClosure<P>> {
    pub(crate) fn by(spans: P) -> Self {
        Self::of(ByClosure(spans))
    }
}

#[diagnostic::do_not_recommend]
impl<T, M> Gate<T> for CallSpan<M>
where
    T: ResultLike<Err: Display>,
    M: MakesSpan,
{
    #[inline]
    fn enter(&mut self, _: &mut Wait<'_>) -> Poll<Result<(), T>> {
        self.make.begin(&mut self.span);
        Poll::Ready(Ok(()))
    }

    #[inline]
    fn drive<P>(&mut self, call: impl FnOnce() -> P) -> P {
        if self.span.is_disabled() { call() } else { self.span.in_scope(call) }
    }

    #[inline]
    fn end(&mut self, end: End<'_, T>) {
        if !self.span.is_disabled() {
            ended(&mut self.span, &end);
        }
    }
}

/// Closes the span, now and not when the future is dropped.
#[inline(never)]
fn ended<T: ResultLike<Err: Display>>(span: &mut Span, end: &End<'_, T>) {
    let span = mem::replace(span, Span::none());
    let outcome = end.outcome_by_result();
    span.record("outcome", outcome.as_str());
    let failed = |description: fmt::Arguments<'_>| {
        span.record("otel.status_code", "ERROR");
        span.record("otel.status_description", display(description));
    };
    match end.as_result() {
        Some(Err(error)) => failed(format_args!("{error:#}")),
        None if outcome == Outcome::Panicked => failed(format_args!("panicked")),
        _ => {}
    }
}

impl<M> Renewable for CallSpan<M> {
    #[inline]
    fn release(&mut self) {} // the end of the call has left nothing
}

/// The decoration of [`.traced(..)`](crate::FnExt::traced).
#[derive(Debug, Clone)]
pub struct Traced(pub(crate) Name);

impl Decoration for Traced {
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, ".traced({:?})", self.0)
    }

    fn kind(&self) -> StepKind {
        StepKind::Immediate
    }
}

captures_nothing!(Traced);

impl<Args> GateSource<Args> for Traced {
    type Gate = CallSpan<CallNamed>;

    #[inline]
    fn gate(self, (): ()) -> Self::Gate {
        CallSpan::named(self.0)
    }

    repeats_in_place!(Args);
}

/// The decoration of [`.traced_with(..)`](crate::FnExt::traced_with): a closure that makes the span
/// from the arguments.
#[derive(Debug, Clone)]
pub(crate) struct TracedBy<P>(P);

impl<P> Decoration for TracedBy<P> {
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        SpanByArgs.describe(f)
    }
}

/// Sync calls alone capture their span. Async calls make it at their first poll.
impl<Args, P: Inspect<Args, Output = Span>> Captures<Args> for TracedBy<P> {
    type Captured = Span;

    #[inline]
    fn capture(&self, args: &Args) -> Span {
        self.0.inspect(args)
    }
}

impl<Args, P: Inspect<Args, Output = Span>> GateSource<Args> for TracedBy<P> {
    type Gate = CallSpan<Given>;
    type Repeated = CallSpan<FromArguments<P, Args>>;
    type Kept = Args;

    #[inline]
    fn gate(self, span: Span) -> Self::Gate {
        CallSpan::of(Given(span))
    }

    #[inline]
    fn keep(&self, args: &Args) -> Args
    where
        Args: Clone,
    {
        args.clone()
    }

    #[inline]
    fn repeated(self, args: Args) -> Self::Repeated {
        CallSpan::of(FromArguments { spans: self.0, args, make: P::inspect })
    }
}

/// A function with calls in spans that are made from the arguments.
#[derive(Debug, Clone)]
pub struct Spanned<C, P> {
    callable: Late<C>,
    spans: TracedBy<P>,
}

impl<C, P> Spanned<C, P> {
    pub(crate) fn new(callable: C, spans: P) -> Self {
        Self { callable: Late(callable), spans: TracedBy(spans) }
    }

    /// The function without its spans.
    pub(crate) fn callable(&self) -> &C {
        &self.callable.0
    }
}

impl<C, P, Args> CallableOnce<Args> for Spanned<C, P>
where
    C: CallableOnce<Args, Output: ResultLike<Err: Display>>,
    P: Inspect<Args, Output = Span>,
{
    type Output = C::Output;
    type Future = SpannedFuture<C, Args, C::Future, P, C::Output>;

    #[inline]
    fn call_once(self, args: Args) -> Self::Future {
        SpannedFuture::new(self.callable.call_once(args), self.spans.0)
    }

    fn name(&self) -> Name {
        CallableOnce::name(&self.callable)
    }

    #[inline]
    fn holds_back(&self) -> bool {
        CallableOnce::holds_back(&self.callable)
    }

    fn add_to(&self, chain: &mut Chain) {
        CallableOnce::add_to(&self.callable, chain);
    }
}

impl<C, P, Args> CallableMut<Args> for Spanned<C, P>
where
    C: CallableMut<Args, Output: ResultLike<Err: Display>>,
    P: Inspect<Args, Output = Span>,
{
    type Repeated = GatedCalls<LateCalls<C::Repeated>, CallSpan<FromArguments<P, Args>>, C::Output>;

    #[inline]
    fn repeated(self, args: Args) -> Self::Repeated
    where
        Args: Clone,
    {
        RepeatLayer::<Args, C::Output>::repeated(GateLayer(self.spans), args.clone(), self.callable.repeated(args))
    }
}

impl<C, P, Args> Callable<Args> for Spanned<C, P>
where
    C: Callable<Args, Output: ResultLike<Err: Display>> + CloneFunction,
    P: Inspect<Args, Output = Span> + Clone,
{
    #[inline]
    fn call_with(&self, args: Args) -> Self::Future {
        SpannedFuture::new(self.callable.call_with(args), self.spans.0.clone())
    }
}

impl<S, P: Clone, F, Args, Half> Decorates<F, Args, Half> for Spanned<S, P>
where
    S: Decorates<F, Args, Half>,
{
    type Decorated = Spanned<S::Decorated, P>;

    fn decorate(&self, function: F, place: &'static Location<'static>) -> Self::Decorated {
        Spanned { callable: self.callable.decorate(function, place), spans: self.spans.clone() }
    }
}

impl<C, P, Args> blocking::CallableOnce<Args> for Spanned<C, P>
where
    C: blocking::CallableOnce<Args, Output: ResultLike<Err: Display>>,
    P: Inspect<Args, Output = Span>,
{
    type Output = C::Output;

    #[inline]
    fn call_once(self, args: Args) -> C::Output {
        let Self { callable, spans } = self;
        let span = spans.capture(&args);
        BlockingLayer::<Args, C::Output>::around(GateLayer(spans), span, || {
            blocking::CallableOnce::call_once(callable, args)
        })
    }

    fn name(&self) -> Name {
        blocking::CallableOnce::name(&self.callable)
    }

    #[inline]
    fn holds_back(&self) -> bool {
        blocking::CallableOnce::holds_back(&self.callable)
    }

    fn add_to(&self, chain: &mut Chain) {
        blocking::CallableOnce::add_to(&self.callable, chain);
    }

    fn pause_left(&self, args: &Args) -> Duration {
        self.callable.pause_left(args)
    }
}

impl<C, P, Args> blocking::CallableMut<Args> for Spanned<C, P>
where
    C: blocking::CallableMut<Args, Output: ResultLike<Err: Display>>,
    P: Inspect<Args, Output = Span> + Clone,
{
    #[inline]
    fn call_mut(&mut self, args: Args) -> C::Output {
        let span = self.spans.capture(&args);
        let (callable, spans) = (&mut self.callable, GateLayer(self.spans.clone()));
        BlockingLayer::<Args, C::Output>::around(spans, span, || callable.call_mut(args))
    }
}

impl<C, P, Args> blocking::Callable<Args> for Spanned<C, P>
where
    C: blocking::Callable<Args, Output: ResultLike<Err: Display>>,
    P: Inspect<Args, Output = Span> + Clone,
{
    #[inline]
    fn call_with(&self, args: Args) -> C::Output {
        let span = self.spans.capture(&args);
        let spans = GateLayer(self.spans.clone());
        BlockingLayer::<Args, C::Output>::around(spans, span, || blocking::Callable::call_with(&self.callable, args))
    }
}

/// A call with a span that is made from the arguments, at the first poll.
///
/// # Cancel safety
///
/// If the future is dropped before the first poll, there is no span, and the function is not
/// called. If the future is dropped later, the call is dropped, and then the span closes with
/// `outcome="cancelled"`.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// use decor::prelude::*;
/// use tracing::info_span;
///
/// async fn fetch(id: u64) -> Result<u64, String> { Ok(id) }
///
/// let fetch = fetch.traced_with(|id: &u64| info_span!("fetch", id));
/// let call = fetch.call(42);
/// assert_eq!(format!("{call:?}"), "SpannedFuture { .. }");
/// assert_eq!(call.await, Ok(42));
/// # }
/// ```
#[must_use = "futures do nothing unless you `.await` or poll them"]
#[pin_project]
pub struct SpannedFuture<C, Args, F, P, T: ResultLike<Err: Display>> {
    #[pin]
    call: GatedFuture<LateFuture<C, Args, F>, CallSpan<Given>, T>,
    spans: P,
    // A function pointer in place of a bound, as in `LateFuture`.
    make: fn(&P, &Args) -> Span,
}

impl<C, Args, F, P, T: ResultLike<Err: Display>> SpannedFuture<C, Args, F, P, T> {
    #[inline]
    fn new(call: LateFuture<C, Args, F>, spans: P) -> Self
    where
        P: Inspect<Args, Output = Span>,
    {
        let gate = CallSpan::of(Given(Span::none()));
        Self { call: GatedFuture::new(call, gate), spans, make: P::inspect }
    }
}

impl<C, Args, F, P, T> Future for SpannedFuture<C, Args, F, P, T>
where
    F: Future<Output = T>,
    T: ResultLike<Err: Display>,
{
    type Output = T;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let mut this = self.project();
        if let Some((call, gate)) = this.call.as_mut().before_first_poll() {
            if let Some(args) = call.due_args() {
                gate.make = Given((this.make)(this.spans, args));
            }
        }
        this.call.poll(cx)
    }
}

impl<C, Args, F, P, T: ResultLike<Err: Display>> fmt::Debug for SpannedFuture<C, Args, F, P, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpannedFuture").finish_non_exhaustive()
    }
}

/// The text of [`.traced_with(..)`](crate::FnExt::traced_with). [`Spanned`] does the work, because
/// a layer does not see the arguments at the first poll.
#[derive(Debug, Clone)]
pub struct SpanByArgs;

impl Decoration for SpanByArgs {
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(".traced_with(..)")
    }

    fn kind(&self) -> StepKind {
        StepKind::Immediate
    }
}

captures_nothing!(SpanByArgs);

impl<Args, T> Layer<Args, T> for SpanByArgs {
    type Output = T;
    type Future<F: Future<Output = T>> = F;

    #[inline]
    fn around<F: Future<Output = T>>(self, (): (), call: F) -> F {
        call
    }
}

impl<Args, T> RepeatLayer<Args, T> for SpanByArgs {
    type Kept = ();
    type Repeated<A: Repeat<Output = T>> = A;

    #[inline]
    fn keep(&self, _: &Args)
    where
        Args: Clone,
    {
    }

    #[inline]
    fn repeated<A: Repeat<Output = T>>(self, (): (), calls: A) -> A {
        calls
    }
}

impl<Args, T> BlockingLayer<Args, T> for SpanByArgs {
    type Output = T;

    #[inline]
    fn around(self, (): (), call: impl FnOnce() -> T) -> T {
        call()
    }
}

// The model checker does without subscribers.
#[cfg(all(test, not(shuttle)))]
mod tests {
    use super::*;
    use crate::layer::wait_blocking;
    use std::sync::mpsc::{Sender, channel};
    use tracing::{Subscriber, span::Id, subscriber::with_default};
    use tracing_subscriber::{
        layer::{self, SubscriberExt},
        registry,
    };

    struct Closed(Sender<()>);

    impl<S: Subscriber> tracing_subscriber::Layer<S> for Closed {
        fn on_close(&self, _: Id, _: layer::Context<'_, S>) {
            self.0.send(()).unwrap();
        }
    }

    #[test]
    fn a_gate_that_learns_of_no_end_closes_its_span() {
        let (tell, told) = channel();
        with_default(registry().with(Closed(tell)), || {
            let mut gate = CallSpan::named("fetch".into());
            wait_blocking(|wait| Gate::<Result<(), String>>::enter(&mut gate, wait)).unwrap();
            assert!(!gate.span.is_disabled());
            assert!(told.try_recv().is_err());
            drop(gate);
            assert_eq!(told.try_recv(), Ok(()));
        });
    }
}
