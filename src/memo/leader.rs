//! The call that loads a value, for itself and for all that wait for it.

use super::{
    cacheable::Value,
    doubts::Doubts,
    failures::LoadFailure,
    flight::{self, Flight, Landing},
    index::{Entry, Shard},
    key::Key,
    state::Core,
    stats::Counters,
};
use crate::{
    clock::{Clock, Nanos},
    policy::Freshness,
    sync::{Arc, lock},
};
use std::hash::Hash;

/// The reason for a load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// There was no value to serve.
    Load,
    /// There was a value, and the caller waits for a new one.
    Refresh,
    /// The caller was served the value already.
    RefreshInBackground,
}

/// The call that loads a value.
///
/// Dropped before it has [landed](Self::land) or [failed](Self::fail), for whatever reason, it
/// lets the calls that joined try for themselves.
pub(crate) struct Leader<K: Eq + Hash, V> {
    core: Arc<Core<K, V>>,
    clock: Clock,
    key: K,
    hash: u64,
    flight: Arc<Flight<V>>,
    /// By `clock`.
    began: Nanos,
    purpose: Purpose,
    /// `true` if an invalidation concerns the load's value, which then is not kept.
    is_outdated: bool,
    /// Whether its flight has left the map, and its end has been counted.
    has_departed: bool,
    has_ended: bool,
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
        let (is_outdated, has_departed, has_ended) = (false, false, false);
        Self { core, clock, key, hash, flight, began, purpose, is_outdated, has_departed, has_ended }
    }

    /// Runs some of the load, so that a call to itself is noticed.
    pub(crate) fn lead<T>(&self, run: impl FnOnce() -> T) -> T {
        flight::leading(&self.flight, run)
    }

    /// Takes the flight out of the map, so that no call can join it any more, and runs `act` under
    /// the same lock. `act` gets the key unless a clear, an invalidation or an insertion has
    /// removed the flight, or an invalidation that was left with the flight concerns the value.
    /// `concern` tells of the latter, and runs before, outside of the lock.
    fn depart<T>(
        &mut self,
        concern: impl Fn(&Core<K, V>, &K, &Doubts<K, V>) -> bool,
        count: impl FnOnce(&Counters),
        act: impl FnOnce(&Core<K, V>, &mut Shard<K, V>, Option<K>) -> T,
    ) -> T {
        let Self { core, key, hash, flight, is_outdated, has_departed, .. } = self;
        let mut shard = core.index.write(*hash);
        while let Some(doubts) = shard.take_doubts(*hash, flight) {
            drop(shard);
            *is_outdated = *is_outdated || concern(core, key, &doubts);
            drop(doubts);
            shard = core.index.write(*hash);
        }
        *has_departed = true;
        if flight.generation == shard.generation {
            count(&core.counters);
        }
        let key = shard.take_this_flight(*hash, flight);
        // Without its flight in the map, invalidations may have been lost.
        *is_outdated = *is_outdated || key.is_none();
        let (key, refused) = if *is_outdated { (None, key) } else { (key, None) };
        let acted = act(core, &mut shard, key);
        drop(shard);
        drop(refused);
        acted
    }

    /// Tells the calls that joined, once its flight has left the map.
    fn end(&mut self, landing: impl FnOnce() -> Landing<V>) {
        self.flight.land(self.is_outdated, landing);
        self.has_ended = true; // not before: a value's `Clone` may panic
    }
}

impl<K: Key, V: Value> Leader<K, V> {
    /// Hands the value to the calls that joined. Keeps it unless a clear, an invalidation or an
    /// insertion came first.
    pub(crate) fn land(mut self, value: &V) {
        let now = self.core.epoch.now(self.clock);
        let decision = self.core.settings.decide(&self.key, value, now);
        let took = now.saturating_sub(self.began);
        let (hash, for_the_index) = (self.hash, value.clone());
        let put = self.depart(
            |core, key, doubts| doubts.concern(key, value, &core.settings.tags_of(key, value)),
            |counters| {
                counters.loaded.count();
                counters.load_time.add(took);
            },
            |core, shard, key| match key {
                Some(key) => Ok(core.put(shard, (hash, key, for_the_index), decision, now)),
                None => Err(for_the_index),
            },
        );
        match put {
            Ok(put) => self.core.settle(put, now),
            Err(value) => drop(value),
        }
        self.end(|| Landing::Loaded(value.clone()));
    }

    /// Ends a load without a value to keep. Returns the earlier value, if it may stand in, and
    /// whether it has expired.
    pub(crate) fn fail(mut self, share: impl FnOnce() -> LoadFailure) -> Option<(V, bool)> {
        let now = self.core.epoch.now(self.clock);
        let fallback = self.fallback(now);
        // Outside of all locks, because a custom policy runs code of the caller.
        let rest = fallback.as_ref().map(|(entry, ..)| {
            let before = lock(&entry.rest).clone();
            Box::new(self.core.settings.rest(before.map(|before| *before), now))
        });
        let took = now.saturating_sub(self.began);
        // With a background refresh the caller already has its answer.
        let is_answered_by_it = matches!(fallback, Some((.., true))) && self.purpose != Purpose::RefreshInBackground;
        let key = self.depart(
            // The earlier value was looked at before, and may have been invalidated since.
            |_, _, doubts| {
                fallback.as_ref().is_some_and(|(entry, ..)| doubts.concern(&entry.key, &entry.value, &entry.tags))
            },
            |counters| {
                counters.failed.count();
                counters.load_time.add(took);
                counters.stale_on_error.add(is_answered_by_it.into());
            },
            |_, _, key| {
                // A value that was put in place of the refreshed one has not failed.
                if let (Some((entry, ..)), Some(_)) = (&fallback, &key) {
                    *lock(&entry.rest) = rest;
                }
                key
            },
        );
        drop(key);
        self.end(|| match &fallback {
            Some((_, value, true)) => Landing::Stale(value.clone()),
            Some((_, value, false)) => Landing::Loaded(value.clone()),
            None => Landing::Failed(share()),
        });
        fallback.map(|(_, value, is_expired)| (value, is_expired))
    }

    /// The entry with the value to serve after a failed load, and whether it has expired.
    #[allow(clippy::type_complexity)]
    fn fallback(&self, now: Nanos) -> Option<(Arc<Entry<K, V>>, V, bool)> {
        let Self { core, key, hash, .. } = self;
        if self.purpose == Purpose::Load && !core.settings.lifetime.may_serve_stale() {
            return None;
        }
        let shard = core.index.read(*hash);
        let entry = shard.find(*hash, key).filter(|_| self.flight.generation == shard.generation)?;
        let freshness = core.settings.lifetime.freshness(core.stamp(entry), now);
        if freshness == Freshness::Dead {
            return None;
        }
        let entry = Arc::clone(entry);
        drop(shard);
        if !core.settings.is_valid(&entry.key, &entry.value) {
            return None;
        }
        let value = if self.purpose == Purpose::RefreshInBackground {
            entry.value.clone() // The caller has its answer, so this is no use of the value.
        } else {
            core.served(&entry, now)
        };
        Some((entry, value, matches!(freshness, Freshness::Stale | Freshness::Expired)))
    }
}

impl<K: Eq + Hash, V> Drop for Leader<K, V> {
    fn drop(&mut self) {
        if !self.has_departed {
            drop(self.depart(|_, _, _| false, |counters| counters.loads_abandoned.count(), |_, _, key| key));
        }
        if !self.has_ended {
            self.end(|| Landing::Abandoned);
        }
    }
}
