//! The words of a limiter, on a shared limit.

use crate::support::{SECOND, abort, closed, ms, window};
use decor::{Error, OnFailure, prelude::*, test_util::FakeStore};
use futures::future::join_all;
use std::time::Duration;
use tokio::time::{Instant, sleep};

fn rate_limited(after: Duration) -> Result<(), Error> {
    Err(Error::RateLimited { retry_after: after })
}

fn pair(store: &FakeStore, limit: u32) -> (RateLimiter, RateLimiter) {
    (closed(window(limit, SECOND), store), closed(window(limit, SECOND), &store.another_process()))
}

#[tokio::test(start_paused = true)]
async fn within_zero_is_one_exact_round_trip() {
    let store = FakeStore::new();
    store.set_trip(ms(10));
    let limiter = closed(window(1, SECOND), &store);
    let begun = Instant::now();
    assert_eq!(limiter.acquire_within(Duration::ZERO).await, Ok(()));
    assert_eq!(begun.elapsed(), ms(10));
    // Free again 1 s after the stamp at 5 + 20 ms. The server looked at 15 ms.
    assert_eq!(limiter.acquire_within(Duration::ZERO).await, rate_limited(ms(1_010)));
    assert_eq!((begun.elapsed(), limiter.stats().asks), (ms(20), 2));
    let fetch = || std::future::ready(Ok::<_, Error>(7));
    assert_eq!(fetch.try_rate_limited(&limiter).call().await, Err(Error::RateLimited { retry_after: ms(1_000) }));
    assert_eq!((begun.elapsed(), limiter.stats().asks), (ms(30), 3));
}

#[tokio::test(start_paused = true)]
async fn within_waits_for_one_answer_and_then_no_longer_than_allowed() {
    let store = FakeStore::new();
    store.set_trip(ms(10));
    let limiter = closed(window(1, SECOND), &store);
    limiter.acquire().await;
    let begun = Instant::now();
    assert!(matches!(limiter.acquire_within(ms(500)).await, Err(Error::RateLimited { .. })));
    assert_eq!(begun.elapsed(), ms(10), "refused with the answer");
    assert_eq!(limiter.acquire_within(ms(1_010)).await, Ok(()));
    // The server looked at 25 ms, and the permit was free at 1,025 ms.
    assert_eq!(begun.elapsed(), ms(10 + 10 + 1_000));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_reserved_beyond_a_longest_wait() {
    let store = FakeStore::new();
    let (a, b) = pair(&store, 1);
    a.acquire().await;
    for _ in 0..10 {
        assert!(a.acquire_within(ms(1_019)).await.is_err());
        assert!(a.try_acquire().is_err());
        tokio::task::yield_now().await;
    }
    let begun = Instant::now();
    b.acquire().await;
    assert_eq!(begun.elapsed(), ms(1_020));
}

#[tokio::test(start_paused = true)]
async fn a_deadline_around_the_call_is_a_longest_wait() {
    let store = FakeStore::new();
    let limiter = closed(window(1, SECOND), &store);
    limiter.acquire().await;
    let fetch = || std::future::ready(Ok::<_, Error>(7));
    let begun = Instant::now();
    let refused = fetch.rate_limited_within(&limiter, 5 * SECOND).timeout(ms(500)).call().await;
    assert_eq!(refused, Err(Error::RateLimited { retry_after: ms(1_020) }));
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn try_acquire_takes_what_is_held_or_asks_for_the_next_try() {
    let store = FakeStore::new();
    store.set_trip(ms(2));
    let limiter = closed(window(1, SECOND), &store);
    assert_eq!(limiter.try_acquire(), rate_limited(ms(1)));
    sleep(ms(3)).await;
    assert_eq!(limiter.try_acquire(), Ok(()));
    assert!(limiter.try_acquire().is_err());
    sleep(ms(3)).await;
    // The server looked at 4 ms, and found the next at 1 + 20 + 1,000 ms. The answer was read 1 ms
    // later.
    assert_eq!(limiter.try_acquire(), rate_limited(ms(1_021 - 4 + 5 - 6)));
    assert_eq!((limiter.stats().admitted, limiter.stats().refused), (1, 3));
}

#[tokio::test(start_paused = true)]
async fn available_is_the_last_answer_less_what_was_taken_since() {
    let store = FakeStore::new();
    let (a, b) = pair(&store, 10);
    assert_eq!(a.available(), 10);
    a.acquire_many(3).await.unwrap();
    assert_eq!((a.available(), b.available()), (7, 10));
    b.acquire().await;
    assert_eq!((a.available(), b.available()), (7, 6));
    a.charge(2);
    assert_eq!(a.available(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_charge_reaches_the_store_within_50_ms() {
    let store = FakeStore::new();
    let (a, b) = pair(&store, 10);
    a.charge(4);
    sleep(ms(50)).await;
    assert_eq!(store.served(), 1);
    b.acquire().await;
    assert_eq!(b.available(), 5);
    assert_eq!(a.stats().charged, [4, 0, 0, 0]);
    sleep(ms(952)).await; // the charge counts from its moment, rounded up
    b.acquire().await;
    assert_eq!(b.available(), 8);
}

#[tokio::test(start_paused = true)]
async fn a_refund_reaches_the_store_within_50_ms() {
    let store = FakeStore::new();
    let (a, b) = pair(&store, 10);
    a.acquire_many(10).await.unwrap();
    a.refund(6);
    sleep(ms(50)).await;
    assert_eq!(b.acquire_within(Duration::ZERO).await, Ok(()));
    assert_eq!((b.available(), a.stats().refunded), (5, [6, 0, 0, 0]));
    a.refund(100);
    assert_eq!(a.stats().refunded, [10, 0, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_settled_call_counts_what_it_used() {
    let store = FakeStore::new();
    let limiter = closed(window(100, SECOND), &store);
    let ask = |n: u32| std::future::ready(Ok::<_, Error>(n));
    let ask = ask.rate_limited_by(&limiter, |_: &u32| 60_u32).settled(|used: &u32| *used);
    ask.call(10).await.unwrap();
    sleep(ms(50)).await;
    limiter.acquire().await;
    assert_eq!(limiter.available(), 89);
    ask.call(85).await.unwrap();
    assert_eq!(limiter.stats().charged, [25, 0, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_pause_holds_here_at_once_and_elsewhere_within_200_ms() {
    let store = FakeStore::new();
    let (a, b) = pair(&store, 1);
    b.acquire().await;
    let begun = Instant::now();
    let waiting = tokio::spawn({
        let b = b.clone();
        async move { b.acquire().await } // holds a permit for 1,020 ms
    });
    sleep(ms(100)).await;
    a.pause_for(5 * SECOND);
    assert_eq!(a.available(), 0);
    assert_eq!(a.acquire_within(SECOND).await, rate_limited(5 * SECOND));
    sleep(ms(200)).await;
    assert_eq!(b.available(), 0, "the pulse at 300 ms has told");
    waiting.await.unwrap();
    assert_eq!(begun.elapsed(), ms(5_100));
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_pause_is_told_as_well() {
    let store = FakeStore::new();
    let (a, b) = pair(&store, 10);
    a.pause_for(60 * SECOND);
    let begun = Instant::now();
    sleep(ms(1)).await;
    let waiting = tokio::spawn({
        let b = b.clone();
        async move { b.acquire().await }
    });
    sleep(SECOND).await;
    assert!(!waiting.is_finished());
    a.resume();
    waiting.await.unwrap();
    assert!(begun.elapsed() <= ms(1_201), "{:?}", begun.elapsed());
    a.acquire().await;
    assert!(begun.elapsed() <= ms(1_201));
}

#[tokio::test(start_paused = true)]
async fn set_limit_changes_this_processs_view_of_the_one_log() {
    let store = FakeStore::new();
    let (a, b) = pair(&store, 10);
    join_all((0..10).map(|_| a.acquire())).await;
    b.set_limit(12, SECOND);
    assert_eq!(b.acquire_many(2).within(Duration::ZERO).await, Ok(()));
    assert!(b.acquire_within(Duration::ZERO).await.is_err());
    assert!(a.acquire_within(Duration::ZERO).await.is_err());
    assert_eq!(b.limits(), [(12, SECOND)]);
}

#[tokio::test(start_paused = true)]
async fn a_try_behind_more_longest_waits_than_fit_into_a_request_is_one_round_trip() {
    let store = FakeStore::new();
    store.set_trip(ms(2));
    let limiter = closed(window(1, 60 * SECOND), &store);
    limiter.acquire().await;
    let waiting = (0..200).map(|n| {
        let limiter = limiter.clone();
        tokio::spawn(async move { limiter.acquire_within(ms(100_000 + 10 * n)).await })
    });
    let waiting = waiting.collect::<Vec<_>>();
    sleep(ms(10)).await;
    assert_eq!(limiter.waiting(), 200, "all may still be served");
    let (begun, asks) = (Instant::now(), limiter.stats().asks);
    assert!(matches!(limiter.acquire_within(Duration::ZERO).await, Err(Error::RateLimited { .. })));
    assert_eq!((begun.elapsed(), limiter.stats().asks), (ms(2), asks + 1));
    abort(waiting);
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_gets_one_answer() {
    let store = FakeStore::new();
    store.set_trip(ms(4));
    let limiter = closed(window(2, SECOND).max_waiting(0), &store);
    let calls = join_all((0..4).map(|_| limiter.acquire_many(1)));
    let begun = Instant::now();
    let full = |waiting| Err(Error::QueueFull { waiting });
    let answers = calls.await;
    assert_eq!(answers, [Ok(()), Ok(()), full(1), full(0)]);
    assert_eq!(begun.elapsed(), ms(4));
    assert_eq!(limiter.acquire_many(1).await, full(0));
}

#[tokio::test(start_paused = true)]
async fn close_ends_all_waits() {
    let store = FakeStore::new();
    store.hang();
    let limiter = closed(window(1, SECOND), &store);
    let waiting = tokio::spawn({
        let limiter = limiter.clone();
        async move { limiter.acquire_many(1).await }
    });
    sleep(ms(10)).await;
    limiter.close();
    let closed = Err(Error::Closed { what: "the rate limiter" });
    assert_eq!(waiting.await.unwrap(), closed);
    assert_eq!((limiter.try_acquire(), limiter.available()), (closed, 0));
}

#[tokio::test(start_paused = true)]
async fn requests_that_can_never_be_met_are_refused_at_once() {
    let store = FakeStore::new();
    let limiter = closed(window(10, SECOND), &store);
    let message = "invalid argument: 11 permits at once, but the limit is 10 per 1s";
    assert_eq!(limiter.acquire_many(11).await.unwrap_err().to_string(), message);
    assert_eq!(limiter.acquire_many(0).await, Ok(()));
    assert_eq!(store.served(), 0, "no permits need no store");
}

#[tokio::test(start_paused = true)]
async fn every_decorator_runs_unchanged() {
    let store = FakeStore::new();
    let limiter = window(2, SECOND).shared(store.quota("github"), OnFailure::Closed).build();
    let begun = Instant::now();
    let fetch = (|n: u8| async move { n }).rate_limited(&limiter);
    assert_eq!(join_all((0..5).map(|n| fetch.call(n))).await, [0, 1, 2, 3, 4]);
    assert_eq!(begun.elapsed(), ms(2_040));
    assert_eq!(std::future::ready(7).rate_limited(&limiter).await, 7);
    let text = format!("{fetch:?}");
    assert!(text.contains("2 per 1s, shared as github"), "{text}");
}
