//! A call whose function is called at the first poll.

use crate::call::CallableOnce;
use pin_project::pin_project;
use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

/// A call whose function is called at the first poll: the future of a decorated function without
/// arguments that is awaited directly.
///
/// `F` is the future of the function itself, as a type parameter. With a projection of `C` in its
/// place, rustc would reject arguments such as `&'static str` inside a task.
///
/// # Cancel safety
///
/// Dropped before the first poll, it drops the function and the arguments. Dropped later, it drops
/// the call.
///
/// # Examples
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
pub struct LateFuture<C, Args, F> {
    #[pin]
    state: State<C, Args, F>,
}

#[pin_project(project = StateProj, project_replace = StateReplaced)]
enum State<C, Args, F> {
    Due {
        call: fn(C, Args) -> F,
        callable: C,
        args: Args,
    },
    Called(#[pin] F),
    /// The call has completed, or the function has panicked before it returned a future.
    Ended,
}

impl<C, Args, F> LateFuture<C, Args, F> {
    #[inline]
    pub(crate) fn new(callable: C, args: Args) -> Self
    where
        C: CallableOnce<Args, Future = F>,
    {
        Self { state: State::Due { call: C::call_once, callable, args } }
    }
}

// `call` is a function pointer, so that this impl needs no bound `C: CallableOnce<Args, Future =
// F>`. With the bound, rustc fails for closures that borrow: inside a task it erases lifetimes, and
// would have to prove the bound for all of them.
impl<C, Args, F: Future> Future for LateFuture<C, Args, F> {
    type Output = F::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let mut state = self.project().state;
        if let StateProj::Due { .. } = state.as_mut().project() {
            let StateReplaced::Due { call, callable, args } = state.as_mut().project_replace(State::Ended) else {
                unreachable!("it is due");
            };
            state.set(State::Called(call(callable, args)));
        }
        let StateProj::Called(call) = state.as_mut().project() else {
            panic!("`LateFuture` polled after it completed");
        };
        let output = ready!(call.poll(cx));
        state.set(State::Ended);
        Poll::Ready(output)
    }
}

impl<C, Args, F> fmt::Debug for LateFuture<C, Args, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let called = !matches!(self.state, State::Due { .. });
        f.debug_struct("LateFuture").field("called", &called).finish_non_exhaustive()
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
            type IntoFuture = $crate::late::LateFuture<$Wrapper, (), <$Wrapper as $crate::CallableOnce<()>>::Future>;

            fn into_future(self) -> Self::IntoFuture {
                $crate::late::LateFuture::new(self, ())
            }
        }
    };
}

pub(crate) use awaited_directly;
