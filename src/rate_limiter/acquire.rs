//! Waiting for a permit, as a task does.

use super::state::{Claim, Core, Request, Turn, never_refused};
use crate::{
    Error, Permits,
    clock::{self, Clock, Sleep},
};
use pin_project::{pin_project, pinned_drop};
use std::{
    fmt,
    future::Future,
    ops::Deref,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

/// A request on its way, by a limiter that is borrowed or shared.
#[pin_project(PinnedDrop)]
pub(crate) struct Acquiring<C: Deref<Target = Core>> {
    core: C,
    request: Request,
    state: State,
    #[pin]
    sleep: Option<Sleep>,
}

#[derive(Debug)]
enum State {
    Unpolled,
    Waiting(Claim),
    Ended,
}

impl<C: Deref<Target = Core>> Acquiring<C> {
    #[inline]
    pub(crate) fn new(core: C, request: Request) -> Self {
        Self { core, request, state: State::Unpolled, sleep: None }
    }
}

impl<C: Deref<Target = Core>> Future for Acquiring<C> {
    type Output = Result<(), Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            let turn = match this.state {
                State::Unpolled => this.core.claim(Clock::Task, this.request, cx.waker()),
                State::Waiting(claim) => this.core.take_turn(Clock::Task, claim, cx.waker()),
                State::Ended => panic!("`Acquire` polled after it completed"),
            };
            let moment = match turn {
                Turn::Joined(claim, moment) => {
                    *this.state = State::Waiting(claim);
                    moment
                }
                Turn::Wait(moment) => moment,
                Turn::Over(result) => {
                    *this.state = State::Ended;
                    return Poll::Ready(result);
                }
            };
            let Some(moment) = this.core.instant(Clock::Task, moment) else {
                this.sleep.set(None);
                return Poll::Pending; // not representable; a later change of the limits wakes this waiter
            };
            match this.sleep.as_mut().as_pin_mut() {
                Some(sleep) if sleep.deadline() == moment => {}
                Some(sleep) => sleep.reset(moment),
                None => this.sleep.set(Some(clock::sleep_until(moment))),
            }
            if this.sleep.as_mut().as_pin_mut().is_some_and(|sleep| sleep.poll(cx).is_pending()) {
                return Poll::Pending;
            }
        }
    }
}

#[pinned_drop]
impl<C: Deref<Target = Core>> PinnedDrop for Acquiring<C> {
    fn drop(self: Pin<&mut Self>) {
        if let State::Waiting(claim) = &self.state {
            self.core.leave(Clock::Task, claim);
        }
    }
}

/// Waits for one permit: see [`RateLimiter::acquire`](crate::RateLimiter::acquire).
///
/// # Cancel safety
///
/// Dropped while it waits it leaves the queue, and the next moves up. Dropped after it is ready it has taken its permit.
#[must_use = "futures do nothing unless you `.await` or poll them"]
#[pin_project]
pub struct Acquire<'a>(#[pin] Acquiring<&'a Core>);

impl<'a> Acquire<'a> {
    pub(super) fn new(core: &'a Core) -> Self {
        Self(Acquiring::new(core, Request::one()))
    }
}

impl Future for Acquire<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.project().0.poll(cx).map(|admitted| admitted.unwrap_or_else(|error| never_refused(&error)))
    }
}

/// Waits for permits, unless they are refused: see [`RateLimiter::acquire_many`](crate::RateLimiter::acquire_many),
/// [`acquire_each`](crate::RateLimiter::acquire_each) and [`acquire_within`](crate::RateLimiter::acquire_within).
///
/// # Cancel safety
///
/// As [`Acquire`].
#[must_use = "futures do nothing unless you `.await` or poll them"]
#[pin_project]
pub struct AcquireMany<'a>(#[pin] Acquiring<&'a Core>);

impl<'a> AcquireMany<'a> {
    pub(super) fn new(core: &'a Core, permits: Permits, max_wait: Option<Duration>) -> Self {
        Self(Acquiring::new(core, Request { permits, can_fail: true, max_wait }))
    }

    /// Waits no longer than this: fails at once if the wait is known to be longer. See
    /// [`acquire_within`](crate::RateLimiter::acquire_within).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() -> Result<(), decor::Error> {
    /// use decor::{Error, RateLimiter};
    /// use std::time::Duration;
    ///
    /// let limiter = RateLimiter::new(10, Duration::from_secs(60));
    /// limiter.acquire_many(8).within(Duration::from_secs(5)).await?;
    /// let refused = limiter.acquire_many(8).within(Duration::from_secs(5)).await;
    /// assert_eq!(refused, Err(Error::RateLimited { retry_after: Duration::from_secs(60) }));
    /// # Ok(())
    /// # }
    /// ```
    pub fn within(mut self, max_wait: Duration) -> Self {
        self.0.request.max_wait = Some(max_wait);
        self
    }

    /// Waits as a thread does: blocked, in the same queue.
    ///
    /// # Errors
    ///
    /// Those of the future.
    ///
    /// # Panics
    ///
    /// As [`acquire_blocking`](crate::RateLimiter::acquire_blocking).
    ///
    /// ```
    /// use decor::{Error, RateLimiter};
    /// use std::time::Duration;
    ///
    /// let limiter = RateLimiter::new(10, Duration::from_secs(60));
    /// assert_eq!(limiter.acquire_many(8).blocking(), Ok(()));
    /// assert_eq!(limiter.acquire_within(Duration::from_secs(1)).blocking(), Ok(()));
    /// assert!(matches!(limiter.acquire_many(11).blocking(), Err(Error::InvalidArgument { .. })));
    /// assert_eq!(limiter.available(), 1);
    /// ```
    pub fn blocking(self) -> Result<(), Error> {
        self.0.core.acquire_blocking(&self.0.request)
    }
}

impl Future for AcquireMany<'_> {
    type Output = Result<(), Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.project().0.poll(cx)
    }
}

impl<C: Deref<Target = Core>> fmt::Debug for Acquiring<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Request { permits, max_wait, .. } = &self.request;
        f.debug_struct("Acquire")
            .field("permits", permits)
            .field("max_wait", max_wait)
            .field("waiting", &matches!(self.state, State::Waiting(_)))
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Acquire<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for AcquireMany<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
