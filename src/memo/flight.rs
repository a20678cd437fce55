//! One load, and all who wait for it.

use crate::sync::{Arc, Mutex, lock, thread_local};
use slab::Slab;
use std::{
    any::Any,
    cell::RefCell,
    mem,
    task::{Context, Poll, Waker},
};

/// A load that is under way, shared by the one that leads it and those who joined.
#[derive(Debug)]
pub(super) struct Flight<V> {
    /// The memo's generation when it began: a clear ends a generation, and what was loaded in an earlier one is not kept.
    pub(super) generation: u64,
    progress: Mutex<Progress<V>>,
}

#[derive(Debug)]
enum Progress<V> {
    /// Everybody who joined, with a waker once polled.
    Loading(Slab<Option<Waker>>),
    Landed(Arc<Landing<V>>),
}

/// How a load ended, for those who joined it.
#[derive(Debug)]
pub(crate) enum Landing<V> {
    Loaded(V),
    /// Loading failed, and this expired value has to do.
    Stale(V),
    Failed(Option<SharedFailure>),
    /// The one that led it was dropped, or panicked.
    Abandoned,
}

/// A failure on its way to those who joined. They may be calls of another function, with another type of error.
pub(crate) type SharedFailure = Arc<dyn Any + Send + Sync>;

impl<V> Flight<V> {
    pub(super) fn new(generation: u64) -> Self {
        Self { generation, progress: Mutex::new(Progress::Loading(Slab::new())) }
    }

    /// Ends it and wakes everybody. Nobody can join any more: it must have left the memo's map before.
    pub(super) fn land(&self, landing: impl FnOnce() -> Landing<V>) {
        if matches!(&*lock(&self.progress), Progress::Loading(joined) if joined.is_empty()) {
            return;
        }
        let landed = Progress::Landed(Arc::new(landing()));
        let before = mem::replace(&mut *lock(&self.progress), landed);
        // All of them, because the one that takes over could be one that is never polled again.
        if let Progress::Loading(joined) = before {
            joined.into_iter().filter_map(|(_, waker)| waker).for_each(Waker::wake);
        }
    }
}

/// One who waits for a load that another leads: a task, or any other that has a waker.
#[derive(Debug)]
pub(crate) struct Joined<V> {
    flight: Arc<Flight<V>>,
    place: usize,
}

impl<V> Joined<V> {
    /// The flight must still be in the memo's map, which is locked.
    pub(super) fn new(flight: &Arc<Flight<V>>) -> Self {
        let place = match &mut *lock(&flight.progress) {
            Progress::Loading(joined) => joined.insert(None),
            Progress::Landed(_) => unreachable!("a flight leaves the map before it lands"),
        };
        Self { flight: Arc::clone(flight), place }
    }

    /// # Panics
    ///
    /// If the load is being polled further up on this very stack: it would wait for itself.
    pub(super) fn refuse_to_wait_for_oneself(&self) {
        let itself = Arc::as_ptr(&self.flight).addr();
        let leads = LEADING.with(|leading| leading.borrow().contains(&itself));
        assert!(!leads, "a memoized function called itself with the same key: it would wait for itself for ever");
    }

    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Arc<Landing<V>>> {
        let mut progress = lock(&self.flight.progress);
        let spent = match &mut *progress {
            Progress::Landed(landing) => return Poll::Ready(Arc::clone(landing)),
            Progress::Loading(joined) => match &mut joined[self.place] {
                Some(waker) if waker.will_wake(cx.waker()) => None,
                waker => waker.replace(cx.waker().clone()),
            },
        };
        drop(progress);
        drop(spent); // which may be the last of a task, and run anything
        Poll::Pending
    }
}

impl<V> Drop for Joined<V> {
    fn drop(&mut self) {
        let mut progress = lock(&self.flight.progress);
        let spent = match &mut *progress {
            Progress::Loading(joined) => joined.try_remove(self.place).flatten(),
            Progress::Landed(_) => None,
        };
        drop(progress);
        drop(spent);
    }
}

thread_local! {
    /// The loads that are being polled on this thread's stack, by address.
    static LEADING: RefCell<Vec<usize>> = RefCell::default();
}

/// Runs some of a load, so that who calls itself in it can be told.
pub(super) fn leading<V, T>(flight: &Flight<V>, run: impl FnOnce() -> T) -> T {
    struct Done;
    impl Drop for Done {
        fn drop(&mut self) {
            LEADING.with(|leading| leading.borrow_mut().pop());
        }
    }
    LEADING.with(|leading| leading.borrow_mut().push(std::ptr::from_ref(flight).addr()));
    let _done = Done;
    run()
}
