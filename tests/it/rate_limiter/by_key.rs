//! The decorators by key, and `.permits(..)` after every decorator that takes a limiter.

use super::echo;
use crate::support::{ms, paused, secs};
use decor::{Error, KeyedLimiter, prelude::*, test_util::VirtualClock};
use futures::future::join_all;
use std::{cell::Cell, future::ready, time::Duration};
use tokio::time::Instant;
use tokio_test::{assert_pending, assert_ready, task};

type Answer = Result<usize, Error>;

async fn fetch(host: &str, pages: usize) -> Answer {
    Ok(host.len() + pages)
}

#[allow(clippy::trivially_copy_pass_by_ref)] // closures take their arguments so
fn host(host: &&str, _: &usize) -> String {
    (*host).to_owned()
}

fn limited(retry_after: Duration) -> Answer {
    Err(Error::RateLimited { retry_after })
}

#[tokio::test(start_paused = true)]
async fn each_decorator_takes_a_permit_of_the_key() {
    let per_host = KeyedLimiter::new(1, secs(1));
    let begun = Instant::now();
    assert_eq!(fetch.try_rate_limited_by_key(&per_host, host).call("a", 1).await, Ok(2));
    assert_eq!(fetch.try_rate_limited_by_key(&per_host, host).call("a", 1).await, limited(secs(1)));
    assert_eq!(fetch.rate_limited_within_by_key(&per_host, ms(999), host).call("a", 1).await, limited(secs(1)));
    assert_eq!(fetch.rate_limited_within_by_key(&per_host, ms(999), host).call("b", 1).await, Ok(2));
    assert_eq!(begun.elapsed(), Duration::ZERO);
    assert_eq!(fetch.rate_limited_within_by_key(&per_host, secs(1), host).call("a", 1).await, Ok(2));
    assert_eq!(begun.elapsed(), secs(1));
    assert_eq!(fetch.rate_limited_by_key(&per_host, host).call("a", 1).await, Ok(2));
    assert_eq!(begun.elapsed(), secs(2));
    assert_eq!((per_host.for_key("a").stats().admitted, per_host.for_key("a").stats().refused), (3, 2));
}

#[tokio::test(start_paused = true)]
async fn a_future_takes_the_key_itself() {
    let per_host: KeyedLimiter<String> = KeyedLimiter::new(1, secs(1));
    let begun = Instant::now();
    assert_eq!(fetch("a", 1).try_rate_limited_by_key(&per_host, "a").await, Ok(2));
    assert_eq!(fetch("a", 1).try_rate_limited_by_key(&per_host, "a").await, limited(secs(1)));
    assert_eq!(fetch("a", 1).rate_limited_within_by_key(&per_host, ms(999), "a").await, limited(secs(1)));
    assert_eq!(fetch("b", 1).rate_limited_within_by_key(&per_host, ms(999), "b").await, Ok(2));
    assert_eq!(begun.elapsed(), Duration::ZERO);
    assert_eq!(fetch("a", 1).rate_limited_by_key(&per_host, "a").await, Ok(2));
    assert_eq!(begun.elapsed(), secs(1));
}

#[test]
fn threads_wait_for_the_permit_of_a_key() {
    let clock = VirtualClock::start();
    let per_user = KeyedLimiter::new(1, secs(1));
    let load = (|user: usize| Answer::Ok(user)).blocking();
    let limited_load = load.rate_limited_by_key(&per_user, |user: &usize| *user);
    let within = load.rate_limited_within_by_key(&per_user, ms(500), |user: &usize| *user);
    let weighted = load.try_rate_limited_by_key(&per_user, |user: &usize| *user).permits(|user: &usize| *user);
    assert_eq!((limited_load.call(1), limited_load.call(1), clock.elapsed()), (Ok(1), Ok(1), secs(1)));
    assert_eq!((within.call(1), within.call(2), clock.elapsed()), (limited(secs(1)), Ok(2), secs(1)));
    let too_much = weighted.call(3).unwrap_err();
    assert_eq!(too_much.to_string(), "invalid argument: 3 permits at once, but the limit is 1 per 1s");
}

#[tokio::test(start_paused = true)]
async fn weighted_calls_are_tried_and_bounded() {
    let limiter = RateLimiter::windows([(9, secs(1)), (100, secs(10))]);
    let weight = |text: &&str| [1, text.len()];
    let tried = echo.try_rate_limited(&limiter).permits(weight);
    let bounded = echo.rate_limited_within(&limiter, secs(9)).permits(weight);
    let waits = echo.rate_limited(&limiter).permits(weight);
    let (sixty, forty) = ("x".repeat(60), "x".repeat(40));
    let refused = Err(Error::RateLimited { retry_after: secs(10) });
    let begun = Instant::now();
    tried.call(&sixty).await.unwrap();
    assert_eq!(limiter.available_per_window(), [8, 40]);
    assert_eq!(tried.call(&sixty).await, refused);
    assert_eq!(bounded.call(&sixty).await, refused);
    bounded.call(&forty).await.unwrap();
    assert_eq!((limiter.available_per_window(), begun.elapsed()), (vec![7, 0], Duration::ZERO));
    waits.call(&sixty).await.unwrap();
    assert_eq!((limiter.available_per_window(), begun.elapsed()), (vec![8, 40], secs(10)));
    let too_much = waits.call(&"x".repeat(101)).await.unwrap_err();
    assert_eq!(too_much.to_string(), "invalid argument: 101 permits at once, but the limit is 100 per 10s");
}

#[tokio::test(start_paused = true)]
async fn weighted_futures_are_tried_and_bounded() {
    let limiter = RateLimiter::new(10, secs(1));
    let per_host: KeyedLimiter<String> = KeyedLimiter::new(10, secs(1));
    let begun = Instant::now();
    fetch("a", 1).rate_limited(&limiter).permits(4).await.unwrap();
    fetch("a", 1).try_rate_limited(&limiter).permits([4]).await.unwrap();
    assert_eq!(limiter.available(), 2);
    assert_eq!(fetch("a", 1).try_rate_limited(&limiter).permits(3).await, limited(secs(1)));
    assert_eq!(fetch("a", 1).rate_limited_within(&limiter, ms(999)).permits(3).await, limited(secs(1)));
    assert_eq!(begun.elapsed(), Duration::ZERO);
    fetch("a", 1).rate_limited_within(&limiter, secs(1)).permits(3).await.unwrap();
    assert_eq!((limiter.available(), begun.elapsed()), (7, secs(1)));
    fetch("a", 1).rate_limited_by_key(&per_host, "a").permits(7).await.unwrap();
    assert_eq!(fetch("a", 1).try_rate_limited_by_key(&per_host, "a").permits(4).await, limited(secs(1)));
    assert_eq!((per_host.for_key("a").available(), per_host.for_key("b").available()), (3, 10));
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "a call cannot be changed after it was polled")]
async fn permits_are_set_before_the_first_poll() {
    let limiter = RateLimiter::new(1, secs(1));
    limiter.acquire().await;
    let mut waits = task::spawn(ready(Answer::Ok(1)).rate_limited(&limiter));
    assert_pending!(waits.poll());
    drop(waits.into_inner().permits(1));
}

/// A waiter for several permits of a key stands in the queue of that key, and leaves it when
/// dropped.
#[tokio::test(start_paused = true)]
async fn weighted_calls_of_a_key_wait_in_turn_and_leave_when_dropped() {
    let per_host = KeyedLimiter::new(10, secs(1));
    let limited = fetch.rate_limited_by_key(&per_host, host).permits(|_: &&str, pages: &usize| *pages);
    let begun = Instant::now();
    let calls = [7, 6, 3].map(|pages| {
        let call = limited.call("a", pages);
        async move { (call.await.unwrap() - 1, begun.elapsed()) }
    });
    // Three permits would fit beside seven, but the call for six came first.
    assert_eq!(join_all(calls).await, [(7, Duration::ZERO), (6, secs(1)), (3, secs(1))]);

    let mut waiter = task::spawn(limited.call("a", 10));
    assert_pending!(waiter.poll());
    assert_eq!(per_host.for_key("a").waiting(), 1);
    drop(waiter);
    assert_eq!((per_host.for_key("a").waiting(), per_host.for_key("a").stats().cancelled), (0, 1));
}

/// Neither closure is `Clone`. The first counts in a borrowed cell, and the second moves a value
/// that is not `Clone`.
#[tokio::test(start_paused = true)]
async fn below_a_retry_both_closures_run_for_each_attempt() {
    struct Unclonable(Cell<u32>);

    let per_user = KeyedLimiter::new(10, secs(60));
    let (keys, weights) = (Unclonable(Cell::new(0)), Unclonable(Cell::new(0)));
    let look = |count: &Unclonable| count.0.replace(count.0.get() + 1);
    let chain = (|| ready(Answer::Err(Error::QueueFull { waiting: 0 })))
        .rate_limited_by_key(&per_user, move || look(&keys))
        .permits(move || look(&weights) + 1)
        .retry_with(RetryPolicy::fixed(ms(1)).max_attempts(3));
    chain.await.unwrap_err();
    assert_eq!([0, 1, 2].map(|user| per_user.for_key(&user).available()), [9, 8, 7]);
}

#[tokio::test(start_paused = true)]
async fn a_429_pauses_the_limiter_of_its_key() {
    let per_host: KeyedLimiter<String> = KeyedLimiter::new(100, secs(1));
    let throttled = |host: &'static str| ready(if host == "a" { Err(secs(7)) } else { Ok(()) });
    let key = |host: &&'static str| (*host).to_owned();
    let chain = throttled.pausing_by_key(&per_host, key, |wait| Some(*wait)).rate_limited_by_key(&per_host, key);
    let begun = Instant::now();
    chain.call("a").await.unwrap_err();
    chain.call("b").await.unwrap();
    assert_eq!(begun.elapsed(), Duration::ZERO);
    chain.call("a").await.unwrap_err();
    assert_eq!(begun.elapsed(), secs(7));
    ready(Err::<(), _>(secs(3))).pausing_by_key(&per_host, "b", |wait| Some(*wait)).await.unwrap_err();
    assert_eq!((per_host.for_key("b").available(), per_host.for_key("c").available()), (0, 100));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_not_throttled_adds_no_key() {
    let per_host: KeyedLimiter<String> = KeyedLimiter::new(100, secs(1));
    let watched = echo.pausing_by_key(&per_host, |host: &&str| (*host).to_owned(), |_| None);
    watched.call("a").await.unwrap();
    echo("a").pausing_by_key(&per_host, "a", |_| None).await.unwrap();
    assert!(per_host.is_empty());
}

/// The key may change between attempts, such as the host that is up. Each attempt pauses its own
/// key. The state of the hint's closure lasts through all attempts.
#[tokio::test(start_paused = true)]
async fn each_attempt_pauses_its_own_key() {
    let per_host = KeyedLimiter::new(100, secs(1));
    let current = Cell::new(0);
    let mut hints = Vec::new();
    let fails = || {
        let attempt = current.get() + 1;
        current.set(attempt); // after the attempt has read the key
        ready(Err::<(), _>(attempt))
    };
    let chain = fails
        .pausing_by_key(
            &per_host,
            || current.get(),
            |attempt| {
                hints.push(*attempt);
                Some(secs(hints.len() as u64))
            },
        )
        .retry_with(RetryPolicy::fixed(Duration::ZERO).max_attempts(3));
    assert_eq!(chain.await, Err(3));
    assert_eq!(hints, [1, 2, 3]);
    let refused = [0, 1, 2].map(|host| per_host.for_key(&host).try_acquire());
    assert_eq!(refused, [1, 2, 3].map(|pause| Err(Error::RateLimited { retry_after: secs(pause) })));
}

/// A removed key starts anew. A call that began before the removal therefore pauses the key's new
/// limiter.
#[test]
fn a_pause_after_a_removal_reaches_the_keys_new_limiter() {
    paused().block_on(async {
        let per_host: KeyedLimiter<String> = KeyedLimiter::new(100, secs(1));
        let slow = async {
            tokio::time::sleep(secs(1)).await;
            Err::<(), _>(secs(7))
        };
        let mut call = task::spawn(slow.pausing_by_key(&per_host, "a", |wait| Some(*wait)));
        assert_pending!(call.poll());
        drop(per_host.for_key("a"));
        assert!(per_host.remove("a"));
        tokio::time::advance(secs(1)).await;
        assert!(assert_ready!(call.poll()).is_err());
        assert_eq!(per_host.for_key("a").available(), 0);
    });
}
