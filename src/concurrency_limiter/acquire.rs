//! Waiting for permits, as a task or as a thread, and holding them.

use super::{
    permit::ConcurrencyPermit,
    state::{Answer, Core, IfBusy, Ticket, Turn},
};
use crate::{
    Error, Permits,
    clock::{Instant, Sleep},
    deadline,
    layer::{Timer, Wait, wait_blocking},
    policy::Ended,
    sync::Arc,
};
use pin_project::pin_project;
use std::{
    borrow::Borrow,
    fmt,
    future::Future,
    mem,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

/// The permits of one call.
pub trait Weight: Copy {
    /// Returns the number of permits.
    ///
    /// # Errors
    ///
    /// If the weight is no number of permits, such as a negative number.
    fn permits(&self) -> Result<u32, Error>;
}

/// A single permit, which needs no memory in a call.
#[derive(Debug, Clone, Copy)]
pub struct OnePermit;

impl Weight for OnePermit {
    #[inline]
    fn permits(&self) -> Result<u32, Error> {
        Ok(1)
    }
}

impl Weight for Permits {
    fn permits(&self) -> Result<u32, Error> {
        self.for_windows(1).map(|counts| counts[0])
    }
}

/// Says how long a call waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Patience {
    /// Waits without a bound, and is never refused, because it has no error to return.
    CannotFail,
    Unbounded,
    /// Waits for this duration at most.
    Within(Duration),
}

impl Patience {
    /// The longest wait of a call that joins the queue now; `None` for an unbounded wait.
    ///
    /// A call that may be refused waits no longer than its deadline allows. Its own error says why
    /// it has waited, and that of the timeout does not.
    fn longest_wait(self) -> Option<Duration> {
        match self {
            Self::CannotFail => None,
            Self::Unbounded => deadline::longest_wait(),
            Self::Within(max_wait) => Some(deadline::longest_wait().map_or(max_wait, |left| left.min(max_wait))),
        }
    }
}

/// A place of one call in a limiter: waits for the permits, holds them, and gives them back.
/// Leaves the queue or gives the permits back if dropped.
pub(crate) struct Slot<C: Borrow<Arc<Core>>, W: Weight> {
    core: C,
    weight: W,
    patience: Patience,
    state: State,
}

#[derive(Debug)]
enum State {
    Unpolled,
    /// In the queue. The longest wait ends at the moment; `None` for an unbounded wait.
    Waiting(Ticket, Option<Instant>),
    /// Pending for good, because the limiter is closed and the call has no error to return.
    Stuck,
    /// Has its permits. The number identifies the call.
    Admitted(u64),
    Ended,
}

impl<C: Borrow<Arc<Core>>, W: Weight> Slot<C, W> {
    #[inline]
    pub(crate) fn new(core: C, weight: W, patience: Patience) -> Self {
        Self { core, weight, patience, state: State::Unpolled }
    }

    /// Makes a request for other permits with the same longest wait. The new request can be
    /// refused.
    pub(crate) fn asking_for(&self, permits: Permits) -> Slot<C, Permits>
    where
        C: Clone,
    {
        let patience = match self.patience {
            Patience::CannotFail => Patience::Unbounded,
            patience => patience,
        };
        Slot::new(self.core.clone(), permits, patience)
    }

    /// The permits of a call that was let through, which were a valid number then.
    #[inline]
    fn permits(&self) -> u32 {
        self.weight.permits().unwrap_or(0)
    }

    /// Gives the permits back, or leaves the queue. The next poll makes a new request.
    #[inline]
    pub(crate) fn renew(&mut self, ended: Ended) {
        self.leave(ended);
        self.state = State::Unpolled;
    }

    /// Gives the permits back, or leaves the queue.
    #[inline]
    pub(crate) fn end(&mut self, ended: Ended) {
        self.leave(ended);
        self.state = State::Ended;
    }

    #[inline]
    fn leave(&mut self, ended: Ended) {
        match self.state {
            State::Admitted(number) => self.core.borrow().end(self.permits(), number, || ended),
            State::Waiting(ticket, _) => self.core.borrow().leave(ticket, self.permits()),
            State::Unpolled | State::Stuck | State::Ended => {}
        }
    }

    #[inline]
    pub(crate) fn poll(&mut self, wait: &mut Wait<'_>) -> Poll<Result<(), Error>> {
        if let State::Unpolled = self.state {
            wait.unwind_if_cancelled();
            let permits = match self.weight.permits() {
                Ok(permits) => permits,
                Err(error) => return self.refused(error, wait),
            };
            let if_busy = match self.patience {
                Patience::CannotFail => IfBusy::Wait,
                Patience::Within(Duration::ZERO) => IfBusy::Fail,
                Patience::Unbounded | Patience::Within(_) => IfBusy::WaitIfRoom,
            };
            match self.core.borrow().admit_or_queue(permits, if_busy, wait.waker()) {
                Answer::Admitted(number) => {
                    self.state = State::Admitted(number);
                    return Poll::Ready(Ok(()));
                }
                Answer::Refused(error) => return self.refused(error, wait),
                Answer::Queued(ticket) => {
                    // Only a bounded wait needs the clock. Beyond the range of the clock a wait is
                    // not bounded.
                    let longest = self.patience.longest_wait();
                    let latest = longest.and_then(|longest| wait.now().checked_add(longest));
                    self.state = State::Waiting(ticket, latest);
                    return Self::wait_until(latest, wait);
                }
            }
        }
        self.poll_on(wait)
    }

    /// Polls a call that has joined the queue.
    #[cold]
    #[inline(never)]
    fn poll_on(&mut self, wait: &mut Wait<'_>) -> Poll<Result<(), Error>> {
        let State::Waiting(ticket, latest) = self.state else {
            assert!(matches!(self.state, State::Stuck), "a call to a limiter was polled after it completed");
            wait.for_a_wake();
            return Poll::Pending;
        };
        let is_late = latest.is_some_and(|latest| wait.now() >= latest);
        match self.core.borrow().recheck(ticket, self.permits(), is_late, wait.waker()) {
            Turn::Admitted(number) => {
                self.state = State::Admitted(number);
                Poll::Ready(Ok(()))
            }
            Turn::Refused(error) => self.refused(error, wait),
            Turn::NotYet => Self::wait_until(latest, wait),
        }
    }

    /// Waits to be woken, or for the end of the longest wait.
    fn wait_until(latest: Option<Instant>, wait: &mut Wait<'_>) -> Poll<Result<(), Error>> {
        match latest {
            None => wait.for_a_wake(),
            Some(latest) => {
                // If the moment has just come, polls again to learn whether the turn has come too.
                if wait.until(latest).is_ready() {
                    wait.waker().wake_by_ref();
                }
            }
        }
        Poll::Pending
    }

    #[cold]
    fn refused(&mut self, error: Error, wait: &mut Wait<'_>) -> Poll<Result<(), Error>> {
        if self.patience == Patience::CannotFail {
            self.state = State::Stuck;
            wait.for_a_wake();
            return Poll::Pending;
        }
        self.state = State::Ended;
        Poll::Ready(Err(error))
    }
}

impl<C: Borrow<Arc<Core>>, W: Weight> Slot<C, W> {
    /// Turns the permits into an owned permit.
    #[inline]
    fn take(&mut self) -> ConcurrencyPermit {
        let State::Admitted(number) = mem::replace(&mut self.state, State::Ended) else {
            unreachable!("the call was admitted");
        };
        ConcurrencyPermit::new(Arc::clone(self.core.borrow()), self.permits(), number)
    }

    /// Hands the permits of a completed call over to the body of its response. Returns `false` if
    /// there is no such body.
    #[cfg(all(feature = "http", feature = "tower"))]
    #[inline]
    pub(crate) fn hand_over(&mut self) -> bool {
        super::handover::hand_over(|| self.take())
    }
}

impl<W: Weight> Slot<&Arc<Core>, W> {
    #[inline]
    fn poll_permit(&mut self, wait: &mut Wait<'_>) -> Poll<Result<ConcurrencyPermit, Error>> {
        self.poll(wait).map_ok(|()| self.take())
    }
}

/// Clones the request, neither the place in the queue nor the permits.
impl<C: Borrow<Arc<Core>> + Clone, W: Weight> Clone for Slot<C, W> {
    fn clone(&self) -> Self {
        Self::new(self.core.clone(), self.weight, self.patience)
    }
}

impl<C: Borrow<Arc<Core>>, W: Weight> Drop for Slot<C, W> {
    #[inline]
    fn drop(&mut self) {
        self.leave(Ended::Otherwise);
    }
}

/// Reports a refusal of one permit without a bound, which is a bug.
#[cold]
pub(super) fn never_refused(error: &Error) -> ! {
    unreachable!("one permit of any concurrency limiter can be waited for, but: {error}")
}

/// Waits for one permit: see
/// [`ConcurrencyLimiter::acquire`](crate::ConcurrencyLimiter::acquire).
///
/// # Cancel safety
///
/// If dropped while waiting, the call leaves the queue. Permits that it was handed and has not
/// returned go to the next waiter.
#[must_use = "futures do nothing unless you `.await` or poll them"]
#[pin_project]
pub struct AcquireConcurrency<'a> {
    slot: Slot<&'a Arc<Core>, OnePermit>,
    #[pin]
    timer: Option<Sleep>,
}

impl<'a> AcquireConcurrency<'a> {
    #[inline]
    pub(super) fn new(core: &'a Arc<Core>) -> Self {
        Self { slot: Slot::new(core, OnePermit, Patience::CannotFail), timer: None }
    }

    /// Waits by blocking the thread, in the same queue as tasks.
    ///
    /// Stays parked on a [closed](crate::ConcurrencyLimiter::close) limiter, because this method
    /// has no error to return. `limiter.acquire_many(1).blocking()` waits in the same way, and
    /// fails on a closed limiter.
    ///
    /// # Panics
    ///
    /// If the call has to wait in a task of a current-thread runtime, because the wait would stop
    /// that runtime. On a multi-thread runtime, the other tasks move to another thread.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::ConcurrencyLimiter;
    ///
    /// let limiter = ConcurrencyLimiter::new(8);
    /// let permit = limiter.acquire().blocking();
    /// assert_eq!(limiter.in_use(), 1);
    /// drop(permit);
    /// assert_eq!(limiter.in_use(), 0);
    /// ```
    #[track_caller]
    pub fn blocking(mut self) -> ConcurrencyPermit {
        wait_blocking(|wait| self.slot.poll_permit(wait)).unwrap_or_else(|error| never_refused(&error))
    }
}

impl Future for AcquireConcurrency<'_> {
    type Output = ConcurrencyPermit;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<ConcurrencyPermit> {
        let this = self.project();
        let permit = this.slot.poll_permit(&mut Wait::of_task(cx, Timer::Inline(this.timer)));
        permit.map(|permit| permit.unwrap_or_else(|error| never_refused(&error)))
    }
}

/// Waits for permits, or fails if they are refused: see
/// [`ConcurrencyLimiter::acquire_many`](crate::ConcurrencyLimiter::acquire_many) and
/// [`acquire_within`](crate::ConcurrencyLimiter::acquire_within).
///
/// # Cancel safety
///
/// As [`AcquireConcurrency`].
#[must_use = "futures do nothing unless you `.await` or poll them"]
#[pin_project]
pub struct AcquireManyConcurrency<'a> {
    slot: Slot<&'a Arc<Core>, Permits>,
    #[pin]
    timer: Option<Sleep>,
}

impl<'a> AcquireManyConcurrency<'a> {
    pub(super) fn new(core: &'a Arc<Core>, permits: Permits, patience: Patience) -> Self {
        Self { slot: Slot::new(core, permits, patience), timer: None }
    }

    /// Limits the wait to `max_wait`. A `max_wait` of zero does not wait. See
    /// [`acquire_within`](crate::ConcurrencyLimiter::acquire_within).
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), decor::Error> {
    /// use decor::{ConcurrencyLimiter, Error};
    /// use std::time::Duration;
    ///
    /// let limiter = ConcurrencyLimiter::new(8);
    /// let permit = limiter.acquire_many(6).within(Duration::from_secs(5)).await?;
    /// let refused = limiter.acquire_many(6).within(Duration::from_secs(5)).await;
    /// assert!(matches!(refused, Err(Error::ConcurrencyLimited { limit: 8, .. })));
    /// # drop(permit);
    /// # Ok(())
    /// # }
    /// ```
    pub fn within(mut self, max_wait: Duration) -> Self {
        self.slot.patience = Patience::Within(max_wait);
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
    /// As [`AcquireConcurrency::blocking`].
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::{ConcurrencyLimiter, Error};
    /// use std::time::Duration;
    ///
    /// let limiter = ConcurrencyLimiter::new(8);
    /// let batch = limiter.acquire_many(7).blocking()?;
    /// let single = limiter.acquire_within(Duration::from_secs(1)).blocking()?;
    /// assert_eq!(limiter.available(), 0);
    /// # drop((batch, single));
    /// # Ok::<(), Error>(())
    /// ```
    #[track_caller]
    pub fn blocking(mut self) -> Result<ConcurrencyPermit, Error> {
        wait_blocking(|wait| self.slot.poll_permit(wait))
    }
}

impl Future for AcquireManyConcurrency<'_> {
    type Output = Result<ConcurrencyPermit, Error>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        this.slot.poll_permit(&mut Wait::of_task(cx, Timer::Inline(this.timer)))
    }
}

impl<C: Borrow<Arc<Core>>, W: Weight + fmt::Debug> fmt::Debug for Slot<C, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AcquireConcurrency")
            .field("permits", &self.weight)
            .field("patience", &self.patience)
            .field("waiting", &matches!(self.state, State::Waiting(..)))
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for AcquireConcurrency<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.slot.fmt(f)
    }
}

impl fmt::Debug for AcquireManyConcurrency<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.slot.fmt(f)
    }
}
