//! A call that has not begun: the function and its arguments, until the first poll.

use pin_project::pin_project;
use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

/// The future of a function: calls the function at the first poll, and becomes its future.
///
/// `.call(..)` on a decorated function makes one at the heart of the chain. No function of a chain
/// is therefore called before its decorators let it through: not an async function, not a closure
/// that does some of its work before it returns its future.
///
/// # Cancel safety
///
/// As the function's own future. Dropped before the first poll, the function is never called.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// use decor::{CallableOnce, future::Late};
/// use std::{cell::Cell, future::{Ready, ready}};
///
/// let called = Cell::new(false);
/// let double = |n: u32| { called.set(true); ready(n * 2) };
/// let call: Late<_, (u32,), Ready<u32>> = double.call_once((21,));
/// assert!(!called.get());
/// assert_eq!(call.await, 42);
/// # }
/// ```
#[must_use = "futures do nothing unless you `.await` or poll them"]
#[pin_project]
pub struct Late<F, Args, Fut>(#[pin] State<F, Args, Fut>);

/// The function pointer keeps the future free of bounds on `F`. Inside a task, where rustc erases
/// lifetimes, such a bound is "not general enough" for arguments such as `&'static str`, and for
/// closures that borrow.
#[pin_project(project = StateProj, project_replace = StateReplaced)]
enum State<F, Args, Fut> {
    Due {
        function: F,
        args: Args,
        call: fn(F, Args) -> Fut,
    },
    Called(#[pin] Fut),
    /// While the function is called, and afterwards if it panicked.
    Calling,
}

impl<F, Args, Fut> Late<F, Args, Fut> {
    #[inline]
    pub(crate) fn new(function: F, args: Args, call: fn(F, Args) -> Fut) -> Self {
        Self(State::Due { function, args, call })
    }
}

impl<F, Args, Fut: Future> Future for Late<F, Args, Fut> {
    type Output = Fut::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Fut::Output> {
        let mut state = self.project().0;
        if let StateProj::Due { .. } = state.as_mut().project() {
            let StateReplaced::Due { function, args, call } = state.as_mut().project_replace(State::Calling) else {
                unreachable!("it is due");
            };
            state.set(State::Called(call(function, args)));
        }
        match state.project() {
            StateProj::Called(call) => call.poll(cx),
            _ => panic!("`Late` polled after its function panicked"),
        }
    }
}

impl<F, Args, Fut> fmt::Debug for Late<F, Args, Fut> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let called = !matches!(self.0, State::Due { .. });
        f.debug_struct("Late").field("called", &called).finish_non_exhaustive()
    }
}
