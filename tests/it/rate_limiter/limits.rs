//! Charges, and limits that are changed while calls wait.

use crate::support::{ms, secs};
use decor::prelude::*;
use futures::future::join_all;
use tokio::time::{Instant, advance, sleep};
use tokio_test::{assert_pending, assert_ready, task};

#[tokio::test(start_paused = true)]
async fn a_charge_may_overdraw_and_is_waited_for() {
    let limiter = RateLimiter::new(10, secs(1));
    limiter.charge(10);
    advance(ms(100)).await;
    limiter.charge(5);
    assert_eq!(limiter.available(), 0);
    let begun = Instant::now();
    limiter.acquire_many(6).await.unwrap();
    // 5 permits are free after 0.9 s, and all after 1 s.
    assert_eq!(begun.elapsed(), secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_higher_limit_reaches_waiting_calls() {
    let limiter = RateLimiter::new(1, secs(60));
    limiter.acquire().await;
    let begun = Instant::now();
    let waiting = join_all((0..3).map(|_| limiter.acquire()));
    let raise = async {
        sleep(secs(1)).await;
        limiter.set_limit(4, secs(60));
    };
    futures::future::join(waiting, raise).await;
    assert_eq!(begun.elapsed(), secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_request_above_a_lowered_limit_is_refused_when_it_is_the_head() {
    let limiter = RateLimiter::new(5, secs(1));
    limiter.acquire_many(5).await.unwrap();
    let mut heavy = task::spawn(limiter.acquire_many(5));
    let mut light = task::spawn(limiter.acquire());
    assert_pending!(heavy.poll());
    assert_pending!(light.poll());
    limiter.set_limit(2, secs(1));
    assert!(heavy.is_woken());
    let refused = assert_ready!(heavy.poll()).unwrap_err();
    assert_eq!(refused.to_string(), "invalid argument: 5 permits at once, but the limit is 2 per 1s");
    let begun = Instant::now();
    light.await;
    assert_eq!(begun.elapsed(), secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_temporarily_shorter_period_forgets_no_admission() {
    let limiter = RateLimiter::new(10, secs(60));
    limiter.acquire_many(10).await.unwrap();
    limiter.set_limit(10, secs(1));
    advance(secs(5)).await;
    limiter.acquire_many(4).await.unwrap();
    assert_eq!(limiter.available(), 6);
    limiter.set_limit(10, secs(60));
    assert_eq!(limiter.available(), 0);
    let begun = Instant::now();
    limiter.acquire_many(6).await.unwrap();
    assert_eq!(begun.elapsed(), secs(55));
    limiter.acquire().await;
    assert_eq!(begun.elapsed(), secs(60));
}

#[tokio::test(start_paused = true)]
async fn a_period_longer_than_ever_counts_only_admissions_still_kept() {
    let limiter = RateLimiter::new(10, secs(1));
    limiter.acquire_many(10).await.unwrap();
    advance(secs(1)).await;
    limiter.set_limit(10, secs(60));
    assert_eq!(limiter.available(), 10);
}
