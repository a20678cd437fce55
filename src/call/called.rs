//! A mark on the thread that a function was called, for decorators that must know.
//!
//! A decorator that may hold a call back or refuse it marks the thread when it lets the function be
//! called. If the callable inside may hold the call back in turn (`holds_back`), that callable sets
//! the mark instead. A decorator that must know whether the function was called watches the call,
//! or each poll of it.

use std::cell::Cell;

thread_local! {
    static CALLED: Cell<bool> = const { Cell::new(false) };
}

/// Marks a call, unless the callee holds calls back and sets the mark itself.
#[inline]
pub(crate) fn mark(holds_back: bool) {
    if !holds_back {
        CALLED.set(true);
    }
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
