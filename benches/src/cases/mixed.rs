//! Memos: hits on keys of different popularity, and some new keys among them.

use super::subject::{TTL, beside, fetch};
use crate::measure::{Pair, Side};
use cached::macros::concurrent_cached;
use decor::prelude::*;
use std::{cell::Cell, io};

/// Number of keys that are asked for again and again.
const KEYS: u64 = 900;
/// Room for those keys and some new ones. Each load beyond evicts a value.
const CAPACITY: u16 = 1_000;

#[concurrent_cached(max_size = 1_000, ttl_secs = 300)]
async fn cached_fetch(id: u64) -> Result<u64, io::Error> {
    fetch(id).await
}

pub(super) fn one() -> Vec<Pair> {
    mixed::<1>()
}

pub(super) fn ten() -> Vec<Pair> {
    mixed::<10>()
}

pub(super) fn hundred() -> Vec<Pair> {
    mixed::<100>()
}

/// Makes calls of which `NEW` in 1,000 ask for a key that is new.
fn mixed<const NEW: u64>() -> Vec<Pair> {
    let memo: Memo<u64, u64> = Memo::builder().ttl(TTL).capacity(CAPACITY.into()).build();
    let moka = moka::sync::Cache::builder().time_to_live(TTL).max_capacity(CAPACITY.into()).build();
    let quick = quick_cache::sync::Cache::new(CAPACITY.into());
    let remembered = fetch.memoized(&memo);
    let ours = Side::called(move |_| {
        let key = key::<NEW>();
        memo.get(&key).unwrap_or_else(|| {
            memo.insert(key, key);
            key
        })
    });
    let ours_around = Side::awaited(move |_| remembered.call(key::<NEW>()));
    let moka = Side::called(move |_| {
        let key = key::<NEW>();
        moka.get(&key).unwrap_or_else(|| {
            moka.insert(key, key);
            key
        })
    });
    let quick = Side::called(move |_| {
        let key = key::<NEW>();
        quick.get(&key).unwrap_or_else(|| {
            quick.insert(key, key);
            key
        })
    });
    vec![
        Pair::new("moka", beside("std"), &ours, moka),
        Pair::new("quick_cache", beside("none"), &ours, quick),
        Pair::new("cached", beside("std"), &ours_around, Side::awaited(|_| cached_fetch(key::<NEW>()))),
    ]
}

/// The key of this thread's next call. The smaller of two random numbers, so that small keys come
/// more often than large ones.
fn key<const NEW: u64>() -> u64 {
    thread_local! {
        static CALLS: Cell<u64> = const { Cell::new(0) };
    }
    let call = CALLS.replace(CALLS.get() + 1);
    if call.is_multiple_of(1_000 / NEW) {
        return KEYS + call;
    }
    // A multiplicative hash, with the multiplier of Knuth's MMIX. Its upper bits are good enough.
    let random = call.wrapping_mul(6_364_136_223_846_793_005);
    (random >> 32).wrapping_rem(KEYS).min((random >> 16).wrapping_rem(KEYS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_new_as_often_as_said_and_small_ones_come_more_often() {
        let keys: Vec<_> = (0..100_000).map(|_| key::<10>()).collect();
        assert_eq!(keys.iter().filter(|key| **key >= KEYS).count(), 1_000);
        let (small, large) = (0..KEYS / 3, KEYS - KEYS / 3..KEYS);
        let often = |keys_of: std::ops::Range<u64>| keys.iter().filter(|key| keys_of.contains(key)).count();
        assert!(often(small) > 3 * often(large));
    }
}
