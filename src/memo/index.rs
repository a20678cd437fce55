//! The index of a memo, with its entries and its flights in shards, each behind a lock.

use super::{
    bound::{EntryId, Equivalent, Mark},
    doubts::{Doubts, Invalidation},
    flight::Flight,
    settings::Tag,
    tags::TagIndex,
};
use crate::{
    clock::Nanos,
    policy::{Rest, Stamp},
    random::entropy,
    striped::Padded,
    sync::{Arc, Mutex, RwLock, RwLockReadGuard, RwLockWriteGuard, lock, read, write},
};
use foldhash::{SharedSeed, fast::SeedableRandomState};
use hashbrown::{HashTable, hash_table};
use std::{
    array,
    borrow::Borrow,
    hash::{BuildHasher, Hash},
    mem,
    // Not from `crate::sync`, because the model checker has no time.
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

/// Number of shards. One under the model checker, which would otherwise try all orders in which a
/// clear locks them.
const SHARDS: usize = if cfg!(shuttle) { 1 } else { 16 };

/// A value, with its time limits and its weight.
pub(super) struct Entry<K, V> {
    pub(super) id: EntryId,
    /// Time limits without the `time_to_idle`, which `Core::stamp` adds.
    pub(super) ttl_stamp: Stamp,
    /// Time of the latest use, or of the store. Changes only in a memo with a `time_to_idle`.
    pub(super) used_at: AtomicU64,
    /// Weight, at least 1.
    pub(super) weight: u32,
    pub(super) used: Mark,
    /// Delay after a failed refresh; `None` before a refresh has failed. Changes only under the
    /// lock of the shard.
    pub(super) rest: Mutex<Option<Box<Rest>>>,
    /// Empty unless the memo has tags.
    pub(super) tags: Box<[Tag]>,
    pub(super) key: K,
    pub(super) value: V,
}

impl<K: Clone, V: Clone> Entry<K, V> {
    /// Returns a copy with the same identity that is due for a refresh, without the delay after a
    /// failed one.
    fn due(&self, now: Nanos) -> Self {
        Self {
            id: self.id,
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
    /// A hasher with a random seed of this memo, because keys may come from an attacker.
    hasher: SeedableRandomState,
    shards: [Padded<RwLock<Shard<K, V>>>; SHARDS],
}

pub(super) struct Shard<K, V> {
    /// The entries, by hash and key. Each entry is in the bound as well, is about to enter it, or
    /// has just been evicted.
    entries: HashTable<Arc<Entry<K, V>>>,
    /// The loads that a call can join, by hash and key, or by hash and flight. The flight is enough
    /// to remove a load, so that a `Hash` or `Eq` that panics leaves none behind.
    flights: HashTable<OpenFlight<K, V>>,
    /// The entries by their tags.
    tags: TagIndex,
    /// Number of clears so far, the same in all shards.
    pub(super) generation: u64,
}

/// A flight that calls can join.
pub(super) struct OpenFlight<K, V> {
    hash: u64,
    key: K,
    pub(super) flight: Arc<Flight<V>>,
    /// Invalidations that the load's value has not been matched against; `None` if there are none.
    doubts: Option<Box<Doubts<K, V>>>,
    /// `true` once there was an invalidation. The load's value may then be outdated for a call that
    /// joins.
    pub(super) is_doubted: bool,
}

/// The number of the shard of a hash.
#[inline]
pub(super) fn shard_of(hash: u64) -> usize {
    (hash >> 48) as usize % SHARDS
}

impl<K, V> Index<K, V> {
    pub(super) fn new() -> Self {
        let shards = array::from_fn(|_| Padded(RwLock::new(Shard::new())));
        Self { hasher: SeedableRandomState::with_seed(entropy(), SharedSeed::global_random()), shards }
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

    /// Returns the shard of a hash. Uses bits that the tables within a shard do not look at.
    #[inline]
    fn shard(&self, hash: u64) -> &RwLock<Shard<K, V>> {
        &self.shards[shard_of(hash)].0
    }

    /// Locks the shards one after the other for writing.
    pub(super) fn write_each(&self) -> impl Iterator<Item = RwLockWriteGuard<'_, Shard<K, V>>> {
        self.shards.iter().map(|shard| write(&shard.0))
    }

    /// Locks the shards one after the other for reading.
    pub(super) fn read_each(&self) -> impl Iterator<Item = RwLockReadGuard<'_, Shard<K, V>>> {
        self.shards.iter().map(|shard| read(&shard.0))
    }

    /// Locks all shards together.
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

    pub(super) fn find_by_id(&self, id: EntryId) -> Option<&Arc<Entry<K, V>>> {
        self.entries.find(id.slot.hash, |entry| entry.id == id)
    }

    /// Returns the entries that an invalidation may match.
    pub(super) fn suspects(&self, invalidation: &Invalidation<'_, K, V>) -> Gone<K, V> {
        match invalidation {
            Invalidation::Where(_) => self.entries.iter().cloned().collect(),
            Invalidation::Tag(tag) => self.tags.ids(tag).filter_map(|id| self.find_by_id(id).cloned()).collect(),
        }
    }

    /// Inserts an entry. Returns the entry that it replaces.
    pub(super) fn insert(&mut self, entry: Arc<Entry<K, V>>) -> Option<Arc<Entry<K, V>>>
    where
        K: Eq,
    {
        let hash = entry.id.slot.hash;
        self.tags.add(&entry.tags, entry.id);
        if let Some(other) = self.entries.find_mut(hash, |other| other.key == entry.key) {
            self.tags.remove(&other.tags, other.id);
            return Some(mem::replace(other, entry));
        }
        self.entries.insert_unique(hash, entry, |entry| entry.id.slot.hash);
        None
    }

    pub(super) fn take<Q>(&mut self, hash: u64, key: &Q) -> Option<Arc<Entry<K, V>>>
    where
        Q: Equivalent<K> + ?Sized,
    {
        self.take_if(hash, |entry| key.equivalent(&entry.key))
    }

    pub(super) fn take_by_id(&mut self, id: EntryId) -> Option<Arc<Entry<K, V>>> {
        self.take_if(id.slot.hash, |entry| entry.id == id)
    }

    fn take_if(&mut self, hash: u64, is_it: impl Fn(&Entry<K, V>) -> bool) -> Option<Arc<Entry<K, V>>> {
        let found = self.entries.find_entry(hash, |entry| is_it(entry)).ok()?;
        let entry = found.remove().0;
        self.tags.remove(&entry.tags, entry.id);
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

    pub(super) fn flight(&self, hash: u64, key: &K) -> Option<&OpenFlight<K, V>>
    where
        K: Eq,
    {
        self.flights.find(hash, |open| open.key == *key)
    }

    /// Adds the flight of a key that has none.
    pub(super) fn open_flight(&mut self, hash: u64, key: K, flight: Arc<Flight<V>>) {
        let open = OpenFlight { hash, key, flight, doubts: None, is_doubted: false };
        self.flights.insert_unique(hash, open, |open| open.hash);
    }

    /// Stores an invalidation with each flight. Removes the flights that have too many, and returns
    /// them to be dropped outside of the lock.
    #[must_use]
    pub(super) fn doubt(&mut self, invalidation: &Invalidation<'_, K, V>) -> Vec<OpenFlight<K, V>> {
        let is_too_much = |open: &mut OpenFlight<K, V>| {
            open.is_doubted = true;
            !open.doubts.get_or_insert_default().add(invalidation)
        };
        self.flights.extract_if(is_too_much).collect()
    }

    /// Takes the invalidations that this flight's value has not been matched against.
    pub(super) fn take_doubts(&mut self, hash: u64, flight: &Arc<Flight<V>>) -> Option<Box<Doubts<K, V>>> {
        self.flights.find_mut(hash, |open| Arc::ptr_eq(&open.flight, flight))?.doubts.take()
    }

    /// Removes the flight of a key. The result must be dropped outside of the lock.
    pub(super) fn take_flight<Q>(&mut self, hash: u64, key: &Q) -> Option<OpenFlight<K, V>>
    where
        K: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        self.take_flight_if(hash, |open| open.key.borrow() == key)
    }

    /// Removes the flight of a key that is not a borrowed form of the memo's.
    pub(super) fn take_flight_like(&mut self, hash: u64, key: &impl Equivalent<K>) -> Option<OpenFlight<K, V>> {
        self.take_flight_if(hash, |open| key.equivalent(&open.key))
    }

    /// Removes this flight and returns its key; `None` if the flight was removed before. Runs no
    /// code of the key. [`take_doubts`](Self::take_doubts) must have taken the flight's
    /// invalidations before.
    pub(super) fn take_this_flight(&mut self, hash: u64, flight: &Arc<Flight<V>>) -> Option<K> {
        self.take_flight_if(hash, |open| Arc::ptr_eq(&open.flight, flight)).map(|open| open.key)
    }

    fn take_flight_if(&mut self, hash: u64, is_it: impl Fn(&OpenFlight<K, V>) -> bool) -> Option<OpenFlight<K, V>> {
        let found = self.flights.find_entry(hash, |open| is_it(open)).ok()?;
        Some(found.remove().0)
    }

    /// Empties the shard for a clear. The result must be dropped outside of the lock.
    pub(super) fn begin_generation(&mut self) -> Self {
        mem::replace(self, Self { generation: self.generation + 1, ..Self::new() })
    }
}
