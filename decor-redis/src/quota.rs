//! A limit in the store.

use crate::{
    keys::Keys,
    store::{Message, Store, Want},
};
use decor::{
    Name,
    shared::{Asker, SharedQuota},
};
use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

/// A limit in a Redis, which all processes share that name it. Made by
/// [`Redis::quota`](crate::Redis::quota), for
/// [`RateLimiterBuilder::shared`](decor::RateLimiterBuilder::shared).
///
/// # Examples
///
/// See [`Redis::quota`](crate::Redis::quota).
#[derive(Clone)]
pub struct RedisQuota {
    store: Arc<Store>,
    name: Arc<str>,
    keys: Arc<Keys>,
}

impl RedisQuota {
    pub(crate) fn new(store: Arc<Store>, name: &str) -> Self {
        let keys = Arc::new(Keys::new(&store.shared.config.prefix, name));
        Self { store, name: name.into(), keys }
    }
}

impl SharedQuota for RedisQuota {
    fn name(&self) -> Name {
        self.name.clone().into()
    }

    fn now(&self) -> Duration {
        self.store.begun.elapsed()
    }

    fn is_up(&self) -> bool {
        self.store.shared.is_up_for(self.keys.slot())
    }

    fn want(&self, asker: Arc<dyn Asker>, after: Duration) {
        let at = if after.is_zero() { None } else { Instant::now().checked_add(after) };
        if at.is_none() && !after.is_zero() {
            return; // The clock ends before.
        }
        let want = Want { asker, keys: self.keys.clone() };
        self.store.shared.send(Message::Want { want, at });
    }

    fn of_key(&self, key: &str) -> Arc<dyn SharedQuota> {
        Arc::new(Self::new(self.store.clone(), &format!("{}:{key}", self.name)))
    }
}

impl fmt::Debug for RedisQuota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedisQuota({} at {})", self.name, self.store.shared.config.address)
    }
}
