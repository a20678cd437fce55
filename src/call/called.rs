//! Whether a function was called, for a decorator that must know.
//!
//! A decorator that may hold a call back or refuse it marks the thread when it lets the function be
//! called. If the callable inside may hold the call back in turn (`holds_back`), the mark is left to
//! that one. A decorator that must know whether the function was called watches the call, or each
//! poll of it.

use std::cell::Cell;

thread_local! {
    static CALLED: Cell<bool> = const { Cell::new(false) };
}

/// Marks a call of something that holds calls back, or does not.
#[inline]
pub(crate) fn mark(holds_back: bool) {
    if !holds_back {
        CALLED.set(true);
    }
}

/// Makes a call, or polls it. Sets `called` if a function is called meanwhile, even if the call
/// panics.
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
