//! The index of a memo: its entries and its flights, in shards, each behind a lock.

use super::{
    bound::{Equivalent, Mark, Place},
    flight::Flight,
};
use crate::{
    policy::{Rest, Stamp},
    sync::{Arc, Mutex, RwLock, RwLockReadGuard, RwLockWriteGuard, read, write},
};
use hashbrown::{HashTable, hash_table};
use std::{
    array,
    borrow::Borrow,
    hash::{BuildHasher, Hash, RandomState},
    mem,
    // Not by way of `crate::sync`: the model checker has no time.
    sync::atomic::AtomicU64,
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
    pub(super) key: K,
    pub(super) value: V,
}

/// Entries that have left the index, to be dropped outside of all locks.
pub(super) type Gone<K, V> = Vec<Arc<Entry<K, V>>>;

pub(super) struct Index<K, V> {
    /// `SipHash` with a seed of its own, because keys may come from strangers.
    hasher: RandomState,
    shards: [Padded<RwLock<Shard<K, V>>>; SHARDS],
}

/// A pair of cache lines of its own: processors fetch them in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct Padded<T>(pub(super) T);

pub(super) struct Shard<K, V> {
    /// Found by the hash and the key. Each is in the bound as well, is about to be placed there,
    /// or has just been evicted.
    entries: HashTable<Arc<Entry<K, V>>>,
    /// The load of each key that a call can join. Found by the hash and the key, or by the flight
    /// itself: a load must be able to leave though the `Hash` or `Eq` of its key panics.
    flights: HashTable<Boarded<K, V>>,
    /// Number of clears so far, the same in all shards.
    pub(super) generation: u64,
}

/// A flight that can be joined.
struct Boarded<K, V> {
    hash: u64,
    key: K,
    flight: Arc<Flight<V>>,
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

    /// One after the other.
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
        Self { entries: HashTable::new(), flights: HashTable::new(), generation: 0 }
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

    /// Returns the entry that it replaces.
    pub(super) fn insert(&mut self, entry: Arc<Entry<K, V>>) -> Option<Arc<Entry<K, V>>>
    where
        K: Eq,
    {
        let hash = entry.place.slot.hash;
        if let Some(other) = self.entries.find_mut(hash, |other| other.key == entry.key) {
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
        Some(found.remove().0)
    }

    #[cfg(all(test, shuttle))]
    pub(super) fn has_flights(&self) -> bool {
        !self.flights.is_empty()
    }

    pub(super) fn flight(&self, hash: u64, key: &K) -> Option<&Arc<Flight<V>>>
    where
        K: Eq,
    {
        self.flights.find(hash, |boarded| boarded.key == *key).map(|boarded| &boarded.flight)
    }

    /// The key must not have a flight.
    pub(super) fn board(&mut self, hash: u64, key: K, flight: Arc<Flight<V>>) {
        self.flights.insert_unique(hash, Boarded { hash, key, flight }, |boarded| boarded.hash);
    }

    /// Returns what is to be dropped outside of the lock.
    pub(super) fn take_flight<Q>(&mut self, hash: u64, key: &Q) -> Option<(K, Arc<Flight<V>>)>
    where
        K: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        self.take_flight_if(hash, |boarded| boarded.key.borrow() == key)
    }

    /// Returns the key of this flight, unless another call has taken it. Runs no code of the key.
    pub(super) fn take_this_flight(&mut self, hash: u64, flight: &Arc<Flight<V>>) -> Option<K> {
        self.take_flight_if(hash, |boarded| Arc::ptr_eq(&boarded.flight, flight)).map(|(key, _)| key)
    }

    fn take_flight_if(&mut self, hash: u64, is_it: impl Fn(&Boarded<K, V>) -> bool) -> Option<(K, Arc<Flight<V>>)> {
        let found = self.flights.find_entry(hash, |boarded| is_it(boarded)).ok()?;
        let Boarded { key, flight, .. } = found.remove().0;
        Some((key, flight))
    }

    /// Empties the shard for a clear. What it held is to be dropped outside of the lock.
    pub(super) fn begin_generation(&mut self) -> Self {
        mem::replace(self, Self { generation: self.generation + 1, ..Self::new() })
    }
}
