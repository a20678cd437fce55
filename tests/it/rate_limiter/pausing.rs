//! Pauses, by hand or by an answer, hold all calls.

use crate::support::secs;
use decor::{Error, prelude::*};
use futures::future::join_all;
use std::{
    future::{pending, ready},
    time::Duration,
};
use tokio::time::{Instant, advance};
use tokio_test::{assert_pending, task};

#[tokio::test(start_paused = true)]
async fn a_pause_holds_all_calls_and_the_longer_one_counts() {
    let limiter = RateLimiter::new(10, secs(1));
    limiter.pause_for(secs(30));
    limiter.pause_for(secs(5));
    assert_eq!(limiter.available(), 0);
    assert_eq!(limiter.try_acquire(), Err(Error::RateLimited { retry_after: secs(30) }));
    let begun = Instant::now();
    join_all((0..3).map(|_| limiter.acquire())).await;
    assert_eq!(begun.elapsed(), secs(30));
}

#[tokio::test(start_paused = true)]
async fn waits_behind_a_pause_include_the_pause() {
    for limiter in [RateLimiter::new(1, secs(1)), RateLimiter::paced(1, secs(1))] {
        limiter.pause_for(secs(30));
        let mut waiters: Vec<_> = (0..3).map(|_| task::spawn(limiter.acquire())).collect();
        for waiter in &mut waiters {
            assert_pending!(waiter.poll());
        }
        assert_eq!(limiter.try_acquire(), Err(Error::RateLimited { retry_after: secs(33) }));
        // The end of the pause wakes only the first.
        advance(secs(30)).await;
        assert_eq!(waiters.iter().map(task::Spawn::is_woken).collect::<Vec<_>>(), [true, false, false]);
    }
}

#[tokio::test(start_paused = true)]
async fn one_429_pauses_all_calls() {
    let limiter = RateLimiter::new(100, secs(1));
    let begun = Instant::now();
    let throttled = || ready(Err::<(), _>(secs(7)));
    throttled.pausing(&limiter, |wait| Some(*wait)).rate_limited(&limiter).await.unwrap_err();
    assert_eq!(begun.elapsed(), Duration::ZERO);
    (|| ready(())).rate_limited(&limiter).await;
    assert_eq!(begun.elapsed(), secs(7));
    ready(Ok::<_, Duration>(1)).pausing(&limiter, |wait| Some(*wait)).await.unwrap();
    ready(Err::<(), _>(secs(9))).pausing(&limiter, |_| None).await.unwrap_err();
    assert_eq!(limiter.available(), 99);
}

/// Most clients return a 429 as a response.
#[tokio::test(start_paused = true)]
async fn an_ok_pauses_all_calls() {
    let limiter = RateLimiter::new(100, secs(1));
    let begun = Instant::now();
    let wait = |r: &Result<u64, &str>| r.as_ref().ok().filter(|wait| **wait > 0).map(|wait| secs(*wait));
    let throttled = || ready(Ok(7));
    throttled.pausing_result(&limiter, wait).rate_limited(&limiter).await.unwrap();
    assert_eq!(begun.elapsed(), Duration::ZERO);
    (|| ready(())).rate_limited(&limiter).await;
    assert_eq!(begun.elapsed(), secs(7));
    ready(Err("down")).pausing_result(&limiter, wait).await.unwrap_err();
    ready(Ok(0)).pausing_result(&limiter, wait).await.unwrap();
    assert_eq!(limiter.available(), 99);
    // Any output will do.
    ready(30).pausing_result(&limiter, |wait| Some(secs(*wait))).await;
    assert_eq!(limiter.try_acquire(), Err(Error::RateLimited { retry_after: secs(30) }));
}

/// A retried response: the limiter pauses for all, and the retry waits no longer than that.
#[tokio::test(start_paused = true)]
async fn a_retried_ok_pauses_all_and_waits_as_long() {
    let limiter = RateLimiter::new(100, secs(1));
    let begun = Instant::now();
    let mut statuses = vec![200, 429];
    let wait = |r: &Result<u16, Error>| (*r == Ok(429)).then_some(secs(7));
    let status = (|| ready(Ok::<u16, Error>(statuses.pop().unwrap())))
        .pausing_result(&limiter, wait)
        .rate_limited(&limiter)
        .retry_with(RetryPolicy::default())
        .when_result(|r| *r != Ok(200))
        .retry_after_result(wait)
        .await;
    assert_eq!((status, begun.elapsed()), (Ok(200), secs(7)));
}

#[tokio::test(start_paused = true)]
async fn a_call_without_an_answer_makes_no_pause() {
    let limiter = RateLimiter::new(9, secs(1));
    let hang = pending::<Result<(), Error>>().pausing(&limiter, |_| Some(secs(7)));
    hang.timeout(secs(1)).await.unwrap_err();
    assert_eq!(limiter.available(), 9);
}
