//! Waiting of a gate, in a task or on a thread.

use crate::{
    clock::{self, Clock, Instant, Sleep},
    thread::{Progress, block_until, unwind_if_cancelled},
};
use std::{
    mem::ManuallyDrop,
    pin::Pin,
    task::{Context, Poll, Waker},
};

/// Clock, timer and waker of a gate that may hold a call back.
///
/// The same gate serves tasks and threads. A task waits with a timer and its waker. A thread parks.
///
/// # Examples
///
/// A gate that lets no call begin before a given time:
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
/// use decor::{layer::{Decoration, Gate, Instant, Wait, now}, prelude::*, test_util::VirtualClock};
/// use std::{fmt::{self, Formatter}, task::Poll, time::Duration};
///
/// #[derive(Clone)]
/// struct NotBefore(Instant);
///
/// impl Decoration for NotBefore {
///     fn describe(&self, f: &mut Formatter<'_>) -> fmt::Result { f.write_str(".not_before(..)") }
/// }
///
/// impl<T> Gate<T> for NotBefore {
///     fn enter(&mut self, wait: &mut Wait<'_>) -> Poll<Result<(), T>> {
///         wait.until(self.0).map(Ok)
///     }
/// }
///
/// async fn fetch(id: u64) -> u64 { id }
///
/// let noon = now() + Duration::from_secs(60);
/// assert_eq!(fetch.gated(NotBefore(noon)).call(42).await, 42);
/// assert_eq!(now(), noon);
///
/// # tokio::task::spawn_blocking(|| {
/// fn load(id: u64) -> u64 { id }
///
/// let clock = VirtualClock::start();
/// let noon = now() + Duration::from_secs(60);
/// assert_eq!(load.blocking().gated(NotBefore(noon)).call(42), 42);
/// assert!(clock.elapsed() >= Duration::from_secs(60));
/// # }).await.unwrap();
/// # }
/// ```
#[derive(Debug)]
pub struct Wait<'a>(Waiting<'a>);

#[derive(Debug)]
enum Waiting<'a> {
    Task { waker: &'a Waker, timer: Timer<'a> },
    Thread { waker: &'a Waker, until: Option<Instant> },
}

/// Timer of a task; `None` until the task first has to wait.
#[derive(Debug)]
pub(crate) enum Timer<'a> {
    /// In place, in a future that only waits.
    Inline(Pin<&'a mut Option<Sleep>>),
    /// In a box, beside a call, because most calls never wait.
    Boxed(&'a mut BoxedTimer),
}

/// A timer in a box. Dropped manually, so that a call without a timer pays for one comparison only.
#[derive(Debug)]
pub(crate) struct BoxedTimer(ManuallyDrop<Option<Pin<Box<Sleep>>>>);

impl BoxedTimer {
    #[inline]
    pub(crate) const fn new() -> Self {
        Self(ManuallyDrop::new(None))
    }

    #[inline]
    pub(crate) fn disarm(&mut self) {
        if self.0.is_some() {
            self.discard();
        }
    }

    #[cold]
    #[inline(never)]
    fn discard(&mut self) {
        *self.0 = None;
    }
}

impl Drop for BoxedTimer {
    #[inline]
    fn drop(&mut self) {
        self.disarm();
    }
}

impl Timer<'_> {
    fn armed(&mut self) -> Option<Pin<&mut Sleep>> {
        match self {
            Self::Inline(sleep) => sleep.as_mut().as_pin_mut(),
            Self::Boxed(timer) => timer.0.as_mut().map(Pin::as_mut),
        }
    }

    fn poll_until(&mut self, moment: Instant, waker: &Waker) -> Poll<()> {
        if Clock::Task.now() >= moment {
            return Poll::Ready(());
        }
        match self.armed() {
            Some(sleep) if sleep.deadline() == moment => {}
            Some(sleep) => sleep.reset(moment),
            None => match self {
                Self::Inline(sleep) => sleep.set(Some(clock::sleep_until(moment))),
                Self::Boxed(timer) => *timer.0 = Some(Box::pin(clock::sleep_until(moment))),
            },
        }
        self.armed().map_or(Poll::Ready(()), |sleep| sleep.poll(&mut Context::from_waker(waker)))
    }

    fn disarm(&mut self) {
        match self {
            Self::Inline(sleep) => sleep.set(None),
            Self::Boxed(timer) => timer.disarm(),
        }
    }
}

impl<'a> Wait<'a> {
    #[inline]
    pub(crate) fn of_task(cx: &'a Context<'_>, timer: Timer<'a>) -> Self {
        Self(Waiting::Task { waker: cx.waker(), timer })
    }

    #[inline]
    pub(crate) fn of_thread(waker: &'a Waker) -> Self {
        Self(Waiting::Thread { waker, until: None })
    }

    #[inline]
    pub(crate) fn clock(&self) -> Clock {
        match self.0 {
            Waiting::Task { .. } => Clock::Task,
            Waiting::Thread { .. } => Clock::Thread,
        }
    }

    /// Returns the time at which a thread polls again; `None` if the thread waits to be woken.
    pub(crate) fn wake_at(self) -> Option<Instant> {
        match self.0 {
            Waiting::Task { .. } => None,
            Waiting::Thread { until, .. } => until,
        }
    }

    /// Unwinds the call on this thread if its caller has abandoned it.
    pub(crate) fn unwind_if_cancelled(&self) {
        if let Waiting::Thread { .. } = self.0 {
            unwind_if_cancelled();
        }
    }

    /// Returns the time of decor's clock, which a test can pause.
    ///
    /// For a task, the time is tokio's. For a thread, it is the real time, or the time of its
    /// `VirtualClock`.
    ///
    /// # Examples
    ///
    /// See the circuit breaker of [`decor::layer`](crate::layer#a-circuit-breaker).
    pub fn now(&self) -> Instant {
        self.clock().now()
    }

    /// Returns the waker that has the gate polled again.
    ///
    /// A gate that waits for an event stores a clone where the cause of the event finds it. It does
    /// so at each poll, because a later poll may have another waker.
    ///
    /// # Examples
    ///
    /// A gate that waits for a signal:
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use decor::{layer::{Gate, Wait}, prelude::*};
    /// use std::{future::ready, sync::{Arc, Mutex}, task::{Poll, Waker}};
    ///
    /// #[derive(Clone, Default)]
    /// struct Signal(Arc<Mutex<(bool, Vec<Waker>)>>);
    ///
    /// impl Signal {
    ///     fn give(&self) {
    ///         let mut signal = self.0.lock().unwrap();
    ///         signal.0 = true;
    ///         signal.1.drain(..).for_each(Waker::wake);
    ///     }
    /// }
    ///
    /// impl<T> Gate<T> for Signal {
    ///     fn enter(&mut self, wait: &mut Wait<'_>) -> Poll<Result<(), T>> {
    ///         let mut signal = self.0.lock().unwrap();
    ///         if signal.0 {
    ///             return Poll::Ready(Ok(()));
    ///         }
    ///         signal.1.push(wait.waker().clone());
    ///         Poll::Pending
    ///     }
    /// }
    ///
    /// let signal = Signal::default();
    /// let call = tokio::spawn(ready(42).gated(signal.clone()));
    /// tokio::task::yield_now().await;
    /// signal.give();
    /// assert_eq!(call.await.unwrap(), 42);
    /// # }
    /// ```
    pub fn waker(&self) -> &Waker {
        match &self.0 {
            Waiting::Task { waker, .. } | Waiting::Thread { waker, .. } => waker,
        }
    }

    /// Returns `Ready` if the given time has come. Otherwise the gate is polled again at that time,
    /// or earlier if the [waker](Self::waker) is used.
    ///
    /// A later call replaces the time of an earlier one.
    ///
    /// # Panics
    ///
    /// In a task, outside of a tokio runtime with its timer enabled.
    ///
    /// # Examples
    ///
    /// See [`Wait`].
    pub fn until(&mut self, moment: Instant) -> Poll<()> {
        match &mut self.0 {
            Waiting::Thread { until, .. } => {
                if Clock::Thread.now() >= moment {
                    return Poll::Ready(());
                }
                *until = Some(moment);
                Poll::Pending
            }
            Waiting::Task { waker, timer } => timer.poll_until(moment, waker),
        }
    }

    /// Polls a future as part of the wait, such as a semaphore or an answer from another task. The
    /// gate is polled again when the future is woken.
    ///
    /// # Examples
    ///
    /// A gate that lets at most two calls run at once, by tokio's semaphore. If the gate is dropped
    /// while it waits, it drops the future, which leaves the semaphore's queue.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::{layer::{Decoration, End, Gate, Wait}, prelude::*};
    /// use futures::future::{BoxFuture, join_all};
    /// use std::{fmt, sync::Arc, task::{Poll, ready}, time::Duration};
    /// use tokio::{sync::{OwnedSemaphorePermit, Semaphore}, time::{Instant, sleep}};
    ///
    /// struct Bulkhead {
    ///     calls: Arc<Semaphore>,
    ///     waiting: Option<BoxFuture<'static, OwnedSemaphorePermit>>,
    ///     permit: Option<OwnedSemaphorePermit>,
    /// }
    ///
    /// impl Bulkhead {
    ///     fn new(calls: Arc<Semaphore>) -> Self { Self { calls, waiting: None, permit: None } }
    /// }
    ///
    /// impl Clone for Bulkhead { // the gate of another call has no permit yet
    ///     fn clone(&self) -> Self { Self::new(self.calls.clone()) }
    /// }
    ///
    /// impl Decoration for Bulkhead {
    ///     fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    ///         f.write_str(".bulkhead(..)")
    ///     }
    /// }
    ///
    /// impl<T> Gate<T> for Bulkhead {
    ///     fn enter(&mut self, wait: &mut Wait<'_>) -> Poll<Result<(), T>> {
    ///         let calls = self.calls.clone();
    ///         let acquire = || -> BoxFuture<'static, _> {
    ///             Box::pin(async { calls.acquire_owned().await.expect("never closed") })
    ///         };
    ///         let waiting = self.waiting.get_or_insert_with(acquire);
    ///         self.permit = Some(ready!(wait.poll(waiting.as_mut())));
    ///         Poll::Ready(Ok(()))
    ///     }
    ///
    ///     fn end(&mut self, _: End<'_, T>) {
    ///         self.permit = None;
    ///     }
    /// }
    ///
    /// async fn fetch(_: u64) { sleep(Duration::from_secs(1)).await }
    ///
    /// let begun = Instant::now();
    /// let fetch = fetch.gated(Bulkhead::new(Arc::new(Semaphore::new(2))));
    /// join_all((0..5).map(|id| fetch.call(id))).await;
    /// assert_eq!(begun.elapsed(), Duration::from_secs(3));
    /// # }
    /// ```
    pub fn poll<F: Future + ?Sized>(&mut self, future: Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(self.waker()))
    }

    /// Clears the time of an earlier [`until`](Self::until), so that the gate is polled again only
    /// when woken.
    pub(crate) fn for_a_wake(&mut self) {
        match &mut self.0 {
            Waiting::Task { timer, .. } => timer.disarm(),
            Waiting::Thread { until, .. } => *until = None,
        }
    }
}

/// Returns the time of decor's clock, outside of a gate: the time of the thread's virtual clock if
/// there is one, otherwise tokio's.
///
/// Use this function for a time that a gate compares with [`Wait::now`]. `Instant::now()` is right
/// in tasks only.
///
/// # Examples
///
/// ```
/// use decor::{layer::now, test_util::VirtualClock};
/// use std::time::Duration;
///
/// let clock = VirtualClock::start();
/// let begun = now();
/// clock.advance(Duration::from_secs(60));
/// assert_eq!(now() - begun, Duration::from_secs(60));
/// ```
pub fn now() -> Instant {
    Clock::current().now()
}

/// Calls `poll` until it is ready, and parks the thread in between.
#[inline]
#[track_caller]
pub(crate) fn wait_blocking<T>(mut poll: impl FnMut(&mut Wait<'_>) -> Poll<T>) -> T {
    // Most calls are ready at the first poll, and need no waker.
    match poll(&mut Wait::of_thread(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => park_until_ready(poll),
    }
}

#[cold]
#[track_caller]
fn park_until_ready<T>(mut poll: impl FnMut(&mut Wait<'_>) -> Poll<T>) -> T {
    block_until(|waker| {
        let mut wait = Wait::of_thread(waker);
        match poll(&mut wait) {
            Poll::Ready(value) => Progress::Ready(value),
            Poll::Pending => Progress::wake_me(wait.wake_at()),
        }
    })
}
