//! What becomes of a call whose caller has gone: one whose `.timeout(..)` has passed runs on, for a thread cannot be
//! cancelled, but nothing of decor's begins after that. Where decor would have it wait or call again, it is unwound.

use crate::sync::{Arc, Mutex, lock};
use std::{
    any::Any,
    cell::{Cell, RefCell},
    panic::resume_unwind,
    sync::atomic::{AtomicBool, Ordering},
    task::Waker,
    thread,
};

/// Tells a thread that nobody waits for its work any more.
#[derive(Debug, Default)]
pub(super) struct Abandonment {
    is_abandoned: AtomicBool,
    /// The threads that wait on behalf of the call: its own, and those of timeouts inside of it.
    waiting: Mutex<Vec<Waker>>,
    /// The timeout around this one's.
    outer: Option<Arc<Abandonment>>,
}

/// The payload of the unwinding. No panic: no hook hears of it.
struct Unwinding;

impl Unwinding {
    fn new() -> Self {
        IS_UNWINDING.set(true);
        Self
    }
}

/// Somebody caught it: decor at the end of the call, or the function itself, whose next panic is a true one.
impl Drop for Unwinding {
    fn drop(&mut self) {
        IS_UNWINDING.set(false);
    }
}

thread_local! {
    static CURRENT: RefCell<Option<Arc<Abandonment>>> = const { RefCell::new(None) };
    static IS_UNWINDING: Cell<bool> = const { Cell::new(false) };
}

impl Abandonment {
    /// For a call that is made on this thread, and runs on another.
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { outer: current(), ..Self::default() })
    }

    pub(super) fn abandon(&self) {
        self.is_abandoned.store(true, Ordering::SeqCst);
        for waker in std::mem::take(&mut *lock(&self.waiting)) {
            waker.wake();
        }
    }

    fn is_abandoned(&self) -> bool {
        self.is_abandoned.load(Ordering::SeqCst) || self.outer.as_ref().is_some_and(|outer| outer.is_abandoned())
    }

    /// Runs the call, whose caller may go meanwhile. `Err` is its panic; `None`, that it was unwound because nobody waits.
    pub(super) fn run<T>(self: &Arc<Self>, call: impl FnOnce() -> T) -> Option<Result<T, Box<dyn Any + Send>>> {
        let before = CURRENT.replace(Some(Arc::clone(self)));
        // It may have waited for its thread for so long that its caller has gone already.
        let begin = || {
            check();
            call()
        };
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(begin));
        CURRENT.set(before);
        match ended {
            Err(payload) if payload.is::<Unwinding>() => None,
            ended => Some(ended),
        }
    }
}

/// Goes no further if nobody waits for this thread's work.
///
/// What is called while the stack unwinds already, from a `Drop`, is not unwound a second time: that would end the process. Nor is
/// anything in a program whose panics abort it.
pub(crate) fn check() {
    let is_abandoned = |current: &RefCell<Option<Arc<Abandonment>>>| {
        current.borrow().as_ref().is_some_and(|current| current.is_abandoned())
    };
    if CURRENT.try_with(is_abandoned).unwrap_or(false) && cfg!(panic = "unwind") && !thread::panicking() {
        resume_unwind(Box::new(Unwinding::new()));
    }
}

/// None where the thread is about to end, and its thread-locals are gone.
fn current() -> Option<Arc<Abandonment>> {
    CURRENT.try_with(|current| current.borrow().clone()).ok().flatten()
}

/// Whether what unwinds this thread is no panic.
pub(crate) fn is_unwinding() -> bool {
    IS_UNWINDING.get()
}

/// Has this thread woken when its caller goes, as long as the guard lives.
pub(super) fn woken_by(waker: &Waker) -> Woken<'_> {
    let all = current();
    each(all.as_ref(), |abandonment| lock(&abandonment.waiting).push(waker.clone()));
    Woken { all, waker }
}

pub(super) struct Woken<'w> {
    all: Option<Arc<Abandonment>>,
    waker: &'w Waker,
}

impl Drop for Woken<'_> {
    fn drop(&mut self) {
        each(self.all.as_ref(), |abandonment| lock(&abandonment.waiting).retain(|other| !other.will_wake(self.waker)));
    }
}

/// From the innermost to the outermost.
fn each(mut next: Option<&Arc<Abandonment>>, act: impl Fn(&Abandonment)) {
    while let Some(abandonment) = next {
        act(abandonment);
        next = abandonment.outer.as_ref();
    }
}
