//! Bounding how long a call may take.

use crate::{
    Error, Fallible,
    call::{
        Callable, CallableMut, CallableOnce, Called, Describe, Repeat, Stop, awaited_directly, blocking, name::Name,
    },
    clock::{self, Clock, Nanos, Sleep, nanos},
    layer::memo_outcome::Away,
    thread::RemoteCall,
};
use pin_project::pin_project;
use std::{
    fmt,
    future::Future,
    pin::{Pin, pin},
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::task::coop;

/// A function with a time limit for each call.
///
/// Made by [`.timeout(..)`](crate::FnExt::timeout). A blocking call runs on a thread of its own,
/// and is abandoned when the limit passes.
#[derive(Clone)]
#[must_use = "a decorated function does nothing until it is called"]
pub struct Timeout<C> {
    callable: C,
    limit: Duration,
    name: Name,
    describe: Describe<C>,
}

impl<C> Timeout<C> {
    pub(crate) fn new(callable: C, limit: Duration, name: Name, describe: Describe<C>) -> Self {
        Self { callable, limit, name, describe }
    }
}

impl<C> fmt::Debug for Timeout<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.describe.write(&self.callable, f)?;
        write!(f, ".timeout({:?})", self.limit)
    }
}

/// The future of a [`.timeout(..)`](crate::FnExt::timeout) call.
///
/// Polls the call first, and the timer only if that is pending.
///
/// # Cancel safety
///
/// As the call's own: dropping it drops the call and the timer.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
/// use decor::{Error, future::{Called, TimeoutFuture}, prelude::*};
/// use std::{future::{Pending, pending}, time::Duration};
///
/// let limit = Duration::from_secs(1);
/// let call: TimeoutFuture<Called<Pending<Result<(), Error>>>> = pending().timeout(limit);
/// assert_eq!(format!("{call:?}"), "TimeoutFuture { name: Pending, limit: 1s, .. }");
/// assert!(call.await.is_err());
/// # }
/// ```
#[must_use = "futures do nothing unless you `.await` or poll them"]
#[pin_project]
#[repr(C)] // a number on either side of what an unarmed timer leaves unwritten, or that would be copied along with its neighbour
pub struct TimeoutFuture<F> {
    #[pin]
    call: F,
    #[pin]
    timer: Timer,
    limit: Nanos, // and no `Duration`, which ends in a gap
    name: Name,
}

#[pin_project(project = TimerState)]
enum Timer {
    /// The call has not been pending yet.
    Unarmed,
    Armed(#[pin] Sleep),
    /// The limit lies beyond what the clock can express.
    Never,
}

impl<F> TimeoutFuture<F> {
    #[inline]
    pub(crate) fn new(call: F, limit: Duration, name: Name) -> Self {
        Self { call, timer: Timer::Unarmed, limit: nanos(limit), name }
    }
}

impl<F> Future for TimeoutFuture<F>
where
    F: Stop,
    F::Output: Fallible,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let mut this = self.project();
        if let Poll::Ready(output) = this.call.as_mut().poll(cx) {
            this.call.stop();
            return Poll::Ready(output);
        }
        let limit = Duration::from_nanos(*this.limit);
        ready!(this.timer.poll(limit, cx));
        this.call.stop();
        Poll::Ready(passed(*this.name, limit))
    }
}

impl<F> Stop for TimeoutFuture<F>
where
    F: Stop,
    F::Output: Fallible,
{
    #[inline]
    fn stop(self: Pin<&mut Self>) {
        let mut this = self.project();
        this.timer.set(Timer::Unarmed);
        this.call.stop();
    }
}

impl<A> Repeat for TimeoutFuture<A>
where
    A: Repeat,
    A::Output: Fallible,
{
    #[inline]
    fn start(mut self: Pin<&mut Self>, last: bool) {
        self.as_mut().stop();
        self.project().call.start(last);
    }

    fn label(&self) -> Name {
        self.call.label()
    }
}

#[cold]
fn passed<T: Fallible>(name: Name, after: Duration) -> T {
    T::from_policy(Error::TimedOut { name: name.get(), after })
}

impl Timer {
    /// Whether the limit has passed since the first time this was asked.
    fn poll(mut self: Pin<&mut Self>, limit: Duration, cx: &mut Context<'_>) -> Poll<()> {
        if let TimerState::Unarmed = self.as_mut().project() {
            if limit.is_zero() {
                // A sleep of zero would still wait for the timer's next tick.
                return Poll::Ready(());
            }
            self.set(clock::sleep(limit).map_or(Self::Never, Self::Armed));
        }
        match self.project() {
            TimerState::Armed(sleep) => poll_in_time(sleep, cx),
            TimerState::Unarmed | TimerState::Never => Poll::Pending,
        }
    }
}

/// A call that has used up the task's budget would keep a plain `Sleep` pending, and so never time out.
fn poll_in_time(sleep: Pin<&mut Sleep>, cx: &mut Context<'_>) -> Poll<()> {
    if coop::has_budget_remaining() { sleep.poll(cx) } else { pin!(coop::unconstrained(sleep)).poll(cx) }
}

impl<F> fmt::Debug for TimeoutFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, limit) = (self.name, Duration::from_nanos(self.limit));
        f.debug_struct("TimeoutFuture").field("name", &name).field("limit", &limit).finish_non_exhaustive()
    }
}

impl<C, Args> CallableOnce<Args> for Timeout<C>
where
    C: CallableOnce<Args>,
    C::Output: Fallible,
{
    type Output = C::Output;
    type Future = TimeoutFuture<Called<C::Future>>;

    #[inline]
    fn call_once(self, args: Args) -> Self::Future {
        TimeoutFuture::new(Called::new(self.callable.call_once(args)), self.limit, self.name)
    }

    fn label(&self) -> Name {
        self.callable.label()
    }

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl<C, Args> CallableMut<Args> for Timeout<C>
where
    C: CallableMut<Args>,
    C::Output: Fallible,
{
    type Repeated = TimeoutFuture<C::Repeated>;

    #[inline]
    fn repeated(self, args: Args) -> Self::Repeated
    where
        Args: Clone,
    {
        TimeoutFuture::new(self.callable.repeated(args), self.limit, self.name)
    }
}

impl<C, Args> Callable<Args> for Timeout<C>
where
    C: Callable<Args>,
    C::Output: Fallible,
{
    #[inline]
    fn call_with(&self, args: Args) -> Self::Future {
        TimeoutFuture::new(Called::new(self.callable.call_with(args)), self.limit, self.name)
    }
}

awaited_directly!(Timeout<C>, C);

// ---- the blocking half ----

impl<C, Args> blocking::CallableOnce<Args> for Timeout<C>
where
    C: blocking::CallableOnce<Args, Output: Fallible + Send + 'static> + Send + 'static,
    Args: Send + 'static,
{
    type Output = C::Output;

    #[inline]
    fn call_once(self, args: Args) -> C::Output {
        let Self { callable, limit, name, .. } = self;
        if limit == Duration::MAX {
            return callable.call_once(args);
        }
        let end = Clock::Thread.now().checked_add(limit);
        let call = move || Away::call(|| callable.call_once(args));
        let output = if limit.is_zero() { None } else { RemoteCall::begin(call).wait_until(end) };
        output.map_or_else(|| passed(name, limit), Away::arrive)
    }

    fn label(&self) -> Name {
        self.callable.label()
    }

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl<C, Args> blocking::CallableMut<Args> for Timeout<C>
where
    Self: blocking::CallableOnce<Args> + Clone,
{
    fn call_mut(&mut self, args: Args) -> Self::Output {
        blocking::CallableOnce::call_once(self.clone(), args)
    }
}

impl<C, Args> blocking::Callable<Args> for Timeout<C>
where
    Self: blocking::CallableOnce<Args> + Clone,
{
    fn call_with(&self, args: Args) -> Self::Output {
        blocking::CallableOnce::call_once(self.clone(), args)
    }
}
