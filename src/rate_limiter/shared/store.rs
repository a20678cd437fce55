//! The store of a limiter, as the limiter uses it.

use super::quota::{Asker, SharedQuota};
use crate::{
    clock::{Nanos, nanos},
    sync::Arc,
};
use std::{fmt, panic::AssertUnwindSafe, time::Duration};

/// The limit in the store, and the limiter as the store sees it. Safe to use after a panic: a call
/// of the store leaves nothing half done in the limiter, whatever the store does.
pub(in crate::rate_limiter) struct Store {
    quota: AssertUnwindSafe<Arc<dyn SharedQuota>>,
    asker: AssertUnwindSafe<Arc<dyn Asker>>,
}

impl Store {
    pub(super) fn new(quota: Arc<dyn SharedQuota>, asker: Arc<dyn Asker>) -> Self {
        Self { quota: AssertUnwindSafe(quota), asker: AssertUnwindSafe(asker) }
    }

    pub(in crate::rate_limiter) fn now(&self) -> Nanos {
        nanos(self.quota.now())
    }

    pub(in crate::rate_limiter) fn is_up(&self) -> bool {
        self.quota.is_up()
    }

    /// Has the store call the limiter after this time.
    pub(in crate::rate_limiter) fn want(&self, after: Duration) {
        self.quota.want(Arc::clone(&self.asker), after);
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.quota.fmt(f)
    }
}
