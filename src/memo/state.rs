//! The state of a memo.
//!
//! A hit on a fresh value takes only the read lock of its key's shard. A call that finds no value
//! to serve takes the write lock and looks once more. A load lands (its value is stored, its flight
//! leaves) under that same lock, so there is always one or the other, and never two flights for one
//! key.
//!
//! **Index and bound agree.** An entry enters and leaves the index under the lock of its shard. The
//! bound hears of a removal under the same lock, except that a clear tells it afterwards. The bound
//! hears of a new entry in [`settle`](Core::settle), which checks under the lock that the entry is
//! still there. The bound evicts by itself, and writes down what. Each store then goes through that
//! list, and takes those entries out of the index that are still in it. Each store has a number of
//! its own, so what the bound says of an entry that has left since is recognised.
//!
//! **Locks.** The order is: queue of expiries, then a shard (a clear takes all of them, in order),
//! then those of moka, whose listener takes one that is always the last. Values are dropped
//! outside of all locks, before the call returns that took them out.
//!
//! **Clear.** A clear takes all shards at once, empties them, and begins a new generation of
//! counting. Loads count their beginning and their end only in the generation of their flight.
//!
//! **Invalidate, insert.** Both remove the key's flight from the map, under its lock. A load whose
//! flight is not in the map when it lands answers the calls that joined it, and is not stored.
//!
//! **Invalidate by value or tag.** The invalidation is left with each flight, and its load's value
//! is shown to it before the load lands: see [`doubts`](super::doubts). Closures that look at
//! values run outside of all locks. An entry that was looked at is then taken out by its
//! [place](super::bound::Place), so that no other takes its place unseen.

use super::{
    bound::{Bound, Equivalent, Place},
    cacheable::Value,
    expiries::SharedExpiries,
    index::{Entry, Gone, Index, Shard},
    key::Key,
    settings::Settings,
    stats::{Counters, MemoStats},
};
use crate::{
    clock::{Clock, Epoch, Nanos},
    policy::{Freshness, Stamp},
    sync::{Arc, lock},
};
use std::{
    borrow::Borrow,
    hash::Hash,
    // Not by way of `crate::sync`: no decision depends on the order of these.
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

/// Number of hits on values that never expire for each hit that sweeps.
const TIMELESS_HITS: u64 = 64;

/// Shared by all handles of a memo.
pub(crate) struct Core<K, V> {
    pub(super) settings: Settings<K, V>,
    pub(super) epoch: Epoch,
    pub(super) index: Index<K, V>,
    pub(super) bound: Bound,
    pub(super) expiries: SharedExpiries,
    pub(super) counters: Counters,
    /// Weight of all entries in the index. Changes only under the lock of a shard.
    pub(super) held: AtomicU64,
    /// Number of the next store.
    pub(super) next_store: AtomicU64,
}

impl<K, V> Core<K, V> {
    pub(super) fn new(settings: Settings<K, V>) -> Self {
        Self {
            bound: Bound::new(settings.capacity, settings.eviction),
            expiries: SharedExpiries::new(settings.lifetime.longest_window()),
            settings,
            epoch: Epoch::new(),
            index: Index::new(),
            counters: Counters::default(),
            held: AtomicU64::new(0),
            next_store: AtomicU64::new(0),
        }
    }

    /// A call that waited for a load was answered by an expired value.
    pub(crate) fn count_stale_on_error(&self) {
        self.counters.stale_on_error.count();
    }

    /// The time limits of an entry, as its latest use has left them.
    #[inline]
    pub(super) fn stamp(&self, entry: &Entry<K, V>) -> Stamp {
        let lifetime = &self.settings.lifetime;
        if lifetime.expires_when_idle() {
            lifetime.stamp_after_use(entry.ttl_stamp, entry.used_at.load(Relaxed))
        } else {
            entry.ttl_stamp
        }
    }

    #[cold]
    #[inline(never)]
    fn idle_freshness(&self, entry: &Entry<K, V>, now: Nanos) -> Freshness {
        self.settings.lifetime.freshness(self.stamp(entry), now)
    }

    /// Notes the moment at which a value is used that has not expired.
    #[inline]
    fn put_off(&self, entry: &Entry<K, V>, now: Nanos) {
        if self.settings.lifetime.expires_when_idle() {
            entry.used_at.store(now, Relaxed);
        }
    }

    /// The freshness of an entry for a call that may refresh it. Called under the lock of its
    /// shard.
    pub(super) fn freshness_at_rest(&self, now: Nanos, entry: &Entry<K, V>) -> Freshness {
        let rests_until = lock(&entry.rest).as_ref().map_or(0, |rest| rest.until());
        self.settings.lifetime.freshness_at_rest(self.stamp(entry), rests_until, now)
    }

    /// The freshness of an entry by its time limits.
    pub(super) fn freshness(&self, clock: Clock, entry: &Entry<K, V>) -> Freshness {
        self.settings.lifetime.freshness(self.stamp(entry), self.epoch.now(clock))
    }

    /// The freshness of an entry; `Dead` if its value says that it is no longer good. Called
    /// outside of all locks.
    pub(super) fn freshness_if_valid(&self, clock: Clock, entry: &Entry<K, V>) -> Freshness {
        match self.freshness(clock, entry) {
            Freshness::Dead => Freshness::Dead,
            freshness if self.settings.is_valid(&entry.key, &entry.value) => freshness,
            _ => Freshness::Dead,
        }
    }

    /// Counts an entry that leaves the index as expired, if it is.
    pub(super) fn count_if_expired(&self, entry: &Entry<K, V>, now: impl FnOnce() -> Nanos) {
        let stamp = self.stamp(entry);
        if stamp.expires_at().is_some() && stamp.has_expired(now()) {
            self.counters.expirations.count();
        }
    }

    /// Tells the bound of an entry that leaves the index. Called under the lock of its shard.
    pub(super) fn forget(&self, entry: &Entry<K, V>) {
        self.held.fetch_sub(entry.weight.into(), Relaxed);
        self.bound.remove(entry.place);
    }

    /// The value of an entry that is served without the lock of its shard.
    pub(super) fn served(&self, entry: &Entry<K, V>, now: Nanos) -> V
    where
        V: Clone,
    {
        if !self.stamp(entry).has_expired(now) {
            self.put_off(entry, now);
        }
        if self.bound.note_use(&entry.used) {
            self.bound.learn(entry.place);
        }
        entry.value.clone()
    }
}

/// Looking up.
impl<K: Key, V: Value> Core<K, V> {
    /// A hit, if there is a value that is good enough. Otherwise the reason why not.
    #[inline]
    fn hit<Q>(
        &self,
        clock: Clock,
        key: &Q,
        is_good: impl FnOnce(Freshness) -> bool,
    ) -> Result<V, Option<(Place, Freshness)>>
    where
        Q: Equivalent<K> + Hash + ?Sized,
    {
        let hash = self.index.hash(key);
        let shard = self.index.read(hash);
        let entry = shard.find(hash, key).ok_or(None)?;
        let lifetime = &self.settings.lifetime;
        // A value that never expires is fresh at any time, and nothing has expired at the first.
        let now = if entry.ttl_stamp.is_always_fresh() { 0 } else { self.epoch.now(clock) };
        let freshness = if lifetime.expires_when_idle() {
            self.idle_freshness(entry, now)
        } else {
            lifetime.freshness(entry.ttl_stamp, now)
        };
        if !is_good(freshness) {
            return Err(Some((entry.place, freshness)));
        }
        if self.settings.valid_while.is_some() {
            let entry = Arc::clone(entry);
            drop(shard);
            return self.hit_if_valid(clock, &entry, now);
        }
        self.put_off(entry, now);
        let hits = self.counters.hits.count();
        let value = entry.value.clone();
        let place = entry.place;
        let is_learned = self.bound.note_use(&entry.used);
        drop(shard);
        if is_learned {
            self.bound.learn(place);
        }
        self.sweep_after_hit(clock, now, hits);
        Ok(value)
    }

    /// A hit, if the value says that it is still good. Called outside of all locks. Out of line,
    /// because most memos do not ask.
    #[cold]
    #[inline(never)]
    fn hit_if_valid(&self, clock: Clock, entry: &Entry<K, V>, now: Nanos) -> Result<V, Option<(Place, Freshness)>> {
        if !self.settings.is_valid(&entry.key, &entry.value) {
            return Err(Some((entry.place, Freshness::Dead)));
        }
        let hits = self.counters.hits.count();
        let value = self.served(entry, now);
        self.sweep_after_hit(clock, now, hits);
        Ok(value)
    }

    /// Sweeps after a hit at this moment, which is 0 if the hit did not read the clock.
    #[inline]
    fn sweep_after_hit(&self, clock: Clock, now: Nanos, hits: u64) {
        if now > 0 {
            self.sweep(now);
        } else if hits % TIMELESS_HITS == TIMELESS_HITS - 1 {
            // The clock would be half of what such a hit costs.
            self.sweep_by(clock);
        }
    }

    /// Sweeps for a call that does not know the time.
    #[inline(never)]
    fn sweep_by(&self, clock: Clock) {
        if !self.expiries.is_empty() {
            self.sweep(self.epoch.now(clock));
        }
    }

    /// First half of a call's first contact: a hit, if the value is fresh.
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
        if let Some((place, Freshness::Dead)) = miss {
            drop(self.expire(place, Nanos::MAX));
        }
        self.sweep_by(Clock::current());
        None
    }
}

/// Changing.
impl<K: Key, V: Value> Core<K, V> {
    pub(super) fn insert(&self, key: K, value: V) {
        let now = self.epoch.now(Clock::current());
        let decision = self.settings.decide(&key, &value, now);
        let hash = self.index.hash(&key);
        let mut shard = self.index.write(hash);
        let flight = shard.take_flight(hash, &key);
        let put = self.put(&mut shard, (hash, key, value), decision, now);
        drop(shard);
        self.settle(put, now);
        drop(flight);
    }

    pub(super) fn invalidate<Q>(&self, key: &Q)
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
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

    pub(super) fn clear(&self) {
        let mut shards = self.index.write_all();
        let cleared = shards.each_mut().map(|shard| shard.begin_generation());
        self.held.store(0, Relaxed);
        self.counters.reset();
        drop(shards);
        for entry in cleared.iter().flat_map(Shard::entries) {
            self.bound.remove(entry.place);
        }
        // A store that goes on meanwhile may have evicted others.
        self.evict(None, &mut Gone::new());
        self.expiries.change(|expiries| self.rebuild(expiries));
    }

    pub(super) fn stats(&self) -> MemoStats {
        let entries = self.index.read_each().map(|shard| shard.len() as u64).sum();
        self.counters.read(entries, self.settings.capacity)
    }
}
