//! Waiting for a permit, as a task or as a thread.

use super::state::{Admission, Core, QueuedCall, Request, never_refused};
use crate::{
    Error, Permits,
    clock::{Clock, Nanos, Sleep},
    layer::{Timer, Wait, wait_blocking},
};
use pin_project::pin_project;
use std::{
    fmt,
    future::Future,
    ops::Deref,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

/// Waits in the queue for the permits of one request, as a task or as a thread. Leaves the queue if
/// dropped while waiting.
pub(crate) struct Acquisition<C: Deref<Target = Core>> {
    core: C,
    request: Request,
    state: State,
}

#[derive(Debug)]
enum State {
    Unpolled,
    Waiting(Clock, QueuedCall),
    /// Pending for good, because the limiter is closed and the call has no error to return.
    Stuck,
    /// The moment of the admission.
    Admitted(Nanos),
    Refused,
}

impl<C: Deref<Target = Core>> Acquisition<C> {
    #[inline]
    pub(crate) fn new(core: C, request: Request) -> Self {
        Self { core, request, state: State::Unpolled }
    }

    /// Leaves the queue. The next poll makes a new request.
    #[inline]
    pub(crate) fn renew(&mut self) {
        self.leave();
        self.state = State::Unpolled;
    }

    /// Replaces the permits that were taken by the permits that were used.
    pub(crate) fn settle(&self, clock: Clock, used: &Permits) -> Result<(), Error> {
        match self.state {
            State::Admitted(at) => self.core.settle(clock, at, &self.request.permits, used),
            _ => Ok(()),
        }
    }

    /// Makes a request for other permits with the same longest wait. The new request can be
    /// refused.
    pub(crate) fn asking_for(&self, permits: Permits) -> Self
    where
        C: Clone,
    {
        Self::new(self.core.clone(), Request { permits, can_fail: true, ..self.request })
    }

    fn leave(&self) {
        if let State::Waiting(clock, call) = &self.state {
            self.core.leave(*clock, call);
        }
    }

    pub(crate) fn poll(&mut self, wait: &mut Wait<'_>) -> Poll<Result<(), Error>> {
        let clock = wait.clock();
        loop {
            let admission = match &self.state {
                State::Unpolled => {
                    wait.unwind_if_cancelled();
                    self.core.admit_or_queue(clock, &self.request, wait.waker())
                }
                State::Waiting(_, call) => self.core.recheck(clock, call, &self.request, wait.waker()),
                State::Stuck => {
                    wait.for_a_wake();
                    return Poll::Pending;
                }
                State::Admitted(_) | State::Refused => panic!("`Acquire` polled after it completed"),
            };
            let moment = match admission {
                Admission::Queued(call, moment) => {
                    self.state = State::Waiting(clock, call);
                    moment
                }
                Admission::Wait(moment) => moment,
                Admission::Stuck => {
                    self.state = State::Stuck;
                    continue;
                }
                Admission::Done(Ok(at)) => {
                    self.state = State::Admitted(at);
                    return Poll::Ready(Ok(()));
                }
                Admission::Done(Err(error)) => {
                    self.state = State::Refused;
                    return Poll::Ready(Err(error));
                }
            };
            #[cfg(feature = "test-util")]
            if matches!(clock, Clock::Thread) {
                self.core.refuse_a_foreign_wait();
            }
            let Some(moment) = self.core.instant(clock, moment) else {
                // The clock cannot represent the moment. A later change of the limits wakes this
                // waiter.
                wait.for_a_wake();
                return Poll::Pending;
            };
            ready!(wait.until(moment));
        }
    }
}

/// Clones the request, not its place in the queue.
impl<C: Deref<Target = Core> + Clone> Clone for Acquisition<C> {
    fn clone(&self) -> Self {
        Self::new(self.core.clone(), self.request)
    }
}

impl<C: Deref<Target = Core>> Drop for Acquisition<C> {
    #[inline]
    fn drop(&mut self) {
        self.leave();
    }
}

impl Core {
    /// Waits on a thread, parked between polls. Threads and tasks share one queue.
    #[track_caller]
    pub(super) fn acquire_blocking(&self, request: Request) -> Result<(), Error> {
        let mut acquisition = Acquisition::new(self, request);
        wait_blocking(|wait| acquisition.poll(wait))
    }
}

/// Waits for one permit: see [`RateLimiter::acquire`](crate::RateLimiter::acquire).
///
/// # Cancel safety
///
/// If dropped while waiting, the call leaves the queue, and the next waiter moves up. If dropped
/// when it is ready, the call has taken its permit.
#[must_use = "futures do nothing unless you `.await` or poll them"]
#[pin_project]
pub struct Acquire<'a> {
    acquisition: Acquisition<&'a Core>,
    #[pin]
    timer: Option<Sleep>,
}

impl<'a> Acquire<'a> {
    pub(super) fn new(core: &'a Core) -> Self {
        Self { acquisition: Acquisition::new(core, Request::one()), timer: None }
    }
}

impl Future for Acquire<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        let admitted = this.acquisition.poll(&mut Wait::of_task(cx, Timer::Inline(this.timer)));
        admitted.map(|admitted| admitted.unwrap_or_else(|error| never_refused(&error)))
    }
}

/// Waits for permits, or fails if they are refused: see
/// [`RateLimiter::acquire_many`](crate::RateLimiter::acquire_many) and
/// [`acquire_within`](crate::RateLimiter::acquire_within).
///
/// # Cancel safety
///
/// As [`Acquire`].
#[must_use = "futures do nothing unless you `.await` or poll them"]
#[pin_project]
pub struct AcquireMany<'a> {
    acquisition: Acquisition<&'a Core>,
    #[pin]
    timer: Option<Sleep>,
}

impl<'a> AcquireMany<'a> {
    pub(super) fn new(core: &'a Core, permits: Permits, max_wait: Option<Duration>) -> Self {
        Self { acquisition: Acquisition::new(core, Request { permits, can_fail: true, max_wait }), timer: None }
    }

    /// Limits the wait to `max_wait`. The call fails at once if the wait is known to be longer. A
    /// `max_wait` of zero does not wait. See
    /// [`acquire_within`](crate::RateLimiter::acquire_within).
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), decor::Error> {
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
        self.acquisition.request.max_wait = Some(max_wait);
        self
    }

    /// Waits by blocking the thread, in the same queue as tasks.
    ///
    /// # Errors
    ///
    /// As the awaited future.
    ///
    /// # Panics
    ///
    /// As [`acquire_blocking`](crate::RateLimiter::acquire_blocking).
    ///
    /// # Examples
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
    #[track_caller]
    pub fn blocking(mut self) -> Result<(), Error> {
        wait_blocking(|wait| self.acquisition.poll(wait))
    }
}

impl Future for AcquireMany<'_> {
    type Output = Result<(), Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let this = self.project();
        this.acquisition.poll(&mut Wait::of_task(cx, Timer::Inline(this.timer)))
    }
}

impl<C: Deref<Target = Core>> fmt::Debug for Acquisition<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Request { permits, max_wait, .. } = &self.request;
        f.debug_struct("Acquire")
            .field("permits", permits)
            .field("max_wait", max_wait)
            .field("waiting", &matches!(self.state, State::Waiting(..)))
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Acquire<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.acquisition.fmt(f)
    }
}

impl fmt::Debug for AcquireMany<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.acquisition.fmt(f)
    }
}
