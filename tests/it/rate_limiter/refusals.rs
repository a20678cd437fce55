//! Refusals: a wait that would be too long, a full queue, and the fate of a refused call.

use super::echo;
use crate::support::{ms, secs};
use decor::{Error, prelude::*};
use std::time::Duration;
use tokio::time::Instant;
use tokio_test::{assert_pending, task};

#[tokio::test(start_paused = true)]
async fn acquire_within_fails_at_once_if_the_wait_will_be_longer() {
    let limiter = RateLimiter::new(2, secs(1));
    assert_eq!(limiter.acquire_within(Duration::ZERO).await, Ok(()));
    assert_eq!(limiter.acquire_within(Duration::ZERO).await, Ok(()));
    let begun = Instant::now();
    assert_eq!(limiter.acquire_within(ms(999)).await, Err(Error::RateLimited { retry_after: secs(1) }));
    assert_eq!(begun.elapsed(), Duration::ZERO);
    assert_eq!(limiter.acquire_within(ms(1000)).await, Ok(()));
    assert_eq!(begun.elapsed(), secs(1));
}

#[tokio::test(start_paused = true)]
async fn the_estimated_wait_includes_waiting_calls() {
    let limiter = RateLimiter::new(2, secs(1));
    limiter.acquire_many(2).await.unwrap();
    let mut waiters: Vec<_> = (0..4).map(|_| task::spawn(limiter.acquire())).collect();
    for waiter in &mut waiters {
        assert_pending!(waiter.poll());
    }
    // Two calls are due at 1 s, two at 2 s, and so this one at 3 s.
    assert_eq!(limiter.acquire_within(ms(2_999)).await, Err(Error::RateLimited { retry_after: secs(3) }));
    assert_eq!(limiter.try_acquire(), Err(Error::RateLimited { retry_after: secs(3) }));
}

#[tokio::test(start_paused = true)]
async fn acquire_within_fails_at_the_end_of_max_wait() {
    let limiter = RateLimiter::new(1, secs(1));
    limiter.acquire().await;
    let mut within = task::spawn(limiter.acquire_within(secs(2)));
    assert_pending!(within.poll());
    limiter.pause_for(secs(60));
    let begun = Instant::now();
    assert_eq!(within.await, Err(Error::RateLimited { retry_after: secs(58) }));
    assert_eq!(begun.elapsed(), secs(2));
    assert_eq!((limiter.waiting(), limiter.stats().refused), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_refuses_requests_that_can_be_refused() {
    let limiter = RateLimiter::builder().window(1, secs(1)).max_waiting(1).build();
    limiter.acquire().await;
    let mut waiter = task::spawn(limiter.acquire_many(1));
    assert_pending!(waiter.poll());
    assert_eq!(limiter.acquire_many(1).await, Err(Error::QueueFull { waiting: 1 }));
    assert_eq!(limiter.acquire_within(secs(60)).await, Err(Error::QueueFull { waiting: 1 }));
    let mut plain = task::spawn(limiter.acquire());
    assert_pending!(plain.poll()); // cannot be refused
    assert_eq!(limiter.waiting(), 2);
}

#[tokio::test(start_paused = true)]
async fn only_calls_that_can_be_refused_are_refused_by_a_full_queue() {
    let limiter = RateLimiter::builder().window(1, secs(1)).max_waiting(0).build();
    limiter.acquire().await;
    let full = Err(Error::QueueFull { waiting: 0 });
    assert_eq!(echo("a").rate_limited_by(&limiter, 1).await, full);
    assert_eq!(echo.rate_limited_within(&limiter, secs(9)).call("a").await, full);
    let begun = Instant::now();
    assert_eq!(echo("a").rate_limited(&limiter).await, Ok("a".into()));
    limiter.acquire().await;
    assert_eq!(begun.elapsed(), secs(2));
}
