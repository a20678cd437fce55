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

#[tokio::test(start_paused = true)]
async fn a_call_without_an_answer_makes_no_pause() {
    let limiter = RateLimiter::new(9, secs(1));
    let hang = pending::<Result<(), Error>>().pausing(&limiter, |_| Some(secs(7)));
    hang.timeout(secs(1)).await.unwrap_err();
    assert_eq!(limiter.available(), 9);
}
