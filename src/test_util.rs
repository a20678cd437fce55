//! A virtual clock for threads: blocking code is tested to the nanosecond, and without waiting. Feature `test-util`.
//!
//! For tasks there is tokio's own, `start_paused = true`. The two know nothing of each other: a future goes by tokio's clock, on whatever
//! thread it is polled, and what a thread does itself (`acquire_blocking`, `try_acquire`, a memo's `get` and `insert`, a decorated call
//! that blocks) by the thread's. In a test with a paused clock, start one of these in the closure given to `spawn_blocking`.
//!
//! # What hangs, and what does not wait
//!
//! Virtual time moves on when every thread of the clock waits *in decor*: for a delay, a permit, a load, a call with a limit, or by
//! [`sleep`]. A thread that is busy elsewhere keeps it still.
//!
//! - A channel's `recv()`, a lock or a `join()` that waits for another thread of the clock hangs: time stands still for that one. The
//!   [`join`](VirtualThread::join) here does not.
//! - So does a function under a `.timeout(..)` that hangs in the operating system: the limit is never reached. Let it
//!   [`sleep`] for longer than the limit.
//! - `std::thread::sleep` takes real time and no virtual time, so a limit does not see it.
//! - Threads of `std::thread::spawn` are not the clock's, and wait in real time; use [`spawn`](VirtualClock::spawn).

use crate::{
    blocking::{Parker, RemoteCall, WakeOrder, block_in_place},
    sync::Arc,
    time::Instant,
};
use std::{
    cell::RefCell,
    fmt,
    iter,
    marker::PhantomData,
    // Not by way of `crate::sync`: a clock is no part of what a model checker takes apart.
    sync::{Mutex, MutexGuard, PoisonError},
    task::Wake as _,
    time::Duration,
};

/// Time for the thread that made it, and for those that are started by [`clock.spawn(..)`](Self::spawn): it stands still while any of them does something, and
/// when all of them wait in decor, it moves on to the first moment that one of them waits for.
///
/// Everything of decor's that these threads do themselves follows it: delays, limits, timeouts, TTLs. `std::thread::sleep` does not; to let
/// time pass, [`advance`](Self::advance). A handle that is also used by tasks (even of these threads: their timers are tokio's), or by
/// threads without this clock, sees two times.
///
/// ```
/// use decor::{prelude::*, test_util::VirtualClock};
/// use std::time::Duration;
///
/// let clock = VirtualClock::start();
/// let policy = RetryPolicy::exponential(Duration::from_secs(10));
/// let refused = (|| Err::<(), _>("refused")).blocking().retry_with(policy).run();
/// assert_eq!(refused, Err("refused"));
/// assert_eq!(clock.elapsed(), Duration::from_secs(10 + 20)); // at once
/// ```
pub struct VirtualClock {
    shared: Arc<Shared>,
    /// It belongs to its thread.
    not_send: PhantomData<*const ()>,
}

pub(crate) struct Shared {
    base: Instant,
    /// The clock that its thread had before.
    before: Option<Arc<Shared>>,
    state: Mutex<State>,
}

struct State {
    elapsed: Duration,
    /// Threads that do something.
    running: usize,
    waiting: Vec<Waiting>,
    /// Whether it has been dropped.
    is_over: bool,
}

struct Waiting {
    parker: Arc<Parker>,
    until: Option<Duration>,
    order: WakeOrder,
    is_due: bool,
}

thread_local! {
    static CURRENT: RefCell<Option<Arc<Shared>>> = const { RefCell::new(None) };
}

impl VirtualClock {
    /// From now on this thread's time is virtual, until the clock is dropped.
    ///
    /// ```
    /// let clock = decor::test_util::VirtualClock::start();
    /// assert!(clock.elapsed().is_zero());
    /// ```
    pub fn start() -> Self {
        let state = State { elapsed: Duration::ZERO, running: 1, waiting: Vec::new(), is_over: false };
        let shared = Arc::new(Shared { base: Instant::now(), before: current(), state: Mutex::new(state) });
        CURRENT.set(Some(Arc::clone(&shared)));
        Self { shared, not_send: PhantomData }
    }

    /// The time that has passed since it was started.
    ///
    /// ```
    /// use decor::{prelude::*, test_util::VirtualClock};
    /// use std::time::Duration;
    ///
    /// let clock = VirtualClock::start();
    /// let limiter = RateLimiter::new(3, Duration::from_secs(1));
    /// (0..5).for_each(|_| limiter.acquire_blocking());
    /// assert_eq!(clock.elapsed(), Duration::from_secs(1));
    /// ```
    pub fn elapsed(&self) -> Duration {
        self.shared.state().elapsed
    }

    /// Lets time pass.
    ///
    /// # Panics
    ///
    /// If that is beyond what the clock can express.
    ///
    /// ```
    /// use decor::{prelude::*, test_util::VirtualClock};
    /// use std::time::Duration;
    ///
    /// let clock = VirtualClock::start();
    /// let limiter = RateLimiter::new(1, Duration::from_secs(60));
    /// limiter.acquire_blocking();
    /// clock.advance(Duration::from_secs(60));
    /// assert_eq!(limiter.try_acquire(), Ok(()));
    /// ```
    pub fn advance(&self, by: Duration) {
        let mut state = self.shared.state();
        let elapsed = state.elapsed.saturating_add(by);
        assert!(self.shared.base.checked_add(elapsed).is_some(), "{by:?} is beyond what the clock can express");
        state.elapsed = elapsed;
        state.wake_due(WakeOrder::First);
    }

    /// Runs it on another thread under the same clock, which stands still until that one waits, too.
    ///
    /// ```
    /// use decor::{prelude::*, test_util::VirtualClock};
    /// use std::time::Duration;
    ///
    /// let clock = VirtualClock::start();
    /// let limiter = RateLimiter::new(1, Duration::from_secs(1));
    /// let threads = [0; 4].map(|_| {
    ///     let limiter = limiter.clone();
    ///     clock.spawn(move || limiter.acquire_blocking())
    /// });
    /// threads.into_iter().for_each(|thread| thread.join());
    /// assert_eq!(clock.elapsed(), Duration::from_secs(3));
    /// ```
    pub fn spawn<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> VirtualThread<T> {
        VirtualThread(RemoteCall::begin_unpooled(work))
    }
}

impl Drop for VirtualClock {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        state.is_over = true;
        state.leave();
        drop(state);
        // The one before it may have been dropped first: `clock = VirtualClock::start()` in place of another does so.
        let now = iter::successors(current(), |shared| shared.before.clone());
        CURRENT.set({ now }.find(|shared| !shared.state().is_over));
    }
}

/// A thread under a [`VirtualClock`]: see [`spawn`](VirtualClock::spawn).
#[must_use = "a thread that is not joined may not have come to its end"]
pub struct VirtualThread<T>(RemoteCall<T>);

impl<T: Send + 'static> VirtualThread<T> {
    /// Waits for its end, and lets the clock move on meanwhile.
    ///
    /// # Panics
    ///
    /// With the thread's own panic.
    ///
    /// ```
    /// let clock = decor::test_util::VirtualClock::start();
    /// assert_eq!(clock.spawn(|| 42).join(), 42);
    /// ```
    pub fn join(self) -> T {
        self.0.wait()
    }
}

/// Sleeps as a decorated function would: in this thread's virtual time, or in real time if it has none.
///
/// ```
/// use decor::{prelude::*, test_util};
/// use std::time::Duration;
///
/// let clock = test_util::VirtualClock::start();
/// let slow = (|| { test_util::sleep(Duration::from_secs(5)); Ok::<_, decor::Error>(42) }).blocking();
/// assert!(slow.timeout(Duration::from_secs(2)).call().is_err());
/// assert_eq!(clock.elapsed(), Duration::from_secs(2));
/// ```
pub fn sleep(delay: Duration) {
    crate::blocking::sleep(delay);
}

/// The time that has passed on this thread's virtual clock, if it has one.
///
/// ```
/// use decor::test_util::{VirtualClock, elapsed};
///
/// assert_eq!(elapsed(), None);
/// let clock = VirtualClock::start();
/// assert_eq!(elapsed(), Some(clock.elapsed()));
/// ```
pub fn elapsed() -> Option<Duration> {
    current().map(|shared| shared.state().elapsed)
}

/// This thread's, if it has one.
pub(crate) fn current() -> Option<Arc<Shared>> {
    CURRENT.try_with(|current| current.borrow().clone()).ok().flatten()
}

/// The time of this thread's clock, if it has one.
pub(crate) fn now() -> Option<Instant> {
    current().map(|shared| shared.base + shared.state().elapsed)
}

/// The clock of the thread that hands a job to another. The job runs under it.
pub(crate) struct Inherited {
    shared: Option<Arc<Shared>>,
    /// Whether the clock counts the job among those that run.
    is_running: bool,
}

impl Inherited {
    pub(crate) fn from_this_thread() -> Self {
        Self { shared: current(), is_running: false }
    }

    /// The job is about to begin. From now on the clock stands still for it, until this is dropped.
    pub(crate) fn start(&mut self) {
        if let Some(shared) = &self.shared {
            shared.state().running += 1;
            self.is_running = true;
        }
    }

    /// Runs the job on this thread, which has no clock before and after that. The job must not
    /// unwind.
    pub(crate) fn scope<T>(&self, job: impl FnOnce() -> T) -> T {
        CURRENT.set(self.shared.clone());
        let output = job();
        CURRENT.set(None);
        output
    }
}

impl Drop for Inherited {
    fn drop(&mut self) {
        if let Some(shared) = self.shared.as_ref().filter(|_| self.is_running) {
            shared.state().leave();
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Parks the thread until it is woken, or until the moment has come.
    pub(crate) fn wait(&self, parker: &Arc<Parker>, at: Option<Instant>, order: WakeOrder) {
        let until = at.map(|at| at.saturating_duration_since(self.base));
        let mut state = self.state();
        if parker.take_wake() {
            return;
        }
        state.waiting.push(Waiting { parker: Arc::clone(parker), until, order, is_due: false });
        state.leave();
        drop(state);
        let _wait = Wait { shared: self, parker };
        // The thread may have been the last to run, and have moved time on to its own deadline.
        if !parker.is_woken() {
            // Where the thread would stop a runtime's only one, this panics, as it does in real time.
            block_in_place(|| parker.park(None));
        }
    }
}

/// One wait of a thread, which runs again when this is dropped.
struct Wait<'s> {
    shared: &'s Shared,
    parker: &'s Arc<Parker>,
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        // Taken only now: until then the wake tells the other threads that this one is about to
        // run.
        self.parker.take_wake();
        let at = state.waiting.iter().position(|waiting| Arc::ptr_eq(&waiting.parker, self.parker));
        let Waiting { is_due, .. } = state.waiting.swap_remove(at.expect("only this removes it"));
        state.running += usize::from(!is_due);
    }
}

impl State {
    /// One fewer thread is running. If none is left, time moves on to the earliest deadline.
    fn leave(&mut self) {
        self.running -= 1;
        let is_about_to_run = |waiting: &Waiting| waiting.is_due || waiting.parker.is_woken();
        if self.running > 0 || self.waiting.iter().any(is_about_to_run) {
            return;
        }
        if let Some(next) = self.waiting.iter().filter_map(|waiting| waiting.until).min() {
            self.elapsed = self.elapsed.max(next);
            self.wake_due(WakeOrder::First);
            if self.running == 0 {
                self.wake_due(WakeOrder::Last);
            }
        }
    }

    fn wake_due(&mut self, order: WakeOrder) {
        for waiting in self.waiting.iter_mut().filter(|waiting| waiting.order == order) {
            if !waiting.is_due && waiting.until.is_some_and(|until| until <= self.elapsed) {
                waiting.is_due = true;
                self.running += 1;
                waiting.parker.wake_by_ref();
            }
        }
    }
}

impl fmt::Debug for VirtualClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VirtualClock").field("elapsed", &self.elapsed()).finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for VirtualThread<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("VirtualThread")
    }
}
