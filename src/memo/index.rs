//! The index of a memo: its entries and its flights, in shards, each behind a lock.

use super::{
    bound::{Equivalent, Mark, Place},
    doubts::{Doubts, Invalidation},
    flight::Flight,
    settings::Tag,
    tags::TagIndex,
};
use crate::{
    clock::Nanos,
    policy::{Rest, Stamp},
    striped::Padded,
    sync::{Arc, Mutex, RwLock, RwLockReadGuard, RwLockWriteGuard, lock, read, write},
};
use hashbrown::{HashTable, hash_table};
use std::{
    array,
    borrow::Borrow,
    hash::{BuildHasher, Hash, RandomState},
    mem,
    // Not by way of `crate::sync`: the model checker has no time.
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

/// Number of shards. The model checker has one, because it would try all orders in which a clear
/// takes them.
const SHARDS: usize = if cfg!(shuttle) { 1 } else { 16 };

/// A value, with all that decides about it.
pub(super) struct Entry<K, V> {
    pub(super) place: Place,
    /// Without the time since the latest use: see `Core::stamp`.
    pub(super) ttl_stamp: Stamp,
    /// Moment of the latest use, or of the store. Changes only in a memo with a `time_to_idle`.
    pub(super) used_at: AtomicU64,
    /// At least 1.
    pub(super) weight: u32,
    pub(super) used: Mark,
    /// `None` before a refresh has failed. Changes only under the lock of the shard.
    pub(super) rest: Mutex<Option<Box<Rest>>>,
    /// Empty unless the memo has tags.
    pub(super) tags: Box<[Tag]>,
    pub(super) key: K,
    pub(super) value: V,
}

impl<K: Clone, V: Clone> Entry<K, V> {
    /// The same entry in the same place, due for a refresh, and without the delay after a failed
    /// one.
    fn due(&self, now: Nanos) -> Self {
        Self {
            place: self.place,
            ttl_stamp: self.ttl_stamp.due(now),
            used_at: AtomicU64::new(self.used_at.load(Relaxed)),
            weight: self.weight,
            used: self.used.clone(),
            rest: Mutex::new(lock(&self.rest).as_ref().map(|rest| Box::new(rest.ended()))),
            tags: self.tags.clone(),
            key: self.key.clone(),
            value: self.value.clone(),
        }
    }
}

/// Entries that have left the index, to be dropped outside of all locks.
pub(super) type Gone<K, V> = Vec<Arc<Entry<K, V>>>;

pub(super) struct Index<K, V> {
    /// `SipHash` with a seed of its own, because keys may come from strangers.
    hasher: RandomState,
    shards: [Padded<RwLock<Shard<K, V>>>; SHARDS],
}

pub(super) struct Shard<K, V> {
    /// Found by the hash and the key. Each is in the bound as well, is about to be placed there,
    /// or has just been evicted.
    entries: HashTable<Arc<Entry<K, V>>>,
    /// The load of each key that a call can join. Found by the hash and the key, or by the flight
    /// itself: a load must be able to leave though the `Hash` or `Eq` of its key panics.
    flights: HashTable<Boarded<K, V>>,
    /// The entries by their tags.
    tags: TagIndex,
    /// Number of clears so far, the same in all shards.
    pub(super) generation: u64,
}

/// A flight that can be joined.
pub(super) struct Boarded<K, V> {
    hash: u64,
    key: K,
    pub(super) flight: Arc<Flight<V>>,
    /// Invalidations that the load's value has not been shown to yet.
    doubts: Option<Box<Doubts<K, V>>>,
    /// `true` once there was any: the load's value may be outdated for a call that joins now.
    pub(super) is_doubted: bool,
}

impl<K, V> Index<K, V> {
    pub(super) fn new() -> Self {
        let shards = array::from_fn(|_| Padded(RwLock::new(Shard::new())));
        Self { hasher: RandomState::new(), shards }
    }

    #[inline]
    pub(super) fn hash<Q: Hash + ?Sized>(&self, key: &Q) -> u64 {
        self.hasher.hash_one(key)
    }

    #[inline]
    pub(super) fn read(&self, hash: u64) -> RwLockReadGuard<'_, Shard<K, V>> {
        read(self.shard(hash))
    }

    pub(super) fn write(&self, hash: u64) -> RwLockWriteGuard<'_, Shard<K, V>> {
        write(self.shard(hash))
    }

    /// Bits that the tables within a shard do not look at.
    #[inline]
    fn shard(&self, hash: u64) -> &RwLock<Shard<K, V>> {
        &self.shards[(hash >> 48) as usize % SHARDS].0
    }

    /// Locks the shards one after the other.
    pub(super) fn write_each(&self) -> impl Iterator<Item = RwLockWriteGuard<'_, Shard<K, V>>> {
        self.shards.iter().map(|shard| write(&shard.0))
    }

    /// Locks the shards one after the other.
    pub(super) fn read_each(&self) -> impl Iterator<Item = RwLockReadGuard<'_, Shard<K, V>>> {
        self.shards.iter().map(|shard| read(&shard.0))
    }

    /// All at once.
    pub(super) fn write_all(&self) -> [RwLockWriteGuard<'_, Shard<K, V>>; SHARDS] {
        array::from_fn(|shard| write(&self.shards[shard].0))
    }
}

impl<K, V> Shard<K, V> {
    fn new() -> Self {
        Self { entries: HashTable::new(), flights: HashTable::new(), tags: TagIndex::default(), generation: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn entries(&self) -> hash_table::Iter<'_, Arc<Entry<K, V>>> {
        self.entries.iter()
    }

    #[inline]
    pub(super) fn find<Q>(&self, hash: u64, key: &Q) -> Option<&Arc<Entry<K, V>>>
    where
        Q: Equivalent<K> + ?Sized,
    {
        self.entries.find(hash, |entry| key.equivalent(&entry.key))
    }

    pub(super) fn find_at(&self, place: Place) -> Option<&Arc<Entry<K, V>>> {
        self.entries.find(place.slot.hash, |entry| entry.place == place)
    }

    /// The entries that an invalidation may concern.
    pub(super) fn suspects(&self, invalidation: &Invalidation<'_, K, V>) -> Gone<K, V> {
        match invalidation {
            Invalidation::Where(_) => self.entries.iter().cloned().collect(),
            Invalidation::Tag(tag) => self.tags.places(tag).filter_map(|place| self.find_at(place).cloned()).collect(),
        }
    }

    /// Returns the entry that it replaces.
    pub(super) fn insert(&mut self, entry: Arc<Entry<K, V>>) -> Option<Arc<Entry<K, V>>>
    where
        K: Eq,
    {
        let hash = entry.place.slot.hash;
        self.tags.add(&entry.tags, entry.place);
        if let Some(other) = self.entries.find_mut(hash, |other| other.key == entry.key) {
            self.tags.remove(&other.tags, other.place);
            return Some(mem::replace(other, entry));
        }
        self.entries.insert_unique(hash, entry, |entry| entry.place.slot.hash);
        None
    }

    pub(super) fn take<Q>(&mut self, hash: u64, key: &Q) -> Option<Arc<Entry<K, V>>>
    where
        Q: Equivalent<K> + ?Sized,
    {
        self.take_if(hash, |entry| key.equivalent(&entry.key))
    }

    pub(super) fn take_at(&mut self, place: Place) -> Option<Arc<Entry<K, V>>> {
        self.take_if(place.slot.hash, |entry| entry.place == place)
    }

    fn take_if(&mut self, hash: u64, is_it: impl Fn(&Entry<K, V>) -> bool) -> Option<Arc<Entry<K, V>>> {
        let found = self.entries.find_entry(hash, |entry| is_it(entry)).ok()?;
        let entry = found.remove().0;
        self.tags.remove(&entry.tags, entry.place);
        Some(entry)
    }

    /// Makes a value due for a refresh. Returns the replaced entry.
    pub(super) fn make_due<Q>(&mut self, hash: u64, key: &Q, now: Nanos) -> Option<Arc<Entry<K, V>>>
    where
        K: Borrow<Q> + Clone,
        Q: Eq + ?Sized,
        V: Clone,
    {
        let entry = self.entries.find_mut(hash, |entry| entry.key.borrow() == key)?;
        let due = Arc::new(entry.due(now));
        Some(mem::replace(entry, due))
    }

    #[cfg(test)]
    pub(super) fn tags(&self) -> &TagIndex {
        &self.tags
    }

    #[cfg(all(test, shuttle))]
    pub(super) fn has_flights(&self) -> bool {
        !self.flights.is_empty()
    }

    pub(super) fn flight(&self, hash: u64, key: &K) -> Option<&Boarded<K, V>>
    where
        K: Eq,
    {
        self.flights.find(hash, |boarded| boarded.key == *key)
    }

    /// The key must not have a flight.
    pub(super) fn board(&mut self, hash: u64, key: K, flight: Arc<Flight<V>>) {
        let boarded = Boarded { hash, key, flight, doubts: None, is_doubted: false };
        self.flights.insert_unique(hash, boarded, |boarded| boarded.hash);
    }

    /// Leaves an invalidation with each flight. Detaches flights that have too many, and returns
    /// them to be dropped outside of the lock.
    #[must_use]
    pub(super) fn doubt(&mut self, invalidation: &Invalidation<'_, K, V>) -> Vec<Boarded<K, V>> {
        let is_too_much = |boarded: &mut Boarded<K, V>| {
            boarded.is_doubted = true;
            !boarded.doubts.get_or_insert_default().add(invalidation)
        };
        self.flights.extract_if(is_too_much).collect()
    }

    /// Returns the invalidations that this flight's value has not been shown to yet.
    pub(super) fn take_doubts(&mut self, hash: u64, flight: &Arc<Flight<V>>) -> Option<Box<Doubts<K, V>>> {
        self.flights.find_mut(hash, |boarded| Arc::ptr_eq(&boarded.flight, flight))?.doubts.take()
    }

    /// Returns what is to be dropped outside of the lock.
    pub(super) fn take_flight<Q>(&mut self, hash: u64, key: &Q) -> Option<Boarded<K, V>>
    where
        K: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        self.take_flight_if(hash, |boarded| boarded.key.borrow() == key)
    }

    /// Returns the key of this flight, unless another call has taken it. Runs no code of the key.
    /// The flight's doubts must have been taken before.
    pub(super) fn take_this_flight(&mut self, hash: u64, flight: &Arc<Flight<V>>) -> Option<K> {
        self.take_flight_if(hash, |boarded| Arc::ptr_eq(&boarded.flight, flight)).map(|boarded| boarded.key)
    }

    fn take_flight_if(&mut self, hash: u64, is_it: impl Fn(&Boarded<K, V>) -> bool) -> Option<Boarded<K, V>> {
        let found = self.flights.find_entry(hash, |boarded| is_it(boarded)).ok()?;
        Some(found.remove().0)
    }

    /// Empties the shard for a clear. What it held is to be dropped outside of the lock.
    pub(super) fn begin_generation(&mut self) -> Self {
        mem::replace(self, Self { generation: self.generation + 1, ..Self::new() })
    }
}
