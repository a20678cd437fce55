//! The capacity bound of a memo. moka decides which entries are evicted. Only this file names moka.
//!
//! For each entry moka holds a number and a weight, but neither the key nor the value. Those are in
//! the [index](super::index), where a hit finds them without moka. A `get` of moka would read a
//! clock, record the read, and run maintenance every 64 reads. moka's single flight, TTL and clock
//! are not used, because they cannot be shared between tasks and threads, and do not follow a
//! paused clock.
//!
//! **Second chance.** A hit only marks its entry as used. A store that needs room [tells
//! moka](Bound::learn) which of the next victims were used, and moka then evicts others: see
//! [`queue`](super::queue).
//!
//! **Locks.** Any call of moka may call the listener, while moka holds locks of its own. The
//! listener only records the entry. Its lock is invisible to the model checker, and no other lock
//! is taken while it is held.

use super::eviction::Eviction;
use moka::{notification::RemovalCause, policy::EvictionPolicy, sync::Cache};
use std::{
    cell::Cell,
    hash::{BuildHasherDefault, Hash, Hasher},
    mem,
    // Not from `crate::sync`: see above, and no decision depends on the order of the marks.
    sync::{
        Arc, Mutex, PoisonError, RwLock, RwLockReadGuard,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
};

pub(super) use moka::Equivalent;

/// The identity of an entry, unique within its memo.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct EntryId {
    /// Number of the store that created the entry.
    pub(super) number: u64,
    pub(super) slot: Slot,
}

/// The key of an entry in moka. An entry that replaces another takes over its slot, because an
/// update in moka costs half as much as a removal and an insertion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Slot {
    /// Number of the first entry that had the slot.
    first: u64,
    /// The key's hash, with a seed of this memo.
    pub(super) hash: u64,
}

impl EntryId {
    /// Returns the identity of a new entry. `slot` is the slot of the entry that it replaces.
    pub(super) fn new(number: u64, hash: u64, slot: Option<Slot>) -> Self {
        Self { number, slot: slot.unwrap_or(Slot { first: number, hash }) }
    }
}

/// Hashes only the key's hash, so that `TinyLFU` recognises a key that is stored again.
impl Hash for Slot {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

/// The entry in a slot.
#[derive(Clone, Copy)]
struct Held {
    number: u64,
    weight: u32,
}

/// A hasher for a value that is a hash already.
#[derive(Default)]
struct PrehashedHasher(u64);

impl Hasher for PrehashedHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("a slot hashes as one `u64`");
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

/// Round of an entry's latest use; 0 if the entry was not used since it went to the back of moka's
/// queue.
#[derive(Debug, Default)]
pub(super) struct Mark(AtomicU32);

impl Clone for Mark {
    fn clone(&self) -> Self {
        Self(AtomicU32::new(self.0.load(Relaxed)))
    }
}

impl Mark {
    pub(super) fn clear(&self) {
        self.0.store(0, Relaxed);
    }
}

pub(super) struct Bound {
    limited: RwLock<Limited>,
    /// Entries that moka has evicted, until [`evict`](Self::evict) takes them.
    evicted: Evicted,
    policy: Eviction,
    /// The current round. Marks of earlier rounds do not count.
    round: AtomicU32,
}

type Evicted = Arc<Mutex<Vec<EntryId>>>;

/// moka's cache, which cannot change its capacity.
struct Limited {
    cache: Cache<Slot, Held, BuildHasherDefault<PrehashedHasher>>,
    capacity: u64,
}

impl Limited {
    fn new(capacity: u64, policy: Eviction, evicted: &Evicted) -> Self {
        let listener = {
            let evicted = Arc::clone(evicted);
            move |slot: Arc<Slot>, Held { number, .. }, cause| {
                if cause == RemovalCause::Size {
                    let id = EntryId { number, slot: *slot };
                    evicted.lock().unwrap_or_else(PoisonError::into_inner).push(id);
                }
            }
        };
        let cache = Cache::builder()
            .max_capacity(capacity)
            .weigher(|_, held: &Held| held.weight)
            .eviction_policy(match policy {
                Eviction::Lru => EvictionPolicy::lru(),
                Eviction::TinyLfu => EvictionPolicy::tiny_lfu(),
            })
            .eviction_listener(listener)
            .build_with_hasher(BuildHasherDefault::default());
        Self { cache, capacity }
    }
}

impl Bound {
    pub(super) fn new(capacity: u64, policy: Eviction) -> Self {
        let evicted = Evicted::default();
        let limited = RwLock::new(Limited::new(capacity, policy, &evicted));
        Self { limited, evicted, policy, round: AtomicU32::new(1) }
    }

    fn limited(&self) -> RwLockReadGuard<'_, Limited> {
        self.limited.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the capacity, and puts all entries into a new queue, in this order. The caller holds
    /// all shards, so that no entry leaves meanwhile.
    pub(super) fn resize(&self, capacity: u64, entries: impl Iterator<Item = (EntryId, u32)>) {
        let resized = Limited::new(capacity, self.policy, &self.evicted);
        for (id, weight) in entries {
            resized.cache.insert(id.slot, Held { number: id.number, weight });
        }
        *self.limited.write().unwrap_or_else(PoisonError::into_inner) = resized;
    }

    /// Puts a new entry at the back of moka's queue.
    pub(super) fn push_back(&self, id: EntryId, weight: u32) {
        if self.policy == Eviction::TinyLfu {
            self.learn(id);
        }
        self.limited().cache.insert(id.slot, Held { number: id.number, weight });
    }

    pub(super) fn remove(&self, id: EntryId) {
        self.limited().cache.invalidate(&id.slot);
    }

    /// Returns `true` if the entries exceed the capacity, so that [`evict`](Self::evict) has to run
    /// again.
    pub(super) fn is_exceeded(&self) -> bool {
        let limited = self.limited();
        limited.cache.weighted_size() > limited.capacity
    }

    /// Makes moka evict down to the capacity. Returns the evicted entries.
    pub(super) fn evict(&self) -> Vec<EntryId> {
        self.limited().cache.run_pending_tasks();
        mem::take(&mut *self.evicted.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn is_lru(&self) -> bool {
        self.policy == Eviction::Lru
    }

    /// Marks an entry as used. If this returns `true`, call [`learn`](Self::learn) next, outside of
    /// the shard's lock.
    #[inline]
    #[must_use]
    pub(super) fn note_use(&self, mark: &Mark) -> bool {
        match self.policy {
            Eviction::Lru => {
                let round = self.round.load(Relaxed);
                // Written only if the value changes, because otherwise all threads would contend
                // for the cache line.
                if mark.0.load(Relaxed) != round {
                    mark.0.store(round, Relaxed);
                }
                false
            }
            Eviction::TinyLfu => is_in_sample(),
        }
    }

    pub(super) fn is_used(&self, mark: &Mark) -> bool {
        mark.0.load(Relaxed) == self.round.load(Relaxed)
    }

    /// Begins a new round, in which earlier uses do not count.
    pub(super) fn begin_round(&self) {
        // Steps of 2 keep the round odd, and therefore never 0.
        self.round.fetch_add(2, Relaxed);
    }

    /// Tells moka that an entry was used. With `Lru`, moves the entry to the back of moka's queue.
    pub(super) fn learn(&self, id: EntryId) {
        self.limited().cache.get(&id.slot);
    }
}

/// Returns `true` for every fourth hit of a thread on average. The choice is random, because a
/// regular pattern could miss a key each time.
fn is_in_sample() -> bool {
    thread_local! {
        static STATE: Cell<u32> = const { Cell::new(0) };
    }
    // A linear congruential generator (Numerical Recipes). Its upper bits are good.
    let next = STATE.get().wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
    STATE.set(next);
    next >> 30 == 0
}
