//! How a thread waits: parked, until it is woken or its moment has come.

use super::abandonment;
use crate::{
    sync::Arc,
    time::{Clock, Instant},
};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::{AtomicBool, Ordering},
    task::{Wake, Waker},
    thread::{self, Thread},
    time::Duration,
};
use tokio::runtime::Handle;

/// What wakes this thread. Made once for each thread that ever waits.
pub(crate) struct Parked {
    pub(crate) thread: Thread,
    pub(crate) is_woken: AtomicBool,
}

impl Wake for Parked {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.is_woken.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

impl Parked {
    fn this_thread() -> (Arc<Self>, Waker) {
        let parked = Arc::new(Self { thread: thread::current(), is_woken: AtomicBool::new(false) });
        (Arc::clone(&parked), Waker::from(parked))
    }
}

thread_local! {
    static PARKED: (Arc<Parked>, Waker) = Parked::this_thread();
}

/// Polls until it is ready; in between, waits until it is woken, or until the moment that it names.
///
/// # Panics
///
/// In a task of a current-thread runtime, where it would stop everything that it waits for.
pub(crate) fn until_ready<T>(mut poll: impl FnMut(&Waker) -> Progress<T>) -> T {
    // A thread-local's `Drop` may come when this one is gone already.
    let (parked, waker) = PARKED.try_with(Clone::clone).unwrap_or_else(|_| Parked::this_thread());
    let _woken = abandonment::woken_by(&waker);
    loop {
        abandonment::check();
        match poll(&waker) {
            Progress::Ready(value) => return value,
            Progress::WakeMe { at, patience } => parked.wait(at, patience),
        }
    }
}

/// What comes of looking whether the wait is over.
pub(crate) enum Progress<T> {
    Ready(T),
    /// Not yet: to be looked at again when woken, or at this moment. `None` lies beyond what the clock can express.
    WakeMe {
        at: Option<Instant>,
        patience: Patience,
    },
}

/// Whether one who waits until a moment lets those go first who come to the end of their wait at the same. Only a virtual clock has such
/// moments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Patience {
    None,
    LetsOthersEnd,
}

impl<T> Progress<T> {
    pub(crate) fn wake_me(at: Option<Instant>) -> Self {
        Self::WakeMe { at, patience: Patience::None }
    }
}

impl Parked {
    #[cfg_attr(not(feature = "test-util"), allow(unused_variables))]
    fn wait(self: &Arc<Self>, at: Option<Instant>, patience: Patience) {
        #[cfg(feature = "test-util")]
        if let Some(clock) = crate::test_util::current() {
            return clock.wait(self, at, patience);
        }
        in_place(|| {
            while !self.is_woken.swap(false, Ordering::Acquire) {
                let Some(at) = at else {
                    thread::park();
                    continue;
                };
                let left = at.saturating_duration_since(Clock::Thread.now());
                if left.is_zero() {
                    return;
                }
                thread::park_timeout(left);
            }
        });
    }
}

/// On a worker of a runtime the other tasks go on elsewhere meanwhile.
///
/// # Panics
///
/// Where they cannot: tokio panics before anything waits, and whether it would cannot be asked.
pub(crate) fn in_place(wait: impl FnOnce()) {
    // A thread that is at its very end has no thread-local left to say that it is none.
    if Handle::try_current().is_err() {
        return wait();
    }
    let waited = catch_unwind(AssertUnwindSafe(|| tokio::task::block_in_place(wait)));
    assert!(
        waited.is_ok(),
        "a blocking call would have to wait here, and so stop the runtime whose task it is in (a current-thread runtime, or a `LocalSet`): \
         call it in `tokio::task::spawn_blocking`",
    );
}

/// Sleeps so long, unless whoever waits for this thread's work has gone.
pub(crate) fn sleep(delay: Duration) {
    let end = Clock::Thread.now().checked_add(delay);
    until_ready(|_| match end {
        Some(end) if end <= Clock::Thread.now() => Progress::Ready(()),
        at => Progress::wake_me(at),
    });
}
