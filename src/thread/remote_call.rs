//! A call on a thread of its own, and the wait for it.

use super::{
    cancel::{Scope, Signal, unwind_if_cancelled},
    pool::POOL,
    wait::{Progress, block_until},
};
#[cfg(feature = "test-util")]
use crate::clock::virtual_clock::Inherited;
use crate::{
    attempt::Scope as Attempt,
    clock::{Clock, Instant, WakeOrder},
    sync::{Arc, Mutex, lock},
};
#[cfg(feature = "test-util")]
use std::thread;
use std::{any::Any, panic::resume_unwind, task::Waker};
use tracing::{Span, dispatcher};

/// A call that has been handed to another thread.
pub(crate) struct RemoteCall<T> {
    reply: Arc<Mutex<Reply<T>>>,
    /// Cancels the call; `None` for a call that goes on without its caller.
    signal: Option<Arc<Signal>>,
    /// The call's number in the pool; `None` on a thread that is not the pool's.
    serial: Option<u64>,
}

enum Reply<T> {
    /// Not yet there. The caller's waker, once it waits.
    Pending(Option<Waker>),
    /// The output of the call, or its panic.
    Ended(Result<T, Box<dyn Any + Send>>),
    /// Decor has unwound the call, or the reply has been taken.
    Gone,
}

impl<T: Send + 'static> RemoteCall<T> {
    /// Begins a call that is of no use without its caller.
    pub(crate) fn begin(call: impl FnOnce() -> T + Send + 'static) -> Self {
        let signal = Arc::<Signal>::default();
        let mut begun = Self::new(Some(Arc::clone(&signal)));
        let attempt = Attempt::current();
        let job = begun.job(Scope::new(signal), move || attempt.run(call));
        begun.serial = Some(POOL.run(true, job));
        begun
    }

    /// Begins a call that goes on without its caller.
    #[cfg(feature = "memo")]
    fn begin_detached(is_awaited: bool, call: impl FnOnce() -> T + Send + 'static) -> Self {
        let mut begun = Self::new(None);
        begun.serial = Some(POOL.run(is_awaited, begun.job(Scope::detached(), call)));
        begun
    }

    /// The same on a thread of its own, however many there are.
    #[cfg(feature = "test-util")]
    pub(crate) fn begin_unpooled(call: impl FnOnce() -> T + Send + 'static) -> Self {
        let begun = Self::new(None);
        let job = begun.job(Scope::detached(), call);
        let mut clock = Inherited::from_this_thread();
        clock.start();
        thread::spawn(move || clock.scope(job));
        begun
    }

    fn new(signal: Option<Arc<Signal>>) -> Self {
        Self { reply: Arc::new(Mutex::new(Reply::Pending(None))), signal, serial: None }
    }

    /// The call's log lines keep this thread's subscriber and span.
    fn job(&self, scope: Scope, call: impl FnOnce() -> T + Send + 'static) -> impl FnOnce() + Send + 'static {
        let reply = Arc::clone(&self.reply);
        let (dispatch, span) = (dispatcher::get_default(Clone::clone), Span::current());
        move || {
            let call = || dispatcher::with_default(&dispatch, || span.in_scope(call));
            let ended = scope.run_for_another(call).map_or(Reply::Gone, Reply::Ended);
            if let Reply::Pending(Some(waker)) = std::mem::replace(&mut *lock(&reply), ended) {
                waker.wake();
            }
        }
    }

    /// Waits for a call that goes on without its caller.
    #[cfg(any(feature = "memo", feature = "test-util"))]
    #[track_caller]
    pub(crate) fn wait(self) -> T {
        self.wait_until(None).expect("it is not cancelled")
    }

    /// Waits for the call's end, and returns `None` if it has not ended by then. Its panic becomes
    /// this thread's.
    #[track_caller]
    pub(crate) fn wait_until(self, end: Option<Instant>) -> Option<T> {
        let ended = block_until(|waker| {
            let mut reply = lock(&self.reply);
            match std::mem::replace(&mut *reply, Reply::Pending(Some(waker.clone()))) {
                Reply::Ended(ended) => {
                    *reply = Reply::Gone;
                    Progress::Ready(Some(ended))
                }
                Reply::Gone => {
                    *reply = Reply::Gone;
                    drop(reply);
                    // Unwound with this thread's own call: the limit has not passed.
                    unwind_if_cancelled();
                    Progress::Ready(None)
                }
                Reply::Pending(_) => match end {
                    Some(end) if end <= Clock::Thread.now() => Progress::Ready(None),
                    // A call that ends at its limit has ended in time.
                    at => Progress::WakeMe { at, order: WakeOrder::Last },
                },
            }
        });
        Some(ended?.unwrap_or_else(|panic| resume_unwind(panic)))
    }
}

/// The caller has left: its limit has passed, it is unwound itself, or the call has ended.
impl<T> Drop for RemoteCall<T> {
    fn drop(&mut self) {
        if let Some(signal) = &self.signal {
            signal.cancel();
        }
        match self.serial {
            Some(serial) if self.signal.is_some() => POOL.cancel(serial),
            Some(serial) => POOL.detach(serial),
            None => {}
        }
    }
}

/// Makes a call on another thread and waits for it. The call goes on if this thread's caller
/// leaves.
#[cfg(feature = "memo")]
pub(crate) fn on_another_thread<T: Send + 'static>(call: impl FnOnce() -> T + Send + 'static) -> T {
    RemoteCall::begin_detached(true, call).wait()
}

/// Makes a call on another thread, and does not wait for it.
#[cfg(feature = "memo")]
pub(crate) fn start_on_another_thread(call: impl FnOnce() + Send + 'static) {
    drop(RemoteCall::begin_detached(false, call));
}
