//! One load, and the calls that wait for it.

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
    /// The memo's generation when it began. Its end is counted only in the same one.
    pub(super) generation: u64,
    progress: Mutex<Progress<V>>,
}

#[derive(Debug)]
enum Progress<V> {
    /// The calls that joined, each with a waker once it was polled.
    Loading(Slab<Option<Waker>>),
    Landed {
        landing: Arc<Landing<V>>,
        /// `true` if an invalidation concerns the value that the flight landed with.
        is_outdated: bool,
    },
}

/// How a load ended, for the calls that joined it.
#[derive(Debug)]
pub(crate) enum Landing<V> {
    Loaded(V),
    /// Loading failed, and this expired value has to do.
    Stale(V),
    Failed(LoadFailure),
    /// Its leader was dropped, or panicked.
    Abandoned,
}

impl<V> Flight<V> {
    pub(super) fn new(generation: u64) -> Self {
        Self { generation, progress: Mutex::new(Progress::Loading(Slab::new())) }
    }

    /// Ends it and wakes the calls that joined. It must have left the memo's map, so that no other
    /// can join.
    pub(super) fn land(&self, is_outdated: bool, landing: impl FnOnce() -> Landing<V>) {
        if matches!(&*lock(&self.progress), Progress::Loading(joined) if joined.is_empty()) {
            return;
        }
        let landed = Progress::Landed { landing: Arc::new(landing()), is_outdated };
        let before = mem::replace(&mut *lock(&self.progress), landed);
        // All of them: a single one that was chosen might never be polled again.
        if let Progress::Loading(joined) = before {
            joined.into_iter().filter_map(|(_, waker)| waker).for_each(Waker::wake);
        }
    }
}

/// A waiter for a load that another call leads. Works with any waker.
#[derive(Debug)]
pub(crate) struct Joined<V> {
    flight: Arc<Flight<V>>,
    place: usize,
    /// `true` if there was an invalidation by value or tag while the load ran and before this call
    /// joined.
    is_late: bool,
}

impl<V> Joined<V> {
    /// The flight must still be in the memo's map, which is locked.
    pub(super) fn new(flight: &Arc<Flight<V>>, is_late: bool) -> Self {
        let place = match &mut *lock(&flight.progress) {
            Progress::Loading(joined) => joined.insert(None),
            Progress::Landed { .. } => unreachable!("a flight leaves the map before it lands"),
        };
        Self { flight: Arc::clone(flight), place, is_late }
    }

    /// # Panics
    ///
    /// If the load is polled further up on this very stack, in the same task: it would wait for
    /// itself.
    ///
    /// A load may drive a runtime on its stack, whose other tasks only have to wait.
    pub(super) fn panic_on_recursion(&self) {
        let this = ActiveLoad::new(&self.flight);
        let is_recursive = ACTIVE_LOADS.with(|active| active.borrow().contains(&this));
        assert!(
            !is_recursive,
            "a memoized function called itself with the same key, on the same stack and in the same task: it would wait for \
             itself for ever"
        );
    }

    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Arc<Landing<V>>> {
        let mut progress = lock(&self.flight.progress);
        let spent = match &mut *progress {
            Progress::Landed { is_outdated: true, .. } if self.is_late => {
                return Poll::Ready(Arc::new(Landing::Abandoned));
            }
            Progress::Landed { landing, .. } => return Poll::Ready(Arc::clone(landing)),
            Progress::Loading(joined) => match &mut joined[self.place] {
                Some(waker) if waker.will_wake(cx.waker()) => None,
                waker => waker.replace(cx.waker().clone()),
            },
        };
        drop(progress);
        drop(spent); // may be the last waker of a task, whose drop runs other code
        Poll::Pending
    }
}

impl<V> Drop for Joined<V> {
    fn drop(&mut self) {
        let mut progress = lock(&self.flight.progress);
        let spent = match &mut *progress {
            Progress::Loading(joined) => joined.try_remove(self.place).flatten(),
            Progress::Landed { .. } => None,
        };
        drop(progress);
        drop(spent);
    }
}

/// A load that is polled on this thread's stack.
#[derive(PartialEq)]
struct ActiveLoad {
    /// Address of its flight.
    flight: usize,
    /// Task that polls it; `None` outside of a runtime's tasks.
    task: Option<task::Id>,
}

impl ActiveLoad {
    /// As polled by the current task.
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
