//! Invalidations by value or tag, and their effect on loads under way.
//!
//! A load under way has no value yet that an invalidation could match. The invalidation is
//! therefore stored with the load's flight, and is matched against the value when the load ends. A
//! value that matches answers only the calls that joined before the invalidation, and is not kept.

use super::settings::Tag;
use crate::sync::Arc;
use std::collections::HashSet;

/// Maximum number of invalidations that are stored with a load. With one more, the load's flight is
/// removed, so that a load that hangs does not collect invalidations without bound.
const MAX_DOUBTS: usize = 1_000;

pub(super) type Predicate<K, V> = Arc<dyn Fn(&K, &V) -> bool + Send + Sync>;

/// An invalidation of all values that match.
pub(super) enum Invalidation<'a, K, V> {
    Where(&'a Predicate<K, V>),
    Tag(&'a str),
}

impl<K, V> Invalidation<'_, K, V> {
    pub(super) fn concerns(&self, key: &K, value: &V, tags: &[Tag]) -> bool {
        match self {
            Self::Where(is_it) => is_it(key, value),
            Self::Tag(tag) => tags.iter().any(|other| **other == **tag),
        }
    }
}

/// The invalidations since a load began that its value has not been matched against.
pub(super) struct Doubts<K, V> {
    predicates: Vec<Predicate<K, V>>,
    tags: HashSet<Tag>,
}

impl<K, V> Default for Doubts<K, V> {
    fn default() -> Self {
        Self { predicates: Vec::new(), tags: HashSet::new() }
    }
}

impl<K, V> Doubts<K, V> {
    /// Adds an invalidation. Returns `false` if there are too many.
    pub(super) fn add(&mut self, invalidation: &Invalidation<'_, K, V>) -> bool {
        match *invalidation {
            Invalidation::Where(predicate) => self.predicates.push(Arc::clone(predicate)),
            Invalidation::Tag(tag) => _ = self.tags.insert(tag.into()),
        }
        self.predicates.len() + self.tags.len() <= MAX_DOUBTS
    }

    pub(super) fn concern(&self, key: &K, value: &V, tags: &[Tag]) -> bool {
        tags.iter().any(|tag| self.tags.contains(tag)) || self.predicates.iter().any(|is_it| is_it(key, value))
    }
}
