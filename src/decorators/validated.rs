//! Checks of arguments before the function is called.

use crate::{
    Error, Fallible, Name,
    call::{Repeat, Stop, args::Inspect, called},
    describe::StepKind,
    layer::{BlockingLayer, Captures, Decoration, Layer, RepeatLayer},
};
use pin_project::pin_project;
use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

/// The decoration of [`.validated(..)`](crate::FnExt::validated).
#[derive(Debug, Clone)]
pub struct Validated<V>(pub(crate) V);

impl<V> Decoration for Validated<V> {
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(".validated(..)")
    }

    fn kind(&self) -> StepKind {
        StepKind::Immediate
    }

    #[inline]
    fn may_refuse(&self) -> bool {
        true
    }
}

impl<V, M, Args> Captures<Args> for Validated<V>
where
    V: Inspect<Args, Output = Result<(), M>>,
    M: fmt::Display,
{
    /// The reason for a refusal, as text.
    type Captured = Option<String>;

    #[inline]
    fn capture(&self, args: &Args) -> Option<String> {
        self.0.inspect(args).err().map(|reason| reason.to_string())
    }
}

impl<V, M, Args, T> Layer<Args, T> for Validated<V>
where
    V: Inspect<Args, Output = Result<(), M>>,
    M: fmt::Display,
    T: Fallible,
{
    type Output = T;
    type Future<F: Future<Output = T>> = ValidatedFuture<F>;

    #[inline]
    fn around<F: Future<Output = T>>(self, refusal: Option<String>, call: F) -> ValidatedFuture<F> {
        ValidatedFuture { refusal, call: Some(call) }
    }

    #[inline]
    fn refuses(&self, refusal: &Option<String>) -> bool {
        refusal.is_some()
    }

    fn refused<F: Future<Output = T>>(self, refusal: Option<String>) -> ValidatedFuture<F> {
        ValidatedFuture { refusal, call: None }
    }
}

impl<V, M, Args, T> RepeatLayer<Args, T> for Validated<V>
where
    V: Inspect<Args, Output = Result<(), M>>,
    M: fmt::Display,
    T: Fallible,
{
    type Kept = Args;
    type Repeated<A: Repeat<Output = T>> = ValidatedCalls<A, V, Args>;

    #[inline]
    fn keep(&self, args: &Args) -> Args
    where
        Args: Clone,
    {
        args.clone()
    }

    #[inline]
    fn repeated<A: Repeat<Output = T>>(self, args: Args, calls: A) -> Self::Repeated<A> {
        ValidatedCalls { calls, validated: self, args, refusal_of: Self::capture, refusal: None }
    }
}

impl<V, M, Args, T> BlockingLayer<Args, T> for Validated<V>
where
    V: Inspect<Args, Output = Result<(), M>>,
    M: fmt::Display,
    T: Fallible,
{
    type Output = T;

    #[inline]
    fn around(self, refusal: Option<String>, call: impl FnOnce() -> T) -> T {
        match refusal {
            None => call(),
            Some(message) => refused(message),
        }
    }
}

#[cold]
fn refused<T: Fallible>(message: String) -> T {
    T::from_policy(Error::InvalidArgument { message })
}

/// A call with validated arguments, or its refusal.
#[must_use = "futures do nothing unless you `.await` or poll them"]
#[pin_project]
#[derive(Debug)]
pub struct ValidatedFuture<F> {
    /// Reason for the refusal; `None` if the arguments are valid.
    refusal: Option<String>,
    /// `None` if the arguments were refused. The function was not called then.
    #[pin]
    call: Option<F>,
}

impl<F> Future for ValidatedFuture<F>
where
    F: Future,
    F::Output: Fallible,
{
    type Output = F::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        match (this.refusal, this.call.as_pin_mut()) {
            (None, Some(call)) => call.poll(cx),
            (Some(message), _) => Poll::Ready(refused(message.clone())),
            (None, None) => unreachable!("a call without a future has a refusal"),
        }
    }
}

/// Repeated calls. Each of them validates the arguments.
#[pin_project]
pub struct ValidatedCalls<A, V, Args> {
    #[pin]
    calls: A,
    validated: Validated<V>,
    args: Args,
    refusal_of: fn(&Validated<V>, &Args) -> Option<String>,
    /// Reason for the refusal of the call in progress; `None` if its arguments are valid.
    refusal: Option<String>,
}

impl<A, V, Args> Future for ValidatedCalls<A, V, Args>
where
    A: Repeat,
    A::Output: Fallible,
{
    type Output = A::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<A::Output> {
        let this = self.project();
        match this.refusal.take() {
            None => {
                called::mark(this.calls.holds_back());
                this.calls.poll(cx)
            }
            Some(message) => Poll::Ready(refused(message)),
        }
    }
}

impl<A, V, Args> Stop for ValidatedCalls<A, V, Args>
where
    A: Repeat,
    A::Output: Fallible,
{
    fn stop(self: Pin<&mut Self>) {
        self.project().calls.stop();
    }
}

impl<A, V, Args> Repeat for ValidatedCalls<A, V, Args>
where
    A: Repeat,
    A::Output: Fallible,
{
    fn start(self: Pin<&mut Self>, last: bool) {
        let this = self.project();
        // Written in place. A `None` that is copied from the stack is read wider than it was
        // written, which stalls the processor.
        match (this.refusal_of)(this.validated, this.args) {
            None => {
                *this.refusal = None;
                this.calls.start(last);
            }
            refusal => {
                *this.refusal = refusal;
                this.calls.stop();
            }
        }
    }

    fn name(&self) -> Name {
        self.calls.name()
    }

    #[inline]
    fn holds_back(&self) -> bool {
        true
    }

    fn pause_left(&self) -> Duration {
        self.calls.pause_left()
    }
}

impl<A, V, Args> fmt::Debug for ValidatedCalls<A, V, Args> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ValidatedCalls").field("refusal", &self.refusal).finish_non_exhaustive()
    }
}
