//! Tokio's paused clock, in a build with the fast clock and without decor's `test-util`.
#![cfg(feature = "paused")]

use decor::{Error, Timing, prelude::*};
use std::{io, time::Duration};
use tokio::time::{Instant, advance, sleep};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_clock_that_can_be_paused_is_not_replaced() {
    const { assert!(!decor::HAS_FAST_CLOCK) };
}

#[tokio::test(start_paused = true)]
async fn permits_are_admitted_in_virtual_time() {
    let limiter = RateLimiter::new(2, 60 * SECOND);
    let begun = Instant::now();
    for _ in 0..6 {
        limiter.acquire().await;
    }
    assert_eq!(begun.elapsed(), 120 * SECOND);
    assert_eq!(limiter.try_acquire(), Err(Error::RateLimited { retry_after: 60 * SECOND }));
}

#[tokio::test(start_paused = true)]
async fn a_value_expires_in_virtual_time() {
    let memo: Memo<u8, u8> = Memo::ttl(60 * SECOND);
    memo.insert(7, 49);
    advance(Duration::from_nanos(59_999_999_999)).await;
    assert_eq!(memo.get(&7), Some(49));
    advance(Duration::from_nanos(1)).await;
    assert_eq!(memo.get(&7), None);
}

#[tokio::test(start_paused = true)]
async fn a_retry_and_its_measured_time_are_virtual() {
    let fail = || async { Err::<u8, _>(io::Error::from(io::ErrorKind::ConnectionReset)) };
    let timing = Timing::new("fail").record_to(|m| assert_eq!(m.elapsed, 20 * SECOND));
    let begun = Instant::now();
    let policy = RetryPolicy::fixed(10 * SECOND).max_attempts(3).deadline(60 * SECOND);
    fail.retry_with(policy).timed_with(timing).call().await.unwrap_err();
    assert_eq!(begun.elapsed(), 20 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_timeout_is_virtual() {
    let begun = Instant::now();
    let slow = async {
        sleep(60 * SECOND).await;
        Ok::<_, Error>(())
    };
    slow.timeout(SECOND).await.unwrap_err();
    assert_eq!(begun.elapsed(), SECOND);
}
