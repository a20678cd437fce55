//! Whole chains. The peer has no layers for `logged` and `timed`, so its stack lacks them.

use super::{
    limiter::{WINDOW, sliding_log},
    subject::{DELAY, SECOND, TTL, beside, fetch, ratio},
};
use crate::{
    measure::{Pair, Side},
    target::Target,
};
use decor::{ConcurrencyLimiter, prelude::*};
use std::io;
use tower::ServiceBuilder;
use tower_resilience_bulkhead::BulkheadLayer;
use tower_resilience_cache::CacheLayer;
use tower_resilience_circuitbreaker::CircuitBreakerLayer;
use tower_resilience_fallback::FallbackLayer;
use tower_resilience_ratelimiter::RateLimiterServiceError;
use tower_resilience_retry::RetryLayer;
use tower_resilience_timelimiter::TimeLimiterLayer;

type RetryAround = RetryLayer<u64, u64, RateLimiterServiceError<io::Error>>;

const KEYS: u64 = 1_000;
/// More than the calls that run at once.
const PERMITS: u32 = 100;

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

pub(super) fn six() -> Vec<Pair> {
    let chain = fetch
        .timeout(SECOND)
        .guarded_by(&CircuitBreaker::consecutive(5))
        .concurrency_limited(&ConcurrencyLimiter::new(PERMITS))
        .retry_with(RetryPolicy::exponential(DELAY))
        .timeout(10 * SECOND)
        .fallback(async |_: io::Error, id: u64| Ok(id));
    let ours = Side::awaited(move |id| chain.call(id));
    let breaker = CircuitBreakerLayer::builder()
        .failure_rate_threshold(0.5)
        .sliding_window_size(20)
        .build()
        .expect("the settings are valid");
    let bulkhead =
        BulkheadLayer::builder().max_concurrent_calls(PERMITS as usize).build().expect("the settings are valid");
    let stack = ServiceBuilder::new()
        .layer(FallbackLayer::from_request_error(|id: &u64, _| *id))
        .layer(TimeLimiterLayer::builder().timeout_duration(10 * SECOND).build())
        .layer(RetryLayer::builder().max_attempts(3).exponential_backoff(DELAY).build())
        .layer(bulkhead)
        .layer(breaker)
        .layer(TimeLimiterLayer::builder().timeout_duration(SECOND).build())
        .service_fn(fetch);
    vec![
        Pair::new("bare call", "none", &ours, Side::awaited(fetch)).target([Target::Plus(100.0), Target::NoAllocation]),
        Pair::new("tower-resilience", "none / std, tokio", &ours, Side::service(stack)).target([Target::Ratio(0.2)]),
    ]
}
