//! Where randomness comes from. What is done with it stands in `policy/`, and takes it as an argument.

use crate::{
    policy::SplitMix64,
    sync::{Arc, AtomicU64, Ordering},
};
use std::hash::{BuildHasher, RandomState};

/// A fresh seed that nobody can predict: std's per-map hash keys are drawn from the operating system.
pub(crate) fn entropy() -> u64 {
    RandomState::new().hash_one(0_u8)
}

/// A seed that gives every call a random stream of its own, and the same streams in the same order on every run.
///
/// Clones share the count, so that no two calls of one policy draw the same.
#[derive(Debug, Clone)]
pub(crate) struct CallSeeds(Arc<Counted>);

#[derive(Debug)]
struct Counted {
    seed: u64,
    calls: AtomicU64,
}

impl CallSeeds {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Arc::new(Counted { seed, calls: AtomicU64::new(0) }))
    }

    pub(crate) fn seed(&self) -> u64 {
        self.0.seed
    }

    /// The next call's, which is then taken.
    pub(crate) fn take(&self) -> u64 {
        self.of_call(self.0.calls.fetch_add(1, Ordering::Relaxed))
    }

    /// The next call's, left for that call.
    pub(crate) fn peek(&self) -> u64 {
        self.of_call(self.0.calls.load(Ordering::Relaxed))
    }

    fn of_call(&self, call: u64) -> u64 {
        SplitMix64::new(self.0.seed ^ SplitMix64::new(call).next()).next()
    }
}
