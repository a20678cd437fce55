//! The contact of a call with a memo: the call is answered, waits for a load, or loads.

use super::{
    cacheable::Value,
    flight::{Flight, Joined},
    index::{Entry, Shard},
    key::Key,
    leader::{Leader, Purpose},
    state::Core,
};
use crate::{
    clock::{Clock, Nanos},
    layer::MemoOutcome,
    policy::Freshness,
    sync::{Arc, RwLockWriteGuard},
};
use std::hash::Hash;

/// The outcome of a call's contact with the memo.
pub(crate) enum Contact<K: Eq + Hash, V> {
    /// A value to return: a hit, or stale.
    Hit(V, MemoOutcome),
    /// Another call loads the value already.
    Join(K, Joined<V>),
    /// This call has to load the value.
    Lead(Leader<K, V>),
    /// A value to return, and a load to begin in the background.
    Refresh(V, MemoOutcome, Leader<K, V>),
}

impl<K: Key, V: Value> Core<K, V> {
    /// Second half of a call's first contact, after [`look_up`](Self::look_up) missed. With
    /// `in_background`, the caller does not wait for a refresh.
    pub(crate) fn contact(self: &Arc<Self>, clock: Clock, key: K, in_background: bool) -> Contact<K, V> {
        let hash = self.index.hash(&key);
        if let Some(joined) = self.join_vacant(hash, &key) {
            self.counters.coalesced.count();
            return Contact::Join(key, joined);
        }
        let now = self.epoch.now(clock);
        self.sweep(now);
        let contact = self.contact_at(now, clock, (hash, key), in_background);
        match &contact {
            Contact::Hit(_, MemoOutcome::Stale) | Contact::Refresh(_, MemoOutcome::Stale, _) => {
                self.counters.expired_hits.count();
            }
            Contact::Hit(..) | Contact::Refresh(..) => {
                self.counters.fresh_hits.count();
            }
            Contact::Lead(_) => self.counters.misses.count(),
            Contact::Join(..) => self.counters.coalesced.count(),
        }
        contact
    }

    /// A later contact of the same call, which is not counted: the load that the call waited for
    /// has come to nothing.
    pub(crate) fn contact_again(self: &Arc<Self>, clock: Clock, key: K, in_background: bool) -> Contact<K, V> {
        let hash = self.index.hash(&key);
        self.contact_at(self.epoch.now(clock), clock, (hash, key), in_background)
    }

    /// Joins the load of a key that has no entry. Neither the clock is read nor anything swept,
    /// because a crowd of callers that join is to cost little, and their leader has swept.
    fn join_vacant(&self, hash: u64, key: &K) -> Option<Joined<V>> {
        let shard = self.index.read(hash);
        let flight = shard.flight(hash, key)?;
        if shard.find(hash, key).is_some() {
            return None;
        }
        let joined = Joined::new(&flight.flight, flight.is_doubted);
        drop(shard);
        joined.panic_on_recursion();
        Some(joined)
    }

    fn contact_at(
        self: &Arc<Self>,
        now: Nanos,
        clock: Clock,
        (hash, key): (u64, K),
        in_background: bool,
    ) -> Contact<K, V> {
        let counters = &self.counters;
        let (mut shard, entry, is_valid) = self.lock_judged(hash, &key);
        let freshness =
            entry.as_ref().map(|entry| if is_valid { self.freshness_at_rest(now, entry) } else { Freshness::Dead });
        let is_stale = matches!(freshness, Some(Freshness::Stale | Freshness::Resting));
        let outcome = if is_stale { MemoOutcome::Stale } else { MemoOutcome::Hit };
        let is_refreshed = !matches!(freshness, Some(Freshness::Fresh | Freshness::Resting));
        let is_servable = is_stale || matches!(freshness, Some(Freshness::Fresh | Freshness::Due));
        let servable = entry.as_ref().filter(|_| is_servable);
        let flight = shard.flight(hash, &key);
        if let Some(entry) = servable.filter(|_| flight.is_some() || !is_refreshed) {
            counters.stale_hits.add(is_stale.into());
            drop(shard);
            return Contact::Hit(self.served(entry, now), outcome);
        }
        if let Some(flight) = flight {
            let joined = Joined::new(&flight.flight, flight.is_doubted);
            drop(shard);
            joined.panic_on_recursion();
            return Contact::Join(key, joined);
        }
        if let (Some(entry), Some(Freshness::Dead)) = (&entry, freshness) {
            shard.take_by_id(entry.id);
            self.forget(entry);
            counters.expirations.count();
        }
        let flight = Arc::new(Flight::new(shard.generation));
        shard.open_flight(hash, key.clone(), Arc::clone(&flight));
        // With a tier, the caller asks it first, and the load begins afterwards.
        let has_tier = self.settings.closures.tier.is_some();
        let in_background = in_background && is_servable && !has_tier;
        counters.loads_begun.add((!has_tier).into());
        counters.refreshes.add(is_servable.into());
        counters.refreshes_ahead.add((is_servable && !is_stale).into());
        counters.stale_hits.add((in_background && is_stale).into());
        drop(shard);
        let purpose = match (is_servable, in_background) {
            (false, _) => Purpose::Load,
            (true, false) => Purpose::Refresh,
            (true, true) => Purpose::RefreshInBackground,
        };
        let leader = Leader::new(self, (clock, now), (hash, key), flight, purpose);
        match servable {
            Some(entry) if in_background => Contact::Refresh(self.served(entry, now), outcome, leader),
            _ => Contact::Lead(leader),
        }
    }

    /// Locks the key's shard, and returns the key's entry with the verdict of
    /// [`valid_while`](crate::MemoBuilder::valid_while). The closure is asked outside of the lock,
    /// and again if the entry was replaced meanwhile.
    #[allow(clippy::type_complexity)] // taken apart at once
    fn lock_judged(&self, hash: u64, key: &K) -> (RwLockWriteGuard<'_, Shard<K, V>>, Option<Arc<Entry<K, V>>>, bool) {
        let mut judged = None;
        loop {
            let shard = self.index.write(hash);
            match (&self.settings.closures.valid_while, shard.find(hash, key).cloned()) {
                (Some(is_valid), Some(entry)) if judged.is_none_or(|(id, _)| id != entry.id) => {
                    drop(shard);
                    judged = Some((entry.id, is_valid(&entry.key, &entry.value)));
                }
                (_, entry) => return (shard, entry, judged.is_none_or(|(_, is_valid)| is_valid)),
            }
        }
    }
}
