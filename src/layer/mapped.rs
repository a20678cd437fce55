//! Changes of a call's output: one future and one layer for all decorators that change it.

use super::{BlockingLayer, Decoration, Layer, RepeatLayer, captures_nothing, decoration::Shown};
use crate::{
    Name,
    call::{Repeat, Stop},
    describe::StepKind,
};
use pin_project::pin_project;
use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

/// Changes the output of a call.
pub trait Change<T>: Decoration {
    /// The output after the change.
    type Output;

    /// Changes the output.
    fn change(&mut self, output: T) -> Self::Output;
}

/// A call with a changed output: the future of `.lifted()`, `.fallible()`, `.map_err(..)` and
/// `.err_into()`.
///
/// # Cancel safety
///
/// The cancel safety of the call.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// use decor::prelude::*;
/// use std::future::ready;
///
/// let call = ready(7).fallible();
/// assert_eq!(format!("{call:?}"), "MappedFuture { change: .fallible(), .. }");
/// assert_eq!(call.await, Ok(7));
/// # }
/// ```
#[must_use = "futures do nothing unless you `.await` or poll them"]
#[pin_project]
pub struct MappedFuture<F, M> {
    #[pin]
    call: F,
    change: M,
}

impl<F, M> MappedFuture<F, M> {
    #[inline]
    pub(crate) fn new(call: F, change: M) -> Self {
        Self { call, change }
    }
}

impl<F: Future, M: Change<F::Output>> Future for MappedFuture<F, M> {
    type Output = M::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<M::Output> {
        let this = self.project();
        let output = ready!(this.call.poll(cx));
        Poll::Ready(this.change.change(output))
    }
}

impl<F: Stop, M: Change<F::Output>> Stop for MappedFuture<F, M> {
    fn stop(self: Pin<&mut Self>) {
        self.project().call.stop();
    }
}

impl<A: Repeat, M: Change<A::Output>> Repeat for MappedFuture<A, M> {
    fn start(self: Pin<&mut Self>, last: bool) {
        self.project().call.start(last);
    }

    fn name(&self) -> Name {
        self.call.name()
    }

    #[inline]
    fn holds_back(&self) -> bool {
        self.call.holds_back()
    }

    fn pause_left(&self) -> Duration {
        self.call.pause_left()
    }
}

impl<F, M: Decoration> fmt::Debug for MappedFuture<F, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let change = Shown(&self.change);
        f.debug_struct("MappedFuture").field("change", &format_args!("{change}")).finish_non_exhaustive()
    }
}

/// The layer of every change.
#[derive(Debug, Clone)]
pub struct Mapped<M>(pub(crate) M);

impl<M: Decoration> Decoration for Mapped<M> {
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.describe(f)
    }

    fn kind(&self) -> StepKind {
        self.0.kind()
    }
}

captures_nothing!(Mapped<M>, M);

impl<Args, T, M: Change<T>> Layer<Args, T> for Mapped<M> {
    type Output = M::Output;
    type Future<F: Future<Output = T>> = MappedFuture<F, M>;

    #[inline]
    fn around<F: Future<Output = T>>(self, (): (), call: F) -> Self::Future<F> {
        MappedFuture::new(call, self.0)
    }
}

impl<Args, T, M: Change<T>> RepeatLayer<Args, T> for Mapped<M> {
    type Kept = ();
    type Repeated<A: Repeat<Output = T>> = MappedFuture<A, M>;

    #[inline]
    fn keep(&self, _: &Args)
    where
        Args: Clone,
    {
    }

    #[inline]
    fn repeated<A: Repeat<Output = T>>(self, (): (), call: A) -> Self::Repeated<A> {
        MappedFuture::new(call, self.0)
    }
}

impl<Args, T, M: Change<T>> BlockingLayer<Args, T> for Mapped<M> {
    type Output = M::Output;

    #[inline]
    fn around(mut self, (): (), call: impl FnOnce() -> T) -> M::Output {
        self.0.change(call())
    }
}
