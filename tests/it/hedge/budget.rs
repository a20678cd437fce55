//! Hedges that a budget pays for.

use super::script::{Failure, HANGS, Script, Step, Success};
use crate::support::{ms, secs};
use decor::{Hedge, RetryBudget, prelude::*};
use futures::FutureExt as _;
use std::{future::ready, panic::AssertUnwindSafe};
use tokio::time::timeout;

fn hedge(budget: &RetryBudget) -> Hedge {
    Hedge::after(ms(50)).max_calls(3).budget(budget)
}

#[tokio::test(start_paused = true)]
async fn a_hedge_takes_1_before_it_starts() {
    let budget = RetryBudget::new(0.0).capacity(2).per_second(0.000_001);
    let hedge = hedge(&budget);
    let script = Script::new(&[(HANGS, Success), (20, Success)]);
    assert_eq!(script.function().hedged(&hedge).call(7).await, Ok(2));
    let stats = budget.stats();
    assert_eq!((stats.withdrawals, stats.returns, stats.refusals, stats.deposits), (1, 0, 0, 1));
    assert_eq!((hedge.stats().hedges, hedge.stats().over_budget), (1, 0));
}

/// failsafe-go#141: an empty budget ended the hedges that were running.
#[tokio::test(start_paused = true)]
async fn an_empty_budget_starts_no_hedge_and_ends_none() {
    let budget = RetryBudget::new(0.1).capacity(1);
    let hedge = hedge(&budget);
    let script = Script::new(&[(HANGS, Success), (400, Success)]);
    assert_eq!(script.function().hedged(&hedge).call(7).await, Ok(2));
    assert_eq!((script.elapsed(), script.calls()), (ms(450), 2), "the third call found the budget empty");
    assert_eq!((hedge.stats().hedges, hedge.stats().over_budget, hedge.stats().wins), (1, 1, 1));
    // The next call has a tenth of what a hedge costs, and goes on alone.
    let script = Script::new(&[(500, Success)]);
    assert_eq!(script.function().hedged(&hedge).call(7).await, Ok(1));
    assert_eq!((script.calls(), hedge.stats().over_budget, budget.stats().refusals), (1, 2, 2));
    // So does one that fails.
    let script = Script::new(&[(500, Failure)]);
    assert_eq!(script.function().hedged(&hedge).call(7).await, Err("1".into()));
    assert_eq!((script.calls(), budget.stats().deposits), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn each_success_pays_once() {
    let budget = RetryBudget::new(0.5);
    let hedge = hedge(&budget);
    (|n: u64| ready(Ok::<_, String>(n))).hedged(&hedge).call(7).await.unwrap();
    (|_: u64| ready(Err::<u64, _>("no"))).hedged(&hedge).call(7).await.unwrap_err();
    let of = |steps: &[Step]| Script::new(steps).function().hedged(&hedge).call(7);
    of(&[(10, Success)]).await.unwrap();
    of(&[(HANGS, Success), (10, Success)]).await.unwrap();
    of(&[(60, Failure), (10, Failure)]).await.unwrap_err();
    assert_eq!((budget.stats().deposits, budget.stats().withdrawals), (3, 2));
}

/// The hedge waits for a permit, and the first call ends before.
#[tokio::test(start_paused = true)]
async fn a_hedge_that_never_began_is_given_back() {
    let budget = RetryBudget::new(0.0).per_second(0.000_001);
    let limiter = RateLimiter::new(1, secs(1));
    let hedge = Hedge::after(ms(50)).budget(&budget);
    let script = Script::new(&[(500, Success)]);
    let chain = script.function().rate_limited(&limiter).hedged(&hedge);
    assert_eq!(chain.call(7).await, Ok(1));
    assert_eq!((budget.stats().withdrawals, budget.stats().returns), (1, 1));

    // A hedge that began is not, even if it loses.
    tokio::time::sleep(secs(9)).await;
    let script = Script::new(&[(1_500, Success)]);
    let chain = script.function().rate_limited(&limiter).hedged(&hedge);
    assert_eq!(chain.call(7).await, Ok(1));
    assert_eq!((script.calls(), budget.stats().withdrawals, budget.stats().returns), (2, 2, 1));

    // Nor is the hedge of a call that the caller drops.
    tokio::time::sleep(secs(9)).await;
    let script = Script::new(&[]);
    let chain = script.function().rate_limited(&limiter).hedged(&hedge);
    assert!(timeout(ms(500), chain.call(7)).await.is_err());
    assert_eq!((script.calls(), budget.stats().withdrawals, budget.stats().returns), (1, 3, 2));
}

#[tokio::test(start_paused = true)]
async fn a_hedge_that_a_limiter_refuses_is_given_back_at_once() {
    let budget = RetryBudget::new(0.1);
    let limiter = RateLimiter::new(1, secs(1));
    let script = Script::new(&[(300, Success)]);
    let chain = script.fallible().try_rate_limited(&limiter).hedged(Hedge::after(ms(50)).budget(&budget));
    let call = chain.call(7);
    let (answer, at_100_ms) = tokio::join!(call, async {
        tokio::time::sleep(ms(100)).await;
        budget.stats()
    });
    assert_eq!(answer, Ok(1));
    assert_eq!((at_100_ms.withdrawals, at_100_ms.returns), (1, 1));
}

/// A function that panics when it is called has been called.
#[tokio::test(start_paused = true)]
async fn a_hedge_that_panics_has_begun() {
    let budget = RetryBudget::new(0.1);
    let calls = std::cell::Cell::new(0);
    let function = |_: u64| {
        calls.set(calls.get() + 1);
        assert!(calls.get() < 2, "boom");
        std::future::pending::<Result<u64, String>>()
    };
    let limiter = RateLimiter::new(9, secs(1));
    let hedge = Hedge::after(ms(50)).budget(&budget);
    let call = function.hedged(&hedge).call(7);
    assert!(AssertUnwindSafe(call).catch_unwind().await.is_err());
    calls.set(0);
    let call = function.rate_limited(&limiter).hedged(&hedge).call(7);
    assert!(AssertUnwindSafe(call).catch_unwind().await.is_err());
    assert_eq!((budget.stats().withdrawals, budget.stats().returns), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn retries_and_hedges_share_a_budget() {
    let budget = RetryBudget::new(0.0).capacity(2).per_second(0.000_001);
    let script = Script::new(&[(60, Failure), (20, Failure), (60, Failure), (0, Success)]);
    let chain = script
        .function()
        .hedged(Hedge::after(ms(50)).budget(&budget))
        .retry_with(RetryPolicy::fixed(secs(1)))
        .budgeted(&budget);
    assert_eq!(chain.call(7).await, Err("3".into()));
    // One for the hedge, one for the retry. The second attempt has no hedge, and no retry follows.
    assert_eq!((script.calls(), budget.stats().withdrawals, budget.stats().refusals), (3, 2, 2));
}
