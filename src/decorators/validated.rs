//! Refusing arguments before the function sees them.

use crate::{
    Error, Fallible,
    call::{Repeat, Stop, args::Inspect, name::Name},
    layer::{BlockingLayer, Captures, Decoration, Layer, RepeatLayer},
};
use pin_project::pin_project;
use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

/// The decoration of [`.validated(..)`](crate::FnExt::validated).
#[derive(Debug, Clone)]
pub struct Validated<V>(pub(crate) V);

impl<V> Decoration for Validated<V> {
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(".validated(..)")
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
    type Repeated<A: Repeat<Output = T>> = ValidatedFuture<A>;

    #[inline]
    fn repeated<A: Repeat<Output = T>>(self, refusal: Option<String>, calls: A) -> ValidatedFuture<A> {
        ValidatedFuture { refusal, call: Some(calls) }
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

/// A call with checked arguments, or its refusal.
#[must_use = "futures do nothing unless you `.await` or poll them"]
#[pin_project]
#[derive(Debug)]
pub struct ValidatedFuture<F> {
    refusal: Option<String>,
    /// `None` if the arguments were refused, and the function was not called.
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
            (None, None) => unreachable!("a call that was not made has been refused"),
        }
    }
}

impl<A> Stop for ValidatedFuture<A>
where
    A: Repeat,
    A::Output: Fallible,
{
    fn stop(self: Pin<&mut Self>) {
        if let Some(calls) = self.project().call.as_pin_mut() {
            calls.stop();
        }
    }
}

impl<A> Repeat for ValidatedFuture<A>
where
    A: Repeat,
    A::Output: Fallible,
{
    fn start(self: Pin<&mut Self>, last: bool) {
        if let Some(calls) = self.project().call.as_pin_mut() {
            calls.start(last);
        }
    }

    fn label(&self) -> Name {
        self.call.as_ref().expect("there are calls to repeat").label()
    }
}
