//! The threads of calls that need one of their own: those bounded by `.timeout(..)`, and detached loads.

use crate::sync::{Condvar, Mutex, lock};
use std::{
    cell::Cell,
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::PoisonError,
    thread,
    time::Duration,
};

/// At most so many threads, abandoned ones included. A call that is made on one of them (a timeout within a timeout) does not count: it
/// has its caller's place, who does nothing but wait for it, and might wait for ever if there were none to be had.
const MAX_THREADS: usize = 512;

/// A thread without work stays so long.
const IDLE: Duration = Duration::from_secs(5);

type Job = Box<dyn FnOnce() + Send>;

struct Pool {
    state: Mutex<State>,
    work: Condvar,
}

struct State {
    jobs: VecDeque<Job>,
    threads: usize,
    idle: usize,
}

static POOL: Pool =
    Pool { state: Mutex::new(State { jobs: VecDeque::new(), threads: 0, idle: 0 }), work: Condvar::new() };

thread_local! {
    static IS_OURS: Cell<bool> = const { Cell::new(false) };
}

/// Runs it on a thread of its own; when there are too many already, as soon as one of them is free.
pub(super) fn run(job: impl FnOnce() + Send + 'static) {
    let mut state = lock(&POOL.state);
    let is_nested = IS_OURS.get();
    if is_nested {
        state.jobs.push_front(Box::new(job));
    } else {
        state.jobs.push_back(Box::new(job));
    }
    if state.idle >= state.jobs.len() {
        POOL.work.notify_one();
    } else if is_nested || state.threads < MAX_THREADS {
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
}

fn work() {
    IS_OURS.set(true);
    let mut state = lock(&POOL.state);
    loop {
        if let Some(job) = state.jobs.pop_front() {
            drop(state);
            // Jobs keep their panics for whoever waits for them; nothing is left to be told here.
            let _ = catch_unwind(AssertUnwindSafe(job));
            state = lock(&POOL.state);
            continue;
        }
        state.idle += 1;
        let (back, waited) = POOL.work.wait_timeout(state, IDLE).unwrap_or_else(PoisonError::into_inner);
        state = back;
        state.idle -= 1;
        if waited.timed_out() && state.jobs.is_empty() {
            state.threads -= 1;
            return;
        }
    }
}
