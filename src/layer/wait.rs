//! How a gate waits: as a task or as a thread, the gate cannot tell.

use crate::{
    clock::{self, Clock, Instant, Sleep},
    thread::{Progress, block_until, unwind_if_cancelled},
};
use std::{
    pin::Pin,
    task::{Context, Poll, Waker},
};

/// What a gate may do while it holds a call back: read the clock, and ask to be polled again.
///
/// The same gate serves tasks and threads. For a task a wait is a timer and a waker; a thread is
/// parked.
///
/// # Examples
///
/// A gate that lets no call begin before a moment:
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
/// use decor::{layer::{Decoration, Gate, Wait}, prelude::*};
/// use std::{fmt, task::{Poll, ready}, time::Duration};
/// use tokio::time::Instant;
///
/// #[derive(Clone)]
/// struct NotBefore(Instant);
///
/// impl Decoration for NotBefore {
///     fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str(".not_before(..)") }
/// }
///
/// impl<T> Gate<T> for NotBefore {
///     fn enter(&mut self, wait: &mut Wait<'_>) -> Poll<Result<(), T>> {
///         ready!(wait.until(self.0));
///         Poll::Ready(Ok(()))
///     }
/// }
///
/// async fn fetch(id: u64) -> u64 { id }
///
/// let noon = Instant::now() + Duration::from_secs(60);
/// assert_eq!(fetch.gated(NotBefore(noon)).call(42).await, 42);
/// assert_eq!(Instant::now(), noon);
/// # }
/// ```
#[derive(Debug)]
pub struct Wait<'a>(Waiting<'a>);

#[derive(Debug)]
enum Waiting<'a> {
    Task { waker: &'a Waker, timer: Timer<'a> },
    Thread { waker: &'a Waker, until: Option<Instant> },
}

/// The timer of a task that waits; `None` until it first has to.
#[derive(Debug)]
pub(crate) enum Timer<'a> {
    /// Within a future that is made to wait.
    Inline(Pin<&'a mut Option<Sleep>>),
    /// Beside a call, because most calls never wait.
    Boxed(&'a mut BoxedTimer),
}

pub(crate) type BoxedTimer = Option<Pin<Box<Sleep>>>;

impl Timer<'_> {
    fn armed(&mut self) -> Option<Pin<&mut Sleep>> {
        match self {
            Self::Inline(sleep) => sleep.as_mut().as_pin_mut(),
            Self::Boxed(sleep) => sleep.as_mut().map(Pin::as_mut),
        }
    }

    fn poll_until(&mut self, moment: Instant, waker: &Waker) -> Poll<()> {
        match self.armed() {
            Some(sleep) if sleep.deadline() == moment => {}
            Some(sleep) => sleep.reset(moment),
            None => match self {
                Self::Inline(sleep) => sleep.set(Some(clock::sleep_until(moment))),
                Self::Boxed(sleep) => **sleep = Some(Box::pin(clock::sleep_until(moment))),
            },
        }
        self.armed().map_or(Poll::Ready(()), |sleep| sleep.poll(&mut Context::from_waker(waker)))
    }

    fn disarm(&mut self) {
        match self {
            Self::Inline(sleep) => sleep.set(None),
            Self::Boxed(sleep) => **sleep = None,
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

    /// When a thread has to look again; `None` if it waits to be woken.
    pub(crate) fn wake_at(self) -> Option<Instant> {
        match self.0 {
            Waiting::Task { .. } => None,
            Waiting::Thread { until, .. } => until,
        }
    }

    /// Unwinds a thread whose caller has gone.
    pub(crate) fn unwind_if_cancelled(&self) {
        if let Waiting::Thread { .. } = self.0 {
            unwind_if_cancelled();
        }
    }

    /// The time by decor's clock: tokio's for a task, so that a test can pause it; for a thread the
    /// real time, or that of its virtual clock.
    ///
    /// # Examples
    ///
    /// See [`Wait`].
    pub fn now(&self) -> Instant {
        self.clock().now()
    }

    /// Wakes the call that waits: it is polled again.
    ///
    /// A gate that waits for an event hands a clone to whatever brings the event about.
    ///
    /// # Examples
    ///
    /// See [`Wait`].
    pub fn waker(&self) -> &Waker {
        match &self.0 {
            Waiting::Task { waker, .. } | Waiting::Thread { waker, .. } => waker,
        }
    }

    /// Ready when this moment has come. Otherwise the gate is polled again then, or when the
    /// [waker](Self::waker) is used.
    ///
    /// A later call replaces the moment of an earlier one.
    ///
    /// # Panics
    ///
    /// In a task outside of a tokio runtime with time enabled.
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

    /// Forgets a moment that was asked for: the gate is polled again only when it is woken.
    pub(crate) fn for_a_wake(&mut self) {
        match &mut self.0 {
            Waiting::Task { timer, .. } => timer.disarm(),
            Waiting::Thread { until, .. } => *until = None,
        }
    }
}

/// Waits as a thread does: polls until the value is ready, and parks in between.
#[inline]
pub(crate) fn wait_blocking<T>(mut poll: impl FnMut(&mut Wait<'_>) -> Poll<T>) -> T {
    // Most calls need not wait, and then there is no wake to register for.
    match poll(&mut Wait::of_thread(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => park_until_ready(poll),
    }
}

#[cold]
fn park_until_ready<T>(mut poll: impl FnMut(&mut Wait<'_>) -> Poll<T>) -> T {
    block_until(|waker| {
        let mut wait = Wait::of_thread(waker);
        match poll(&mut wait) {
            Poll::Ready(value) => Progress::Ready(value),
            Poll::Pending => Progress::wake_me(wait.wake_at()),
        }
    })
}
