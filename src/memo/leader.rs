//! The call that loads a value for itself and for all waiters.

use super::{
    cacheable::Value,
    doubts::Doubts,
    failures::LoadFailure,
    flight::{self, Flight, LoadOutcome},
    index::{Entry, Shard},
    key::Key,
    settings::Decision,
    state::Core,
    stats::Counters,
    tier::{Lease, MemoTier, end_of},
};
use crate::{
    clock::{Clock, Nanos},
    policy::Freshness,
    sync::{Arc, lock},
};
use std::{hash::Hash, mem, panic::AssertUnwindSafe, time::Duration};

/// The reason for a load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// There was no value to serve.
    Load,
    /// There was a value to serve, and the caller waits for a new one.
    Refresh,
    /// The caller was served the value already.
    RefreshInBackground,
}

/// The call that loads a value.
///
/// If dropped before [`succeed`](Self::succeed) or [`fail`](Self::fail), the load counts as
/// abandoned, and the calls that joined try again by themselves.
pub(crate) struct Leader<K: Eq + Hash, V> {
    core: Arc<Core<K, V>>,
    clock: Clock,
    key: K,
    hash: u64,
    flight: Arc<Flight<V>>,
    /// Time at which the load began, by `clock`.
    began: Nanos,
    purpose: Purpose,
    /// `true` if an invalidation matches the load's value, which is then not kept.
    is_outdated: bool,
    /// `true` once the flight has left the map, and the end of the load has been counted.
    is_flight_removed: bool,
    /// `true` once the calls that joined have the outcome.
    has_ended: bool,
    right: Right<V>,
}

/// The right of a call to load.
enum Right<V> {
    /// There is no tier.
    Own,
    /// The tier has not answered yet, so that no load has begun.
    Asked,
    /// For all processes.
    Lease(AssertUnwindSafe<Box<dyn Lease<V>>>),
    /// The tier is down.
    Alone,
}

impl<K: Eq + Hash, V> Leader<K, V> {
    pub(super) fn new(
        core: &Arc<Core<K, V>>,
        (clock, began): (Clock, Nanos),
        (hash, key): (u64, K),
        flight: Arc<Flight<V>>,
        purpose: Purpose,
    ) -> Self {
        let core = Arc::clone(core);
        let (is_outdated, is_flight_removed, has_ended) = (false, false, false);
        let right = if core.settings.closures.tier.is_some() { Right::Asked } else { Right::Own };
        Self { core, clock, key, hash, flight, began, purpose, is_outdated, is_flight_removed, has_ended, right }
    }

    /// Runs a part of the load, during which recursion is detected.
    pub(crate) fn run_as_leader<T>(&self, run: impl FnOnce() -> T) -> T {
        flight::leading(&self.flight, run)
    }

    /// Removes the flight from the map, so that no further call can join it, and runs `act` under
    /// the same lock. `act` gets the key, or `None` in two cases. In the first, a clear, an
    /// invalidation or an insertion has removed the flight already. In the second, an invalidation
    /// that was stored with the flight matches the value. `concern` checks for such a match, and
    /// runs before `act`, outside of the lock.
    fn remove_flight<T>(
        &mut self,
        concern: impl Fn(&Core<K, V>, &K, &Doubts<K, V>) -> bool,
        count: impl FnOnce(&Counters),
        act: impl FnOnce(&Core<K, V>, &mut Shard<K, V>, Option<K>) -> T,
    ) -> T {
        let Self { core, key, hash, flight, is_outdated, is_flight_removed, .. } = self;
        let mut shard = core.index.write(*hash);
        while let Some(doubts) = shard.take_doubts(*hash, flight) {
            drop(shard);
            *is_outdated = *is_outdated || concern(core, key, &doubts);
            drop(doubts);
            shard = core.index.write(*hash);
        }
        *is_flight_removed = true;
        if flight.generation == shard.generation {
            count(&core.counters);
        }
        let key = shard.take_this_flight(*hash, flight);
        // Without a flight in the map, later invalidations were not stored.
        *is_outdated = *is_outdated || key.is_none();
        let (key, refused) = if *is_outdated { (None, key) } else { (key, None) };
        let acted = act(core, &mut shard, key);
        drop(shard);
        drop(refused);
        acted
    }

    /// Gives the outcome to the calls that joined. The flight has left the map before.
    fn end(&mut self, outcome: impl FnOnce() -> LoadOutcome<V>) {
        self.flight.end(self.is_outdated, outcome);
        self.has_ended = true; // only now, because a value's `Clone` may panic above
    }
}

impl<K: Key, V: Value> Leader<K, V> {
    pub(super) fn key(&self) -> &K {
        &self.key
    }

    #[inline]
    pub(super) fn has_tier(&self) -> bool {
        self.core.settings.closures.tier.is_some()
    }

    pub(super) fn tier(&self) -> Option<&Arc<dyn MemoTier<K, V>>> {
        self.core.settings.closures.tier.as_ref()
    }

    /// Begins the load, for all processes.
    pub(super) fn holds(&mut self, lease: Box<dyn Lease<V>>) {
        self.begin(Right::Lease(AssertUnwindSafe(lease)));
    }

    /// Begins the load, for this process.
    pub(super) fn is_alone(&mut self) {
        self.begin(Right::Alone);
    }

    fn begin(&mut self, right: Right<V>) {
        self.right = right;
        self.began = self.core.epoch.now(self.clock);
        // A clear during the asking has reset the counts, and the load belongs to those before it.
        if self.core.index.read(self.hash).generation == self.flight.generation {
            self.core.counters.loads_begun.count();
        }
    }

    /// Ends the asking with a value of the tier, which is fresh for the time that is left.
    pub(super) fn found(self, value: &V, left: Option<Duration>) {
        let (now, asked) = (self.core.epoch.now(self.clock), self.began);
        let decision = self.core.settings.decide(&self.key, value, asked).until_at_most(end_of(left, asked));
        self.keep(value, decision, now, |counters| counters.tier_hits.count());
    }

    /// Ends the asking with an expired value of the tier. Another process refreshes it.
    pub(super) fn found_stale(mut self, value: &V) {
        let count = |counters: &Counters| {
            counters.tier_hits.count();
            counters.stale_hits.add(1);
        };
        drop(self.remove_flight(|_, _, _| false, count, |_, _, key| key));
        self.end(|| LoadOutcome::Loaded(value.clone()));
    }

    /// Gives the value to the calls that joined. Stores it, unless there was a clear, an
    /// invalidation or an insertion during the load.
    pub(crate) fn succeed(mut self, value: &V) {
        let now = self.core.epoch.now(self.clock);
        let mut decision = self.core.settings.decide(&self.key, value, now);
        let took = now.saturating_sub(self.began);
        if let (Some(tier), Right::Alone) = (self.tier(), &self.right) {
            decision = decision.until_at_most(end_of(Some(tier.deaf_ttl()), now));
        }
        let in_tier = decision.in_tier(now, self.core.settings.lifetime.get().stale_while_revalidate);
        let right = mem::replace(&mut self.right, Right::Own);
        let is_outdated = self.keep(value, decision, now, |counters| {
            counters.loaded.count();
            counters.load_time.add(took);
        });
        // Otherwise the lease is given up.
        if let (Right::Lease(lease), Some(keep), false) = (right, in_tier, is_outdated) {
            lease.0.land(value, keep);
        }
    }

    /// Stores a value, and gives it to the calls that joined. Returns `true` if the value was
    /// outdated, and so not stored.
    fn keep(mut self, value: &V, decision: Decision, now: Nanos, count: impl FnOnce(&Counters)) -> bool {
        let (hash, for_the_index) = (self.hash, value.clone());
        let put = self.remove_flight(
            |core, key, doubts| doubts.concern(key, value, &core.settings.tags_of(key, value)),
            count,
            |core, shard, key| match key {
                Some(key) => Ok(core.put(shard, (hash, key, for_the_index), decision, now)),
                None => Err(for_the_index),
            },
        );
        match put {
            Ok(put) => self.core.finish_put(put, now),
            Err(value) => drop(value),
        }
        let is_outdated = self.is_outdated;
        self.end(|| LoadOutcome::Loaded(value.clone()));
        is_outdated
    }

    /// Ends a load without a value to keep. Returns the earlier value, if it may be served instead,
    /// and `true` if that value has expired.
    pub(crate) fn fail(mut self, share: impl FnOnce() -> LoadFailure) -> Option<(V, bool)> {
        let now = self.core.epoch.now(self.clock);
        let fallback = self.fallback(now);
        // Outside of all locks, because a custom policy runs user code.
        let rest = fallback.as_ref().map(|(entry, ..)| {
            let before = lock(&entry.rest).clone();
            Box::new(self.core.settings.rest(before.map(|before| *before), now))
        });
        let took = now.saturating_sub(self.began);
        // With a background refresh the caller already has its answer.
        let is_answered_by_it = matches!(fallback, Some((.., true))) && self.purpose != Purpose::RefreshInBackground;
        let key = self.remove_flight(
            // The earlier value may have been invalidated since it was read.
            |_, _, doubts| {
                fallback.as_ref().is_some_and(|(entry, ..)| doubts.concern(&entry.key, &entry.value, &entry.tags))
            },
            |counters| {
                counters.failed.count();
                counters.load_time.add(took);
                counters.stale_on_error.add(is_answered_by_it.into());
            },
            |_, _, key| {
                // Without the key the earlier value was replaced, and has no failed refresh.
                if let (Some((entry, ..)), Some(_)) = (&fallback, &key) {
                    *lock(&entry.rest) = rest;
                }
                key
            },
        );
        drop(key);
        self.end(|| match &fallback {
            Some((_, value, true)) => LoadOutcome::Stale(value.clone()),
            Some((_, value, false)) => LoadOutcome::Loaded(value.clone()),
            None => LoadOutcome::Failed(share()),
        });
        fallback.map(|(_, value, is_expired)| (value, is_expired))
    }

    /// Returns the entry and the value to serve after a failed load, and `true` if it has expired.
    #[allow(clippy::type_complexity)]
    fn fallback(&self, now: Nanos) -> Option<(Arc<Entry<K, V>>, V, bool)> {
        let Self { core, key, hash, .. } = self;
        if self.purpose == Purpose::Load && !core.settings.lifetime.get().may_serve_stale() {
            return None;
        }
        let shard = core.index.read(*hash);
        let entry = shard.find(*hash, key).filter(|_| self.flight.generation == shard.generation)?;
        let freshness = core.settings.lifetime.get().freshness(core.stamp(entry), now);
        if freshness == Freshness::Dead {
            return None;
        }
        let entry = Arc::clone(entry);
        drop(shard);
        if !core.settings.is_valid(&entry.key, &entry.value) {
            return None;
        }
        let value = if self.purpose == Purpose::RefreshInBackground {
            entry.value.clone() // The caller has its answer, so this does not count as a use.
        } else {
            core.served(&entry, now)
        };
        Some((entry, value, matches!(freshness, Freshness::Stale | Freshness::Expired)))
    }
}

impl<K: Eq + Hash, V> Drop for Leader<K, V> {
    fn drop(&mut self) {
        if !self.is_flight_removed {
            let is_load = !matches!(self.right, Right::Asked);
            let count = |counters: &Counters| counters.loads_abandoned.add(is_load.into());
            drop(self.remove_flight(|_, _, _| false, count, |_, _, key| key));
        }
        if !self.has_ended {
            self.end(|| LoadOutcome::Abandoned);
        }
    }
}
