//! The threads of calls that need one of their own: those bounded by `.timeout(..)`, and detached loads.

use crate::sync::{Arc, Condvar, Mutex, MutexGuard, lock};
use std::{
    cell::Cell,
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::PoisonError,
    thread,
    time::Duration,
};

/// So many calls run at once, those included whose caller has gone; others wait for a place.
///
/// A call that is made on one of these threads (a timeout within a timeout) has the place of its caller, who does nothing but wait
/// for it, and might wait for ever if there were none to be had. Left by that caller, it has one of its own, be there one free or not.
const PLACES: usize = 512;

/// With so many taken, even a call within another waits for one.
const TAKEN_AT_MOST: usize = 2 * PLACES;

/// A thread without work stays so long.
const IDLE: Duration = Duration::from_secs(5);

struct Pool {
    state: Mutex<State>,
    work: Condvar,
}

struct State {
    /// For the next threads that are free.
    ready: VecDeque<Job>,
    /// For want of a place.
    waiting: VecDeque<Job>,
    taken: usize,
    threads: usize,
    idle: usize,
}

struct Job {
    call: Box<dyn FnOnce() + Send>,
    place: Arc<Place>,
}

/// Where a call has its place. It changes only while the pool is locked.
pub(super) struct Place(Mutex<PlaceOf>);

#[derive(Clone, Copy, PartialEq, Eq)]
enum PlaceOf {
    /// It has none yet; whether its caller's will do.
    Waits {
        for_its_callers: bool,
    },
    /// Its caller's.
    Caller,
    Its,
    Ended,
}

static POOL: Pool = Pool {
    state: Mutex::new(State { ready: VecDeque::new(), waiting: VecDeque::new(), taken: 0, threads: 0, idle: 0 }),
    work: Condvar::new(),
};

thread_local! {
    static IS_OURS: Cell<bool> = const { Cell::new(false) };
}

/// Runs it on a thread of its own; when there are too many already, as soon as there is a place for it. Whoever does nothing but wait
/// for it, [leaves](leave) it in the end.
pub(super) fn run(is_awaited: bool, call: impl FnOnce() + Send + 'static) -> Arc<Place> {
    let for_its_callers = is_awaited && IS_OURS.get();
    let place = Arc::new(Place(Mutex::new(PlaceOf::Waits { for_its_callers })));
    let job = Job { call: Box::new(call), place: Arc::clone(&place) };
    let mut state = lock(&POOL.state);
    state.waiting.push_back(job);
    if state.admit() > 0 {
        provide_a_thread(state);
    }
    place
}

/// Nobody does nothing but wait for it any more.
pub(super) fn leave(place: &Place) {
    let mut state = lock(&POOL.state);
    let mut its = lock(&place.0);
    match *its {
        PlaceOf::Waits { .. } => *its = PlaceOf::Waits { for_its_callers: false },
        PlaceOf::Caller => {
            *its = PlaceOf::Its;
            state.taken += 1;
        }
        PlaceOf::Its | PlaceOf::Ended => {}
    }
}

/// For one job that has become ready.
fn provide_a_thread(mut state: MutexGuard<'_, State>) {
    if state.idle >= state.ready.len() {
        POOL.work.notify_one();
        return;
    }
    state.threads += 1;
    drop(state);
    let thread = thread::Builder::new().name("decor".to_owned()).spawn(work);
    if let Err(error) = thread {
        let mut state = lock(&POOL.state);
        state.threads -= 1;
        // With no thread at all nobody would ever come for it.
        assert!(state.threads > 0, "no thread could be started for a decorated call: {error}");
    }
}

impl State {
    /// Gives places to those that wait, and says to how many.
    fn admit(&mut self) -> usize {
        let mut admitted = 0;
        while let Some(at) = self.waiting.iter().position(|job| self.has_room_for(&job.place)) {
            let Some(job) = self.waiting.remove(at) else { break };
            let mut its = lock(&job.place.0);
            if *its == (PlaceOf::Waits { for_its_callers: true }) {
                *its = PlaceOf::Caller;
            } else {
                *its = PlaceOf::Its;
                self.taken += 1;
            }
            drop(its);
            self.ready.push_back(job);
            admitted += 1;
        }
        admitted
    }

    fn has_room_for(&self, place: &Place) -> bool {
        let for_its_callers = *lock(&place.0) == PlaceOf::Waits { for_its_callers: true };
        self.taken < if for_its_callers { TAKEN_AT_MOST } else { PLACES }
    }

    fn end(&mut self, place: &Place) -> usize {
        if std::mem::replace(&mut *lock(&place.0), PlaceOf::Ended) == PlaceOf::Its {
            self.taken -= 1;
        }
        self.admit()
    }
}

fn work() {
    IS_OURS.set(true);
    let mut state = lock(&POOL.state);
    loop {
        if let Some(Job { call, place }) = state.ready.pop_front() {
            drop(state);
            // Jobs keep their panics for whoever waits for them; nothing is left to be told here.
            let _ = catch_unwind(AssertUnwindSafe(call));
            state = lock(&POOL.state);
            // One is for this thread.
            for _ in 1..state.end(&place) {
                provide_a_thread(state);
                state = lock(&POOL.state);
            }
            continue;
        }
        state.idle += 1;
        let (back, waited) = POOL.work.wait_timeout(state, IDLE).unwrap_or_else(PoisonError::into_inner);
        state = back;
        state.idle -= 1;
        if waited.timed_out() && state.ready.is_empty() {
            state.threads -= 1;
            return;
        }
    }
}
