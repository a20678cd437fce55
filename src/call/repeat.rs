//! A call that can be made again: what a retry polls, one attempt after the other.
//!
//! A retry owns its function, and its function may count in a variable of its own. Attempts that
//! were clones of the function would each begin with the first count. Attempts that borrowed the
//! function would make the retry's future refer to itself. So the function and its attempt are one
//! future, which is started anew.

use super::{Callable, CallableOnce, Name};
use pin_project::pin_project;
use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

/// A future that can be ended before it is dropped.
pub trait Stop: Future {
    /// Drops what is in progress.
    fn stop(self: Pin<&mut Self>);
}

/// A function and its calls, one at a time: a future that is started with arguments, and started
/// again when it has ended.
///
/// Made by [`CallableMut::repeated`](super::CallableMut::repeated).
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// use decor::{CallableMut, Repeat};
/// use std::{future::ready, pin::pin};
///
/// let mut calls = 0;
/// let mut count = pin!((|| { calls += 1; ready(calls) }).repeated());
/// count.as_mut().start(());
/// assert_eq!(count.as_mut().await, 1);
/// count.as_mut().start(());
/// assert_eq!(count.as_mut().await, 2);
/// # }
/// ```
pub trait Repeat: Stop {
    /// The arguments of a call.
    // No parameter of the trait: the future of a retry would then name the arguments' lifetimes
    // twice, and inside a task rustc takes them for different ones.
    type Args;

    /// Begins a call with these arguments. A call in progress is dropped.
    ///
    /// The function is called when the future is polled.
    fn start(self: Pin<&mut Self>, args: Self::Args);

    /// The function's name.
    #[doc(hidden)]
    fn label(&self) -> Name;
}

/// A function that is called again and again by its owner.
///
/// Made by [`CallableMut::repeated`](super::CallableMut::repeated).
///
/// # Examples
///
/// ```
/// use decor::{CallableMut, future::Repeated};
/// use std::future::{Ready, ready};
///
/// let double = (|n: u32| ready(n * 2)) as fn(u32) -> Ready<u32>;
/// let double: Repeated<fn(u32) -> Ready<u32>, (u32,), Ready<u32>> = double.repeated();
/// # drop(double);
/// ```
#[must_use = "futures do nothing unless you `.await` or poll them"]
#[pin_project]
pub struct Repeated<F, Args, Fut> {
    function: F,
    // Function pointers, and no bounds on `F`: see `LateFuture`.
    call: CallMut<F, Args, Fut>,
    label: fn(&F) -> Name,
    #[pin]
    attempt: Attempt<Args, Fut>,
}

/// Calls the function, and puts its future into its place.
type CallMut<F, Args, Fut> = fn(&mut F, Args, Pin<&mut Attempt<Args, Fut>>);

/// The call in progress.
#[pin_project(project = AttemptProj, project_replace = AttemptReplaced)]
pub enum Attempt<Args, Fut> {
    Idle,
    Due(Args),
    Called(#[pin] Fut),
}

impl<F, Args, Fut> Repeated<F, Args, Fut> {
    #[inline]
    pub(super) fn new(function: F, call: CallMut<F, Args, Fut>, label: fn(&F) -> Name) -> Self {
        Self { function, call, label, attempt: Attempt::Idle }
    }
}

impl<C, Args> Repeated<C, Args, C::Future>
where
    C: CallableOnce<Args> + Clone,
{
    /// Calls a clone each time.
    pub(crate) fn cloning(callable: C) -> Self {
        Self::new(
            callable,
            |callable, args, mut attempt| attempt.set(Attempt::Called(callable.clone().call_once(args))),
            C::label,
        )
    }
}

impl<C, Args> Repeated<C, Args, C::Future>
where
    C: Callable<Args>,
{
    /// Calls by reference.
    pub(crate) fn by_ref(callable: C) -> Self {
        Self::new(
            callable,
            |callable, args, mut attempt| attempt.set(Attempt::Called(callable.call_with(args))),
            C::label,
        )
    }
}

impl<F, Args, Fut: Future> Future for Repeated<F, Args, Fut> {
    type Output = Fut::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Fut::Output> {
        let mut this = self.project();
        if let AttemptProj::Due(_) = this.attempt.as_mut().project() {
            let AttemptReplaced::Due(args) = this.attempt.as_mut().project_replace(Attempt::Idle) else {
                unreachable!("it is due");
            };
            (this.call)(this.function, args, this.attempt.as_mut());
        }
        match this.attempt.project() {
            AttemptProj::Called(call) => call.poll(cx),
            _ => panic!("`Repeated` polled without a call in progress"),
        }
    }
}

impl<F, Args, Fut: Future> Stop for Repeated<F, Args, Fut> {
    #[inline]
    fn stop(self: Pin<&mut Self>) {
        self.project().attempt.set(Attempt::Idle);
    }
}

impl<F, Args, Fut: Future> Repeat for Repeated<F, Args, Fut> {
    type Args = Args;

    #[inline]
    fn start(self: Pin<&mut Self>, args: Args) {
        self.project().attempt.set(Attempt::Due(args));
    }

    fn label(&self) -> Name {
        (self.label)(&self.function)
    }
}

impl<F, Args, Fut> fmt::Debug for Repeated<F, Args, Fut> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let idle = matches!(self.attempt, Attempt::Idle);
        f.debug_struct("Repeated").field("idle", &idle).finish_non_exhaustive()
    }
}

/// A future that has begun, in the place of a call.
///
/// The decorators of a future stand on it, because they end a call before they report its end.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// use decor::{future::{Called, TimeoutFuture}, prelude::*};
/// use std::{future::{Ready, ready}, time::Duration};
///
/// type Answer = Result<u8, decor::Error>;
/// let call: TimeoutFuture<Called<Ready<Answer>>> = ready(Ok(7)).timeout(Duration::from_secs(1));
/// assert_eq!(call.await, Ok(7));
/// # }
/// ```
#[must_use = "futures do nothing unless you `.await` or poll them"]
#[pin_project]
pub struct Called<F>(#[pin] Option<F>);

impl<F> Called<F> {
    #[inline]
    pub(crate) fn new(call: F) -> Self {
        Self(Some(call))
    }
}

impl<F: Future> Future for Called<F> {
    type Output = F::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.project().0.as_pin_mut().expect("a call polled after it ended").poll(cx)
    }
}

impl<F: Future> Stop for Called<F> {
    #[inline]
    fn stop(self: Pin<&mut Self>) {
        self.project().0.set(None);
    }
}

impl<F> fmt::Debug for Called<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Called").field("ended", &self.0.is_none()).finish_non_exhaustive()
    }
}
