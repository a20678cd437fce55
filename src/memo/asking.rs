//! The question of a call to the tier, before the call loads.

use super::{cacheable::Value, key::Key, leader::Leader, promise::Promise, tier::Found};
use crate::layer::MemoOutcome;
use std::{
    future::Future,
    hash::Hash,
    pin::Pin,
    task::{Context, Poll},
};

/// A call that asks the tier, before it loads.
pub(crate) struct Asking<K: Eq + Hash, V> {
    leader: Leader<K, V>,
    promise: Promise<Found<V>>,
}

/// The end of an asking.
pub(crate) enum Asked<K: Eq + Hash, V> {
    Answered(V, MemoOutcome),
    Lead(Leader<K, V>),
}

impl<K: Key, V: Value> Leader<K, V> {
    /// Asks the tier; gives the leader back if there is none.
    pub(crate) fn ask(self) -> Result<Asking<K, V>, Self> {
        match self.tier() {
            Some(tier) => {
                let promise = tier.find(self.key());
                Ok(Asking { leader: self, promise })
            }
            None => Err(self),
        }
    }
}

impl<K: Key, V: Value> Asking<K, V> {
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Found<V>> {
        let promise = Pin::new(&mut self.promise);
        promise.poll(cx).map(|found| found.unwrap_or(Found::Alone))
    }

    pub(crate) fn take(self, found: Found<V>) -> Asked<K, V> {
        let mut leader = self.leader;
        match found {
            Found::Fresh { value, left } => {
                leader.found(&value, left);
                Asked::Answered(value, MemoOutcome::Hit)
            }
            Found::Stale(value) => {
                leader.found_stale(&value);
                Asked::Answered(value, MemoOutcome::Stale)
            }
            Found::Lead(lease) => {
                leader.holds(lease);
                Asked::Lead(leader)
            }
            Found::Alone => {
                leader.is_alone();
                Asked::Lead(leader)
            }
        }
    }
}
