//! Calls that can be made several times, one after the other, as a retry makes its attempts.
//!
//! A retry owns its function, and the function may count in a variable of its own. With a clone of
//! the function for each attempt, each clone would count from the start. With a borrow, the retry's
//! future would refer to itself. Therefore one future holds the function and its attempt, and can
//! be started again.

use crate::Name;
use pin_project::pin_project;
use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

/// A future that can be stopped before it is dropped.
pub trait Stop: Future {
    /// Drops the call in progress.
    fn stop(self: Pin<&mut Self>);
}

/// A function, its arguments, and its call in progress: a future that can be started again when it
/// has ended.
///
/// Made by [`CallableMut::repeated`](super::CallableMut::repeated). A retry is built on it, and so
/// can be other code that calls an `FnMut` closure more than once.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// use decor::{CallableMut, Repeat};
/// use std::{future::ready, pin::pin};
///
/// let mut sum = 0;
/// let mut add = pin!((|n: u32| { sum += n; ready(sum) }).repeated((21,)));
/// add.as_mut().start(false);
/// assert_eq!(add.as_mut().await, 21);
/// add.as_mut().start(true);
/// assert_eq!(add.as_mut().await, 42);
/// # }
/// ```
pub trait Repeat: Stop {
    /// Begins a call. A call in progress is dropped.
    ///
    /// The function is called when the future is polled. If the call is the `last` one, it gets the
    /// arguments themselves; otherwise it gets a clone.
    ///
    /// # Panics
    ///
    /// At the next poll, if the previous call was the last one.
    fn start(self: Pin<&mut Self>, last: bool);

    /// The function's name.
    #[doc(hidden)]
    fn name(&self) -> Name;

    /// Returns `true` if a call may end without a call of the function: see `call/called.rs`.
    #[doc(hidden)]
    fn holds_back(&self) -> bool {
        false
    }

    /// The time until the limiter that these calls have paused admits calls again. Zero without a
    /// pause.
    #[doc(hidden)]
    fn pause_left(&self) -> Duration {
        Duration::ZERO
    }
}

/// A function together with its arguments and its call in progress.
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
/// let double: Repeated<fn(u32) -> Ready<u32>, (u32,), Ready<u32>> = double.repeated((21,));
/// # drop(double);
/// ```
#[must_use = "futures do nothing unless you `.await` or poll them"]
#[pin_project]
pub struct Repeated<F, Args, Fut> {
    function: F,
    /// Arguments of the next call; `None` once the last call has begun.
    args: Option<Args>,
    // Function pointers, and no bounds on `F`: see `LateFuture`.
    call: CallMut<F, Args, Fut>,
    name: fn(&F) -> Name,
    #[pin]
    attempt: Attempt<Fut>,
}

/// Calls the function, and stores its future in the attempt.
type CallMut<F, Args, Fut> = fn(&mut F, &mut Option<Args>, bool, Pin<&mut Attempt<Fut>>);

/// The call in progress.
#[pin_project(project = AttemptProj)]
#[derive(Debug)]
pub(super) enum Attempt<Fut> {
    Idle,
    Due { last: bool },
    Called(#[pin] Fut),
}

/// The arguments of the next call.
///
/// # Panics
///
/// If the previous call was the last one.
#[inline]
pub(super) fn next<Args: Clone>(args: &mut Option<Args>, last: bool) -> Args {
    let next = if last { args.take() } else { args.clone() };
    next.expect("the last call has taken the arguments")
}

impl<F, Args, Fut> Repeated<F, Args, Fut> {
    #[inline]
    pub(super) fn new(function: F, args: Args, call: CallMut<F, Args, Fut>, name: fn(&F) -> Name) -> Self {
        Self { function, args: Some(args), call, name, attempt: Attempt::Idle }
    }
}

impl<F, Args, Fut: Future> Future for Repeated<F, Args, Fut> {
    type Output = Fut::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Fut::Output> {
        let mut this = self.project();
        if let AttemptProj::Due { last } = this.attempt.as_mut().project() {
            let last = *last;
            (this.call)(this.function, this.args, last, this.attempt.as_mut());
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
    #[inline]
    fn start(self: Pin<&mut Self>, last: bool) {
        self.project().attempt.set(Attempt::Due { last });
    }

    fn name(&self) -> Name {
        (self.name)(&self.function)
    }
}

impl<F, Args, Fut> fmt::Debug for Repeated<F, Args, Fut> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let idle = matches!(self.attempt, Attempt::Idle);
        f.debug_struct("Repeated").field("idle", &idle).finish_non_exhaustive()
    }
}

/// A call that has begun, as a future that can be stopped.
///
/// The decorators of futures use it, because they drop a call before they report its end.
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
