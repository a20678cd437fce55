//! Statistics as JSON.

use super::{ms, secs};
use decor::{
    Chaos, CircuitBreaker, CircuitState, ConcurrencyLimiter, Fault, Hedge, Memo, RateLimiter, RetryBudget, prelude::*,
};
use serde_json::json;

fn json(stats: impl serde::Serialize) -> serde_json::Value {
    serde_json::to_value(stats).unwrap()
}

#[tokio::test(start_paused = true)]
async fn of_a_rate_limiter() {
    let limiter = RateLimiter::new(1, secs(1));
    limiter.acquire().await;
    limiter.acquire().await;
    limiter.try_acquire().unwrap_err();
    assert_eq!(
        json(limiter.stats()),
        json!({
            "admitted": 2, "delayed": 1, "refused": 1, "cancelled": 0, "skipped": 0, "waiting": 0,
            "total_wait_seconds": 1.0, "charged": [0, 0, 0, 0], "refunded": [0, 0, 0, 0],
            "asks": 0, "lapsed": 0, "admitted_alone": 0, "is_up": true,
        })
    );
}

#[tokio::test(start_paused = true)]
async fn of_a_memo() {
    let memo: Memo<u64, u64> = Memo::builder().capacity(7).build();
    let load = async |n: u64| {
        tokio::time::sleep(ms(250)).await;
        n
    };
    let load = load.memoized(&memo);
    load.call(1).await;
    load.call(1).await;
    assert_eq!(
        json(memo.stats()),
        json!({
            "hits": 1, "misses": 1, "coalesced": 0, "loads": 1, "loading": 0, "load_failures": 0,
            "loads_abandoned": 0, "refreshes": 0, "refreshes_ahead": 0, "stale_hits": 0, "stale_on_error": 0,
            "expirations": 0, "evictions": 0, "entries": 1, "capacity": 7, "total_load_time_seconds": 0.25,
            "tier_hits": 0, "tier_waits": 0, "tier_refused": 0, "undecodable": 0, "tier_is_up": false,
        })
    );
}

#[test]
fn of_all_others() {
    let breaker = CircuitBreaker::consecutive(1);
    breaker.enter().unwrap().failed();
    assert_eq!(
        json(breaker.stats()),
        json!({
            "succeeded": 0, "failed": 1, "slow": 0, "ignored": 0, "late": 0, "refused": 0, "opened": 1,
        })
    );
    let states = [CircuitState::Closed, CircuitState::Open, CircuitState::HalfOpen, CircuitState::Isolated];
    assert_eq!(json(states), json!(states.map(|state| state.to_string())));

    let limiter = ConcurrencyLimiter::new(3);
    let permit = limiter.try_acquire().unwrap();
    assert_eq!(
        json(limiter.stats()),
        json!({
            "admitted": 1, "delayed": 0, "refused": 0, "cancelled": 0, "grown": 0, "shrunk": 0, "waiting": 0,
            "in_use": 1, "limit": 3,
        })
    );
    drop(permit);

    assert_eq!(
        json(RetryBudget::new(0.1).stats()),
        json!({ "deposits": 0, "withdrawals": 0, "returns": 0, "refusals": 0, "balance": 10.0 })
    );
    let counts =
        |delay| json!({ "calls": 0, "hedges": 0, "wins": 0, "over_budget": 0, "samples": 0, "delay_seconds": delay });
    assert_eq!(json(Hedge::after(ms(50)).stats()), counts(json!(0.05)));
    assert_eq!(json(Hedge::percentile(0.95).stats()), counts(json!(null)));
    assert_eq!(json(Chaos::script([Fault::Fail]).stats()), json!({ "calls": 0, "failed": 0, "slowed": 0, "hung": 0 }));
}
