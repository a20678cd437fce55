//! The bound of a memo: moka, which decides how much is held and which entry goes. Only this file
//! names moka.
//!
//! moka holds a number and a weight for each entry, and neither its key nor its value. Those are
//! in the [index](super::index), where a hit finds them without moka: `get` of moka reads a clock,
//! records the read, and every 64 reads does its maintenance. moka's flights, TTL and clock are
//! not used. They cannot be shared between tasks and threads, and do not follow a paused clock.
//!
//! **Second chance.** A hit only marks its entry as used. moka therefore evicts in the order of
//! stores, and the [memo](super::room) gives an evicted entry that was used another place.
//!
//! **Locks.** moka calls its listener with locks of its own held, inside of any call. The listener
//! only writes down the place. The listener's lock is not the model checker's. No other lock is
//! taken while it is held.

use super::settings::Eviction;
use moka::{notification::RemovalCause, policy::EvictionPolicy, sync::Cache};
use std::{
    cell::Cell,
    hash::{BuildHasherDefault, Hash, Hasher},
    mem,
    // Not by way of `crate::sync`: see above, and no decision depends on the order of the marks.
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
};

pub(super) use moka::Equivalent;

/// The identity of an entry: no two entries of a memo ever have the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// Number of the store that made the entry.
    pub(super) number: u64,
    pub(super) slot: Slot,
}

/// The key under which moka knows an entry. An entry that replaces another takes over its slot,
/// because moka updates at half the price of a removal and an insertion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Slot {
    /// Number of the first entry that had the slot.
    id: u64,
    /// The key's hash, from a hasher that is seeded for each memo.
    pub(super) hash: u64,
}

impl Place {
    /// The place of a new entry. `slot` is that of the entry that it replaces.
    pub(super) fn new(number: u64, hash: u64, slot: Option<Slot>) -> Self {
        Self { number, slot: slot.unwrap_or(Slot { id: number, hash }) }
    }
}

/// By the key's hash alone, so that `TinyLFU` recognises a key that comes back.
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

/// Hands on what is a hash already.
#[derive(Default)]
struct AsIs(u64);

impl Hasher for AsIs {
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

/// Round of an entry's latest use; 0 if it was not used since it took its place.
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
    cache: Cache<Slot, Held, BuildHasherDefault<AsIs>>,
    capacity: u64,
    /// Places that moka has evicted, until [`evict`](Self::evict) takes them.
    evicted: Arc<Mutex<Vec<Place>>>,
    policy: Eviction,
    /// Marks of an earlier round count no longer.
    round: AtomicU32,
}

impl Bound {
    pub(super) fn new(capacity: u64, policy: Eviction) -> Self {
        let evicted = Arc::<Mutex<Vec<_>>>::default();
        let listener = {
            let evicted = Arc::clone(&evicted);
            move |slot: Arc<Slot>, Held { number, .. }, cause| {
                if cause == RemovalCause::Size {
                    let place = Place { number, slot: *slot };
                    evicted.lock().unwrap_or_else(PoisonError::into_inner).push(place);
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
        Self { cache, capacity, evicted, policy, round: AtomicU32::new(1) }
    }

    /// Gives an entry a place behind all others. If it has one, it moves there.
    pub(super) fn place(&self, place: Place, weight: u32, is_new: bool) {
        if is_new && self.policy == Eviction::TinyLfu {
            self.learn(place);
        }
        self.cache.insert(place.slot, Held { number: place.number, weight });
    }

    pub(super) fn remove(&self, place: Place) {
        self.cache.invalidate(&place.slot);
    }

    /// Whether [`evict`](Self::evict) has left something to do.
    pub(super) fn is_exceeded(&self) -> bool {
        self.cache.weighted_size() > self.capacity
    }

    /// Makes moka comply with the capacity, and returns the places that it has evicted.
    pub(super) fn evict(&self) -> Vec<Place> {
        self.cache.run_pending_tasks();
        mem::take(&mut *self.evicted.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether an evicted entry that was used is placed again. `TinyLFU` has the last word itself.
    pub(super) fn gives_second_chances(&self) -> bool {
        self.policy == Eviction::Lru
    }

    /// Notes a use of an entry. If it returns `true`, [`learn`](Self::learn) has to follow,
    /// outside of the shard's lock.
    #[inline]
    #[must_use]
    pub(super) fn note_use(&self, mark: &Mark) -> bool {
        match self.policy {
            Eviction::Lru => {
                let round = self.round.load(Relaxed);
                // Written only if it changes, because otherwise all threads would contend for the
                // cache line.
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

    /// Begins a new round: uses so far cease to count.
    pub(super) fn begin_round(&self) {
        // Odd, and so never 0.
        self.round.fetch_add(2, Relaxed);
    }

    /// Tells `TinyLFU` that a key was asked for.
    pub(super) fn learn(&self, place: Place) {
        self.cache.get(&place.slot);
    }
}

/// Every fourth hit of a thread on average, without a pattern that could keep out a key.
fn is_in_sample() -> bool {
    thread_local! {
        static STATE: Cell<u32> = const { Cell::new(0) };
    }
    // A linear congruential generator (Numerical Recipes), of which the upper bits are good.
    let next = STATE.get().wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
    STATE.set(next);
    next >> 30 == 0
}
