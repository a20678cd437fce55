//! The limiter, as its store sees it.

use super::{
    quota::{Asker, SharedQuota},
    store::Store,
};
use crate::{
    clock::{Clock, Epoch},
    policy::{Answer, Ask, Quota, StoreError},
    rate_limiter::state::{Bounds, Core, Lane},
    sync::Arc,
    trace::SHARED,
};
use std::sync::Weak;

/// The line from a store to a limiter. Does not keep the limiter in memory.
#[derive(Debug)]
struct Line(Weak<Core>);

impl Asker for Line {
    fn ask(&self) -> Option<Ask> {
        self.0.upgrade()?.ask()
    }

    fn answered(&self, answer: Result<Answer, StoreError>) {
        if let Some(core) = self.0.upgrade() {
            core.answered(answer);
        }
    }
}

impl Core {
    /// The limiter of a shared limit.
    pub(in crate::rate_limiter) fn shared(store: Arc<dyn SharedQuota>, quota: Quota, bounds: Bounds) -> Arc<Self> {
        Arc::new_cyclic(|core| {
            let store = Store::new(store, Arc::new(Line(Weak::clone(core))));
            Self::with(Lane::Shared(Box::new(store)), quota, bounds, Epoch::new())
        })
    }

    /// A call of the store, at a moment that the limiter has named.
    fn ask(&self) -> Option<Ask> {
        // The clock is the store's.
        self.with_state(Clock::Task, |state, after| {
            state.wake_or_skip_head(after);
            state.attend_to_failure(after);
            state.ask(after)
        })
    }

    fn answered(&self, answer: Result<Answer, StoreError>) {
        self.with_state(Clock::Task, |state, after| {
            match answer {
                Ok(answer) => state.answered(&answer, after),
                Err(error) => {
                    let name = state.quota.purse().map(|purse| &**purse.name());
                    tracing::debug!(target: SHARED, name, %error, "the store of a rate limit is down");
                    state.failed();
                }
            }
            state.attend_to_failure(after);
            state.wake_or_skip_head(after);
        });
    }
}
