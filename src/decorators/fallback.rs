//! Another answer in place of a failure, from a closure or from another function.

use crate::{
    Name,
    call::{
        CallableMut, CallableOnce, Called, Describe, LateCalls, LateFuture, Repeat, Stop,
        arity::for_each_arity,
        blocking, called,
        mode::{AsyncHalf, BlockingHalf},
    },
    describe::{Chain, StepKind},
    layer::{BlockingLayer, Captures, Decoration, Layer, RepeatLayer},
    thread::unwind_if_cancelled,
};
use pin_project::pin_project;
use std::{
    fmt,
    future::Future,
    mem,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

/// A closure that answers for a failed call: it takes the error and the arguments, each by value.
///
/// `T` is the output of the call, a `Result`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot answer for a failed call with the arguments `{Args}`",
    note = "take the error and then each argument by value, with its type written: `|error: ApiError, id: u64| async move {{ .. }}`",
    note = "the answer is a `Result` of the function's type; behind `.blocking()` the closure returns it without a future"
)]
pub trait Answers<Args, Half, T> {
    /// The error of the call.
    type Err;
    /// The future of the answer, or the answer of a sync function.
    type Returned;

    /// Calls the closure.
    fn answer(&mut self, error: Self::Err, args: Args) -> Self::Returned;
}

macro_rules! closures_answer {
    ($Call:ident; $($A:ident $a:ident),*) => {
        impl<Func, Fut, T, Err, $($A),*> Answers<($($A,)*), AsyncHalf, Result<T, Err>> for Func
        where
            Func: FnMut(Err, $($A),*) -> Fut,
            Fut: Future<Output = Result<T, Err>>,
        {
            type Err = Err;
            type Returned = Fut;

            #[inline]
            fn answer(&mut self, error: Err, ($($a,)*): ($($A,)*)) -> Fut {
                self(error, $($a),*)
            }
        }

        impl<Func, T, Err, $($A),*> Answers<($($A,)*), BlockingHalf, Result<T, Err>> for Func
        where
            Func: FnMut(Err, $($A),*) -> Result<T, Err>,
        {
            type Err = Err;
            type Returned = Result<T, Err>;

            #[inline]
            fn answer(&mut self, error: Err, ($($a,)*): ($($A,)*)) -> Result<T, Err> {
                self(error, $($a),*)
            }
        }
    };
}
for_each_arity!(closures_answer);

/// The decoration of [`.fallback(..)`](crate::FnExt::fallback).
#[derive(Debug, Clone)]
pub struct Fallback<H>(pub(crate) H);

/// The decoration of [`.fallback_to(..)`](crate::FnExt::fallback_to).
#[derive(Clone)]
pub struct FallbackTo<O> {
    other: O,
    describe: Describe<O>,
}

impl<O> FallbackTo<O> {
    pub(crate) fn new(other: O, describe: Describe<O>) -> Self {
        Self { other, describe }
    }
}

impl<H> Decoration for Fallback<H> {
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(".fallback(..)")
    }

    fn kind(&self) -> StepKind {
        StepKind::Fallback
    }
}

impl<O> Decoration for FallbackTo<O> {
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let other = Chain::of(|chain| self.describe.add_to(&self.other, chain));
        write!(f, ".fallback_to({other:?})")
    }

    fn kind(&self) -> StepKind {
        StepKind::Fallback
    }
}

impl<O> fmt::Debug for FallbackTo<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Decoration::describe(self, f)
    }
}

impl<Args: Clone, H> Captures<Args> for Fallback<H> {
    type Captured = Args;

    #[inline]
    fn capture(&self, args: &Args) -> Args {
        args.clone()
    }
}

impl<Args: Clone, O> Captures<Args> for FallbackTo<O> {
    type Captured = Args;

    #[inline]
    fn capture(&self, args: &Args) -> Args {
        args.clone()
    }
}

/// The answer to a failure: a future that begins when it is given the error.
pub trait Answer<E>: Future {
    /// Begins the answer. The future is polled only after this.
    fn begin(self: Pin<&mut Self>, error: E);
}

/// The future of a [`.fallback(..)`](crate::FnExt::fallback) or
/// [`.fallback_to(..)`](crate::FnExt::fallback_to) call.
///
/// # Cancel safety
///
/// Dropping the future drops the call, or the answer that has begun. No answer begins then.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// use decor::prelude::*;
///
/// async fn fetch(id: u64) -> Result<u64, String> { Err("busy".into()) }
///
/// let fetch = fetch.fallback(|_: String, id: u64| async move { Ok(id) });
/// let call = fetch.call(42);
/// assert_eq!(format!("{call:?}"), "FallbackFuture { has_failed: false, .. }");
/// assert_eq!(call.await, Ok(42));
/// # }
/// ```
#[must_use = "futures do nothing unless you `.await` or poll them"]
#[pin_project]
pub struct FallbackFuture<F, A> {
    #[pin]
    call: F,
    /// `true` from the failure of the call on.
    has_failed: bool,
    #[pin]
    answer: A,
}

impl<F, A> FallbackFuture<F, A> {
    #[inline]
    fn new(call: F, answer: A) -> Self {
        Self { call, has_failed: false, answer }
    }
}

impl<F, A, T, E> Future for FallbackFuture<F, A>
where
    F: Stop<Output = Result<T, E>>,
    A: Answer<E, Output = Result<T, E>>,
{
    type Output = Result<T, E>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T, E>> {
        let mut this = self.project();
        if !*this.has_failed {
            match ready!(this.call.as_mut().poll(cx)) {
                Ok(value) => return Poll::Ready(Ok(value)),
                Err(error) => {
                    // Frees everything that the call held before the answer begins.
                    this.call.stop();
                    *this.has_failed = true;
                    this.answer.as_mut().begin(error);
                }
            }
        }
        this.answer.poll(cx)
    }
}

impl<F, A, T, E> Stop for FallbackFuture<F, A>
where
    F: Stop<Output = Result<T, E>>,
    A: Answer<E, Output = Result<T, E>> + Stop,
{
    #[inline]
    fn stop(self: Pin<&mut Self>) {
        let this = self.project();
        this.call.stop();
        this.answer.stop();
    }
}

impl<F, A, T, E> Repeat for FallbackFuture<F, A>
where
    F: Repeat<Output = Result<T, E>>,
    A: Answer<E, Output = Result<T, E>> + Repeat,
{
    #[inline]
    fn start(self: Pin<&mut Self>, last: bool) {
        let this = self.project();
        *this.has_failed = false;
        this.answer.start(last);
        this.call.start(last);
    }

    fn name(&self) -> Name {
        self.call.name()
    }

    #[inline]
    fn holds_back(&self) -> bool {
        self.call.holds_back()
    }

    fn pause_left(&self) -> Duration {
        self.call.pause_left().max(self.answer.pause_left())
    }
}

impl<F, A> fmt::Debug for FallbackFuture<F, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FallbackFuture").field("has_failed", &self.has_failed).finish_non_exhaustive()
    }
}

/// The arguments of the next answer.
// One word with the arguments, because each call writes it.
enum Kept<Args> {
    /// For the last answer, which takes them.
    ForLast(Args),
    /// For an answer that another may follow, which takes a clone.
    ForMore(Args),
    /// The last answer has begun.
    Taken,
}

impl<Args> Kept<Args> {
    fn next(&mut self) -> Args
    where
        Args: Clone,
    {
        if let Self::ForMore(args) = self {
            return args.clone();
        }
        self.take().expect("the last answer has taken the arguments")
    }

    fn take(&mut self) -> Option<Args> {
        match mem::replace(self, Self::Taken) {
            Self::ForLast(args) | Self::ForMore(args) => Some(args),
            Self::Taken => None,
        }
    }
}

/// The answer of a closure.
#[pin_project]
pub struct ClosureAnswer<H, Args, E, Fut> {
    handler: H,
    args: Kept<Args>,
    // A function pointer, and no bounds on `H`: see `LateFuture`.
    begin: fn(&mut H, E, Args, Pin<&mut Option<Fut>>),
    #[pin]
    answer: Option<Fut>,
}

impl<H, Args, E, Fut: Future> ClosureAnswer<H, Args, E, Fut> {
    #[inline]
    fn new<T>(handler: H, args: Args) -> Self
    where
        H: Answers<Args, AsyncHalf, T, Err = E, Returned = Fut>,
    {
        Self {
            handler,
            args: Kept::ForLast(args),
            begin: |handler, error, args, mut answer| answer.set(Some(handler.answer(error, args))),
            answer: None,
        }
    }
}

impl<H, Args: Clone, E, Fut: Future> Answer<E> for ClosureAnswer<H, Args, E, Fut> {
    #[cold]
    fn begin(self: Pin<&mut Self>, error: E) {
        let this = self.project();
        called::mark(false);
        (this.begin)(this.handler, error, this.args.next(), this.answer);
    }
}

impl<H, Args, E, Fut: Future> Future for ClosureAnswer<H, Args, E, Fut> {
    type Output = Fut::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Fut::Output> {
        let answer = self.project().answer.as_pin_mut();
        answer.expect("an answer polled before the call has failed").poll(cx)
    }
}

impl<H, Args, E, Fut: Future> Stop for ClosureAnswer<H, Args, E, Fut> {
    #[inline]
    fn stop(self: Pin<&mut Self>) {
        self.project().answer.set(None);
    }
}

impl<H, Args, E, Fut: Future> Repeat for ClosureAnswer<H, Args, E, Fut> {
    #[inline]
    fn start(mut self: Pin<&mut Self>, last: bool) {
        self.as_mut().stop();
        let args = self.project().args;
        if let Some(kept) = args.take() {
            *args = if last { Kept::ForLast(kept) } else { Kept::ForMore(kept) };
        }
    }

    fn name(&self) -> Name {
        Name::of_function::<H>()
    }
}

impl<H, Args, E, Fut> fmt::Debug for ClosureAnswer<H, Args, E, Fut> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClosureAnswer").field("begun", &self.answer.is_some()).finish_non_exhaustive()
    }
}

/// The call of another function. It needs no error.
impl<C, Args, F: Future, E> Answer<E> for LateFuture<C, Args, F> {
    fn begin(self: Pin<&mut Self>, _: E) {}
}

impl<A: Repeat, E> Answer<E> for LateCalls<A> {
    fn begin(self: Pin<&mut Self>, _: E) {}
}

impl<Args, H, T, E> Layer<Args, Result<T, E>> for Fallback<H>
where
    Args: Clone,
    H: Answers<Args, AsyncHalf, Result<T, E>, Err = E, Returned: Future<Output = Result<T, E>>>,
{
    type Output = Result<T, E>;
    type Future<F: Future<Output = Result<T, E>>> = FallbackFuture<Called<F>, ClosureAnswer<H, Args, E, H::Returned>>;

    #[inline]
    fn around<F: Future<Output = Result<T, E>>>(self, args: Args, call: F) -> Self::Future<F> {
        FallbackFuture::new(Called::new(call), ClosureAnswer::new(self.0, args))
    }
}

impl<Args, H, T, E> RepeatLayer<Args, Result<T, E>> for Fallback<H>
where
    Args: Clone,
    H: Answers<Args, AsyncHalf, Result<T, E>, Err = E, Returned: Future<Output = Result<T, E>>>,
{
    type Kept = Args;
    type Repeated<A: Repeat<Output = Result<T, E>>> = FallbackFuture<A, ClosureAnswer<H, Args, E, H::Returned>>;

    #[inline]
    fn keep(&self, args: &Args) -> Args {
        args.clone()
    }

    #[inline]
    fn repeated<A: Repeat<Output = Result<T, E>>>(self, args: Args, calls: A) -> Self::Repeated<A> {
        FallbackFuture::new(calls, ClosureAnswer::new(self.0, args))
    }
}

impl<Args, H, T, E> BlockingLayer<Args, Result<T, E>> for Fallback<H>
where
    Args: Clone,
    H: Answers<Args, BlockingHalf, Result<T, E>, Err = E, Returned = Result<T, E>>,
{
    type Output = Result<T, E>;

    #[inline]
    fn around(mut self, args: Args, call: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        call().or_else(|error| {
            unwind_if_cancelled();
            called::mark_blocking(false);
            self.0.answer(error, args)
        })
    }
}

impl<Args, O, T, E> Layer<Args, Result<T, E>> for FallbackTo<O>
where
    Args: Clone,
    O: CallableOnce<Args, Output = Result<T, E>>,
{
    type Output = Result<T, E>;
    type Future<F: Future<Output = Result<T, E>>> = FallbackFuture<Called<F>, LateFuture<O, Args, O::Future>>;

    #[inline]
    fn around<F: Future<Output = Result<T, E>>>(self, args: Args, call: F) -> Self::Future<F> {
        FallbackFuture::new(Called::new(call), LateFuture::new(self.other, args))
    }
}

impl<Args, O, T, E> RepeatLayer<Args, Result<T, E>> for FallbackTo<O>
where
    Args: Clone,
    O: CallableMut<Args, Output = Result<T, E>>,
{
    type Kept = Args;
    type Repeated<A: Repeat<Output = Result<T, E>>> = FallbackFuture<A, LateCalls<O::Repeated>>;

    #[inline]
    fn keep(&self, args: &Args) -> Args {
        args.clone()
    }

    #[inline]
    fn repeated<A: Repeat<Output = Result<T, E>>>(self, args: Args, calls: A) -> Self::Repeated<A> {
        FallbackFuture::new(calls, LateCalls::new(self.other.repeated(args)))
    }
}

impl<Args, O, T, E> BlockingLayer<Args, Result<T, E>> for FallbackTo<O>
where
    Args: Clone,
    O: blocking::CallableOnce<Args, Output = Result<T, E>>,
{
    type Output = Result<T, E>;

    #[inline]
    fn around(self, args: Args, call: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        call().or_else(|_| {
            unwind_if_cancelled();
            called::mark_blocking(self.other.holds_back());
            self.other.call_once(args)
        })
    }

    fn pause_left(&self, args: &Args) -> Duration {
        self.other.pause_left(args)
    }
}
