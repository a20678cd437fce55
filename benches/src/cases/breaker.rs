//! A circuit breaker that is closed, with calls that succeed.

use super::subject::{SECOND, fetch};
use crate::{
    measure::{Pair, Side},
    target::Target,
};
use decor::prelude::*;
use failsafe::{backoff, failure_policy, futures::CircuitBreaker as _};
use recloser::{AsyncRecloser, Recloser};
use tower::ServiceBuilder;
use tower_resilience_circuitbreaker::CircuitBreakerLayer;

/// Number of failures in a row that opens the circuit.
const FAILURES: u32 = 5;
/// Number of calls in the windows of peers without rows of failures.
const CALLS: usize = 20;

pub(super) fn closed() -> Vec<Pair> {
    let guarded = fetch.guarded_by(&CircuitBreaker::consecutive(FAILURES));
    let ours = Side::awaited(move |id| guarded.call(id));
    vec![
        Pair::new("bare", "none", &ours, Side::awaited(fetch)).target([Target::Plus(20.0), Target::NoAllocation]),
        Pair::new("recloser", "none / quanta", &ours, recloser()).target([Target::Ratio(1.0)]),
        Pair::new("failsafe", "none / std", &ours, failsafe()).target([Target::Ratio(1.0)]),
        Pair::new("tower-resilience", "none / std", &ours, tower_resilience()).target([Target::Ratio(1.0)]),
    ]
}

pub(super) fn rate() -> Vec<Pair> {
    let guarded = fetch.guarded_by(&CircuitBreaker::rate(0.5, 30 * SECOND));
    let ours = Side::awaited(move |id| guarded.call(id));
    // A clock read beyond the bare call.
    let clock = Side::awaited(|id| async move {
        std::hint::black_box(tokio::time::Instant::now());
        fetch(id).await
    });
    vec![Pair::new("a clock read", "tokio", &ours, clock).target([Target::Plus(45.0), Target::NoAllocation])]
}

fn recloser() -> Side {
    let breaker = AsyncRecloser::from(Recloser::custom().error_rate(0.5).closed_len(CALLS).build());
    Side::awaited(move |id| breaker.call(fetch(id)))
}

fn failsafe() -> Side {
    let delays = backoff::constant(30 * SECOND);
    let policy = failure_policy::consecutive_failures(FAILURES, delays);
    let breaker = failsafe::Config::new().failure_policy(policy).build();
    Side::awaited(move |id| {
        let breaker = breaker.clone();
        async move { breaker.call(fetch(id)).await }
    })
}

fn tower_resilience() -> Side {
    let layer = CircuitBreakerLayer::builder()
        .failure_rate_threshold(0.5)
        .sliding_window_size(CALLS)
        .build()
        .expect("the settings are valid");
    Side::service(ServiceBuilder::new().layer(layer).service_fn(fetch))
}
