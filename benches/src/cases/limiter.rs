//! Limiters with free permits: the rate is so high that no thread uses all permits.

use super::subject::{beside, fetch, ratio};
use crate::{
    measure::{Pair, Side, within},
    target::Target,
};
use decor::prelude::*;
use governor::{
    Quota,
    clock::{Clock, MonotonicClock, QuantaClock},
};
use ratelimit::Ratelimiter;
use std::{
    cell::Cell,
    num::NonZeroU32,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};
use tokio::time::Instant;
use tower::ServiceBuilder;
use tower_resilience_ratelimiter::{RateLimiterLayer, WindowType};

/// A permit each nanosecond, with a burst of a second's permits.
const PACE: u32 = 1_000_000_000;
/// The limit and the period of the window. The window is short, so that its stamps stay in the
/// processor's cache.
pub(super) const WINDOW: (u32, Duration) = (10_000, Duration::from_micros(100));

pub(super) fn paced() -> Vec<Pair> {
    let limiter = RateLimiter::builder().paced(PACE, Duration::from_secs(1)).burst(PACE).build();
    let ours = Side::called(move |_| limiter.try_acquire().expect("a free permit"));
    let bucket =
        Ratelimiter::builder(PACE.into()).initial_available(PACE.into()).build().expect("the settings are valid");
    let ratelimit = Side::called(move |_| bucket.try_wait().expect("a free permit"));
    let mut quanta = Pair::new("governor, quanta", beside("quanta"), &ours, governed(QuantaClock::default()));
    if decor::HAS_FAST_CLOCK {
        quanta = quanta.target_on(1, Target::Ratio(1.45)).target_on(2, Target::Ratio(1.0));
    }
    vec![
        Pair::new("governor", beside("std"), &ours, governed(MonotonicClock))
            .target_on(1, Target::Ratio(1.06))
            .target_on(2, Target::Ratio(1.15)),
        quanta,
        Pair::new("ratelimit", beside("std"), &ours, ratelimit),
    ]
}

fn governed<C>(clock: C) -> Side
where
    C: Clock<Instant: Send + Sync + 'static> + Send + Sync + 'static,
{
    let pace = NonZeroU32::new(PACE).expect("the rate is positive");
    let limiter = governor::RateLimiter::direct_with_clock(Quota::per_second(pace), clock);
    Side::called(move |_| limiter.check().expect("a free permit"))
}

pub(super) fn exact() -> Vec<Pair> {
    let (limit, period) = WINDOW;
    let limiter = RateLimiter::new(limit, period);
    let around = fetch.rate_limited(&limiter);
    let ours = Side::called(move |_| limiter.try_acquire().expect("a free permit"));
    let ours_around = Side::awaited(move |id| around.call(id));

    // The same rate, because an interval must be at least a millisecond.
    let bucket = within(|| {
        let refill = limit as usize * 10;
        leaky_bucket::RateLimiter::builder().max(refill).initial(refill).refill(refill).interval(10 * period).build()
    });
    let leaky = Side::called(move |_| assert!(bucket.try_acquire(1), "a free permit"));
    let log = Side::service(ServiceBuilder::new().layer(sliding_log()).service_fn(fetch));
    vec![
        Pair::new("floor", beside("tokio"), &ours, Side::called(|_| floor())).target([Target::Ratio(1.25)]),
        Pair::new("leaky-bucket", beside("tokio"), &ours, leaky)
            .target_on(1, ratio(1.12, 0.6))
            .target_on(2, ratio(1.0, 0.6)),
        Pair::new("tower-resilience", beside("std"), &ours_around, log).target([Target::Ratio(1.0)]),
    ]
}

/// Returns the same window as a layer of tower.
pub(super) fn sliding_log() -> RateLimiterLayer {
    RateLimiterLayer::builder()
        .limit_for_period(WINDOW.0 as usize)
        .refresh_period(WINDOW.1)
        .window_type(WindowType::SlidingLog)
        .build()
        .expect("the settings are valid")
}

/// The minimal cost of a limiter with a clock: a clock read, and a compare-exchange without
/// contention.
fn floor() -> bool {
    thread_local! {
        static BEGUN: Instant = Instant::now();
        static STATE: (AtomicU64, Cell<u64>) = const { (AtomicU64::new(0), Cell::new(0)) };
    }
    let elapsed = BEGUN.with(Instant::elapsed);
    STATE.with(|(state, last)| {
        let now = u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX);
        state.compare_exchange(last.replace(now), now, Ordering::AcqRel, Ordering::Acquire).is_ok()
    })
}
