//! What holds the values: moka, and nothing outside of this file knows of it.
//!
//! Of moka it is the map, its bound and its eviction. Its own flights, TTL and clock are not used: they cannot be shared
//! between tasks and threads, do not follow a paused clock, and store what was loaded before an invalidation.

use super::builder::Eviction;
use crate::policy::Stamp;
use moka::{Equivalent, notification::RemovalCause, policy::EvictionPolicy, sync::Cache};
use std::hash::Hash;

/// A value, with what decides whether it may be served.
#[derive(Debug, Clone)]
pub(super) struct Entry<V> {
    pub(super) value: V,
    /// The memo's generation in which its load began.
    pub(super) generation: u64,
    pub(super) stamp: Stamp,
}

/// Why an entry is no longer held.
pub(super) enum Left {
    /// Others needed the room.
    Evicted,
    Removed,
}

/// What a memo is built with: `(key, value) -> weight`.
pub(super) type Weigher<K, V> = Box<dyn Fn(&K, &V) -> u32 + Send + Sync>;

pub(super) struct Store<K, V>(Cache<K, Entry<V>>);

impl<K, V> Store<K, V>
where
    K: Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    pub(super) fn new(
        capacity: u64,
        eviction: Eviction,
        weigher: Option<Weigher<K, V>>,
        on_leaving: impl Fn(&Entry<V>, Left) + Send + Sync + 'static,
    ) -> Self {
        let policy = match eviction {
            Eviction::Lru => EvictionPolicy::lru(),
            Eviction::TinyLfu => EvictionPolicy::tiny_lfu(),
        };
        let listener = move |_, entry: Entry<V>, cause| match cause {
            RemovalCause::Size => on_leaving(&entry, Left::Evicted),
            _ => on_leaving(&entry, Left::Removed),
        };
        let builder = Cache::builder().max_capacity(capacity).eviction_policy(policy);
        // Moka calls it with locks held that the model checker knows nothing of.
        let builder = if cfg!(all(test, shuttle)) { builder } else { builder.eviction_listener(listener) };
        Self(match weigher {
            Some(weigh) => builder.weigher(move |key, entry: &Entry<V>| weigh(key, &entry.value)).build(),
            None => builder.build(),
        })
    }

    pub(super) fn get<Q>(&self, key: &Q) -> Option<Entry<V>>
    where
        Q: Equivalent<K> + Hash + ?Sized,
    {
        self.0.get(key)
    }

    /// Unlike [`get`](Self::get), it does not count as a use.
    pub(super) fn holds<Q>(&self, key: &Q) -> bool
    where
        Q: Equivalent<K> + Hash + ?Sized,
    {
        self.0.contains_key(key)
    }

    /// In place of what the key had.
    pub(super) fn insert(&self, key: K, entry: Entry<V>) {
        self.0.insert(key, entry);
    }

    pub(super) fn remove<Q>(&self, key: &Q)
    where
        Q: Equivalent<K> + Hash + ?Sized,
    {
        self.0.invalidate(key);
    }

    pub(super) fn remove_all(&self) {
        self.0.invalidate_all();
        // It stops after a tenth of a second. Others may be inserting meanwhile, so the end is where it gets no further.
        let mut before = u64::MAX;
        while (1..before).contains(&self.entries()) {
            before = self.entries();
            self.settle();
        }
    }

    /// Does at once what moka leaves for later: without it a full store holds up to some hundred entries too many, and
    /// forgets the order of the reads since.
    pub(super) fn settle(&self) {
        self.0.run_pending_tasks();
    }

    pub(super) fn entries(&self) -> u64 {
        self.0.entry_count()
    }
}
