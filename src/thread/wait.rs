//! The wait of a thread: parked, until it is woken or a moment has come.

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

/// Parks one thread; its waker ends that.
///
/// `std::thread::park` is not used, because a thread has only one token for it. A wait would take
/// an `unpark` that the thread's own code is owed.
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

    /// Parks until there is a wake to take, or until this moment.
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

    /// Takes the wake, and returns whether there was one.
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
    /// `None` before the thread's first wait, and during a wait, which has taken it.
    static PARKER: Cell<Option<Arc<Parker>>> = const { Cell::new(None) };
}

/// The parker of one wait.
///
/// A wait within a wait (of a waker that blocks, or of a value's `Drop`) has a parker of its own.
/// It would otherwise take the wakes that are meant for the outer one.
struct OfThisWait(Arc<Parker>);

impl OfThisWait {
    fn new() -> Self {
        // A thread-local's `Drop` may wait when `PARKER` is gone already.
        Self(PARKER.try_with(Cell::take).ok().flatten().unwrap_or_default())
    }
}

impl Drop for OfThisWait {
    fn drop(&mut self) {
        let _ = PARKER.try_with(|parker| parker.set(Some(Arc::clone(&self.0))));
    }
}

/// Polls until the value is ready. In between, waits until it is woken, or until the moment that
/// the poll names. If the call of this thread is cancelled, it is unwound.
///
/// # Panics
///
/// In a task of a current-thread runtime, where it would stop everything that it waits for.
#[track_caller]
pub(crate) fn block_until<T>(poll: impl FnMut(&Waker) -> Progress<T>) -> T {
    match ready_or_cancelled(poll) {
        Some(value) => value,
        None => cancel::unwind(),
    }
}

/// `None` if the call of this thread is cancelled.
#[track_caller]
pub(super) fn ready_or_cancelled<T>(mut poll: impl FnMut(&Waker) -> Progress<T>) -> Option<T> {
    let _runtime = runtime::cancels_at_its_end();
    let parker = OfThisWait::new();
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
    /// Not yet: to be polled again when woken, or at this moment. `None` lies beyond what the clock
    /// can express.
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

/// Runs a wait of the call that stands there. On a worker of a runtime the other tasks go on
/// elsewhere meanwhile.
///
/// # Panics
///
/// In a task of a current-thread runtime. Tokio panics there before anything waits, and cannot be
/// asked beforehand.
#[track_caller]
fn block_in_place(call: &Location<'_>, wait: impl FnOnce()) {
    // A thread that is at its very end has no thread-local left to say that it is none.
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

/// Sleeps for `delay`, and is unwound if the call of this thread is cancelled.
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

    /// A wait within a wait is that of a waker that blocks, or of a value that blocks when dropped.
    #[test]
    fn a_wait_within_a_wait_leaves_the_outer_one_registered() {
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
    fn a_wait_within_a_wait_leaves_the_outer_ones_wake() {
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
