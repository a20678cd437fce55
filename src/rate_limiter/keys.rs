//! Handles by key: one for each user, host or tenant, in bounded memory.
//!
//! Keys are spread over shards. All shards share one bound on the number of keys.

use super::stats::RateLimiterStats;
use crate::{
    clock::Nanos,
    sync::{Arc, AtomicU64, Mutex, Ordering, lock, try_lock},
};
use std::{
    borrow::Borrow,
    collections::{BTreeMap, HashMap, VecDeque},
    hash::{BuildHasher, Hash},
    ops::Bound,
};

/// The model checker needs the same shards and the same order of keys each time.
#[cfg(all(test, shuttle))]
type Hasher = std::hash::BuildHasherDefault<std::hash::DefaultHasher>;
#[cfg(not(all(test, shuttle)))]
type Hasher = std::hash::RandomState;

/// Number of shards, each with its own lock. No thread holds two of the locks. Few under the model
/// checker, which tries each lock.
const SHARDS: usize = if cfg!(shuttle) { 2 } else { 16 };

/// Maximum number of keys in one shard that one lookup checks for idleness: more than a lookup can
/// add, and few enough to be cheap.
const CHECKS_PER_LOOKUP: usize = 16;

/// Maximum number of keys that are forgotten to make room for one.
const FORGOTTEN_PER_KEY: usize = 4;

/// What the handle of each key is made from.
pub(super) trait Template {
    type Handle;

    fn make(&self) -> Self::Handle;

    fn now(&self) -> Nanos;

    /// The time after which a handle that was used once, when it was made, is idle.
    fn idle_after(&self) -> Nanos;

    /// The time until a handle is as good as new; `None` if it may not be forgotten.
    fn idle_in(&self, handle: &Self::Handle) -> Option<Nanos>;

    /// The counts of a handle.
    fn stats(&self, handle: &Self::Handle) -> RateLimiterStats;
}

pub(super) struct Keys<K, T: Template> {
    template: T,
    /// Maximum number of keys, in all shards.
    bound: AtomicU64,
    hasher: Hasher,
    /// Keys in all shards. A key is counted before it is inserted.
    count: AtomicU64,
    shards: [Mutex<Shard<K, T>>; SHARDS],
}

struct Shard<K, T: Template> {
    handles: HashMap<K, Remembered<T::Handle>, Hasher>,
    /// Every key once.
    checks: BTreeMap<CheckAt, K>,
    /// The number of the next check: never used before, in any shard.
    next_number: u64,
    /// The shard that the last lookup in this one checked as well.
    other: usize,
    /// Handles of removed keys that a caller may still have, and so may count on.
    removed: VecDeque<Arc<T::Handle>>,
    /// The counts of all handles that were forgotten for good.
    forgotten: RateLimiterStats,
}

struct Remembered<H> {
    handle: Arc<H>,
    check_at: CheckAt,
}

/// The moment at which to see whether a key is idle, and a number that makes it unique.
type CheckAt = (Nanos, u64);

impl<K, T: Template> Keys<K, T> {
    pub(super) fn template(&self) -> &T {
        &self.template
    }

    pub(super) fn len(&self) -> usize {
        usize::try_from(self.count.load(Ordering::Relaxed)).unwrap_or(usize::MAX)
    }

    pub(super) fn bound(&self) -> usize {
        usize::try_from(self.bound.load(Ordering::Relaxed)).unwrap_or(usize::MAX)
    }

    fn exceeds_bound(&self) -> bool {
        self.count.load(Ordering::Relaxed) > self.bound.load(Ordering::Relaxed)
    }

    /// The counts of all keys, those that were forgotten included.
    ///
    /// A key stays in its shard, and the counts of a forgotten key are added up under the same
    /// lock. No count is therefore lost or added twice, whatever happens at the same time.
    pub(super) fn stats(&self) -> RateLimiterStats {
        let mut stats = RateLimiterStats::default();
        for shard in &self.shards {
            let shard = lock(shard);
            stats.add(&shard.forgotten);
            let handles = shard.handles.values().map(|remembered| &remembered.handle).chain(&shard.removed);
            handles.for_each(|handle| stats.add(&self.template.stats(handle)));
        }
        stats
    }
}

impl<K: Eq + Hash + Clone, T: Template> Keys<K, T> {
    pub(super) fn new(template: T, bound: usize) -> Self {
        Self {
            template,
            bound: AtomicU64::new(bound as u64),
            hasher: Hasher::default(),
            count: AtomicU64::new(0),
            shards: std::array::from_fn(|shard| Mutex::new(Shard::new(shard))),
        }
    }

    pub(super) fn get_or_make<Q>(&self, key: &Q) -> Arc<T::Handle>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ToOwned<Owned = K> + ?Sized,
    {
        let home = &self.shards[self.home(key)];
        let now = self.template.now();
        let mut shard = lock(home);
        let known = shard.find(key);
        self.check(&mut shard, now);
        let other = shard.next_other();
        drop(shard);
        if let Some(mut other) = try_lock(&self.shards[other]) {
            self.check(&mut other, now);
        }
        if self.exceeds_bound() {
            self.forget_one(now); // some were held when they should have gone
        }
        known.unwrap_or_else(|| self.make(home, key, now))
    }

    /// The counts of a key, if it is remembered.
    pub(super) fn stats_of<Q>(&self, key: &Q) -> Option<RateLimiterStats>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let shard = lock(&self.shards[self.home(key)]);
        Some(self.template.stats(&shard.handles.get(key)?.handle))
    }

    /// The keys that are remembered, shard by shard.
    pub(super) fn keys(&self) -> Vec<K> {
        self.shards.iter().flat_map(|shard| lock(shard).handles.keys().cloned().collect::<Vec<_>>()).collect()
    }

    /// Changes the bound. While there are too many keys, forgets the key that would be idle next.
    pub(super) fn set_bound(&self, bound: usize) {
        self.bound.store(bound as u64, Ordering::Relaxed);
        let now = self.template.now();
        // A look at keys that are all held puts off their checks, so the next look is at others.
        let mut looks = self.len() / (2 * CHECKS_PER_LOOKUP) + 1;
        while self.exceeds_bound() && looks > 0 {
            looks -= usize::from(!self.forget_one(now));
        }
    }

    /// Shows `act` the handles of removed keys.
    pub(super) fn for_each_removed(&self, mut act: impl FnMut(&T::Handle)) {
        for shard in &self.shards {
            lock(shard).removed.iter().for_each(|handle| act(handle));
        }
    }

    /// Shows `act` every handle that has a key, and reschedules each key's check for the moment at
    /// which it could then be idle.
    pub(super) fn for_each(&self, mut act: impl FnMut(&T::Handle)) {
        let now = self.template.now();
        for shard in &self.shards {
            let mut shard = lock(shard);
            shard.handles.values().for_each(|remembered| act(&remembered.handle));
            let checks: Vec<_> = shard.checks.iter().map(|(check_at, key)| (*check_at, key.clone())).collect();
            for (check_at, key) in checks {
                let idle_at = self.idle_at(&shard, &key, now);
                shard.postpone(check_at, idle_at.unwrap_or(self.later(now)));
            }
        }
    }

    /// Makes room for a new key, and its handle.
    fn make<Q>(&self, home: &Mutex<Shard<K, T>>, key: &Q, now: Nanos) -> Arc<T::Handle>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ToOwned<Owned = K> + ?Sized,
    {
        // Several keys may have to go: other threads insert as well, and keys that were held when
        // they should have gone may be free now.
        let mut left_to_forget = FORGOTTEN_PER_KEY;
        loop {
            let mut shard = lock(home);
            if let Some(handle) = shard.find(key) {
                return handle; // another thread has inserted it meanwhile
            }
            let bound = if left_to_forget == 0 { u64::MAX } else { self.bound.load(Ordering::Relaxed) };
            if let Some(counted) = Counted::one_more(&self.count, bound) {
                let handle = Arc::new(self.template.make());
                shard.insert(key.to_owned(), Arc::clone(&handle), now.saturating_add(self.template.idle_after()));
                counted.for_good();
                return handle;
            }
            drop(shard);
            self.forget_one(now);
            left_to_forget -= 1;
        }
    }

    /// Returns whether the key was remembered.
    pub(super) fn remove<Q>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let home = self.home(key);
        self.forget(&mut lock(&self.shards[home]), key)
    }

    #[allow(clippy::cast_possible_truncation)] // any bits of the hash will do
    fn home<Q: Hash + ?Sized>(&self, key: &Q) -> usize {
        self.hasher.hash_one(key) as usize % SHARDS
    }

    /// Forgets the keys of a shard that have become idle, a few at a time.
    fn check(&self, shard: &mut Shard<K, T>, now: Nanos) {
        for _ in 0..CHECKS_PER_LOOKUP {
            let Some((check_at, key)) = shard.first().filter(|((at, _), _)| *at <= now) else { break };
            match self.idle_at(shard, &key, now) {
                Some(idle_at) if idle_at <= now => {
                    self.forget(shard, &key);
                }
                idle_at => {
                    shard.postpone(check_at, idle_at.unwrap_or(self.later(now)));
                }
            }
        }
        for _ in 0..CHECKS_PER_LOOKUP.min(shard.removed.len()) {
            let Some(handle) = shard.removed.pop_front() else { break };
            self.count_or_keep(shard, handle);
        }
        shard.shrink();
    }

    /// Makes room for a key: forgets the key that would be idle next, unless none may go.
    ///
    /// A check may be earlier than the moment at which its key is idle. Then it is put off to that
    /// moment, and comes up again in its turn.
    ///
    /// Returns whether a key was forgotten.
    fn forget_one(&self, now: Nanos) -> bool {
        let (mut checked, mut kept) = ((0, 0), Vec::new());
        // The key that is idle next of those that were put off.
        let mut next: Option<(Nanos, K)> = None;
        for _ in 0..2 * CHECKS_PER_LOOKUP {
            let Some((shard, check_at)) = self.next_after(checked) else { break };
            checked = check_at;
            let mut shard = lock(&self.shards[shard]);
            let Some(key) = shard.checks.get(&check_at).cloned().filter(|_| !kept.contains(&check_at)) else {
                continue;
            };
            match self.idle_at(&shard, &key, now) {
                Some(idle_at) if idle_at <= check_at.0.max(now) => {
                    self.forget(&mut shard, &key);
                    return true;
                }
                Some(idle_at) => {
                    shard.postpone(check_at, idle_at);
                    if next.as_ref().is_none_or(|(first, _)| idle_at < *first) {
                        next = Some((idle_at, key));
                    }
                }
                None => kept.extend(shard.postpone(check_at, self.later(now))),
            }
        }
        let Some((_, key)) = next else { return false };
        let mut shard = lock(&self.shards[self.home(&key)]);
        self.idle_at(&shard, &key, now).is_some() && self.forget(&mut shard, &key)
    }

    /// When to check a key again that may not be forgotten: after the keys that are used now.
    fn later(&self, now: Nanos) -> Nanos {
        now.saturating_add(self.template.idle_after()).saturating_add(1)
    }

    /// Returns whether the key was remembered.
    fn forget<Q>(&self, shard: &mut Shard<K, T>, key: &Q) -> bool
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let Some(handle) = shard.remove(key) else { return false };
        self.count.fetch_sub(1, Ordering::Relaxed);
        self.count_or_keep(shard, handle);
        true
    }

    /// Takes over the counts of a handle without a key, once no caller can add to them.
    fn count_or_keep(&self, shard: &mut Shard<K, T>, handle: Arc<T::Handle>) {
        if Arc::strong_count(&handle) > 1 {
            shard.removed.push_back(handle);
        } else {
            // A waiter that was leaked does not wait for ever.
            shard.forgotten.add(&RateLimiterStats { waiting: 0, ..self.template.stats(&handle) });
        }
    }

    /// The earliest check in all shards after this one, and its shard.
    fn next_after(&self, checked: CheckAt) -> Option<(usize, CheckAt)> {
        let later = (Bound::Excluded(checked), Bound::Unbounded);
        let next = |shard: usize| lock(&self.shards[shard]).checks.range(later).next().map(|(check_at, _)| *check_at);
        (0..SHARDS).filter_map(|shard| Some((shard, next(shard)?))).min_by_key(|(_, check_at)| *check_at)
    }

    /// When the handle of a key is as good as new; `None` if the key may not be forgotten.
    fn idle_at(&self, shard: &Shard<K, T>, key: &K, now: Nanos) -> Option<Nanos> {
        let Remembered { handle, .. } = shard.handles.get(key)?;
        if Arc::strong_count(handle) > 1 {
            return None;
        }
        Some(now.saturating_add(self.template.idle_in(handle)?))
    }
}

/// A key that is counted before it is inserted. The `Clone`, `Hash` and `Eq` of a key may panic in
/// between, and then it is not counted.
struct Counted<'c>(&'c AtomicU64);

impl<'c> Counted<'c> {
    /// `None` if there are as many keys as the bound allows.
    fn one_more(count: &'c AtomicU64, bound: u64) -> Option<Self> {
        let counted = |keys| (keys < bound).then_some(keys + 1);
        count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, counted).ok().map(|_| Self(count))
    }

    fn for_good(self) {
        std::mem::forget(self);
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The code of a key may panic: it runs before anything changes.
impl<K: Eq + Hash + Clone, T: Template> Shard<K, T> {
    fn new(number: usize) -> Self {
        Self {
            handles: HashMap::default(),
            checks: BTreeMap::new(),
            next_number: number as u64 + 1,
            other: number,
            removed: VecDeque::new(),
            forgotten: RateLimiterStats::default(),
        }
    }

    /// The shard that this lookup checks as well: the next with each lookup, and this one in its
    /// turn.
    fn next_other(&mut self) -> usize {
        self.other = (self.other + 1) % SHARDS;
        self.other
    }

    fn find<Q>(&self, key: &Q) -> Option<Arc<T::Handle>>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.handles.get(key).map(|remembered| Arc::clone(&remembered.handle))
    }

    fn insert(&mut self, key: K, handle: Arc<T::Handle>, check_at: Nanos) {
        let (key_of_check, check_at) = (key.clone(), self.numbered(check_at));
        self.handles.insert(key, Remembered { handle, check_at });
        self.checks.insert(check_at, key_of_check);
    }

    fn numbered(&mut self, check_at: Nanos) -> CheckAt {
        let number = self.next_number;
        self.next_number += SHARDS as u64;
        (check_at, number)
    }

    fn first(&self) -> Option<(CheckAt, K)> {
        self.checks.first_key_value().map(|(check_at, key)| (*check_at, key.clone()))
    }

    fn postpone(&mut self, check_at: CheckAt, to: Nanos) -> Option<CheckAt> {
        let later = self.numbered(to);
        self.handles.get_mut(self.checks.get(&check_at)?)?.check_at = later;
        let key = self.checks.remove(&check_at)?;
        self.checks.insert(later, key);
        Some(later)
    }

    fn remove<Q>(&mut self, key: &Q) -> Option<Arc<T::Handle>>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let removed = self.handles.remove(key)?;
        self.checks.remove(&removed.check_at);
        Some(removed.handle)
    }

    /// Gives memory back once most of it is unused.
    fn shrink(&mut self) {
        if self.handles.capacity() > 4 * self.handles.len() + 64 {
            self.handles.shrink_to_fit();
        }
    }
}
