//! A call on a thread of its own, and the wait for it.

use super::{
    abandonment::Abandonment,
    pool::{self, Place},
    wait::{Patience, Progress, until_ready},
};
use crate::{
    sync::{Arc, Mutex, lock},
    time::{Clock, Instant},
};
#[cfg(feature = "test-util")]
use std::thread;
use std::{any::Any, panic::resume_unwind, task::Waker};
use tracing::{Span, dispatcher};

/// A call that has been handed to another thread.
pub(crate) struct Elsewhere<T> {
    slot: Arc<Mutex<Slot<T>>>,
    /// `None` for one that goes on without its caller.
    abandonment: Option<Arc<Abandonment>>,
    /// `None` for one that has not begun, and for one on a thread that is not the pool's.
    place: Option<Arc<Place>>,
}

enum Slot<T> {
    Waiting(Option<Waker>),
    /// With its panic, if that is how it ended.
    Ended(Result<T, Box<dyn Any + Send>>),
    /// There is nothing to be had: it was unwound, or it has been handed over.
    Gone,
}

impl<T: Send + 'static> Elsewhere<T> {
    /// Begins one that is of no use without its caller.
    pub(super) fn begin(call: impl FnOnce() -> T + Send + 'static) -> Self {
        let abandonment = Abandonment::new();
        let mut begun = Self::new(Some(Arc::clone(&abandonment)));
        begun.place = Some(pool::run(true, begun.job(abandonment, call)));
        begun
    }

    /// Begins one that goes on without its caller.
    #[cfg(feature = "memo")]
    fn begin_detached(is_awaited: bool, call: impl FnOnce() -> T + Send + 'static) -> Self {
        let mut begun = Self::new(None);
        begun.place = Some(pool::run(is_awaited, begun.job(Arc::default(), call)));
        begun
    }

    /// The same on a thread of its own, however many there are.
    #[cfg(feature = "test-util")]
    pub(crate) fn begin_beside_the_pool(call: impl FnOnce() -> T + Send + 'static) -> Self {
        let begun = Self::new(None);
        thread::spawn(begun.job(Arc::default(), call));
        begun
    }

    fn new(abandonment: Option<Arc<Abandonment>>) -> Self {
        Self { slot: Arc::new(Mutex::new(Slot::Waiting(None))), abandonment, place: None }
    }

    /// Its log lines keep this thread's subscriber and span.
    fn job(
        &self,
        its_own: Arc<Abandonment>,
        call: impl FnOnce() -> T + Send + 'static,
    ) -> impl FnOnce() + Send + 'static {
        let theirs = Arc::clone(&self.slot);
        let (dispatch, span) = (dispatcher::get_default(Clone::clone), Span::current());
        #[cfg(feature = "test-util")]
        let clock = crate::test_util::Inherited::from_this_thread();
        move || {
            #[cfg(feature = "test-util")]
            clock.install();
            let call = || dispatcher::with_default(&dispatch, || span.in_scope(call));
            let ended = its_own.run(call).map_or(Slot::Gone, Slot::Ended);
            if let Slot::Waiting(Some(waker)) = std::mem::replace(&mut *lock(&theirs), ended) {
                waker.wake();
            }
            #[cfg(feature = "test-util")]
            drop(clock);
        }
    }

    /// Waits for one that goes on without its caller.
    #[cfg(any(feature = "memo", feature = "test-util"))]
    pub(crate) fn wait(self) -> T {
        self.wait_until(None).expect("nobody abandons it")
    }

    /// Waits for it until then; `None` if it has not ended, and then its caller has gone. Its panic becomes this thread's.
    pub(super) fn wait_until(self, end: Option<Instant>) -> Option<T> {
        let ended = until_ready(|waker| {
            let mut slot = lock(&self.slot);
            match std::mem::replace(&mut *slot, Slot::Waiting(Some(waker.clone()))) {
                Slot::Ended(ended) => {
                    *slot = Slot::Gone;
                    Progress::Ready(Some(ended))
                }
                Slot::Gone => {
                    *slot = Slot::Gone;
                    Progress::Ready(None)
                }
                Slot::Waiting(_) => match end {
                    Some(end) if end <= Clock::Thread.now() => Progress::Ready(None),
                    // A call that ends at its limit has ended in time.
                    at => Progress::WakeMe { at, patience: Patience::LetsOthersEnd },
                },
            }
        });
        Some(ended?.unwrap_or_else(|panic| resume_unwind(panic)))
    }
}

/// Whoever waits has gone, by its time limit or because it is unwound itself.
impl<T> Drop for Elsewhere<T> {
    fn drop(&mut self) {
        if let Some(abandonment) = &self.abandonment {
            abandonment.abandon();
        }
        if let Some(place) = &self.place {
            pool::leave(place);
        }
    }
}

/// Runs it elsewhere and waits for it. Should this thread's caller go, it runs on.
#[cfg(feature = "memo")]
pub(crate) fn on_another_thread<T: Send + 'static>(call: impl FnOnce() -> T + Send + 'static) -> T {
    Elsewhere::begin_detached(true, call).wait()
}

/// Nobody waits for it.
#[cfg(feature = "memo")]
pub(crate) fn start_on_another_thread(call: impl FnOnce() + Send + 'static) {
    drop(Elsewhere::begin_detached(false, call));
}
