//! Cancellation of a call whose caller has gone.
//!
//! A thread cannot be cancelled, so a call runs on after its `.timeout(..)` has passed. When the
//! call would next wait in decor, or begin a call, an attempt or a load, decor unwinds it.

use crate::sync::{Arc, Mutex, lock};
use std::{
    any::Any,
    cell::{Cell, RefCell},
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{
        Weak,
        atomic::{AtomicBool, Ordering},
    },
    task::Waker,
    thread,
};

/// Tells the thread of a call that its caller has gone.
#[derive(Debug, Default)]
pub(super) struct CancelToken {
    is_cancelled: AtomicBool,
    /// The threads that wait on behalf of the call: its own, and those of timeouts inside of it.
    waiting: Mutex<Vec<Waker>>,
    /// The token of the timeout around this one's.
    outer: Option<Arc<CancelToken>>,
}

/// The payload of decor's unwinding. It is no panic, and no panic hook hears of it.
struct CancelUnwind {
    /// Dropped with the payload, which then has been caught.
    _is_under_way: Arc<()>,
}

impl CancelUnwind {
    fn new() -> Self {
        let is_under_way = Arc::new(());
        BEGUN.set(BEGUN.get() + 1);
        // If the thread-local is gone, `UnwindMark::is_cancelled` takes the payload to be alive.
        let _ = LAST.try_with(|last| last.replace(Arc::downgrade(&is_under_way)));
        Self { _is_under_way: is_under_way }
    }
}

thread_local! {
    /// The token of the call that this thread runs.
    static CURRENT: RefCell<Option<Arc<CancelToken>>> = const { RefCell::new(None) };
    /// Number of unwindings that decor has begun on this thread.
    static BEGUN: Cell<u64> = const { Cell::new(0) };
    /// Alive as long as the payload of the last of them.
    static LAST: RefCell<Weak<()>> = const { RefCell::new(Weak::new()) };
}

impl CancelToken {
    /// For a call that is made on this thread, and runs on another.
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { outer: current(), ..Self::default() })
    }

    pub(super) fn cancel(&self) {
        self.is_cancelled.store(true, Ordering::SeqCst);
        let waiting = std::mem::take(&mut *lock(&self.waiting));
        waiting.into_iter().for_each(Waker::wake);
    }

    fn is_cancelled(&self) -> bool {
        self.is_cancelled.load(Ordering::SeqCst) || self.outer.as_ref().is_some_and(|outer| outer.is_cancelled())
    }

    /// Runs the call, whose caller may go meanwhile. Returns its panic as `Err`, and `None` if
    /// decor has unwound it.
    pub(super) fn run<T>(self: &Arc<Self>, call: impl FnOnce() -> T) -> Option<Result<T, Box<dyn Any + Send>>> {
        let before = CURRENT.replace(Some(Arc::clone(self)));
        // The caller may have gone before a thread was there for the call.
        let begin = || {
            unwind_if_cancelled();
            call()
        };
        let ended = catch_unwind(AssertUnwindSafe(begin));
        CURRENT.set(before);
        match ended {
            Err(payload) if payload.is::<CancelUnwind>() => None,
            ended => Some(ended),
        }
    }
}

/// Goes no further if this thread's caller has gone.
///
/// A call from a `Drop` during unwinding is not unwound, because a second unwinding would abort the
/// process. With `panic = "abort"`, no call is unwound.
pub(crate) fn unwind_if_cancelled() {
    let is_cancelled = |current: &RefCell<Option<Arc<CancelToken>>>| {
        current.borrow().as_ref().is_some_and(|token| token.is_cancelled())
    };
    if CURRENT.try_with(is_cancelled).unwrap_or(false) && cfg!(panic = "unwind") && !thread::panicking() {
        resume_unwind(Box::new(CancelUnwind::new()));
    }
}

/// Tells decor's unwinding of a call from a panic. Made before the call begins.
///
/// An unwinding that began before the call does not count, because a function may have caught and
/// kept its payload. One that began during the call counts until its payload is dropped.
///
/// A call that keeps the payload and then panics itself cannot be told from a cancelled one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct UnwindMark {
    begun: u64,
}

impl UnwindMark {
    #[inline]
    pub(crate) fn new() -> Self {
        Self { begun: BEGUN.get() }
    }

    /// Whether the unwinding of this thread is decor's, and not a panic.
    pub(crate) fn is_cancelled(self) -> bool {
        BEGUN.get() > self.begun && LAST.try_with(|last| last.borrow().strong_count() > 0).unwrap_or(true)
    }
}

/// The token of this thread's call; `None` also for a thread at its end, whose thread-locals are
/// gone.
fn current() -> Option<Arc<CancelToken>> {
    CURRENT.try_with(|current| current.borrow().clone()).ok().flatten()
}

/// Wakes the waiting thread when its caller goes, as long as the guard lives.
pub(super) fn register(waker: &Waker) -> Registered<'_> {
    let innermost = current();
    each(innermost.as_ref(), |token| lock(&token.waiting).push(waker.clone()));
    Registered { innermost, waker }
}

pub(super) struct Registered<'w> {
    innermost: Option<Arc<CancelToken>>,
    waker: &'w Waker,
}

impl Drop for Registered<'_> {
    fn drop(&mut self) {
        each(self.innermost.as_ref(), |token| lock(&token.waiting).retain(|other| !other.will_wake(self.waker)));
    }
}

/// Visits the tokens from the innermost to the outermost.
fn each(mut next: Option<&Arc<CancelToken>>, act: impl Fn(&CancelToken)) {
    while let Some(token) = next {
        act(token);
        next = token.outer.as_ref();
    }
}
