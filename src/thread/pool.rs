//! The pool of threads for calls that need a thread of their own: calls with a `.timeout(..)`, and
//! detached loads. [`Slots`] decides which of them run.

use super::slots::Slots;
#[cfg(feature = "test-util")]
use crate::clock::virtual_clock::Inherited;
use crate::sync::{Condvar, Mutex, MutexGuard, lock};
use std::{
    cell::Cell,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::PoisonError,
    thread,
    time::Duration,
};

/// Limit for top-level calls: such a call is queued while this many slots are taken. An abandoned
/// call keeps its slot until it ends.
const SLOTS: usize = 512;

/// Limit for nested calls: such a call is queued while this many slots are taken.
const MAX_SLOTS: usize = 2 * SLOTS;

/// Time after which an idle thread ends.
const IDLE: Duration = Duration::from_secs(5);

pub(super) static POOL: Pool = Pool::new(|| {
    let thread = thread::Builder::new().name("decor".to_owned());
    thread.spawn(|| POOL.run_worker()).map(drop)
});

pub(super) struct Pool {
    state: Mutex<State>,
    has_work: Condvar,
    /// Starts a thread that runs [`Pool::run_worker`].
    spawn: fn() -> io::Result<()>,
}

struct State {
    slots: Slots<Job>,
    /// Number of worker threads.
    threads: usize,
    /// Number of worker threads without a job.
    idle: usize,
}

/// A call that has not begun. Owns the call's function and arguments.
struct Job {
    call: Box<dyn FnOnce() + Send>,
    clock: Inherited,
}

thread_local! {
    static IS_POOL_THREAD: Cell<bool> = const { Cell::new(false) };
}

impl Pool {
    const fn new(spawn: fn() -> io::Result<()>) -> Self {
        let state = State { slots: Slots::new(SLOTS, MAX_SLOTS), threads: 0, idle: 0 };
        Self { state: Mutex::new(state), has_work: Condvar::new(), spawn }
    }

    /// Runs `call` on a thread of the pool as soon as a slot is free. Returns the serial number of
    /// the call.
    ///
    /// With `is_awaited`, the caller only waits, until the call has ended or the caller leaves by
    /// [`cancel`](Self::cancel) or [`detach`](Self::detach).
    ///
    /// # Panics
    ///
    /// If the pool has no thread and cannot start one. The call is dropped first.
    pub(super) fn run(&self, is_awaited: bool, call: impl FnOnce() + Send + 'static) -> u64 {
        let job = Job { call: Box::new(call), clock: Inherited::from_this_thread() };
        let mut state = lock(&self.state);
        let serial = state.slots.push(is_awaited && IS_POOL_THREAD.get(), job);
        if let Err(error) = self.admit(state) {
            self.withdraw(serial, &error);
        }
        serial
    }

    /// Notes that the caller has left a call, and that the call is of no use without it. Drops the
    /// call if it has not begun.
    pub(super) fn cancel(&self, serial: u64) {
        let mut state = lock(&self.state);
        let job = state.slots.cancel(serial);
        // A ready call leaves a slot to the next call. If no thread can be started for that call,
        // the next free thread takes it.
        drop(self.admit(state));
        drop(job);
    }

    /// Notes that the caller has left a call that goes on without it.
    pub(super) fn detach(&self, serial: u64) {
        lock(&self.state).slots.detach(serial);
    }

    /// Makes queued calls ready while there are slots, and wakes or starts a thread for each. `Err`
    /// if a thread could not be started.
    fn admit<'p>(&'p self, mut state: MutexGuard<'p, State>) -> io::Result<MutexGuard<'p, State>> {
        while let Some(job) = state.slots.admit() {
            job.clock.start();
            if state.slots.ready() <= state.idle {
                self.has_work.notify_one();
            } else {
                drop(state);
                (self.spawn)()?;
                state = lock(&self.state);
            }
        }
        Ok(state)
    }

    /// Takes back a call for which no thread could be started. If the pool has a thread, leaves the
    /// call to that thread.
    #[cold]
    fn withdraw(&self, serial: u64, error: &io::Error) {
        let mut state = lock(&self.state);
        if state.threads > 0 {
            return;
        }
        let job = state.slots.cancel(serial);
        drop(state);
        if job.is_some() {
            drop(job);
            panic!("no thread could be started for a decorated call: {error}");
        }
    }

    /// Runs jobs on this thread until there has been none for [`IDLE`].
    fn run_worker(&self) {
        IS_POOL_THREAD.set(true);
        let mut state = lock(&self.state);
        state.threads += 1;
        loop {
            if let Some((serial, Job { call, clock })) = state.slots.begin() {
                drop(state);
                // The job itself has passed a panic to the call's caller.
                let _ = clock.scope(|| catch_unwind(AssertUnwindSafe(call)));
                state = lock(&self.state);
                state.slots.end(serial);
                // This thread takes one of the calls that are admitted now.
                state.idle += 1;
                state = self.admit(state).unwrap_or_else(|_| lock(&self.state));
                state.idle -= 1;
                // The clock is dropped last. Otherwise virtual time could advance before the
                // admitted calls begin.
                continue;
            }
            state.idle += 1;
            let (back, waited) = self.has_work.wait_timeout(state, IDLE).unwrap_or_else(PoisonError::into_inner);
            state = back;
            state.idle -= 1;
            if waited.timed_out() && state.slots.ready() == 0 {
                state.threads -= 1;
                return;
            }
        }
    }
}

/// Replaces the virtual clock's type where there is none.
#[cfg(not(feature = "test-util"))]
struct Inherited;

#[cfg(not(feature = "test-util"))]
#[allow(clippy::unused_self)]
impl Inherited {
    fn from_this_thread() -> Self {
        Self
    }

    fn start(&mut self) {}

    fn scope<T>(&self, call: impl FnOnce() -> T) -> T {
        call()
    }
}

#[cfg(all(test, not(shuttle)))]
mod tests {
    use super::*;
    use std::sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
        mpsc,
    };

    fn no_thread() -> io::Result<()> {
        Err(io::Error::other("too many"))
    }

    #[test]
    fn a_call_for_which_no_thread_starts_is_dropped_with_a_panic() {
        static POOL: Pool = Pool::new(no_thread);
        let kept = Arc::new(());
        for is_awaited in [true, false] {
            let argument = Arc::clone(&kept);
            let panic = catch_unwind(AssertUnwindSafe(|| POOL.run(is_awaited, move || drop(argument)))).unwrap_err();
            let message = panic.downcast::<String>().unwrap();
            assert_eq!(*message, "no thread could be started for a decorated call: too many");
            assert_eq!(Arc::strong_count(&kept), 1);
        }
        let state = lock(&POOL.state);
        assert_eq!((state.slots.ready(), state.threads, state.idle), (0, 0, 0));
    }

    /// The `Drop` of an argument may block, or make a decorated call.
    struct Argument(&'static Pool, Arc<AtomicU32>);

    impl Drop for Argument {
        fn drop(&mut self) {
            assert!(self.0.state.try_lock().is_ok(), "an argument must be dropped outside of the lock");
            self.1.fetch_add(1, SeqCst);
        }
    }

    #[test]
    fn a_ready_call_that_is_cancelled_leaves_its_slot_to_the_next() {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        static POOL: Pool = Pool::new(|| {
            STARTED.fetch_add(1, SeqCst);
            Ok(()) // the thread never takes a job
        });
        let dropped = Arc::new(AtomicU32::new(0));
        let run = |_| {
            let argument = Argument(&POOL, Arc::clone(&dropped));
            POOL.run(true, move || drop(argument))
        };
        let ready_and_started = || (lock(&POOL.state).slots.ready(), STARTED.load(SeqCst));
        let calls: Vec<_> = (0..514).map(run).collect();
        assert_eq!(ready_and_started(), (512, 512));
        POOL.cancel(calls[7]);
        assert_eq!((ready_and_started(), dropped.load(SeqCst)), ((512, 513), 1));
        POOL.cancel(calls[513]); // a call in the queue
        POOL.cancel(calls[8]);
        assert_eq!((ready_and_started(), dropped.load(SeqCst)), ((511, 513), 3));
    }

    /// A busy thread takes the next call when its job has ended, if no other thread can be started.
    #[test]
    fn one_thread_runs_all_calls_if_no_other_can_be_started() {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        static POOL: Pool = Pool::new(|| match STARTED.fetch_add(1, SeqCst) {
            0 => thread::Builder::new().spawn(|| POOL.run_worker()).map(drop),
            _ => no_thread(),
        });
        let (go, stop) = mpsc::channel::<()>();
        let (tell, told) = mpsc::channel();
        POOL.run(true, move || stop.recv().unwrap());
        while lock(&POOL.state).threads == 0 {
            thread::yield_now();
        }
        for n in 0..10 {
            let tell = tell.clone();
            POOL.run(true, move || tell.send(n).unwrap());
        }
        go.send(()).unwrap();
        assert!(told.iter().take(10).eq(0..10));
        assert_eq!(STARTED.load(SeqCst), 1 + 10);
    }
}
