//! Map from keys to handles, in bounded memory. Forgets keys with idle handles.
//!
//! Keys are spread over shards. All shards share one bound on the number of keys.

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

/// A hasher with fixed keys, because the model checker needs the same shards in every execution.
#[cfg(all(test, shuttle))]
type Hasher = std::hash::BuildHasherDefault<std::hash::DefaultHasher>;
#[cfg(not(all(test, shuttle)))]
type Hasher = std::hash::RandomState;

/// Number of shards, each with its own lock. No thread holds two of the locks. The number is small
/// under the model checker, which explores each lock.
const SHARDS: usize = if cfg!(shuttle) { 2 } else { 16 };

/// Maximum number of keys in one shard that a lookup checks for idleness. More than a lookup can
/// add, and few enough to be cheap.
pub(crate) const CHECKS_PER_LOOKUP: usize = 16;

/// Maximum number of keys that are forgotten to make room for one.
const FORGOTTEN_PER_KEY: usize = 4;

/// Counts that can be added up.
pub(crate) trait Sum: Default {
    /// Adds the counts of another handle, saturating.
    fn add(&mut self, other: &Self);
}

/// Makes the handle of each key, and judges whether a handle is idle.
pub(crate) trait Template {
    type Handle;
    type Stats: Sum;

    /// Maximum number of keys that are looked at to make room for one.
    const MAX_LOOKS: usize;

    fn make(&self) -> Self::Handle;

    fn now(&self) -> Nanos;

    /// The time after which a handle that was used once, when it was made, is idle.
    fn idle_after(&self) -> Nanos;

    /// The time until a handle is idle; `None` if the handle cannot be forgotten.
    fn idle_in(&self, handle: &Self::Handle) -> Option<Nanos>;

    /// The counts of a handle.
    fn stats(&self, handle: &Self::Handle) -> Self::Stats;

    /// The counts of a handle that no caller holds any more.
    fn last_stats(&self, handle: &Self::Handle) -> Self::Stats {
        self.stats(handle)
    }
}

/// Says if a setting of one key differs from that of all keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Own {
    #[default]
    No,
    /// Set on the key's limiter, and not yet compared with the setting of all keys.
    Undecided,
    /// Set on the key's limiter to another value than that of all keys. Stays `Yes` if both become
    /// equal by a change for all keys, because that may change back.
    Yes,
}

impl Own {
    /// Compares the setting with that of all keys, if that is not done yet.
    pub(crate) fn decide(&mut self, differs: impl FnOnce() -> bool) {
        if *self == Self::Undecided {
            *self = if differs() { Self::Yes } else { Self::No };
        }
    }
}

pub(crate) struct Keys<K, T: Template> {
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
    /// Number of the next check. Unique across all shards.
    next_number: u64,
    /// The other shard that the last lookup in this shard checked.
    other: usize,
    /// Handles of removed keys that callers may still hold. Their counts may still grow.
    removed: VecDeque<Arc<T::Handle>>,
    /// The sum of the counts of all handles that were forgotten.
    forgotten: T::Stats,
}

struct Remembered<H> {
    handle: Arc<H>,
    check_at: CheckAt,
}

/// The moment at which to check whether a key is idle, and a number that makes the pair unique.
type CheckAt = (Nanos, u64);

impl<K, T: Template> Keys<K, T> {
    pub(crate) fn template(&self) -> &T {
        &self.template
    }

    pub(crate) fn len(&self) -> usize {
        usize::try_from(self.count.load(Ordering::Relaxed)).unwrap_or(usize::MAX)
    }

    pub(crate) fn bound(&self) -> usize {
        usize::try_from(self.bound.load(Ordering::Relaxed)).unwrap_or(usize::MAX)
    }

    fn exceeds_bound(&self) -> bool {
        self.count.load(Ordering::Relaxed) > self.bound.load(Ordering::Relaxed)
    }

    /// The counts of all keys, forgotten ones included.
    ///
    /// A key stays in its shard, and the counts of a forgotten key are added up under the same
    /// lock. Therefore no count is lost or added twice, whatever other threads do.
    pub(crate) fn stats(&self) -> T::Stats {
        let mut stats = T::Stats::default();
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
    pub(crate) fn new(template: T, bound: usize) -> Self {
        Self {
            template,
            bound: AtomicU64::new(bound as u64),
            hasher: Hasher::default(),
            count: AtomicU64::new(0),
            shards: std::array::from_fn(|shard| Mutex::new(Shard::new(shard))),
        }
    }

    pub(crate) fn get_or_make<Q>(&self, key: &Q) -> Arc<T::Handle>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ToOwned<Owned = K> + ?Sized,
    {
        self.get_or_make_by(key, |_| Arc::new(self.template.make()))
    }

    /// [`get_or_make`](Self::get_or_make) with a handle that depends on the key. `make` runs under
    /// the lock of a shard, as the key's `Clone`, `Hash` and `Eq` do.
    pub(crate) fn get_or_make_by<Q>(&self, key: &Q, make: impl Fn(&K) -> Arc<T::Handle>) -> Arc<T::Handle>
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
            self.forget_one(now); // some keys were held when they should have been forgotten
        }
        known.unwrap_or_else(|| self.make(home, key, now, make))
    }

    /// The counts of a key, if it is remembered.
    pub(crate) fn stats_of<Q>(&self, key: &Q) -> Option<T::Stats>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let shard = lock(&self.shards[self.home(key)]);
        Some(self.template.stats(&shard.handles.get(key)?.handle))
    }

    /// The handle of a key, if the key is remembered.
    pub(crate) fn get<Q>(&self, key: &Q) -> Option<Arc<T::Handle>>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        lock(&self.shards[self.home(key)]).find(key)
    }

    /// The keys that are remembered, shard by shard.
    pub(crate) fn keys(&self) -> Vec<K> {
        self.shards.iter().flat_map(|shard| lock(shard).handles.keys().cloned().collect::<Vec<_>>()).collect()
    }

    /// Changes the bound. While the number of keys exceeds it, forgets the key that would be idle
    /// next.
    pub(crate) fn set_bound(&self, bound: usize) {
        self.bound.store(bound as u64, Ordering::Relaxed);
        let now = self.template.now();
        // If all keys of a look are held, their checks are postponed, so the next look is at other
        // keys.
        let mut looks = self.len() / T::MAX_LOOKS + 1;
        while self.exceeds_bound() && looks > 0 {
            looks -= usize::from(!self.forget_one(now));
        }
    }

    /// Calls `act` with the handles of removed keys.
    pub(crate) fn for_each_removed(&self, mut act: impl FnMut(&T::Handle)) {
        for shard in &self.shards {
            lock(shard).removed.iter().for_each(|handle| act(handle));
        }
    }

    /// Calls `act` with the handle of every key, and reschedules each key's check for the moment at
    /// which the key could then be idle.
    pub(crate) fn for_each(&self, mut act: impl FnMut(&T::Handle)) {
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

    /// Makes the handle of a new key. Forgets other keys if there is no room.
    fn make<Q>(
        &self,
        home: &Mutex<Shard<K, T>>,
        key: &Q,
        now: Nanos,
        make: impl Fn(&K) -> Arc<T::Handle>,
    ) -> Arc<T::Handle>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ToOwned<Owned = K> + ?Sized,
    {
        // More than one key may have to be forgotten, because other threads insert as well, and
        // because keys that could not be forgotten earlier may be free now.
        let mut left_to_forget = FORGOTTEN_PER_KEY;
        loop {
            let mut shard = lock(home);
            if let Some(handle) = shard.find(key) {
                return handle; // another thread has inserted the key meanwhile
            }
            let bound = if left_to_forget == 0 { u64::MAX } else { self.bound.load(Ordering::Relaxed) };
            if let Some(counted) = Counted::try_count(&self.count, bound) {
                let key = key.to_owned();
                let handle = make(&key);
                shard.insert(key, Arc::clone(&handle), now.saturating_add(self.template.idle_after()));
                counted.commit();
                return handle;
            }
            drop(shard);
            self.forget_one(now);
            left_to_forget -= 1;
        }
    }

    /// Returns `true` if the key was remembered.
    pub(crate) fn remove<Q>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let home = self.home(key);
        self.forget(&mut lock(&self.shards[home]), key)
    }

    #[allow(clippy::cast_possible_truncation)] // any bits of the hash select a shard
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

    /// Forgets the key that would be idle next. Returns `false` if no key could be forgotten.
    ///
    /// If a check comes earlier than the moment at which its key is idle, the check is postponed to
    /// that moment.
    fn forget_one(&self, now: Nanos) -> bool {
        let (mut checked, mut kept) = ((0, 0), Vec::new());
        // The key that is idle next, of the keys with a postponed check.
        let mut next: Option<(Nanos, K)> = None;
        for _ in 0..T::MAX_LOOKS {
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

    /// Moment of the next check of a key that cannot be forgotten: after the keys that are used
    /// now.
    fn later(&self, now: Nanos) -> Nanos {
        now.saturating_add(self.template.idle_after()).saturating_add(1)
    }

    /// Returns `true` if the key was remembered.
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

    /// Adds up the counts of a handle without a key, once no caller holds the handle. Until then,
    /// keeps the handle.
    fn count_or_keep(&self, shard: &mut Shard<K, T>, handle: Arc<T::Handle>) {
        if Arc::strong_count(&handle) > 1 {
            shard.removed.push_back(handle);
        } else {
            shard.forgotten.add(&self.template.last_stats(&handle));
        }
    }

    /// The earliest check after this one in all shards, and its shard.
    fn next_after(&self, checked: CheckAt) -> Option<(usize, CheckAt)> {
        let later = (Bound::Excluded(checked), Bound::Unbounded);
        let next = |shard: usize| lock(&self.shards[shard]).checks.range(later).next().map(|(check_at, _)| *check_at);
        (0..SHARDS).filter_map(|shard| Some((shard, next(shard)?))).min_by_key(|(_, check_at)| *check_at)
    }

    /// Moment at which the handle of a key is idle; `None` if the key cannot be forgotten.
    fn idle_at(&self, shard: &Shard<K, T>, key: &K, now: Nanos) -> Option<Nanos> {
        let Remembered { handle, .. } = shard.handles.get(key)?;
        if Arc::strong_count(handle) > 1 {
            return None;
        }
        Some(now.saturating_add(self.template.idle_in(handle)?))
    }
}

/// A key that is counted before it is inserted. If the key's `Clone`, `Hash` or `Eq` panics in
/// between, dropping this takes the count back.
struct Counted<'c>(&'c AtomicU64);

impl<'c> Counted<'c> {
    /// Counts one more key; `None` if the bound is reached.
    fn try_count(count: &'c AtomicU64, bound: u64) -> Option<Self> {
        let counted = |keys| (keys < bound).then_some(keys + 1);
        count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, counted).ok().map(|_| Self(count))
    }

    fn commit(self) {
        std::mem::forget(self);
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Each method runs the code of the key before it changes anything, because that code may panic.
impl<K: Eq + Hash + Clone, T: Template> Shard<K, T> {
    fn new(number: usize) -> Self {
        Self {
            handles: HashMap::default(),
            checks: BTreeMap::new(),
            next_number: number as u64 + 1,
            other: number,
            removed: VecDeque::new(),
            forgotten: T::Stats::default(),
        }
    }

    /// The other shard that this lookup checks. Lookups take all shards in turn, this one included.
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

    /// Frees memory once most of it is unused.
    fn shrink(&mut self) {
        if self.handles.capacity() > 4 * self.handles.len() + 64 {
            self.handles.shrink_to_fit();
        }
    }
}
