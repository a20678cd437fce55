//! Pauses, by `pause_for` or by a call's output, hold all calls.

use super::waiting_threads;
use crate::support::{millis, ms, secs};
use decor::{Error, prelude::*, test_util::VirtualClock};
use futures::future::join_all;
use std::{
    future::{pending, ready},
    time::Duration,
};
use tokio::time::{Instant, advance};
use tokio_test::{assert_pending, assert_ready, task};

#[tokio::test(start_paused = true)]
async fn a_pause_holds_all_calls_and_the_later_end_counts() {
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
        // The end of the pause wakes only the head.
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

/// Most HTTP clients return a 429 as an `Ok` response.
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
    // A function with any output can pause.
    ready(30).pausing_result(&limiter, |wait| Some(secs(*wait))).await;
    assert_eq!(limiter.try_acquire(), Err(Error::RateLimited { retry_after: secs(30) }));
}

/// A response that is retried pauses the limiter for all calls, and the retry waits no longer than
/// the pause.
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

const YEAR: Duration = secs(31_536_000);

#[tokio::test(start_paused = true)]
async fn a_pause_is_cut_to_the_longest() {
    let pauses = |limiter: &RateLimiter| match limiter.try_acquire() {
        Err(Error::RateLimited { retry_after }) => retry_after,
        admitted => panic!("{admitted:?}"),
    };
    let limiter = RateLimiter::new(9, secs(1));
    limiter.pause_for(YEAR);
    assert_eq!(pauses(&limiter), secs(3600));
    // Each pause counts from the moment of its request.
    advance(secs(600)).await;
    limiter.pause_for(YEAR);
    assert_eq!(pauses(&limiter), secs(3600));
    // A shorter longest pause leaves a begun pause as it is, and cuts later pauses.
    limiter.set_longest_pause(secs(60));
    assert_eq!(pauses(&limiter), secs(3600));
    limiter.resume();
    limiter.pause_for(YEAR);
    assert_eq!(pauses(&limiter), secs(60));
    limiter.set_longest_pause(Duration::MAX);
    limiter.pause_for(YEAR);
    assert_eq!(pauses(&limiter), YEAR);

    let throttled = || ready(Err::<(), _>(YEAR));
    let limiter = RateLimiter::builder().window(9, secs(1)).longest_pause(secs(7)).build();
    throttled.pausing(&limiter, |wait| Some(*wait)).await.unwrap_err();
    ready(Err::<(), _>(secs(5))).pausing(&limiter, |wait| Some(*wait)).await.unwrap_err();
    assert_eq!(pauses(&limiter), secs(7));
}

/// Two permits a second, five waiting calls, and a pause that is ended after 10 s.
#[tokio::test(start_paused = true)]
async fn after_resume_calls_go_on_as_their_permits_are_free() {
    let exact = RateLimiter::new(2, secs(1));
    let windows = RateLimiter::windows([(2, secs(1)), (100, secs(60))]);
    let paced = RateLimiter::builder().paced(2, secs(1)).burst(2).build();
    for (limiter, expected) in [
        (exact, [10_000, 10_000, 11_000, 11_000, 12_000]),
        (windows, [10_000, 10_000, 11_000, 11_000, 12_000]),
        (paced, [10_000, 10_000, 10_500, 11_000, 11_500]),
    ] {
        limiter.pause_for(secs(3000));
        let begun = Instant::now();
        let calls = join_all((0..5).map(|_| async {
            limiter.acquire().await;
            millis(begun.elapsed())
        }));
        let resume = async {
            tokio::time::sleep(secs(10)).await;
            assert_eq!((limiter.waiting(), limiter.available()), (5, 0));
            limiter.resume();
        };
        assert_eq!(futures::future::join(calls, resume).await.0, expected);
        assert_eq!(limiter.stats().skipped, 0);
    }
}

#[test]
fn threads_go_on_after_resume() {
    let clock = VirtualClock::start();
    let limiter = RateLimiter::new(2, secs(1));
    limiter.pause_for(secs(3000));
    let join = waiting_threads(&clock, &limiter, 5);
    clock.advance(secs(10));
    limiter.resume();
    assert_eq!(join(), [10_000, 10_000, 11_000, 11_000, 12_000]);
}

/// The limiter does not make up for the time of the pause. Without a pause, `resume` wakes no
/// waiter.
#[tokio::test(start_paused = true)]
async fn after_resume_a_paced_limiter_goes_on_at_its_pace() {
    let limiter = RateLimiter::paced(1_000, secs(1));
    limiter.acquire().await;
    let mut waiters: Vec<_> = (0..3).map(|_| task::spawn(limiter.acquire())).collect();
    limiter.resume();
    limiter.pause_for(secs(60));
    for waiter in &mut waiters {
        assert_pending!(waiter.poll());
    }
    advance(secs(30)).await;
    assert!(waiters.iter().all(|waiter| !waiter.is_woken()));
    limiter.resume();
    limiter.resume();
    assert_ready!(waiters[0].poll());
    assert_pending!(waiters[1].poll());
    advance(ms(1)).await;
    assert_ready!(waiters[1].poll());
    assert_pending!(waiters[2].poll());
}

/// Each waiter has set its recheck for the end of the pause, and would wait until then if it were
/// not woken.
#[tokio::test(start_paused = true)]
async fn after_resume_a_head_that_is_never_polled_does_not_hold_up_others() {
    let limiter = RateLimiter::new(1, secs(1));
    limiter.pause_for(secs(3000));
    let mut slow = task::spawn(limiter.acquire());
    assert_pending!(slow.poll());
    let begun = Instant::now();
    let resume = async {
        tokio::time::sleep(secs(1)).await;
        limiter.resume();
    };
    futures::future::join(limiter.acquire(), resume).await;
    assert_eq!((begun.elapsed(), limiter.stats().skipped), (ms(1_010), 1));
    slow.await;
    assert_eq!(begun.elapsed(), ms(2_010));
}

#[tokio::test(start_paused = true)]
async fn resume_keeps_estimated_turns_valid() {
    let limiter = RateLimiter::new(1, secs(1));
    limiter.acquire().await;
    limiter.pause_for(secs(60));
    let begun = Instant::now();
    assert_eq!(limiter.acquire_within(secs(5)).await, Err(Error::RateLimited { retry_after: secs(60) }));
    let within = limiter.acquire_within(secs(60));
    let resume = async { limiter.resume() };
    assert_eq!(futures::future::join(within, resume).await.0, Ok(()));
    assert_eq!(begun.elapsed(), secs(1));
}
