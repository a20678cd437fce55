//! The state of virtual clocks, and the current clock of a thread. The public API is in
//! `test_util`.

use super::wake_order::WakeOrder;
use std::{
    cell::RefCell,
    iter,
    // Not from `crate::sync`, because the model checker need not interleave clocks.
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::time::Instant;

/// A waiting thread, as its virtual clock sees it.
pub(crate) trait Waits: Send + Sync {
    /// Takes the wake. Returns `true` if there was one.
    fn take_wake(&self) -> bool;

    fn is_woken(&self) -> bool;

    fn wake(&self);
}

pub(crate) struct Shared {
    base: Instant,
    /// The clock that the thread had before; `None` if it had none.
    before: Option<Arc<Shared>>,
    state: Mutex<State>,
    /// `false` after the clock was dropped. Handles keep it, and not the clock.
    is_alive: Arc<AtomicBool>,
}

struct State {
    elapsed: Duration,
    /// Number of threads that run, and so do not wait.
    running: usize,
    waiting: Vec<Waiting>,
    /// `true` after the clock was dropped.
    is_over: bool,
}

struct Waiting {
    thread: Arc<dyn Waits>,
    until: Option<Duration>,
    order: WakeOrder,
    is_due: bool,
}

thread_local! {
    static CURRENT: RefCell<Option<Arc<Shared>>> = const { RefCell::new(None) };
}

impl Shared {
    /// Makes a clock, and makes it this thread's current clock.
    pub(crate) fn start() -> Arc<Self> {
        let state = State { elapsed: Duration::ZERO, running: 1, waiting: Vec::new(), is_over: false };
        let shared = Arc::new(Self {
            base: Instant::now(),
            before: current(),
            state: Mutex::new(state),
            is_alive: Arc::new(true.into()),
        });
        CURRENT.set(Some(Arc::clone(&shared)));
        shared
    }

    /// Ends the clock. The thread's previous clock becomes current again.
    pub(crate) fn end(&self) {
        let mut state = self.state();
        state.is_over = true;
        self.is_alive.store(false, Ordering::SeqCst);
        state.leave();
        drop(state);
        // The previous clock may have been dropped first, as by `clock = VirtualClock::start()`,
        // which drops the old clock after the new one has started.
        let now = iter::successors(current(), |shared| shared.before.clone());
        CURRENT.set({ now }.find(|shared| !shared.state().is_over));
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.state().elapsed
    }

    pub(crate) fn advance(&self, by: Duration) {
        let mut state = self.state();
        let elapsed = state.elapsed.saturating_add(by);
        assert!(self.base.checked_add(elapsed).is_some(), "{by:?} is beyond what the clock can express");
        state.elapsed = elapsed;
        state.wake_due(WakeOrder::First);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `park`, which returns when the thread is woken or the moment has come.
    pub(crate) fn wait(&self, thread: Arc<dyn Waits>, at: Option<Instant>, order: WakeOrder, park: impl FnOnce()) {
        let until = at.map(|at| at.saturating_duration_since(self.base));
        let mut state = self.state();
        if thread.take_wake() {
            return;
        }
        state.waiting.push(Waiting { thread: Arc::clone(&thread), until, order, is_due: false });
        state.leave();
        drop(state);
        let wait = Wait { shared: self, thread };
        // The thread may have been the last to run, and may have advanced time to its own deadline.
        if !wait.thread.is_woken() {
            // Panics in a task of a current-thread runtime, as in real time.
            park();
        }
    }
}

/// A wait of a thread. The thread runs again when this is dropped.
struct Wait<'s> {
    shared: &'s Shared,
    thread: Arc<dyn Waits>,
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        // Takes the wake only now. Until then, the wake shows the other threads that this one is
        // about to run.
        self.thread.take_wake();
        let at = state.waiting.iter().position(|waiting| Arc::ptr_eq(&waiting.thread, &self.thread));
        let Waiting { is_due, .. } = state.waiting.swap_remove(at.expect("only this removes it"));
        state.running += usize::from(!is_due);
    }
}

impl State {
    /// Counts one fewer running thread. If none is left, advances time to the earliest deadline.
    fn leave(&mut self) {
        self.running -= 1;
        let is_about_to_run = |waiting: &Waiting| waiting.is_due || waiting.thread.is_woken();
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
                waiting.thread.wake();
            }
        }
    }
}

/// The current clock of this thread; `None` if it has none.
pub(crate) fn current() -> Option<Arc<Shared>> {
    CURRENT.try_with(|current| current.borrow().clone()).ok().flatten()
}

/// The time of this thread's current clock; `None` if it has none.
pub(crate) fn now() -> Option<Instant> {
    current().map(|shared| shared.base + shared.state().elapsed)
}

/// The virtual clock of the threads that use a handle: `true` while the clock is there. `None` if
/// no thread with a virtual clock has used the handle.
#[derive(Debug, Default)]
pub(crate) struct ClockOfUse(Mutex<Option<Arc<AtomicBool>>>);

impl ClockOfUse {
    /// Notes this thread's clock, if it has one.
    pub(crate) fn note(&self) {
        if let Some(current) = current() {
            *self.lock() = Some(Arc::clone(&current.is_alive));
        }
    }

    /// Panics if this thread has no virtual clock, and the threads that use the handle have one.
    /// This thread would wait in real time for what happens in theirs.
    #[track_caller]
    pub(crate) fn refuse_a_foreign_wait(&self) {
        let is_used = self.lock().as_ref().is_some_and(|is_alive| is_alive.load(Ordering::SeqCst));
        let is_foreign = is_used && current().is_none();
        assert!(
            !is_foreign,
            "this thread has no `VirtualClock`, and would wait in real time for a limiter that a test uses in virtual \
             time: start the thread by `clock.spawn(..)`"
        );
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<AtomicBool>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The clock of a thread that hands a job to another thread. The job runs under that clock.
pub(crate) struct Inherited {
    shared: Option<Arc<Shared>>,
    /// `true` while the clock counts the job as a running thread.
    is_running: bool,
}

impl Inherited {
    pub(crate) fn from_this_thread() -> Self {
        Self { shared: current(), is_running: false }
    }

    /// Counts the job as a running thread until `self` is dropped. Called when the job is about to
    /// begin.
    pub(crate) fn start(&mut self) {
        if let Some(shared) = &self.shared {
            shared.state().running += 1;
            self.is_running = true;
        }
    }

    /// Runs the job on this thread, which has no clock before and after the job. The job must not
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
