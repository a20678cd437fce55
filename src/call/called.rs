//! Whether a function was called, for a decorator that must know.
//!
//! A decorator that holds calls back or refuses them marks this thread when it calls the function.
//! Most have another such decorator inside them at times: then the innermost one marks, as
//! `holds_back` of the callables tells. A decorator that must know whether the function was called
//! watches the call, or each poll of it.

use std::cell::Cell;

thread_local! {
    static CALLED: Cell<bool> = const { Cell::new(false) };
}

/// Notes that a function is called, unless what is called may hold the call back: then that notes
/// it.
#[inline]
pub(crate) fn mark(holds_back: bool) {
    if !holds_back {
        CALLED.set(true);
    }
}

/// Runs a call, or a poll of it. Sets `called` if a function is called meanwhile, even if the call
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
        CALLED.set(self.before | *self.called);
    }
}
