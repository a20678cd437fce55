//! Calls that begin at their first poll. Until then they hold the function and its arguments.

use super::{Callable, CallableMut, CallableOnce, Repeat, Stop, blocking, called};
use crate::{Name, describe::Chain};
use pin_project::pin_project;
use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

/// A function that is called when the future of the call is first polled.
///
/// Stands inside every decorator that may hold a call back or refuse it. The decorator polls the
/// future only after it has let the call through. Work that a closure does before it returns its
/// future therefore waits as well.
#[derive(Debug, Clone)]
pub struct Late<C>(pub(crate) C);

impl<C: CallableOnce<Args>, Args> CallableOnce<Args> for Late<C> {
    type Output = C::Output;
    type Future = LateFuture<C, Args, C::Future>;

    #[inline]
    fn call_once(self, args: Args) -> Self::Future {
        LateFuture::new(self.0, args)
    }

    fn name(&self) -> Name {
        self.0.name()
    }

    /// `true`, because `Late` marks each call. A function inside it does not.
    #[inline]
    fn holds_back(&self) -> bool {
        true
    }

    fn add_to(&self, chain: &mut Chain) {
        self.0.add_to(chain);
    }
}

/// Repeated calls begin at their first poll by themselves. `Late` only marks them.
impl<C: CallableMut<Args>, Args> CallableMut<Args> for Late<C> {
    type Repeated = LateCalls<C::Repeated>;

    #[inline]
    fn repeated(self, args: Args) -> Self::Repeated
    where
        Args: Clone,
    {
        LateCalls(self.0.repeated(args))
    }
}

/// Repeated calls, with a mark at each poll.
#[derive(Debug)]
#[pin_project]
pub struct LateCalls<A>(#[pin] A);

impl<A> LateCalls<A> {
    #[inline]
    pub(crate) fn new(calls: A) -> Self {
        Self(calls)
    }
}

impl<A: Repeat> Future for LateCalls<A> {
    type Output = A::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<A::Output> {
        called::mark(self.0.holds_back());
        self.project().0.poll(cx)
    }
}

impl<A: Repeat> Stop for LateCalls<A> {
    #[inline]
    fn stop(self: Pin<&mut Self>) {
        self.project().0.stop();
    }
}

impl<A: Repeat> Repeat for LateCalls<A> {
    #[inline]
    fn start(self: Pin<&mut Self>, last: bool) {
        self.project().0.start(last);
    }

    fn name(&self) -> Name {
        self.0.name()
    }

    #[inline]
    fn holds_back(&self) -> bool {
        true
    }

    fn pause_left(&self) -> Duration {
        self.0.pause_left()
    }
}

impl<C: Callable<Args> + CloneFunction, Args> Callable<Args> for Late<C> {
    #[inline]
    fn call_with(&self, args: Args) -> Self::Future {
        LateFuture::new(self.0.clone(), args)
    }
}

/// `Clone` under another name, so that the compiler can explain why a function is cloned.
#[diagnostic::on_unimplemented(
    message = "a function that may wait before a call is cloned for each call, and `{Self}` is not `Clone`",
    label = "needs a function that is `Clone`",
    note = "closures over references and `Arc`s are `Clone`: borrow the captured value, or share it as an `Arc`",
    note = "or share the closure itself before it is decorated: `Arc::new(closure).rate_limited(&limiter)`"
)]
pub trait CloneFunction: Clone {}

#[diagnostic::do_not_recommend]
impl<C: Clone> CloneFunction for C {}

/// Sync calls pass through unchanged, because the gate decides before it makes the call.
impl<C: blocking::CallableOnce<Args>, Args> blocking::CallableOnce<Args> for Late<C> {
    type Output = C::Output;

    #[inline]
    fn call_once(self, args: Args) -> C::Output {
        called::mark_blocking(self.0.holds_back());
        self.0.call_once(args)
    }

    fn name(&self) -> Name {
        self.0.name()
    }

    /// `true`, because `Late` marks each call. A function inside it does not.
    #[inline]
    fn holds_back(&self) -> bool {
        true
    }

    fn add_to(&self, chain: &mut Chain) {
        self.0.add_to(chain);
    }

    fn pause_left(&self, args: &Args) -> Duration {
        self.0.pause_left(args)
    }
}

impl<C: blocking::CallableMut<Args>, Args> blocking::CallableMut<Args> for Late<C> {
    #[inline]
    fn call_mut(&mut self, args: Args) -> C::Output {
        called::mark_blocking(self.0.holds_back());
        self.0.call_mut(args)
    }
}

impl<C: blocking::Callable<Args>, Args> blocking::Callable<Args> for Late<C> {
    #[inline]
    fn call_with(&self, args: Args) -> C::Output {
        called::mark_blocking(self.0.holds_back());
        self.0.call_with(args)
    }
}

/// A call that begins at its first poll, made by decorators that hold calls back, and by `.await`
/// on a chain without arguments.
///
/// # Cancel safety
///
/// The cancel safety of the call. If the future is dropped before the first poll, the function is
/// never called.
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
    // A function pointer in place of a bound on `C` at the impl of `Future`. Inside a task, where
    // rustc erases lifetimes, such a bound is "not general enough" for arguments such as
    // `&'static str`, and for closures that borrow.
    begin: Begin<C, Args, F>,
    #[pin]
    state: State<C, Args, F>,
}

#[pin_project(project = StateProj, project_replace = StateReplaced)]
enum State<C, Args, F> {
    Due(C, Args),
    Called(#[pin] F),
    /// The call has ended, or the function is being called.
    Gone,
}

/// Calls the function and stores its future in the state. A future that the pointer returned would
/// be copied there, which takes longer than the call.
type Begin<C, Args, F> = fn(C, Args, Pin<&mut State<C, Args, F>>);

impl<C, Args, F> LateFuture<C, Args, F> {
    #[inline]
    pub(crate) fn new(callable: C, args: Args) -> Self
    where
        C: CallableOnce<Args, Future = F>,
    {
        Self {
            begin: |callable, args, mut state| {
                called::mark(callable.holds_back());
                state.set(State::Called(callable.call_once(args)));
            },
            state: State::Due(callable, args),
        }
    }
}

impl<C, Args, F: Future> Future for LateFuture<C, Args, F> {
    type Output = F::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let mut this = self.project();
        if let StateProj::Due(..) = this.state.as_mut().project() {
            let StateReplaced::Due(callable, args) = this.state.as_mut().project_replace(State::Gone) else {
                unreachable!("the state was `Due`");
            };
            (this.begin)(callable, args, this.state.as_mut());
        }
        let StateProj::Called(call) = this.state.as_mut().project() else {
            panic!("`LateFuture` polled after it completed");
        };
        let output = ready!(call.poll(cx));
        this.state.set(State::Gone);
        Poll::Ready(output)
    }
}

impl<C, Args, F> fmt::Debug for LateFuture<C, Args, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LateFuture").field("called", &!matches!(self.state, State::Due(..))).finish_non_exhaustive()
    }
}

/// Implements `.await` on a chain without arguments.
macro_rules! awaited_directly {
    ($Wrapper:ty, $($Param:ident),*) => {
        impl<$($Param),*> IntoFuture for $Wrapper
        where
            $Wrapper: $crate::CallableOnce<()>, // a function with arguments is called first: `.call(..)`
        {
            type Output = <$Wrapper as $crate::CallableOnce<()>>::Output;
            type IntoFuture = $crate::call::LateFuture<$Wrapper, (), <$Wrapper as $crate::CallableOnce<()>>::Future>;

            fn into_future(self) -> Self::IntoFuture {
                $crate::call::LateFuture::new(self, ())
            }
        }
    };
}

pub(crate) use awaited_directly;
