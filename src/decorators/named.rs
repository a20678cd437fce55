//! A name for a function without a good one.

use crate::{
    Name,
    call::{Repeat, Stop},
    describe::StepKind,
    layer::{BlockingLayer, Decoration, Layer, RepeatLayer, captures_nothing},
};
use pin_project::pin_project;
use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

/// The decoration of [`.named(..)`](crate::FnExt::named).
#[derive(Debug, Clone)]
pub struct Named(pub(crate) Name);

impl Decoration for Named {
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, ".named({:?})", self.0)
    }

    fn kind(&self) -> StepKind {
        StepKind::Immediate
    }

    fn rename(&self) -> Option<&Name> {
        Some(&self.0)
    }
}

captures_nothing!(Named);

impl<Args, T> Layer<Args, T> for Named {
    type Output = T;
    type Future<F: Future<Output = T>> = F;

    #[inline]
    fn around<F: Future<Output = T>>(self, (): (), call: F) -> F {
        call
    }
}

impl<Args, T> RepeatLayer<Args, T> for Named {
    type Kept = ();
    type Repeated<A: Repeat<Output = T>> = NamedCalls<A>;

    #[inline]
    fn keep(&self, _: &Args)
    where
        Args: Clone,
    {
    }

    #[inline]
    fn repeated<A: Repeat<Output = T>>(self, (): (), calls: A) -> NamedCalls<A> {
        NamedCalls { calls, name: self.0 }
    }
}

impl<Args, T> BlockingLayer<Args, T> for Named {
    type Output = T;

    #[inline]
    fn around(self, (): (), call: impl FnOnce() -> T) -> T {
        call()
    }
}

/// Repeated calls with another name.
#[pin_project]
#[derive(Debug)]
pub struct NamedCalls<A> {
    #[pin]
    calls: A,
    name: Name,
}

impl<A: Future> Future for NamedCalls<A> {
    type Output = A::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<A::Output> {
        self.project().calls.poll(cx)
    }
}

impl<A: Stop> Stop for NamedCalls<A> {
    fn stop(self: Pin<&mut Self>) {
        self.project().calls.stop();
    }
}

impl<A: Repeat> Repeat for NamedCalls<A> {
    #[inline]
    fn start(self: Pin<&mut Self>, last: bool) {
        self.project().calls.start(last);
    }

    fn name(&self) -> Name {
        self.name.clone()
    }

    fn pause_left(&self) -> Duration {
        self.calls.pause_left()
    }
}
