//! Hints: an error may say how long to wait.

use super::counted;
use crate::support::{ms, secs};
use decor::prelude::*;
use std::{cell::Cell, future::ready, time::Duration};
use tokio::time::Instant;

async fn hinted(policy: RetryPolicy, hint: Duration) -> (u32, Duration) {
    let calls = Cell::new(0);
    let begun = Instant::now();
    let retried = counted(&calls).retry_with(policy).retry_after(|_: &&str| Some(hint));
    retried.await.unwrap_err();
    (calls.get(), begun.elapsed())
}

#[tokio::test(start_paused = true)]
async fn a_hint_takes_the_delays_place_and_may_exceed_the_cap() {
    assert_eq!(hinted(RetryPolicy::fixed(secs(1)), secs(30)).await, (3, secs(60)));
    assert_eq!(hinted(RetryPolicy::fixed(secs(1)).max_delay(secs(2)), secs(30)).await, (3, secs(60)));
    assert_eq!(hinted(RetryPolicy::fixed(secs(1)), Duration::ZERO).await, (3, Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn a_hint_overrides_neither_attempts_nor_deadline() {
    assert_eq!(hinted(RetryPolicy::fixed(secs(1)).max_attempts(1), secs(30)).await, (1, Duration::ZERO));
    // A hint beyond the deadline ends the loop at once, without a wait.
    let policy = RetryPolicy::fixed(secs(1)).max_attempts(100).deadline(secs(70));
    assert_eq!(hinted(policy.clone(), secs(30)).await, (3, secs(60)));
    assert_eq!(hinted(policy.clone(), secs(71)).await, (1, Duration::ZERO));
    assert_eq!(hinted(policy, Duration::MAX).await, (1, Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn a_hint_gets_a_little_jitter_where_the_policy_has_any() {
    let mut seen = Vec::new();
    for seed in 0..50 {
        let policy = RetryPolicy::fixed(secs(1)).jitter(Jitter::Full).max_attempts(2).seed(seed);
        let (calls, waited) = hinted(policy, secs(100)).await;
        assert_eq!(calls, 2);
        assert!((secs(100)..=secs(110) + ms(1)).contains(&waited), "{waited:?}");
        seen.push(waited);
    }
    seen.dedup();
    assert_eq!(seen.len(), 50, "no two came back together");
}

#[tokio::test(start_paused = true)]
async fn no_hint_is_asked_for_an_error_that_is_not_retried() {
    let asked = Cell::new(0);
    let retried = (|| ready(Err::<(), _>("fatal")))
        .retry_with(RetryPolicy::default())
        .when(|e: &&str| *e != "fatal")
        .retry_after(|_: &&str| {
            asked.set(asked.get() + 1);
            None
        });
    retried.await.unwrap_err();
    assert_eq!(asked.get(), 0);
    let last = (|| ready(Err::<(), _>("busy"))).retry_with(RetryPolicy::default().max_attempts(1));
    let asking = last.retry_after(|_| {
        asked.set(asked.get() + 1);
        None
    });
    asking.await.unwrap_err();
    assert_eq!(asked.get(), 0, "nor after the last attempt");
}
