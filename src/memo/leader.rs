//! The call that loads a value, for itself and for all that wait for it.

use super::{
    cacheable::Value,
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
    /// Whether its caller was served a value already.
    in_background: bool,
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
        in_background: bool,
    ) -> Self {
        let core = Arc::clone(core);
        Self { core, clock, key, hash, flight, began, in_background, has_departed: false, has_ended: false }
    }

    /// Runs some of the load, so that a call to itself is noticed.
    pub(crate) fn lead<T>(&self, run: impl FnOnce() -> T) -> T {
        flight::leading(&self.flight, run)
    }

    /// Takes the flight out of the map, so that no call can join it any more, and runs `act` under
    /// the same lock. `act` gets the key unless a clear, an invalidation or an insertion has
    /// removed the flight.
    fn depart<T>(
        &mut self,
        count: impl FnOnce(&Counters),
        act: impl FnOnce(&Core<K, V>, &mut Shard<K, V>, Option<K>) -> T,
    ) -> T {
        let Self { core, hash, flight, has_departed, .. } = self;
        let mut shard = core.index.write(*hash);
        *has_departed = true;
        if flight.generation == shard.generation {
            count(&core.counters);
        }
        let key = shard.take_this_flight(*hash, flight);
        act(core, &mut shard, key)
    }

    /// Tells the calls that joined, once its flight has left the map.
    fn end(&mut self, landing: impl FnOnce() -> Landing<V>) {
        self.flight.land(landing);
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
        let is_answered_by_it = matches!(fallback, Some((.., true))) && !self.in_background;
        let key = self.depart(
            |counters| {
                counters.failed.count();
                counters.load_time.add(took);
                counters.stale_on_error.add(is_answered_by_it.into());
            },
            |_, _, key| {
                // Not for a value that was put in place of the one that was refreshed.
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
        if !core.settings.lifetime.may_serve_stale() {
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
        let value = core.served(&entry, now);
        Some((entry, value, matches!(freshness, Freshness::Stale | Freshness::Expired)))
    }
}

impl<K: Eq + Hash, V> Drop for Leader<K, V> {
    fn drop(&mut self) {
        if !self.has_departed {
            drop(self.depart(|counters| counters.loads_abandoned.count(), |_, _, key| key));
        }
        if !self.has_ended {
            self.end(|| Landing::Abandoned);
        }
    }
}
