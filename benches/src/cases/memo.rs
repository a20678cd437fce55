//! Memos: hits, and a thousand callers of a missing key.

use super::subject::{TTL, beside, fetch, fetch_later, ratio};
use crate::{
    measure::{Pair, Side, within},
    target::Target,
};
use cached::macros::{cached, concurrent_cached};
use decor::prelude::*;
use futures::future::join_all;
use std::{
    hint::black_box,
    io,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

/// Number of keys. All are present, and are asked for in turns.
const KEYS: u64 = 1_000;
const CAPACITY: u64 = 10_000;
/// Number of simultaneous callers of a key.
const CALLERS: usize = 1_000;

/// The sharded cache, which cached's documentation advises for many callers.
#[concurrent_cached(max_size = 10_000, ttl_secs = 300)]
async fn cached_fetch(id: u64) -> Result<u64, io::Error> {
    fetch(id).await
}

#[cached(max_size = 10_000, ttl_secs = 300, sync_writes = "by_key")]
async fn cached_fetch_later(id: u64) -> Result<u64, io::Error> {
    fetch_later(id).await
}

pub(super) fn hit() -> Vec<Pair> {
    let memo: Memo<u64, u64> = Memo::builder().ttl(TTL).capacity(CAPACITY).build();
    let moka = moka::sync::Cache::builder().time_to_live(TTL).max_capacity(CAPACITY).build();
    let cachet: cachet::Cache<u64, u64> =
        within(|| cachet::Cache::builder(tick::Clock::new_tokio()).memory().ttl(TTL).build());
    let cachet: &'static cachet::Cache<u64, u64> = Box::leak(Box::new(cachet));
    let fill = Side::awaited(move |id| async move { cachet.insert(id, id).await.expect("no error") });
    fill.run(KEYS);
    Side::awaited(cached_fetch).run(KEYS);
    for id in 0..KEYS {
        memo.insert(id, id);
        moka.insert(id, id);
    }
    let remembered = fetch.memoized(&memo);
    let ours = Side::called(move |id| memo.get(&(id % KEYS)).expect("a hit"));
    let ours_around = Side::awaited(move |id| remembered.call(id % KEYS));
    let moka = Side::called(move |id| moka.get(&(id % KEYS)).expect("a hit"));
    let cachet =
        Side::awaited(move |id| async move { cachet.get(&(id % KEYS)).await.expect("no error").expect("a hit") });
    vec![
        Pair::new("moka", beside("std"), &ours, moka).target([ratio(0.4, 0.2)]),
        Pair::new("cached", beside("std"), &ours_around, Side::awaited(|id| cached_fetch(id % KEYS)))
            .target_on(1, ratio(1.1, 0.6))
            .target_on(2, ratio(0.8, 0.6)),
        Pair::new("cachet", beside("tick"), &ours_around, cachet),
    ]
}

/// Makes one call for all callers of a key.
pub(super) fn cold() -> Vec<Pair> {
    let memo: Memo<u64, u64> = Memo::builder().ttl(TTL).capacity(CAPACITY).build();
    let remembered = fetch_later.memoized(&memo);
    let ours = crowd(move |key| remembered.call(key));
    let cache = moka::future::Cache::builder().time_to_live(TTL).max_capacity(CAPACITY).build();
    let cache: &'static moka::future::Cache<u64, u64> = Box::leak(Box::new(cache));
    let moka = crowd(|key| cache.try_get_with(key, fetch_later(key)));
    vec![
        Pair::new("moka", beside("std"), &ours, moka).target([Target::Ratio(1.0)]),
        Pair::new("cached", beside("std"), &ours, crowd(cached_fetch_later)).target([Target::Ratio(1.0)]),
    ]
}

fn crowd<F: Future>(call: impl Fn(u64) -> F + Clone + Send + Sync + 'static) -> Side {
    static KEY: AtomicU64 = AtomicU64::new(0);
    Side::awaited(move |_| {
        let key = KEY.fetch_add(1, Relaxed);
        let callers: Vec<_> = (0..CALLERS).map(|_| call(key)).collect();
        async { black_box(join_all(callers).await) }
    })
}
