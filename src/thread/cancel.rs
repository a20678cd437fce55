//! Cancellation of the call on a thread, by a [`CancelToken`], by a caller that has left, or by the
//! end of a runtime.
//!
//! A thread cannot be stopped, so a cancelled call runs on at first. Decor unwinds the call when it
//! would next wait in decor, or begin a call, an attempt or a load.

use crate::sync::{Arc, AtomicBool, Mutex, Ordering, lock, thread_local};
use std::{
    any::Any,
    cell::{Cell, RefCell},
    fmt,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::Weak,
    task::Waker,
    thread,
};

/// Cancels blocking calls. Their waits for a retry, a permit or a load end at once.
///
/// [`run`](Self::run) makes a call on this thread. [`cancel`](Self::cancel), from another thread or
/// task, ends decor's work in the call. All clones are one token.
///
/// A token may run any number of calls, one after the other and on many threads. A shutdown can
/// therefore cancel all of them at once. A cancelled token stays cancelled; for further calls, make
/// another one.
///
/// Async calls need no token, because dropping their future cancels them.
///
/// # Effects
///
/// - Every wait in decor ends at once: for the delay of a retry, a permit, a load, a call with a
///   time limit, or a [gate](crate::layer::Gate). The next waiter moves up, another call takes over
///   the load, and `timed` and `logged` report `cancelled`.
/// - No further attempt, permit or load begins.
/// - The function in progress runs on. If the function returns, and decor has nothing to begin
///   after it, `run` returns its value.
/// - A load that is [`detached`](crate::Memoized::detached) goes on for the other calls.
/// - With a [`timeout`](crate::FnExt::timeout), the function in progress is abandoned, as when the
///   limit passes, and `run` returns at once.
///
/// # Limits
///
/// Decor ends a call by unwinding it, without the panic hook. A `Mutex` that the call holds while
/// it waits is poisoned. A `catch_unwind` within the call stops the unwinding, and the next wait
/// unwinds again. Calls cannot be unwound from a `Drop` that runs while the thread unwinds, nor
/// with `panic = "abort"`. Their waits then take their full time.
///
/// # Examples
///
/// ```
/// use decor::{blocking::CancelToken, prelude::*, test_util::{VirtualClock, sleep}};
/// use std::time::Duration;
///
/// fn load(id: u64) -> Result<u64, String> { Err("connection refused".into()) }
///
/// let hour = Duration::from_secs(3600);
/// let (clock, token) = (VirtualClock::start(), CancelToken::new());
/// let its_token = token.clone();
/// let worker = clock.spawn(move || {
///     let load = load.blocking().retry_with(RetryPolicy::fixed(hour));
///     its_token.run(|| load.call(42))
/// });
///
/// sleep(Duration::from_secs(5)); // until the shutdown
/// token.cancel();
/// assert_eq!(worker.join(), None);
/// assert_eq!(clock.elapsed(), Duration::from_secs(5));
/// ```
#[derive(Clone, Default)]
pub struct CancelToken(Arc<Signal>);

impl CancelToken {
    /// Makes a token that is not cancelled.
    ///
    /// # Examples
    ///
    /// ```
    /// assert!(!decor::blocking::CancelToken::new().is_cancelled());
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes a call on this thread that the token can cancel. Returns the value of the call, or
    /// `None` if the call was cancelled.
    ///
    /// If the token is already cancelled, nothing is called. Runs can be nested, and can stand
    /// within a time limit. The first cancellation then ends the call. `run` returns `None` only if
    /// its own token is cancelled; otherwise the unwinding goes on to the run or the limit that was
    /// cancelled.
    ///
    /// # Panics
    ///
    /// If the call panics, with the same payload.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::blocking::CancelToken;
    ///
    /// let token = CancelToken::new();
    /// assert_eq!(token.run(|| 42), Some(42));
    /// token.cancel();
    /// assert_eq!(token.run(|| -> u32 { unreachable!("nothing is called") }), None);
    /// ```
    pub fn run<T>(&self, call: impl FnOnce() -> T) -> Option<T> {
        if self.is_cancelled() {
            return None;
        }
        match Scope::new(Arc::clone(&self.0)).run(call) {
            Ok(output) => Some(output),
            Err(payload) if payload.is::<CancelUnwind>() && self.is_cancelled() => None,
            Err(payload) => resume_unwind(payload),
        }
    }

    /// Cancels the calls that the token runs, and those that it would run. Never blocks.
    ///
    /// # Examples
    ///
    /// See [`CancelToken`].
    pub fn cancel(&self) {
        self.0.cancel();
    }

    /// Returns `true` if the token is cancelled. A long-running function can check this to end its
    /// own loop.
    ///
    /// # Examples
    ///
    /// ```
    /// let token = decor::blocking::CancelToken::new();
    /// let mut rounds = 0;
    /// while !token.is_cancelled() {
    ///     rounds += 1;
    ///     token.cancel();
    /// }
    /// assert_eq!(rounds, 1);
    /// ```
    pub fn is_cancelled(&self) -> bool {
        self.0.is_cancelled()
    }
}

impl fmt::Debug for CancelToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancelToken").field("is_cancelled", &self.is_cancelled()).finish_non_exhaustive()
    }
}

/// The signal that calls are cancelled. Once set, stays set.
#[derive(Debug, Default)]
pub(super) struct Signal {
    is_cancelled: AtomicBool,
    /// Wakers of the threads that wait in these calls.
    waiting: Mutex<Vec<Waker>>,
}

impl Signal {
    pub(super) fn cancel(&self) {
        self.is_cancelled.store(true, Ordering::SeqCst);
        let waiting = std::mem::take(&mut *lock(&self.waiting));
        waiting.into_iter().for_each(Waker::wake);
    }

    fn is_cancelled(&self) -> bool {
        self.is_cancelled.load(Ordering::SeqCst)
    }

    /// Number of waits that the signal would end.
    #[cfg(all(test, shuttle))]
    pub(super) fn waiting(&self) -> usize {
        lock(&self.waiting).len()
    }
}

/// The signals that cancel the call of a thread: the signal of the call itself, and those of the
/// calls around it.
#[derive(Debug, Clone)]
pub(super) struct Scope {
    signal: Arc<Signal>,
    /// Scope of the call around this one; `None` if there is none.
    outer: Option<Arc<Scope>>,
}

/// The payload with which decor unwinds a call. Not a panic: the panic hook is not called.
struct CancelUnwind {
    /// Dropped with the payload, after the payload was caught.
    _is_under_way: Arc<()>,
}

impl CancelUnwind {
    fn new() -> Self {
        let is_under_way = Arc::new(());
        BEGUN.with(|begun| begun.set(begun.get() + 1));
        // If the thread-local is gone, `UnwindMark::is_cancelled` takes the payload to be alive.
        let _ = LAST.try_with(|last| last.replace(Arc::downgrade(&is_under_way)));
        Self { _is_under_way: is_under_way }
    }
}

thread_local! {
    /// The scope of the call that this thread runs.
    static CURRENT: RefCell<Option<Scope>> = const { RefCell::new(None) };
}

std::thread_local! {
    /// Number of unwindings that decor has begun on this thread.
    static BEGUN: Cell<u64> = const { Cell::new(0) };
    /// Alive while the payload of the last of these unwindings is alive.
    static LAST: RefCell<Weak<()>> = const { RefCell::new(Weak::new()) };
}

impl Scope {
    /// Makes a scope for a call within the current call of this thread.
    pub(super) fn new(signal: Arc<Signal>) -> Self {
        Self { signal, outer: current().map(Arc::new) }
    }

    /// Makes a scope for a call that goes on without its caller.
    #[cfg(any(feature = "memo", feature = "test-util"))]
    pub(super) fn detached() -> Self {
        Self { signal: Arc::default(), outer: None }
    }

    fn is_cancelled(&self) -> bool {
        iter(Some(self)).any(Signal::is_cancelled)
    }

    /// Makes this the scope of the thread while the guard lives.
    pub(super) fn enter(self) -> Entered {
        Entered { before: CURRENT.try_with(|current| current.replace(Some(self))).ok().flatten() }
    }

    /// Runs a call. Returns the payload of a panic, or of decor's unwinding, as `Err`.
    fn run<T>(self, call: impl FnOnce() -> T) -> Result<T, Box<dyn Any + Send>> {
        let _entered = self.enter();
        catch_unwind(AssertUnwindSafe(call))
    }

    /// Runs a call for another thread. Returns the payload of a panic as `Err`, and `None` if decor
    /// has unwound the call.
    pub(super) fn run_for_another<T>(self, call: impl FnOnce() -> T) -> Option<Result<T, Box<dyn Any + Send>>> {
        // The caller may have left before a thread took the call.
        let begin = || {
            unwind_if_cancelled();
            call()
        };
        match self.run(begin) {
            Err(payload) if payload.is::<CancelUnwind>() => None,
            ended => Some(ended),
        }
    }
}

/// A [`Scope`] that this thread is in.
pub(super) struct Entered {
    before: Option<Scope>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        let before = self.before.take();
        let _ = CURRENT.try_with(|current| current.replace(before));
    }
}

/// Returns `true` if the call of this thread is to be unwound.
///
/// A call from a `Drop` during unwinding is not unwound, because a second unwinding would abort the
/// process. With `panic = "abort"`, no call is unwound.
#[inline]
pub(super) fn is_to_be_unwound() -> bool {
    let is_cancelled = |current: &RefCell<Option<Scope>>| current.borrow().as_ref().is_some_and(Scope::is_cancelled);
    CURRENT.try_with(is_cancelled).unwrap_or(false) && cfg!(panic = "unwind") && !thread::panicking()
}

/// Unwinds if the call of this thread is cancelled.
pub(crate) fn unwind_if_cancelled() {
    if is_to_be_unwound() {
        unwind();
    }
}

#[cold]
pub(super) fn unwind() -> ! {
    resume_unwind(Box::new(CancelUnwind::new()))
}

/// Distinguishes decor's unwinding of a call from a panic. Made before the call begins.
///
/// An unwinding that began before the call does not count, because a function may have caught and
/// kept its payload. An unwinding that began during the call counts until its payload is dropped. A
/// call that keeps the payload and then panics itself looks like a cancelled call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct UnwindMark {
    begun: u64,
}

impl UnwindMark {
    #[inline]
    pub(crate) fn new() -> Self {
        Self { begun: BEGUN.get() }
    }

    /// Returns `true` if the current unwinding of this thread is decor's, and not a panic.
    pub(crate) fn is_cancelled(self) -> bool {
        BEGUN.get() > self.begun && LAST.try_with(|last| last.borrow().strong_count() > 0).unwrap_or(true)
    }
}

/// The scope of this thread's call. Also `None` while a thread ends, after its thread-locals are
/// gone.
fn current() -> Option<Scope> {
    CURRENT.try_with(|current| current.borrow().clone()).ok().flatten()
}

/// Registers a waker that is woken when this thread's call is cancelled, while the guard lives.
pub(super) fn register(waker: &Waker) -> Registered<'_> {
    let scope = current();
    iter(scope.as_ref()).for_each(|signal| lock(&signal.waiting).push(waker.clone()));
    Registered { scope, waker }
}

pub(super) struct Registered<'w> {
    scope: Option<Scope>,
    waker: &'w Waker,
}

impl Drop for Registered<'_> {
    fn drop(&mut self) {
        let leave = |signal: &Signal| lock(&signal.waiting).retain(|other| !other.will_wake(self.waker));
        iter(self.scope.as_ref()).for_each(leave);
    }
}

/// The signals from the innermost to the outermost.
fn iter(innermost: Option<&Scope>) -> impl Iterator<Item = &Signal> {
    let scopes = std::iter::successors(innermost, |scope| scope.outer.as_deref());
    scopes.map(|scope| &*scope.signal)
}
