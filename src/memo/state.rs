//! The state of a memo.
//!
//! A hit on a fresh value takes only the read lock of its key's shard. A call that finds no value
//! to serve takes the write lock and looks again. The end of a load stores the value and removes
//! the flight under that same lock. A key therefore has a value or a flight, and never two flights.
//!
//! **Index and bound agree.** An entry enters and leaves the index under the lock of its shard. The
//! bound learns of a removal under the same lock, except after a clear, which reports its removals
//! afterwards. The bound learns of a new entry in [`finish_put`](Core::finish_put), which checks
//! under the lock that the entry is still in the index. The bound evicts by itself, and records the
//! evicted entries. Each store then reads that record, and removes those entries from the index
//! that are still there. One store at a time does this, under the lock of the queue of evictions.
//! Each store has a number of its own, by which an eviction of an entry that
//! has left since is recognised.
//!
//! **Locks.** The order of locks is:
//!
//! 1. the queue of expiries, or the queue of evictions;
//! 2. a shard, or for a clear all shards in order;
//! 3. the locks of moka;
//! 4. the lock that moka's listener takes.
//!
//! A reload has a lock of its own before all others. It takes the locks of a clear for another
//! capacity.
//!
//! Removed values are dropped outside of all locks, before the call that removed them returns.
//!
//! **Clear.** A clear locks all shards together, empties them, and begins a new generation of
//! counts. Loads count their begin and their end only in the generation of their flight.
//!
//! **Invalidate, insert.** Both remove the key's flight from the map, under its lock. A load that
//! ends without a flight in the map answers the calls that joined it, and is not stored.
//!
//! **Invalidate by value or tag.** The invalidation is stored with each flight, and is matched
//! against the load's value when the load ends: see [`doubts`](super::doubts). Closures that match
//! values run outside of all locks. An entry that matched is then removed by its
//! [identity](super::bound::EntryId), so that no successor is removed without a match.

#[cfg(feature = "metrics")]
use super::stats::Totals;
use super::{
    bound::{Bound, EntryId, Equivalent},
    cacheable::Value,
    config::MemoConfig,
    expiries::SharedExpiries,
    index::{Entry, Gone, Index, Shard},
    key::Key,
    key_bytes::KeyBytes,
    queue::EvictionQueue,
    settings::Settings,
    stats::{Counters, MemoStats},
    tier::TierCounts,
};
use crate::{
    ConfigError,
    clock::{Clock, Epoch, Nanos},
    policy::{Freshness, Stamp},
    sync::{Arc, Mutex, lock},
};
use std::{
    borrow::Borrow,
    hash::Hash,
    // Not from `crate::sync`, because no decision depends on the order of these.
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

/// Number of hits on values that never expire, per sweep.
const TIMELESS_HITS: u64 = 64;

/// The state that all handles of a memo share.
pub(crate) struct Core<K, V> {
    pub(super) settings: Settings<K, V>,
    pub(super) epoch: Epoch,
    pub(super) index: Index<K, V>,
    pub(super) bound: Bound,
    /// Held by a store from its entry into the bound until it has removed what the bound evicted.
    pub(super) queue: Mutex<EvictionQueue>,
    pub(super) expiries: SharedExpiries,
    pub(super) counters: Counters,
    /// Weight of all entries in the index. Changes only under the lock of a shard.
    pub(super) held: AtomicU64,
    /// Number of the next store.
    pub(super) next_store: AtomicU64,
    /// Held during a reload.
    pub(super) reloading: Mutex<()>,
}

impl<K, V> Core<K, V> {
    pub(super) fn new(settings: Settings<K, V>) -> Self {
        Self {
            bound: Bound::new(settings.capacity(), settings.eviction),
            expiries: SharedExpiries::new(settings.lifetime.get().longest_window()),
            settings,
            queue: Mutex::default(),
            epoch: Epoch::new(),
            index: Index::new(),
            counters: Counters::default(),
            held: AtomicU64::new(0),
            next_store: AtomicU64::new(0),
            reloading: Mutex::default(),
        }
    }

    /// Counts a call that waited for a load and was served an expired value.
    pub(crate) fn count_stale_on_error(&self) {
        self.counters.stale_on_error.count();
    }

    /// Returns the time limits of an entry, with its latest use.
    #[inline]
    pub(super) fn stamp(&self, entry: &Entry<K, V>) -> Stamp {
        let lifetime = &self.settings.lifetime;
        if lifetime.expires_when_idle() {
            lifetime.get().stamp_after_use(entry.ttl_stamp, entry.used_at.load(Relaxed))
        } else {
            entry.ttl_stamp
        }
    }

    #[cold]
    #[inline(never)]
    fn idle_freshness(&self, entry: &Entry<K, V>, now: Nanos) -> Freshness {
        self.settings.lifetime.get().freshness(self.stamp(entry), now)
    }

    /// Records the time of a use of a value that has not expired.
    #[inline]
    fn record_use_time(&self, entry: &Entry<K, V>, now: Nanos) {
        if self.settings.lifetime.expires_when_idle() {
            entry.used_at.store(now, Relaxed);
        }
    }

    /// Returns the freshness of an entry for a call that may refresh it. Called under the lock of
    /// the entry's shard.
    pub(super) fn freshness_at_rest(&self, now: Nanos, entry: &Entry<K, V>) -> Freshness {
        let rests_until = lock(&entry.rest).as_ref().map_or(0, |rest| rest.until());
        self.settings.lifetime.get().freshness_at_rest(self.stamp(entry), rests_until, now)
    }

    /// Returns the freshness of an entry by its time limits.
    pub(super) fn freshness(&self, clock: Clock, entry: &Entry<K, V>) -> Freshness {
        self.settings.lifetime.get().freshness(self.stamp(entry), self.epoch.now(clock))
    }

    /// Returns the freshness of an entry; `Dead` if its value is no longer valid. Called outside of
    /// all locks.
    pub(super) fn freshness_if_valid(&self, clock: Clock, entry: &Entry<K, V>) -> Freshness {
        match self.freshness(clock, entry) {
            Freshness::Dead => Freshness::Dead,
            freshness if self.settings.is_valid(&entry.key, &entry.value) => freshness,
            _ => Freshness::Dead,
        }
    }

    /// Counts an expiration if the entry, which leaves the index, has expired.
    pub(super) fn count_if_expired(&self, entry: &Entry<K, V>, now: impl FnOnce() -> Nanos) {
        let stamp = self.stamp(entry);
        if stamp.expires_at().is_some() && stamp.has_expired(now()) {
            self.counters.expirations.count();
        }
    }

    /// Removes an entry that leaves the index from the bound. Called under the lock of its shard.
    pub(super) fn forget(&self, entry: &Entry<K, V>) {
        self.held.fetch_sub(entry.weight.into(), Relaxed);
        self.bound.remove(entry.id);
    }

    /// Serves the value of an entry, and records the use. Called without the lock of its shard.
    pub(super) fn served(&self, entry: &Entry<K, V>, now: Nanos) -> V
    where
        V: Clone,
    {
        if !self.stamp(entry).has_expired(now) {
            self.record_use_time(entry, now);
        }
        if self.bound.note_use(&entry.used) {
            self.bound.learn(entry.id);
        }
        entry.value.clone()
    }
}

/// Look-ups.
impl<K: Key, V: Value> Core<K, V> {
    /// Returns the value of a hit, if the freshness is good enough. Otherwise returns the entry and
    /// its freshness; `None` if there is no entry.
    #[inline]
    fn hit<Q>(
        &self,
        clock: Clock,
        key: &Q,
        is_good: impl FnOnce(Freshness) -> bool,
    ) -> Result<V, Option<(EntryId, Freshness)>>
    where
        Q: Equivalent<K> + Hash + ?Sized,
    {
        let hash = self.index.hash(key);
        let shard = self.index.read(hash);
        let entry = shard.find(hash, key).ok_or(None)?;
        let lifetime = &self.settings.lifetime;
        // A value that never expires needs no clock, because it is fresh at any time, 0 included.
        let now = if entry.ttl_stamp.is_always_fresh() { 0 } else { self.epoch.now(clock) };
        let freshness = if lifetime.expires_when_idle() {
            self.idle_freshness(entry, now)
        } else if entry.ttl_stamp.is_fresh(now) {
            Freshness::Fresh
        } else {
            lifetime.get().freshness(entry.ttl_stamp, now)
        };
        if !is_good(freshness) {
            return Err(Some((entry.id, freshness)));
        }
        if self.settings.closures.valid_while.is_some() {
            let entry = Arc::clone(entry);
            drop(shard);
            return self.hit_if_valid(clock, &entry, now);
        }
        self.record_use_time(entry, now);
        let hits = self.counters.fresh_hits.count();
        let value = entry.value.clone();
        let id = entry.id;
        let is_learned = self.bound.note_use(&entry.used);
        drop(shard);
        if is_learned {
            self.bound.learn(id);
        }
        self.sweep_after_hit(clock, now, hits);
        Ok(value)
    }

    /// Returns the value of a hit, if the value is still valid. Called outside of all locks. Out of
    /// line, because few memos set `valid_while`.
    #[cold]
    #[inline(never)]
    fn hit_if_valid(&self, clock: Clock, entry: &Entry<K, V>, now: Nanos) -> Result<V, Option<(EntryId, Freshness)>> {
        if !self.settings.is_valid(&entry.key, &entry.value) {
            return Err(Some((entry.id, Freshness::Dead)));
        }
        let hits = self.counters.fresh_hits.count();
        let value = self.served(entry, now);
        self.sweep_after_hit(clock, now, hits);
        Ok(value)
    }

    /// Sweeps after a hit. `now` is 0 if the hit did not read the clock.
    #[inline]
    fn sweep_after_hit(&self, clock: Clock, now: Nanos, hits: u64) {
        if now > 0 {
            self.sweep(now);
        } else if hits % TIMELESS_HITS == TIMELESS_HITS - 1 {
            // Not after every hit, because a clock read costs half as much as such a hit.
            self.sweep_by(clock);
        }
    }

    /// Sweeps for a call that has not read the clock.
    #[inline(never)]
    fn sweep_by(&self, clock: Clock) {
        if !self.expiries.is_empty() {
            self.sweep(self.epoch.now(clock));
        }
    }

    /// First half of a call's first contact. Returns the value if it is fresh.
    #[inline]
    pub(crate) fn look_up<Q>(&self, clock: Clock, key: &Q) -> Option<V>
    where
        Q: Equivalent<K> + Hash + ?Sized,
    {
        self.hit(clock, key, |freshness| freshness == Freshness::Fresh).ok()
    }

    pub(super) fn get<Q>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let is_good = |freshness| matches!(freshness, Freshness::Fresh | Freshness::Due);
        let miss = match self.hit(Clock::current(), key, is_good) {
            Ok(value) => return Some(value),
            Err(miss) => miss,
        };
        self.counters.misses.count();
        if let Some((id, Freshness::Dead)) = miss {
            drop(self.expire(id, Nanos::MAX));
        }
        self.sweep_by(Clock::current());
        None
    }
}

/// Changes.
impl<K: Key, V: Value> Core<K, V> {
    pub(super) fn insert(&self, key: K, value: V) {
        let now = self.epoch.now(Clock::current());
        let decision = self.settings.decide(&key, &value, now);
        if let Some(tier) = &self.settings.closures.tier {
            match decision.in_tier(now, self.settings.lifetime.get().stale_while_revalidate) {
                Some(keep) => tier.insert(&key, &value, keep),
                None => tier.invalidate(&KeyBytes::of(&key)),
            }
        }
        let hash = self.index.hash(&key);
        let mut shard = self.index.write(hash);
        let flight = shard.take_flight(hash, &key);
        let put = self.put(&mut shard, (hash, key, value), decision, now);
        drop(shard);
        self.finish_put(put, now);
        drop(flight);
    }

    pub(super) fn invalidate<Q>(&self, key: &Q)
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.tell_tier(key);
        let hash = self.index.hash(key);
        let mut shard = self.index.write(hash);
        let flight = shard.take_flight(hash, key);
        let entry = shard.take(hash, key);
        if let Some(entry) = &entry {
            self.forget(entry);
            self.count_if_expired(entry, || self.epoch.now(Clock::current()));
        }
        drop(shard);
        drop((flight, entry));
    }

    /// Tells the tier that a value has changed. Comes before the removal of the value here: the
    /// tier answers no call of this process between the two, so none keeps the earlier value.
    pub(super) fn tell_tier<Q: Hash + ?Sized>(&self, key: &Q) {
        if let Some(tier) = &self.settings.closures.tier {
            tier.invalidate(&KeyBytes::of(key));
        }
    }

    pub(super) fn clear(&self) {
        // Before the removal, as in `tell_tier`.
        if let Some(tier) = &self.settings.closures.tier {
            tier.clear();
        }
        let mut gone = Gone::new();
        let mut queue = lock(&self.queue);
        let mut shards = self.index.write_all();
        let cleared = shards.each_mut().map(|shard| shard.begin_generation());
        self.held.store(0, Relaxed);
        self.counters.reset();
        drop(shards);
        for entry in cleared.iter().flat_map(Shard::entries) {
            self.bound.remove(entry.id);
        }
        queue.clear();
        // Takes the record of the entries that moka evicted meanwhile.
        self.evict(&mut gone);
        drop(queue);
        self.expiries.change(|expiries| self.rebuild(expiries));
    }

    /// Takes over the settings of a config, if it is valid for this memo.
    pub(super) fn reload(&self, config: &MemoConfig) -> Result<(), ConfigError> {
        let refresh_backoff = config.refresh_policy()?;
        let reloading = lock(&self.reloading);
        self.settings.check_reload(config)?;
        self.settings.reload(config, refresh_backoff);
        self.expiries.set_window(config.lifetime().longest_window());
        self.expiries.change(|expiries| self.rebuild(expiries));
        let is_resized = config.capacity != self.settings.capacity();
        let gone = is_resized.then(|| self.resize(config.capacity, self.epoch.now(Clock::current())));
        drop(reloading);
        drop(gone);
        Ok(())
    }

    pub(super) fn stats(&self) -> MemoStats {
        let entries = self.index.read_each().map(|shard| shard.len() as u64).sum();
        self.counters.read(entries, self.settings.capacity(), self.tier_counts().unwrap_or_default())
    }

    /// `None` without a tier.
    fn tier_counts(&self) -> Option<TierCounts> {
        self.settings.closures.tier.as_ref().map(|tier| tier.counts())
    }

    /// The counts since the memo was made, which no clear resets.
    #[cfg(feature = "metrics")]
    pub(crate) fn totals(&self) -> Totals {
        self.counters.totals(self.tier_counts())
    }
}
