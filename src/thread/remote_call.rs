//! A call on another thread, and the wait for its result.

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
    /// The call has not ended. Holds the caller's waker while the caller waits.
    Pending(Option<Waker>),
    /// The output of the call, or the payload of its panic.
    Ended(Result<T, Box<dyn Any + Send>>),
    /// Decor has unwound the call, or the reply has been taken.
    Gone,
}

impl<T: Send + 'static> RemoteCall<T> {
    /// Begins a call that is cancelled if its caller leaves.
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

    /// Begins such a call on a new thread outside of the pool.
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

    /// Makes the job for the other thread. The call keeps this thread's tracing subscriber and
    /// span.
    fn job(&self, scope: Scope, call: impl FnOnce() -> T + Send + 'static) -> impl FnOnce() + Send + 'static {
        let reply = Arc::clone(&self.reply);
        let (dispatch, span) = (dispatcher::get_default(Clone::clone), Span::current());
        move || {
            let call = || dispatcher::with_default(&dispatch, || span.in_scope(call));
            let ended = scope.run_for_another(call).map_or(Reply::Gone, Reply::Ended);
            // Before the caller goes on. Its span would otherwise close when this thread is done.
            drop((span, dispatch));
            if let Reply::Pending(Some(waker)) = std::mem::replace(&mut *lock(&reply), ended) {
                waker.wake();
            }
        }
    }

    /// Waits for a call that cannot be cancelled.
    #[cfg(any(feature = "memo", feature = "test-util"))]
    #[track_caller]
    pub(crate) fn wait(self) -> T {
        self.wait_until(None).expect("a detached call is never cancelled")
    }

    /// Waits until the call ends; `None` if it has not ended at the moment `end`. A panic of the
    /// call goes on in this thread.
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
                    // The call was unwound because this thread's own call is cancelled. The time
                    // limit has not passed.
                    unwind_if_cancelled();
                    Progress::Ready(None)
                }
                Reply::Pending(_) => match end {
                    Some(end) if end <= Clock::Thread.now() => Progress::Ready(None),
                    // `Last`, because a call that ends exactly at its limit has ended in time.
                    at => Progress::WakeMe { at, order: WakeOrder::Last },
                },
            }
        });
        Some(ended?.unwrap_or_else(|panic| resume_unwind(panic)))
    }
}

/// Notes that the caller has left, because the call has ended, the time limit has passed, or the
/// caller is unwound itself.
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

/// Makes a call on another thread and waits for it. The call goes on if this thread's own call is
/// cancelled.
#[cfg(feature = "memo")]
pub(crate) fn on_another_thread<T: Send + 'static>(call: impl FnOnce() -> T + Send + 'static) -> T {
    RemoteCall::begin_detached(true, call).wait()
}

/// Starts a call on another thread, and does not wait for it.
#[cfg(feature = "memo")]
pub(crate) fn start_on_another_thread(call: impl FnOnce() + Send + 'static) {
    drop(RemoteCall::begin_detached(false, call));
}
