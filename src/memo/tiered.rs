//! A memo, as its tier sees it.

use super::{
    cacheable::Value,
    key::Key,
    key_bytes::{KeyBytes, Recorded},
    state::Core,
    tier::TieredMemo,
};
use crate::sync::Arc;
use std::{fmt, sync::Weak};

/// The line from a tier to a memo.
struct Line<K, V>(Weak<Core<K, V>>);

impl<K: Key, V: Value> TieredMemo for Line<K, V> {
    fn invalidate(&self, key: &KeyBytes) {
        if let Some(core) = self.0.upgrade() {
            core.invalidate_recorded(key);
        }
    }

    fn invalidate_all(&self) {
        if let Some(core) = self.0.upgrade() {
            core.forget_all();
        }
    }
}

impl<K, V> fmt::Debug for Line<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TieredMemo")
    }
}

impl<K: Key, V: Value> Core<K, V> {
    pub(super) fn attach_to_tier(self: &Arc<Self>) {
        if let Some(tier) = &self.settings.closures.tier {
            tier.attach(Arc::new(Line(Arc::downgrade(self))));
        }
    }

    /// Removes the value of a key that another process has changed.
    fn invalidate_recorded(&self, key: &KeyBytes) {
        let key = Recorded(key);
        let hash = self.index.hash(&key);
        let mut shard = self.index.write(hash);
        let flight = shard.take_flight_like(hash, &key);
        let entry = shard.take(hash, &key);
        if let Some(entry) = &entry {
            self.forget(entry);
        }
        drop(shard);
        drop((flight, entry));
    }
}
