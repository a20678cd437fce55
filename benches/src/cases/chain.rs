//! Whole chains. The peer has no layers for `logged` and `timed`, so its stack lacks them.

use super::{
    limiter::{WINDOW, sliding_log},
    subject::{DELAY, SECOND, TTL, beside, fetch, ratio},
};
use crate::{
    measure::{Pair, Side},
    target::Target,
};
use decor::prelude::*;
use std::io;
use tower::ServiceBuilder;
use tower_resilience_cache::CacheLayer;
use tower_resilience_ratelimiter::RateLimiterServiceError;
use tower_resilience_retry::RetryLayer;
use tower_resilience_timelimiter::TimeLimiterLayer;

type RetryAround = RetryLayer<u64, u64, RateLimiterServiceError<io::Error>>;

const KEYS: u64 = 1_000;

pub(super) fn chain() -> Vec<Pair> {
    let limiter = RateLimiter::new(WINDOW.0, WINDOW.1);
    let chain = fetch
        .rate_limited(&limiter)
        .retry_with(RetryPolicy::exponential(DELAY))
        .timeout(10 * SECOND)
        .logged()
        .timed("fetch");
    let ours = Side::awaited(move |id| chain.call(id));
    let stack = ServiceBuilder::new()
        .layer(TimeLimiterLayer::builder().timeout_duration(10 * SECOND).build())
        .layer(RetryAround::builder().max_attempts(3).exponential_backoff(DELAY).build())
        .layer(sliding_log())
        .service_fn(fetch);
    vec![
        Pair::new("tower-resilience", beside("std, tokio"), &ours, Side::service(stack))
            .target([ratio(0.2, 0.17), Target::NoAllocation]),
    ]
}

pub(super) fn hit() -> Vec<Pair> {
    let limiter = RateLimiter::new(WINDOW.0, WINDOW.1);
    let memo: Memo<u64, u64> = Memo::builder().ttl(TTL).capacity(10 * KEYS).build();
    let chain = fetch
        .rate_limited(&limiter)
        .retry_with(RetryPolicy::exponential(DELAY))
        .timeout(10 * SECOND)
        .memoized(&memo)
        .logged()
        .timed("fetch");
    let ours = Side::awaited(move |id| chain.call(id % KEYS));
    let cache = CacheLayer::builder()
        .max_size(10 * usize::try_from(KEYS).expect("the capacity is small"))
        .ttl(TTL)
        .key_extractor(|id: &u64| id % KEYS)
        .build()
        .expect("the settings are valid");
    let stack = ServiceBuilder::new()
        .layer(cache)
        .layer(TimeLimiterLayer::builder().timeout_duration(10 * SECOND).build())
        .layer(RetryAround::builder().max_attempts(3).exponential_backoff(DELAY).build())
        .layer(sliding_log())
        .service_fn(fetch);
    let theirs = Side::service(stack);
    ours.run(KEYS);
    theirs.run(KEYS);
    vec![Pair::new("tower-resilience", beside("std"), &ours, theirs).target([ratio(0.8, 0.6)])]
}
