//! What awaiting an argument-less chain does.

use crate::CallableOnce;
use pin_project::pin_project;
use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

/// An argument-less chain being awaited: the function is called at the first poll.
///
/// Made by `.await` (or [`IntoFuture::into_future`]) on any decorated function without arguments.
///
/// # Cancel safety
///
/// Dropping it drops the call.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// use decor::prelude::*;
/// use std::{cell::Cell, future::{IntoFuture, ready}};
///
/// let called = Cell::new(false);
/// let awaited = (|| { called.set(true); ready(42) }).timed("answer").into_future();
/// assert!(!called.get());
/// assert_eq!(awaited.await, 42);
/// assert!(called.get());
/// # }
/// ```
#[must_use = "futures do nothing unless you `.await` or poll them"]
#[pin_project]
pub struct Lazy<C: CallableOnce<()>> {
    callable: Option<C>,
    #[pin]
    call: Option<C::Future>,
}

impl<C: CallableOnce<()>> Lazy<C> {
    pub(crate) fn new(callable: C) -> Self {
        Self { callable: Some(callable), call: None }
    }
}

impl<C: CallableOnce<()>> Future for Lazy<C> {
    type Output = C::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<C::Output> {
        let mut this = self.project();
        if let Some(callable) = this.callable.take() {
            this.call.set(Some(callable.call_once(())));
        }
        let call = this.call.as_mut().as_pin_mut().expect("`Lazy` polled after it completed");
        let output = ready!(call.poll(cx));
        this.call.set(None);
        Poll::Ready(output)
    }
}

impl<C: CallableOnce<()>> fmt::Debug for Lazy<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let called = self.callable.is_none();
        f.debug_struct("Lazy").field("called", &called).finish_non_exhaustive()
    }
}

/// `.await` on a chain without arguments, for each wrapper that `.await` can meet.
macro_rules! awaited_directly {
    ($Wrapper:ty, $($Param:ident),*) => {
        impl<$($Param),*> IntoFuture for $Wrapper
        where
            $Wrapper: $crate::CallableOnce<()>, // with arguments, `.call(..)` first
        {
            type Output = <$Wrapper as $crate::CallableOnce<()>>::Output;
            type IntoFuture = $crate::lazy::Lazy<$Wrapper>;

            fn into_future(self) -> Self::IntoFuture {
                $crate::lazy::Lazy::new(self)
            }
        }
    };
}

pub(crate) use awaited_directly;
