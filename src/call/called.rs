//! A mark on the thread that a function was called, for decorators that must know.
//!
//! A decorator that may hold a call back or refuse it marks the thread when it lets the function be
//! called. If the callable inside may hold the call back in turn (`holds_back`), that callable sets
//! the mark instead. A decorator that must know whether the function was called watches the call,
//! or each poll of it.
//!
//! A sync call within a timeout runs on another thread, and the decorators around the timeout wait
//! on theirs. A [`RemoteMark`] carries the mark from the one to the other. Either the waiting
//! thread sees the mark, or the call sees that it was abandoned and unwinds: each first stores its
//! own flag, and then loads that of the other. So no function is called without a mark.

use crate::{
    sync::{Arc, AtomicBool, Ordering::SeqCst},
    thread::unwind_if_cancelled,
};
use std::cell::{Cell, RefCell};

thread_local! {
    static CALLED: Cell<bool> = const { Cell::new(false) };
    /// The mark of the call that this thread makes for another one; `None` outside of such a call.
    static REMOTE: RefCell<Option<Arc<Flag>>> = const { RefCell::new(None) };
}

/// Marks a call, unless the callee holds calls back and sets the mark itself.
#[inline]
pub(crate) fn mark(holds_back: bool) {
    if !holds_back {
        CALLED.set(true);
    }
}

/// The same for a sync call, which may run for another thread.
#[inline]
pub(crate) fn mark_blocking(holds_back: bool) {
    if !holds_back {
        CALLED.set(true);
        mark_remote();
    }
}

#[inline]
fn mark_remote() {
    let set = |remote: &RefCell<Option<Arc<Flag>>>| {
        let remote = remote.borrow();
        remote.as_deref().inspect(|flag| flag.set()).is_some()
    };
    // A thread that ends may make calls when its thread-locals are gone.
    if REMOTE.try_with(set).unwrap_or(false) {
        unwind_if_cancelled();
    }
}

/// A flag that a thread sets for the thread that waits for it.
struct Flag {
    is_set: AtomicBool,
    /// The flag of a thread that waits for the waiting one; `None` if there is none.
    outer: Option<Arc<Flag>>,
}

impl Flag {
    fn set(&self) {
        self.is_set.store(true, SeqCst);
        if let Some(outer) = &self.outer {
            outer.set();
        }
    }
}

/// The mark of a sync call on another thread. Marks the thread that waits when it is dropped there,
/// and so during unwinding too.
pub(crate) struct RemoteMark(Arc<Flag>);

impl RemoteMark {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Flag { is_set: AtomicBool::new(false), outer: current() }))
    }

    /// Returns a function that makes the call on the other thread.
    pub(crate) fn carried_by<T, F: FnOnce() -> T>(&self, call: F) -> impl FnOnce() -> T + use<T, F> {
        let flag = Arc::clone(&self.0);
        move || {
            let _restored = Restored(replace(Some(flag)));
            call()
        }
    }
}

impl Drop for RemoteMark {
    fn drop(&mut self) {
        mark(!self.0.is_set.load(SeqCst));
    }
}

/// Puts the previous mark back.
struct Restored(Option<Arc<Flag>>);

impl Drop for Restored {
    fn drop(&mut self) {
        replace(self.0.take());
    }
}

/// The flag of the call that this thread makes for another one.
fn current() -> Option<Arc<Flag>> {
    REMOTE.try_with(|remote| remote.borrow().clone()).ok().flatten()
}

fn replace(flag: Option<Arc<Flag>>) -> Option<Arc<Flag>> {
    REMOTE.try_with(|remote| remote.replace(flag)).ok().flatten()
}

/// Makes or polls a call. Sets `called` if the call marks the thread, even if it panics.
pub(crate) fn watch<T>(called: &mut bool, call: impl FnOnce() -> T) -> T {
    let _watch = Watch { called, before: CALLED.replace(false) };
    call()
}

struct Watch<'c> {
    called: &'c mut bool,
    /// The mark of the call around this one.
    before: bool,
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        *self.called |= CALLED.get();
        CALLED.set(self.before || *self.called);
    }
}
