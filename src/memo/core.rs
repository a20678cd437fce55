//! A memo's state, and what comes of a call's contact with it.
//!
//! Values are read without a lock. Whoever finds none that may be served takes the lock of the key's flights, and looks once
//! more: a load lands (its value is stored, its flight leaves) under that same lock, so there is always one or the other,
//! and never two flights for one key.
//!
//! **Clear.** A clear begins a new generation. Flights and values carry the generation in which they began, and a call has
//! no part in those of an earlier one: they cannot be seen, whatever the order in which things end. A load that lands while it
//! happens is stored for nobody. Of loads' beginnings and ends only those of the generation are counted, and a clear takes the
//! locks of all flights while it sets the counters back: or a load that began before would be counted after it, and never end.
//!
//! **Invalidate, insert.** Both remove the key's flight from the map, under its lock. A load whose flight is not in the
//! map when it lands is told to those who joined, and not stored.

use super::{
    builder::DEFAULT_CAPACITY,
    flight::{self, Flight, Joined, Landing, SharedFailure},
    stats::{Counters, MemoStats},
    store::{Entry, Left, Store},
};
use crate::{
    policy::{Freshness, Lifetime, Nanos, Stamp},
    seed::CallSeeds,
    sync::{Arc, AtomicU64, Mutex, MutexGuard, Ordering, lock},
    time::{Clock, Epoch},
};
use moka::Equivalent;
use std::{
    borrow::Borrow,
    collections::HashMap,
    fmt,
    hash::{BuildHasher, Hash, RandomState},
    time::Duration,
};

/// Flights are spread over so many locks. (The model checker has one key, and would try all orders in which a clear takes them.)
const SHARDS: usize = if cfg!(shuttle) { 1 } else { 16 };

pub(crate) struct Core<K, V> {
    pub(super) settings: Settings<K, V>,
    epoch: Epoch,
    store: Store<K, V>,
    hasher: RandomState,
    flights: [Mutex<Flights<K, V>>; SHARDS],
    seen: Arc<Seen>,
}

type Flights<K, V> = HashMap<K, Arc<Flight<V>>>;

/// What the store's listener needs as well.
#[derive(Debug, Default)]
pub(super) struct Seen {
    generation: AtomicU64,
    counters: Counters,
}

/// How long values are good, and how many are held.
pub(super) struct Settings<K, V> {
    pub(super) lifetime: Lifetime,
    pub(super) ttl: Ttl<K, V>,
    pub(super) seeds: CallSeeds,
    pub(super) capacity: u64,
}

pub(super) struct Ttl<K, V> {
    /// `None` for values that stay until they are evicted.
    pub(super) of_all: Option<Duration>,
    pub(super) by_value: Option<TtlBy<K, V>>,
    /// For values that say that there is none.
    pub(super) negative: Option<(IsNegative<V>, Duration)>,
}

pub(super) type IsNegative<V> = fn(&V) -> bool;

/// `None` leaves it to the TTL of all.
pub(super) type TtlBy<K, V> = Box<dyn Fn(&K, &V) -> Option<Duration> + Send + Sync>;

impl<K, V> Ttl<K, V> {
    fn of(&self, key: &K, value: &V) -> Duration {
        match self.negative {
            Some((is_negative, ttl)) if is_negative(value) => ttl,
            _ => {
                let by_value = self.by_value.as_ref().and_then(|ttl_by| ttl_by(key, value));
                by_value.or(self.of_all).unwrap_or(Duration::MAX)
            }
        }
    }

    fn is_negative(&self, value: &V) -> bool {
        self.negative.is_some_and(|(is_negative, _)| is_negative(value))
    }

    pub(super) fn is_set(&self) -> bool {
        self.of_all.is_some() || self.by_value.is_some() || self.negative.is_some()
    }
}

/// What a call finds.
pub(crate) enum Contact<K: Eq + Hash, V> {
    /// A value to return.
    Hit(V),
    /// Somebody loads it already.
    Join(K, Joined<V>),
    /// It is up to this call to load it.
    Lead(Leader<K, V>),
    /// A value to return, and a load to begin in the background.
    Refresh(V, Leader<K, V>),
}

impl<K: Eq + Hash, V> Core<K, V> {
    fn generation(&self) -> u64 {
        self.seen.generation.load(Ordering::Acquire)
    }

    fn flights<Q: Hash + ?Sized>(&self, key: &Q) -> MutexGuard<'_, Flights<K, V>> {
        #[allow(clippy::cast_possible_truncation)] // any bits of the hash will do
        let shard = self.hasher.hash_one(key) as usize % SHARDS;
        lock(&self.flights[shard])
    }

    #[cfg(all(test, shuttle))]
    pub(super) fn has_no_flights(&self) -> bool {
        self.flights.iter().all(|shard| lock(shard).is_empty())
    }

    /// A call that waited for a load was answered by an expired value.
    pub(crate) fn count_stale_on_error(&self) {
        self.seen.counters.stale_on_error.count();
    }
}

impl<K, V> Core<K, V>
where
    K: Eq + Hash + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    pub(super) fn new(
        settings: Settings<K, V>,
        store: impl FnOnce(Box<dyn Fn(&Entry<V>, Left) + Send + Sync>) -> Store<K, V>,
    ) -> Self {
        let (epoch, seen) = (Epoch::new(), Arc::<Seen>::default());
        let listener = Box::new({
            let (seen, epoch) = (Arc::clone(&seen), epoch.clone());
            move |entry: &Entry<V>, left: Left| seen.leaves(entry, &left, &epoch)
        });
        let store = store(listener);
        let flights = std::array::from_fn(|_| Mutex::new(HashMap::new()));
        Self { settings, epoch, store, hasher: RandomState::new(), flights, seen }
    }

    /// The value of this generation, and what it is good for.
    fn find<Q>(&self, clock: Clock, key: &Q) -> Option<(Entry<V>, Freshness)>
    where
        Q: Equivalent<K> + Hash + ?Sized,
    {
        let entry = self.store.get(key)?;
        if entry.generation != self.generation() {
            return None;
        }
        if entry.stamp.is_for_ever() {
            return Some((entry, Freshness::Fresh));
        }
        let freshness = match self.settings.lifetime.freshness(entry.stamp, self.epoch.now(clock)) {
            // That there is none is for a short time of its own, and never stale.
            Freshness::Stale | Freshness::Expired if self.settings.ttl.is_negative(&entry.value) => Freshness::Over,
            freshness => freshness,
        };
        Some((entry, freshness))
    }

    /// The first half of a call's first contact: a hit, if the value is fresh.
    pub(crate) fn look_up<Q>(&self, clock: Clock, key: &Q) -> Option<V>
    where
        Q: Equivalent<K> + Hash + ?Sized,
    {
        match self.find(clock, key)? {
            (entry, Freshness::Fresh) => {
                self.seen.counters.hits.count();
                Some(entry.value)
            }
            _ => None,
        }
    }

    /// The second half, for whom [`look_up`](Self::look_up) found nothing. One that can load `in_background` need not wait
    /// for what it refreshes.
    pub(crate) fn contact(self: &Arc<Self>, clock: Clock, key: K, in_background: bool) -> Contact<K, V> {
        let contact = self.contact_again(clock, key, in_background);
        let counters = &self.seen.counters;
        match &contact {
            Contact::Hit(_) | Contact::Refresh(..) => counters.hits.count(),
            Contact::Lead(_) => counters.misses.count(),
            Contact::Join(..) => counters.coalesced.count(),
        }
        contact
    }

    /// A contact that is not the call's first, and so not counted: the load that it waited for has come to nothing.
    pub(crate) fn contact_again(self: &Arc<Self>, clock: Clock, key: K, in_background: bool) -> Contact<K, V> {
        let counters = &self.seen.counters;
        let mut flights = self.flights(&key);
        let generation = self.generation();
        // A miss has been noted by the first look; noted twice, it would look like a key that is in use.
        let found = if self.store.holds(&key) { self.find(clock, &key) } else { None };
        let freshness = found.as_ref().map(|(_, freshness)| *freshness);
        let servable = match found {
            Some((entry, Freshness::Fresh)) => return Contact::Hit(entry.value),
            Some((entry, Freshness::Due | Freshness::Stale)) => Some(entry.value),
            _ => None,
        };
        let is_stale = freshness == Some(Freshness::Stale);
        // A flight of an earlier generation is none of ours; it answers those who joined it.
        if let Some(flight) = flights.get(&key).filter(|flight| flight.generation == generation) {
            if let Some(value) = servable {
                counters.stale_hits.add(is_stale.into());
                return Contact::Hit(value);
            }
            let joined = Joined::new(flight);
            drop(flights);
            joined.refuse_to_wait_for_oneself();
            return Contact::Join(key, joined);
        }
        if freshness == Some(Freshness::Over) {
            self.store.remove(&key);
        }
        let flight = Arc::new(Flight::new(generation));
        flights.insert(key.clone(), Arc::clone(&flight));
        let in_background = in_background && servable.is_some();
        counters.begun.count();
        counters.refreshes.add(servable.is_some().into());
        counters.refreshes_ahead.add((servable.is_some() && !is_stale).into());
        counters.stale_hits.add((in_background && is_stale).into());
        drop(flights);
        let (core, began) = (Arc::clone(self), self.epoch.now(clock));
        let leader = Leader { core, clock, key, flight, began, in_background, has_ended: false };
        match servable {
            Some(value) if in_background => Contact::Refresh(value, leader),
            _ => Contact::Lead(leader),
        }
    }

    pub(super) fn get<Q>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        match self.find(Clock::here(), key) {
            Some((entry, Freshness::Fresh | Freshness::Due)) => {
                self.seen.counters.hits.count();
                Some(entry.value)
            }
            found => {
                self.seen.counters.misses.count();
                if let Some((_, Freshness::Over)) = found {
                    let _flights = self.flights(key);
                    if let Some((_, Freshness::Over)) = self.find(Clock::here(), key) {
                        self.store.remove(key);
                    }
                }
                None
            }
        }
    }

    pub(super) fn insert(&self, key: K, value: V) {
        let stamp = self.stamp(Clock::here(), &key, &value);
        let mut flights = self.flights(&key);
        flights.remove(&key);
        self.put(key, value, self.generation(), stamp);
        drop(flights);
        self.store.settle();
    }

    pub(super) fn invalidate<Q>(&self, key: &Q)
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let mut flights = self.flights(key);
        flights.remove(key);
        self.store.remove(key);
    }

    pub(super) fn clear(&self) {
        let all_flights: [_; SHARDS] = std::array::from_fn(|shard| lock(&self.flights[shard]));
        self.seen.generation.fetch_add(1, Ordering::AcqRel);
        self.seen.counters.reset();
        drop(all_flights);
        // None of it can be seen any more; this is for its memory.
        self.store.remove_all();
    }

    pub(super) fn stats(&self) -> MemoStats {
        self.store.settle();
        self.seen.counters.read(self.store.entries(), self.settings.capacity)
    }

    /// How long it will be good; `None` for a value that is not to be kept at all.
    fn stamp(&self, clock: Clock, key: &K, value: &V) -> Option<Stamp> {
        let Settings { lifetime, ttl, seeds, .. } = &self.settings;
        let ttl = ttl.of(key, value);
        let random = if lifetime.jitter > 0.0 { seeds.take() } else { 0 };
        (!ttl.is_zero()).then(|| lifetime.stamp(ttl, self.epoch.now(clock), random))
    }

    /// In place of what the key had, whose flights must be locked.
    fn put(&self, key: K, value: V, generation: u64, stamp: Option<Stamp>) {
        match stamp {
            Some(stamp) => self.store.insert(key, Entry { value, generation, stamp }),
            None => self.store.remove(&key),
        }
    }
}

/// Whoever loads a value for all.
///
/// Dropped before it has [landed](Self::land), for whatever reason, it lets those who joined try for themselves.
pub(crate) struct Leader<K: Eq + Hash, V> {
    core: Arc<Core<K, V>>,
    clock: Clock,
    key: K,
    flight: Arc<Flight<V>>,
    began: Nanos,
    /// Nobody waits for it but those who joined.
    in_background: bool,
    has_ended: bool,
}

impl<K: Eq + Hash, V> Leader<K, V> {
    /// Runs some of the load, so that a call to itself is noticed.
    pub(crate) fn lead<T>(&self, run: impl FnOnce() -> T) -> T {
        flight::leading(&self.flight, run)
    }

    /// Nobody can join it any more. The key comes back if it has not been invalidated meanwhile; and the lock, to store under.
    fn depart(&self, count: impl FnOnce(&Counters)) -> (MutexGuard<'_, Flights<K, V>>, Option<K>) {
        let mut flights = self.core.flights(&self.key);
        if self.is_current() {
            count(&self.core.seen.counters);
        }
        let is_ours = flights.get(&self.key).is_some_and(|flight| Arc::ptr_eq(flight, &self.flight));
        let key = if is_ours { flights.remove_entry(&self.key).map(|(key, _)| key) } else { None };
        (flights, key)
    }

    fn is_current(&self) -> bool {
        self.flight.generation == self.core.generation()
    }

    /// Ends it, once its flight has left the map.
    fn end(&mut self, landing: impl FnOnce() -> Landing<V>) {
        self.flight.land(landing);
        self.has_ended = true; // not before: a value's `Clone` may panic
    }
}

impl<K, V> Leader<K, V>
where
    K: Eq + Hash + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// Keeps the value, unless there has been a clear or an invalidation since, and hands it to those who joined.
    pub(crate) fn land(mut self, value: &V) {
        let stamp = self.core.stamp(self.clock, &self.key, value);
        let for_the_store = value.clone();
        let took = self.elapsed();
        let (flights, key) = self.depart(|counters| {
            counters.loaded.count();
            counters.load_time.add(took);
        });
        if let Some(key) = key.filter(|_| self.is_current()) {
            self.core.put(key, for_the_store, self.flight.generation, stamp);
        }
        drop(flights);
        self.core.store.settle();
        self.end(|| Landing::Loaded(value.clone()));
    }

    /// There is nothing to keep. The earlier value comes back, if it may stand in.
    pub(crate) fn fail(mut self, share: impl FnOnce() -> Option<SharedFailure>) -> Option<V> {
        let stand_in = self.stand_in();
        let took = self.elapsed();
        // Whose refresh goes on in the background has been answered already.
        let is_answered_by_it = matches!(stand_in, Some((_, true))) && !self.in_background;
        drop(self.depart(|counters| {
            counters.failed.count();
            counters.load_time.add(took);
            counters.stale_on_error.add(is_answered_by_it.into());
        }));
        self.end(|| match &stand_in {
            Some((value, true)) => Landing::Stale(value.clone()),
            Some((value, false)) => Landing::Loaded(value.clone()),
            None => Landing::Failed(share()),
        });
        stand_in.map(|(value, _)| value)
    }

    /// A value that may answer for a failed load, and whether it has expired.
    fn stand_in(&self) -> Option<(V, bool)> {
        if !self.core.settings.lifetime.has_stand_ins() || !self.is_current() {
            return None;
        }
        match self.core.find(self.clock, &self.key)? {
            (entry, Freshness::Fresh | Freshness::Due) => Some((entry.value, false)),
            (entry, Freshness::Stale | Freshness::Expired) => Some((entry.value, true)),
            (_, Freshness::Over) => None,
        }
    }

    fn elapsed(&self) -> Nanos {
        self.core.epoch.now(self.clock).saturating_sub(self.began)
    }
}

impl<K: Eq + Hash, V> Drop for Leader<K, V> {
    fn drop(&mut self) {
        if !self.has_ended {
            drop(self.depart(|counters| counters.abandoned.count()));
            self.end(|| Landing::Abandoned);
        }
    }
}

/// As the decorators show it, what was left alone left out: `ttl 300s, capacity 50`.
impl<K, V> fmt::Display for Settings<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { lifetime, ttl, capacity, .. } = self;
        match (&ttl.by_value, ttl.of_all) {
            (Some(_), _) => f.write_str("ttl by value")?,
            (None, Some(ttl)) => write!(f, "ttl {ttl:?}")?,
            (None, None) => f.write_str("no ttl")?,
        }
        if let Some((_, ttl)) = ttl.negative {
            write!(f, ", negative {ttl:?}")?;
        }
        if *capacity != DEFAULT_CAPACITY {
            write!(f, ", capacity {capacity}")?;
        }
        lifetime.fmt(f)
    }
}

impl Seen {
    fn leaves<V>(&self, entry: &Entry<V>, left: &Left, epoch: &Epoch) {
        if entry.generation != self.generation.load(Ordering::Acquire) {
            return; // a clear has seen to it
        }
        match left {
            Left::Evicted => self.counters.evictions.count(),
            Left::Removed if entry.stamp.has_expired(epoch.now(Clock::here())) => self.counters.expirations.count(),
            Left::Removed => {}
        }
    }
}
