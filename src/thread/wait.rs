//! Blocking waits: a thread parks until it is woken or a deadline has passed.

use super::{cancel, runtime};
#[cfg(feature = "test-util")]
use crate::clock::virtual_clock::{self, Waits};
use crate::{
    clock::{Clock, Instant, WakeOrder},
    sync::{Arc, Condvar, Mutex, lock, thread_local},
};
use std::{
    cell::Cell,
    fmt,
    panic::{AssertUnwindSafe, Location, catch_unwind},
    sync::PoisonError,
    task::{Wake, Waker},
    time::Duration,
};
use tokio::runtime::Handle;

/// Parks one thread until its waker is woken.
///
/// `std::thread::park` is not used, because a thread has only one park token. A wait could consume
/// an `unpark` that is meant for user code on the same thread.
#[derive(Default)]
struct Parker {
    /// Set by a wake, reset at the end of the wait.
    is_woken: Mutex<bool>,
    woken: Condvar,
}

impl Wake for Parker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.set_woken();
    }
}

impl Parker {
    fn set_woken(&self) {
        *lock(&self.is_woken) = true;
        self.woken.notify_one();
    }

    #[cfg_attr(not(feature = "test-util"), allow(unused_variables))]
    #[track_caller]
    fn wait(self: &Arc<Self>, at: Option<Instant>, order: WakeOrder) {
        let call = Location::caller();
        #[cfg(feature = "test-util")]
        if let Some(clock) = virtual_clock::current() {
            let park = || block_in_place(call, || self.park(None));
            return clock.wait(Arc::clone(self) as _, at, order, park);
        }
        block_in_place(call, || self.park(at));
        self.take_wake();
    }

    /// Parks until there is a wake to take, or until `at`.
    fn park(&self, at: Option<Instant>) {
        let mut is_woken = lock(&self.is_woken);
        while !*is_woken {
            is_woken = match at.map(|at| at.saturating_duration_since(Clock::Thread.now())) {
                None => self.woken.wait(is_woken).unwrap_or_else(PoisonError::into_inner),
                Some(Duration::ZERO) => return,
                Some(left) => self.woken.wait_timeout(is_woken, left).unwrap_or_else(PoisonError::into_inner).0,
            };
        }
    }

    /// Takes the wake. Returns `true` if there was one.
    fn take_wake(&self) -> bool {
        std::mem::take(&mut *lock(&self.is_woken))
    }
}

#[cfg(feature = "test-util")]
impl Waits for Parker {
    fn take_wake(&self) -> bool {
        self.take_wake()
    }

    fn is_woken(&self) -> bool {
        *lock(&self.is_woken)
    }

    fn wake(&self) {
        self.set_woken();
    }
}

thread_local! {
    /// `None` before the thread's first wait, and while a wait uses the parker.
    static PARKER: Cell<Option<Arc<Parker>>> = const { Cell::new(None) };
}

/// The parker of one wait.
///
/// A wait within a wait has a parker of its own, because it would otherwise take the wakes of the
/// outer wait. Such waits come from wakers that block, and from values that block when dropped.
struct ParkerGuard(Arc<Parker>);

impl ParkerGuard {
    fn new() -> Self {
        // The `Drop` of another thread-local may wait after `PARKER` is gone.
        let parker = PARKER.try_with(Cell::take).ok().flatten().unwrap_or_default();
        // An earlier wait of this thread may have been woken twice.
        parker.take_wake();
        Self(parker)
    }
}

impl Drop for ParkerGuard {
    fn drop(&mut self) {
        let _ = PARKER.try_with(|parker| parker.set(Some(Arc::clone(&self.0))));
    }
}

/// Calls `poll` until it is ready. In between, parks until woken, or until the deadline that `poll`
/// returned. Unwinds if the call of this thread is cancelled.
///
/// # Panics
///
/// If it has to wait in a task of a current-thread runtime, because the wait would stop that
/// runtime.
#[track_caller]
pub(crate) fn block_until<T>(poll: impl FnMut(&Waker) -> Progress<T>) -> T {
    match ready_or_cancelled(poll) {
        Some(value) => value,
        None => cancel::unwind(),
    }
}

/// [`block_until`], but returns `None` if the call of this thread is cancelled.
#[track_caller]
pub(super) fn ready_or_cancelled<T>(mut poll: impl FnMut(&Waker) -> Progress<T>) -> Option<T> {
    let _runtime = runtime::cancels_at_its_end();
    let parker = ParkerGuard::new();
    let waker = Waker::from(Arc::clone(&parker.0));
    let _registered = cancel::register(&waker);
    loop {
        if cancel::is_to_be_unwound() {
            return None;
        }
        match poll(&waker) {
            Progress::Ready(value) => return Some(value),
            Progress::WakeMe { at, order } => parker.0.wait(at, order),
        }
    }
}

/// The result of a poll.
pub(crate) enum Progress<T> {
    Ready(T),
    /// Not ready. To be polled again when woken, or at the moment `at`. `None` if the clock cannot
    /// represent that moment.
    WakeMe {
        at: Option<Instant>,
        order: WakeOrder,
    },
}

impl<T> Progress<T> {
    pub(crate) fn wake_me(at: Option<Instant>) -> Self {
        Self::WakeMe { at, order: WakeOrder::First }
    }
}

/// Runs the wait of a call. On a worker thread of a runtime, moves the other tasks to another
/// thread first.
///
/// # Panics
///
/// In a task of a current-thread runtime. Tokio panics there before the wait begins, and has no
/// function to ask beforehand.
#[track_caller]
fn block_in_place(call: &Location<'_>, wait: impl FnOnce()) {
    // Also while the thread ends: tokio's thread-local is gone then, and there is no runtime to
    // ask.
    if Handle::try_current().is_err() {
        return wait();
    }
    let waited = catch_unwind(AssertUnwindSafe(|| tokio::task::block_in_place(wait)));
    assert!(
        waited.is_ok(),
        "{} would have to wait, and so stop the runtime of its task (a current-thread runtime, or a `LocalSet`): \
         make the call in `tokio::task::spawn_blocking`",
        Blocking(call),
    );
}

/// A blocking call and its place. The place is left out where it is decor's own, because a closure
/// of decor's does not know its caller.
struct Blocking<'a>(&'a Location<'a>);

impl fmt::Display for Blocking<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let source = &file!()[..file!().len() - "thread/wait.rs".len()];
        if self.0.file().starts_with(source) {
            f.write_str("a blocking call")
        } else {
            write!(f, "the blocking call at {}", self.0)
        }
    }
}

/// Sleeps for `delay`. Unwinds if the call of this thread is cancelled.
#[track_caller]
pub(crate) fn sleep(delay: Duration) {
    let end = Clock::Thread.now().checked_add(delay);
    block_until(|_| match end {
        Some(end) if end <= Clock::Thread.now() => Progress::Ready(()),
        at => Progress::wake_me(at),
    });
}

#[cfg(all(test, feature = "test-util", not(shuttle)))]
mod tests {
    use super::*;
    use crate::{test_util::VirtualClock, thread::CancelToken};

    const SECOND: Duration = Duration::from_secs(1);

    /// Waits within a wait come from wakers that block, and from values that block when dropped.
    #[test]
    fn a_nested_wait_keeps_the_outer_wait_registered_for_cancellation() {
        let clock = VirtualClock::start();
        let token = CancelToken::new();
        let its = token.clone();
        let waits_within = |_: &Waker| {
            sleep(SECOND);
            Progress::<()>::wake_me(None)
        };
        let waits = clock.spawn(move || its.run(|| block_until(waits_within)));
        sleep(2 * SECOND);
        token.cancel();
        assert!(waits.join().is_none());
        assert_eq!(clock.elapsed(), 2 * SECOND);
    }

    #[test]
    fn a_nested_wait_does_not_take_the_outer_waits_wake() {
        let clock = VirtualClock::start();
        let mut polls = 0;
        block_until(|waker| {
            polls += 1;
            if polls == 2 {
                return Progress::Ready(());
            }
            waker.wake_by_ref();
            sleep(SECOND);
            Progress::wake_me(None)
        });
        assert_eq!((polls, clock.elapsed()), (2, SECOND));
    }
}
