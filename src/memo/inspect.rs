//! Reads of a memo that do not count as calls.

use super::{cacheable::Value, handle::Memo, index::Entry, key::Key, state::Core};
use crate::{
    clock::{Clock, Nanos},
    policy::Freshness,
    sync::Arc,
};
use std::{borrow::Borrow, hash::Hash};

/// Inspection.
impl<K: Key, V: Value> Memo<K, V> {
    /// Returns the value of this key if it has not expired, as [`get`](Self::get) does, but changes
    /// nothing. A `peek` counts neither as a hit nor as a miss. For [eviction](crate::Eviction) and
    /// [`time_to_idle`](crate::MemoBuilder::time_to_idle), it does not count as a use.
    ///
    /// # Examples
    ///
    /// ```
    /// let squares = decor::Memo::builder().build();
    /// squares.insert(7, 49);
    /// assert_eq!(squares.peek(&7), Some(49));
    /// assert_eq!(squares.stats().calls(), 0);
    /// ```
    pub fn peek<Q>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.core.unexpired(key).map(|entry| entry.value.clone())
    }

    /// Returns `true` if there is a value of this key that has not expired. Changes nothing, like
    /// [`peek`](Self::peek), and clones nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// let squares = decor::Memo::builder().build();
    /// squares.insert(7, 49);
    /// assert!(squares.contains(&7) && !squares.contains(&8));
    /// ```
    pub fn contains<Q>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.core.unexpired(key).is_some()
    }

    /// Calls the closure with each value that has not expired, in unspecified order. Changes
    /// nothing, like [`peek`](Self::peek).
    ///
    /// The memo has 16 shards, which are read one after the other. A value that is present all the
    /// time is visited once. A value that is stored or removed meanwhile may be visited or not. The
    /// closure sees each value as it was when its shard was read. The closure runs outside of all
    /// locks, and may use the memo.
    ///
    /// # Examples
    ///
    /// ```
    /// let squares = decor::Memo::builder().build();
    /// for n in 1..=3 {
    ///     squares.insert(n, n * n);
    /// }
    /// let mut seen = Vec::new();
    /// squares.for_each(|n, square| seen.push((*n, *square)));
    /// seen.sort();
    /// assert_eq!(seen, [(1, 1), (2, 4), (3, 9)]);
    /// ```
    pub fn for_each(&self, mut see: impl FnMut(&K, &V)) {
        for entry in self.core.each().filter(|entry| self.core.is_unexpired(entry)) {
            see(&entry.key, &entry.value);
        }
    }

    /// Drops all values that have expired and are past the windows in which they may be served
    /// stale. Returns their number. Each counts as an [expiration](crate::MemoStats::expirations).
    ///
    /// Calls and stores [drop such values](Self#time-and-memory) by themselves. Use this method for
    /// a memo that is seldom or no longer called. It visits every value.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::Memo;
    /// use std::time::Duration;
    ///
    /// let ttl = Duration::from_secs(300);
    /// let users = Memo::ttl(ttl);
    /// users.insert(42, "Ada");
    /// assert_eq!(users.purge_expired(), 0);
    /// tokio::time::advance(ttl).await;
    /// assert_eq!(users.stats().entries, 1);
    /// assert_eq!(users.purge_expired(), 1);
    /// assert_eq!(users.stats().entries, 0);
    /// # }
    /// ```
    pub fn purge_expired(&self) -> usize {
        let clock = Clock::current();
        let dead = self.core.each().filter(|entry| self.core.freshness_if_valid(clock, entry) == Freshness::Dead);
        dead.filter_map(|entry| self.core.expire(entry.id, Nanos::MAX)).count()
    }
}

impl<K: Key, V: Value> Core<K, V> {
    /// Returns all entries, shard by shard. Yields them outside of the locks.
    fn each(&self) -> impl Iterator<Item = Arc<Entry<K, V>>> {
        self.index.read_each().flat_map(|shard| shard.entries().cloned().collect::<Vec<_>>())
    }

    fn is_unexpired(&self, entry: &Entry<K, V>) -> bool {
        matches!(self.freshness_if_valid(Clock::current(), entry), Freshness::Fresh | Freshness::Due)
    }

    /// Returns the entry of this key, unless it has expired.
    fn unexpired<Q>(&self, key: &Q) -> Option<Arc<Entry<K, V>>>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let hash = self.index.hash(key);
        let entry = self.index.read(hash).find(hash, key).cloned();
        entry.filter(|entry| self.is_unexpired(entry))
    }
}
