//! Bounding how long a call may take.

use crate::{
    Error, Fallible,
    around::{Decoration, Layer},
    clock::{self, Nanos, Sleep, nanos},
    name::Name,
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

/// The decoration of [`.timeout(..)`](crate::FnExt::timeout).
///
/// ```
/// use decor::{Around, layer::Timeout, prelude::*};
/// use std::future::{Ready, ready};
/// use std::time::Duration;
///
/// fn double(n: u32) -> Ready<Result<u32, String>> { ready(Ok(n * 2)) }
///
/// let chain: Around<fn(u32) -> Ready<Result<u32, String>>, Timeout> = (double as fn(u32) -> _).timeout(Duration::from_secs(2));
/// assert_eq!(format!("{chain:?}"), "fn.timeout(2s)");
/// ```
#[derive(Debug, Clone)]
pub struct Timeout {
    limit: Duration,
    name: Name,
}

impl Timeout {
    pub(crate) fn new(limit: Duration, name: Name) -> Self {
        Self { limit, name }
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
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
/// use decor::{Error, future::TimeoutFuture, prelude::*};
/// use std::{future::{Pending, pending}, time::Duration};
///
/// let call: TimeoutFuture<Pending<Result<(), Error>>> = pending().timeout(Duration::from_secs(1));
/// assert_eq!(format!("{call:?}"), "TimeoutFuture { name: Pending, limit: 1s, .. }");
/// assert!(call.await.is_err());
/// # }
/// ```
#[must_use = "futures do nothing unless you `.await` or poll them"]
#[pin_project]
#[repr(C)] // a number on either side of what an unarmed timer leaves unwritten, or that would be copied along with its neighbour
pub struct TimeoutFuture<F> {
    /// `None` once it has ended, or its time has.
    #[pin]
    call: Option<F>,
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
        Self { call: Some(call), timer: Timer::Unarmed, limit: nanos(limit), name }
    }
}

impl<F> Future for TimeoutFuture<F>
where
    F: Future,
    F::Output: Fallible,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let mut this = self.project();
        let call = this.call.as_mut().as_pin_mut().expect("`TimeoutFuture` polled after it completed");
        if let Poll::Ready(output) = call.poll(cx) {
            this.call.set(None);
            return Poll::Ready(output);
        }
        let limit = Duration::from_nanos(*this.limit);
        ready!(this.timer.poll(limit, cx));
        this.call.set(None);
        Poll::Ready(passed(*this.name, limit))
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

impl Decoration for Timeout {
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, ".timeout({:?})", self.limit)
    }
}

impl<Args, F> Layer<Args, F> for Timeout
where
    F: Future,
    F::Output: Fallible,
{
    type Note = ();
    type Future = TimeoutFuture<F>;

    #[inline]
    fn around(self, (): (), call: F) -> Self::Future {
        TimeoutFuture::new(call, self.limit, self.name)
    }
}
