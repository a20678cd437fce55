//! Hints, which are delays that a result asks for.

use super::counted;
use crate::support::{listen, ms, secs};
use decor::{GiveUpReason, prelude::*};
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
async fn a_hint_replaces_the_delay_and_may_exceed_the_cap() {
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
async fn a_hint_beyond_max_hint_gives_up_at_once() {
    let of = |max_hint| RetryPolicy::fixed(secs(1)).max_hint(max_hint);
    assert_eq!(hinted(of(secs(30)), secs(30)).await, (3, secs(60)));
    assert_eq!(hinted(of(secs(30)), secs(30) + Duration::from_nanos(1)).await, (1, Duration::ZERO));
    assert_eq!(hinted(of(Duration::ZERO), Duration::ZERO).await, (3, Duration::ZERO));
    assert_eq!(hinted(of(Duration::ZERO), Duration::from_nanos(1)).await, (1, Duration::ZERO));
    let year = secs(31_536_000);
    assert_eq!(hinted(of(Duration::MAX), year).await, (3, 2 * year));
    // The default is an hour.
    let policy = RetryPolicy::fixed(secs(1));
    assert_eq!(hinted(policy.clone(), secs(3_600)).await, (3, secs(7_200)));
    assert_eq!(hinted(policy.clone(), secs(3_601)).await, (1, Duration::ZERO));
    assert_eq!(hinted(policy, Duration::MAX).await, (1, Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn jitter_may_extend_a_hint_beyond_max_hint() {
    let policy = RetryPolicy::fixed(secs(1)).jitter(Jitter::Full).max_attempts(2).max_hint(secs(100)).seed(1);
    let (calls, waited) = hinted(policy, secs(100)).await;
    assert!(calls == 2 && waited > secs(100), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn error_hook_and_log_report_a_hint_that_is_too_long() {
    let told = Cell::new(None);
    let policy = RetryPolicy::fixed(secs(1)).max_hint(secs(60)).deadline(secs(10));
    let log = listen();
    let fetch = (|| ready(Err::<(), _>("busy"))).named("fetch").retry_with(policy).retry_after(|_| Some(secs(61)));
    let fetch = fetch.on_give_up(|g| told.set(Some((g.attempts, g.reason, g.error.copied())))).explained();
    let error = fetch.await.unwrap_err();
    // The deadline would end the retry too.
    assert_eq!((error.attempts(), error.reason()), (1, GiveUpReason::HintTooLong));
    assert_eq!(error.to_string(), "retry failed after 1 attempt (hint too long): busy");
    assert_eq!(told.get(), Some((1, GiveUpReason::HintTooLong, Some("busy"))));
    assert_eq!(log.take(), ["WARN fetch gave up at attempt 1: hint too long"]);
}

#[tokio::test(start_paused = true)]
async fn retry_after_result_reads_the_hint_of_an_ok() {
    let begun = Instant::now();
    let mut answers = vec![Ok(200), Err(9), Ok(429)];
    let told = Cell::new(0);
    let status = (|| ready(answers.pop().unwrap()))
        .retry_with(RetryPolicy::default())
        .when_result(|r| *r != Ok(200))
        .retry_after_result(|r| {
            told.set(told.get() + 1);
            Some(match r {
                Ok(_) => secs(7),
                Err(seconds) => secs(*seconds),
            })
        })
        .await;
    assert_eq!((status, begun.elapsed(), told.get()), (Ok(200), secs(16), 2));

    // No hint is read from an `Ok` that is not retried. An `Ok` with a hint that is too long is
    // returned.
    let asked = Cell::new(0);
    let ask = |r: &Result<u32, &str>| {
        asked.set(asked.get() + 1);
        r.is_ok().then_some(secs(61))
    };
    let kept = (|| ready(Ok(429))).retry_with(RetryPolicy::default()).retry_after_result(ask).await;
    assert_eq!((kept, asked.get()), (Ok(429), 0));
    let reasons = Cell::new(None);
    let throttled = (|| ready(Ok(429))).retry_with(RetryPolicy::default().max_hint(secs(60)));
    let throttled = throttled.when_result(|r| *r == Ok(429)).retry_after_result(ask);
    let throttled = throttled.on_give_up(|g| reasons.set(Some((g.attempts, g.reason))));
    assert_eq!((throttled.await, asked.get()), (Ok(429), 1));
    assert_eq!(reasons.get(), Some((1, GiveUpReason::HintTooLong)));
}

#[tokio::test(start_paused = true)]
async fn the_later_of_two_hint_methods_counts() {
    let begun = Instant::now();
    let fail = || ready(Err::<(), _>("busy"));
    let policy = RetryPolicy::default().max_attempts(2);
    fail.retry_with(&policy).retry_after(|_| Some(secs(3))).retry_after_result(|_| Some(secs(5))).await.unwrap_err();
    assert_eq!(begun.elapsed(), secs(5));
    fail.retry_with(&policy).retry_after_result(|_| Some(secs(5))).retry_after(|_| Some(secs(3))).await.unwrap_err();
    assert_eq!(begun.elapsed(), secs(8));
}

#[tokio::test(start_paused = true)]
async fn with_jitter_up_to_a_tenth_is_added_to_a_hint() {
    let mut seen = Vec::new();
    for seed in 0..50 {
        let policy = RetryPolicy::fixed(secs(1)).jitter(Jitter::Full).max_attempts(2).seed(seed);
        let (calls, waited) = hinted(policy, secs(100)).await;
        assert_eq!(calls, 2);
        assert!((secs(100)..=secs(110) + ms(1)).contains(&waited), "{waited:?}");
        seen.push(waited);
    }
    seen.dedup();
    assert_eq!(seen.len(), 50, "no two calls returned together");
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
    assert_eq!(asked.get(), 0, "not after the last attempt either");
}
