//! Randomness: seeds, and a small generator with a stable stream. The generator is decor's own,
//! because a dependency could change its stream in any release. `policy/` takes seeds as arguments.

use crate::sync::{Arc, AtomicU64, Ordering};
use std::hash::{BuildHasher, RandomState};

/// Returns an unpredictable seed, from the hash keys that std draws from the operating system.
pub(crate) fn entropy() -> u64 {
    RandomState::new().hash_one(0_u8)
}

/// A seed that gives every call a random stream of its own. The streams and their order are the
/// same on every run.
///
/// Clones share the count, so no two calls of one policy have the same seed.
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

    /// Takes the seed of the next call.
    pub(crate) fn take(&self) -> u64 {
        self.of_call(self.0.calls.fetch_add(1, Ordering::Relaxed))
    }

    /// Returns the seed of the next call, without taking it.
    pub(crate) fn peek(&self) -> u64 {
        self.of_call(self.0.calls.load(Ordering::Relaxed))
    }

    fn of_call(&self, call: u64) -> u64 {
        SplitMix64::new(self.0.seed ^ SplitMix64::new(call).next()).next()
    }
}

/// `SplitMix64` (Steele, Lea, Flood: *Fast Splittable Pseudorandom Number Generators*, 2014), with
/// the constants of Vigna's reference implementation. Unfit for secrets.
#[derive(Debug, Clone)]
pub(crate) struct SplitMix64(u64);

impl SplitMix64 {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_is_the_reference_implementations() {
        let mut random = SplitMix64::new(1_234_567);
        let drawn: Vec<u64> = std::iter::repeat_with(|| random.next()).take(3).collect();
        assert_eq!(drawn, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }
}
