//! A load (a flight), and the calls that wait for it.

use super::failures::LoadFailure;
use crate::sync::{Arc, Mutex, lock, thread_local};
use slab::Slab;
use std::{
    cell::RefCell,
    mem, ptr,
    task::{Context, Poll, Waker},
};
use tokio::task;

/// A load that is under way, shared by its leader and the calls that joined.
#[derive(Debug)]
pub(super) struct Flight<V> {
    /// The memo's generation when the load began. Its end is counted only in the same generation.
    pub(super) generation: u64,
    state: Mutex<FlightState<V>>,
}

#[derive(Debug)]
enum FlightState<V> {
    /// The calls that joined. The waker is `None` until the call is polled.
    Loading(Slab<Option<Waker>>),
    Ended {
        outcome: Arc<LoadOutcome<V>>,
        /// `true` if an invalidation matches the value that was loaded.
        is_outdated: bool,
    },
}

/// The end of a load, for the calls that joined it.
#[derive(Debug)]
pub(crate) enum LoadOutcome<V> {
    Loaded(V),
    /// Loading failed, and this expired value is served instead.
    Stale(V),
    Failed(LoadFailure),
    /// The leader was dropped, or panicked.
    Abandoned,
}

impl<V> Flight<V> {
    pub(super) fn new(generation: u64) -> Self {
        Self { generation, state: Mutex::new(FlightState::Loading(Slab::new())) }
    }

    /// Ends the flight and wakes the calls that joined. The flight must have left the memo's map,
    /// so that no other call can join.
    pub(super) fn end(&self, is_outdated: bool, outcome: impl FnOnce() -> LoadOutcome<V>) {
        if matches!(&*lock(&self.state), FlightState::Loading(joined) if joined.is_empty()) {
            return;
        }
        let ended = FlightState::Ended { outcome: Arc::new(outcome()), is_outdated };
        let before = mem::replace(&mut *lock(&self.state), ended);
        // Wakes every waiter, because a single one that was chosen might never be polled again.
        if let FlightState::Loading(joined) = before {
            joined.into_iter().filter_map(|(_, waker)| waker).for_each(Waker::wake);
        }
    }
}

/// A waiter for the load of another call. Works with any waker.
#[derive(Debug)]
pub(crate) struct Joined<V> {
    flight: Arc<Flight<V>>,
    /// Index in the list of calls that joined.
    waiter: usize,
    /// `true` if there was an invalidation by value or tag while the load ran and before this call
    /// joined.
    is_late: bool,
}

impl<V> Joined<V> {
    /// Joins a flight. The caller holds the lock of the memo's map, and the flight is still in it.
    pub(super) fn new(flight: &Arc<Flight<V>>, is_late: bool) -> Self {
        let waiter = match &mut *lock(&flight.state) {
            FlightState::Loading(joined) => joined.insert(None),
            FlightState::Ended { .. } => unreachable!("a flight leaves the map before it ends"),
        };
        Self { flight: Arc::clone(flight), waiter, is_late }
    }

    /// Panics if the load is polled further up on this stack, in the same task, because it would
    /// then wait for itself.
    ///
    /// The task is compared as well, because a load may drive a runtime on its stack. Other tasks
    /// of that runtime may wait for the load.
    pub(super) fn panic_on_recursion(&self) {
        let this = ActiveLoad::new(&self.flight);
        let is_recursive = ACTIVE_LOADS.with(|active| active.borrow().contains(&this));
        assert!(
            !is_recursive,
            "a memoized function called itself with the same key, on the same stack and in the same task, and would wait for \
             itself for ever: load with another key, or call the function without its memo"
        );
    }

    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Arc<LoadOutcome<V>>> {
        let mut state = lock(&self.flight.state);
        let spent = match &mut *state {
            FlightState::Ended { is_outdated: true, .. } if self.is_late => {
                return Poll::Ready(Arc::new(LoadOutcome::Abandoned));
            }
            FlightState::Ended { outcome, .. } => return Poll::Ready(Arc::clone(outcome)),
            FlightState::Loading(joined) => match &mut joined[self.waiter] {
                Some(waker) if waker.will_wake(cx.waker()) => None,
                waker => waker.replace(cx.waker().clone()),
            },
        };
        drop(state);
        drop(spent); // may be the last waker of a task, which then runs the task's `Drop`
        Poll::Pending
    }
}

impl<V> Drop for Joined<V> {
    fn drop(&mut self) {
        let mut state = lock(&self.flight.state);
        let spent = match &mut *state {
            FlightState::Loading(joined) => joined.try_remove(self.waiter).flatten(),
            FlightState::Ended { .. } => None,
        };
        drop(state);
        drop(spent);
    }
}

/// A load that is polled on this thread's stack.
#[derive(PartialEq)]
struct ActiveLoad {
    /// Address of the load's flight.
    flight: usize,
    /// Task that polls the load; `None` outside of a runtime's tasks.
    task: Option<task::Id>,
}

impl ActiveLoad {
    /// Returns the load of this flight as the current task polls it.
    fn new<V>(flight: &Flight<V>) -> Self {
        Self { flight: ptr::from_ref(flight).addr(), task: task::try_id() }
    }
}

thread_local! {
    static ACTIVE_LOADS: RefCell<Vec<ActiveLoad>> = RefCell::default();
}

/// Runs part of a load, and marks it as active on this thread, so that recursion can be detected.
pub(super) fn leading<V, T>(flight: &Flight<V>, run: impl FnOnce() -> T) -> T {
    struct Done;
    impl Drop for Done {
        fn drop(&mut self) {
            ACTIVE_LOADS.with(|active| active.borrow_mut().pop());
        }
    }
    ACTIVE_LOADS.with(|active| active.borrow_mut().push(ActiveLoad::new(flight)));
    let _done = Done;
    run()
}
