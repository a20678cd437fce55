//! Stores of values, and the room that they need.
//!
//! A store that exceeds the capacity first removes values that have expired, the earliest first. If
//! that is not enough, the bound evicts.

use super::{
    bound::{EntryId, Mark},
    expiries::{Dead, Expiries},
    index::{Entry, Gone, Shard, shard_of},
    queue::{EvictionQueue, Look},
    settings::Decision,
    state::Core,
};
use crate::{
    clock::Nanos,
    sync::{Arc, Mutex, lock},
};
use std::{
    cell::Cell,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

/// A value that is in the index but not yet in the bound, with the values to be dropped.
pub(super) struct Put<K, V> {
    /// The stored entry; `None` if the value is not kept.
    new: Option<New>,
    replaced: Option<Arc<Entry<K, V>>>,
    refused: Option<(K, V)>,
}

#[derive(Clone, Copy)]
struct New {
    id: EntryId,
    /// Time of expiry; `None` if the value never expires.
    expires_at: Option<Nanos>,
}

impl<K: Eq, V> Core<K, V> {
    /// Replaces the key's entry by a value that is to be kept. Otherwise only removes the entry.
    /// The shard must be the key's. [`finish_put`](Self::finish_put) has to follow, outside of its
    /// lock.
    pub(super) fn put(
        &self,
        shard: &mut Shard<K, V>,
        (hash, key, value): (u64, K, V),
        decision: Decision,
        now: Nanos,
    ) -> Put<K, V> {
        let put = match decision {
            Decision::Keep { stamp, weight, tags } => {
                let slot = shard.find(hash, &key).map(|replaced| replaced.id.slot);
                let id = EntryId::new(self.next_store.fetch_add(1, Relaxed), hash, slot);
                let stamp_now = self.settings.lifetime.get().stamp_after_use(stamp, now);
                let new = New { id, expires_at: stamp_now.expires_at() };
                let used_at = AtomicU64::new(now);
                let entry = Entry {
                    id,
                    ttl_stamp: stamp,
                    used_at,
                    weight,
                    used: Mark::default(),
                    rest: Mutex::default(),
                    tags,
                    key,
                    value,
                };
                let replaced = shard.insert(Arc::new(entry));
                self.held.fetch_add(weight.into(), Relaxed);
                Put { new: Some(new), replaced, refused: None }
            }
            Decision::NoTtl | Decision::TooHeavy => {
                self.counters.evictions.add(matches!(decision, Decision::TooHeavy).into());
                let replaced = shard.take(hash, &key);
                if let Some(replaced) = &replaced {
                    self.bound.remove(replaced.id);
                }
                Put { new: None, replaced, refused: Some((key, value)) }
            }
        };
        if let Some(replaced) = &put.replaced {
            self.held.fetch_sub(replaced.weight.into(), Relaxed);
            self.count_if_expired(replaced, || now);
        }
        put
    }

    /// Puts a stored value into the bound, and makes room for it. Drops all removed values at the
    /// end, because a `Drop` may panic.
    pub(super) fn finish_put(&self, put: Put<K, V>, now: Nanos) {
        let Put { new, replaced: _replaced, refused: _refused } = put;
        let Some(new) = new else { return };
        let mut gone = Gone::new();
        self.make_room_of_expired(now, &mut gone);
        self.admit(new.id, &mut gone);
        self.note_expiry(new, now, &mut gone);
    }

    /// Puts a new entry into the bound, which evicts others for it.
    fn admit(&self, id: EntryId, gone: &mut Gone<K, V>) {
        let mut queue = lock(&self.queue);
        if self.bound.is_lru() {
            self.choose_victims(&mut queue);
            queue.push_back(id);
            if queue.is_too_long() {
                queue.tidy(|id| self.index.read(id.slot.hash).find_by_id(*id).is_some());
            }
        }
        let shard = self.index.read(id.slot.hash);
        if let Some(entry) = shard.find_by_id(id) {
            self.bound.push_back(id, entry.weight);
        }
        drop(shard);
        self.evict(gone);
    }

    /// Tells moka that the entries were used that it would evict next, so that it evicts others.
    fn choose_victims(&self, queue: &mut EvictionQueue) {
        let excess = self.held.load(Relaxed).saturating_sub(self.settings.capacity());
        queue.choose_victims(excess, |id, may_be_spared| {
            let shard = self.index.read(id.slot.hash);
            let Some(entry) = shard.find_by_id(id) else { return Look::Gone };
            if !self.bound.is_used(&entry.used) {
                return Look::Victim { weight: entry.weight };
            }
            if !may_be_spared {
                self.bound.begin_round();
                return Look::Victim { weight: entry.weight };
            }
            entry.used.clear();
            self.bound.learn(id);
            Look::Spared
        });
    }

    /// Removes the entry from the index if it has expired at `moment`. If a use has extended its
    /// life, the entry goes back into the queue of expiries.
    pub(super) fn expire(&self, id: EntryId, moment: Nanos) -> Option<Arc<Entry<K, V>>> {
        let mut shard = self.index.write(id.slot.hash);
        let stamp = self.stamp(shard.find_by_id(id)?);
        if !stamp.has_expired(moment) {
            drop(shard);
            let expires_at = stamp.expires_at()?;
            self.expiries.change(|expiries| expiries.push(expires_at, id));
            return None;
        }
        let entry = shard.take_by_id(id)?;
        self.forget(&entry);
        self.counters.expirations.count();
        Some(entry)
    }

    fn make_room_of_expired(&self, now: Nanos, gone: &mut Gone<K, V>) {
        while self.settings.can_expire() && self.held.load(Relaxed) > self.settings.capacity() {
            let Some(id) = self.expiries.change(|expiries| expiries.pop(now)) else { return };
            gone.extend(self.expire(id, now));
        }
    }

    /// Changes the capacity, and removes the values that exceed it. Returns them, to be dropped
    /// outside of all locks.
    pub(super) fn resize(&self, capacity: u64, now: Nanos) -> Gone<K, V> {
        let mut gone = Gone::new();
        self.settings.set_capacity(capacity);
        self.make_room_of_expired(now, &mut gone);
        let mut queue = lock(&self.queue);
        let shards = self.index.write_all();
        let find = |id: &EntryId| shards[shard_of(id.slot.hash)].find_by_id(*id);
        if self.bound.is_lru() {
            // All values that were used have a second chance, because a change of the capacity is
            // rare.
            queue.spare(|id| find(id).map(|entry| self.bound.is_used(&entry.used)));
            self.bound.resize(capacity, queue.ids().filter_map(find).map(|entry| (entry.id, entry.weight)));
        } else {
            let entries = shards.iter().flat_map(|shard| shard.entries());
            self.bound.resize(capacity, entries.map(|entry| (entry.id, entry.weight)));
        }
        drop(shards);
        self.evict(&mut gone);
        gone
    }

    /// Removes the entries from the index that the bound evicts. Called under the lock of the
    /// eviction queue.
    pub(super) fn evict(&self, gone: &mut Gone<K, V>) {
        loop {
            let evicted = self.bound.evict();
            let is_done = evicted.is_empty() || !self.bound.is_exceeded();
            for id in evicted {
                let mut shard = self.index.write(id.slot.hash);
                let Some(entry) = shard.take_by_id(id) else { continue };
                self.held.fetch_sub(entry.weight.into(), Relaxed);
                self.counters.evictions.count();
                gone.push(entry);
            }
            if is_done {
                return;
            }
        }
    }

    /// Puts the new entry into the queue of expiries, and removes some dead entries.
    fn note_expiry(&self, new: New, now: Nanos, gone: &mut Gone<K, V>) {
        if !self.settings.can_expire() {
            return;
        }
        let dead = self.expiries.change(|expiries| {
            if let Some(at) = new.expires_at {
                expiries.push(at, new.id);
            }
            if expiries.is_too_long() {
                self.rebuild(expiries);
            }
            self.expiries.take_dead(expiries, now)
        });
        gone.extend(self.expire_all(dead, now));
    }

    /// Drops some dead values. Called by calls that have read the clock.
    #[inline]
    pub(super) fn sweep(&self, now: Nanos) {
        if self.expiries.has_dead(now) {
            self.sweep_dead(now);
        }
    }

    #[cold]
    #[inline(never)]
    fn sweep_dead(&self, now: Nanos) {
        thread_local! {
            static IS_SWEEPING: Cell<bool> = const { Cell::new(false) };
        }
        struct Swept;
        impl Drop for Swept {
            fn drop(&mut self) {
                IS_SWEEPING.set(false);
            }
        }
        // Values with a `Drop` that uses a memo would otherwise nest one sweep for each dead value.
        if IS_SWEEPING.replace(true) {
            return;
        }
        let _swept = Swept;
        let gone: Gone<K, V> = self.expire_all(self.expiries.try_take_dead(now), now).collect();
        drop(gone);
    }

    fn expire_all(&self, dead: Dead, now: Nanos) -> impl Iterator<Item = Arc<Entry<K, V>>> {
        let moment = now.saturating_sub(self.settings.lifetime.get().longest_window());
        dead.into_iter().flatten().filter_map(move |id| self.expire(id, moment))
    }

    /// Rebuilds the queue from the entries that are in the index.
    pub(super) fn rebuild(&self, expiries: &mut Expiries) {
        let mut held = Vec::new();
        for shard in self.index.read_each() {
            let entries = shard.entries();
            held.extend(entries.filter_map(|entry| Some((self.stamp(entry).expires_at()?, entry.id))));
        }
        expiries.rebuild(held.into_iter());
    }
}
