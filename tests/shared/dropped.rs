//! Waiters that are dropped.

use crate::support::{SECOND, closed, ms, window};
use decor::test_util::FakeStore;
use futures::FutureExt;
use std::sync::Arc;
use tokio::time::{Instant, sleep};

#[tokio::test(start_paused = true)]
async fn after_ten_thousand_dropped_waiters_the_next_caller_is_served() {
    let store = FakeStore::new();
    store.set_trip(ms(10));
    let limiter = closed(window(100, SECOND), &store);
    let mut calls = (0..10_000).map(|_| Box::pin(limiter.acquire())).collect::<Vec<_>>();
    // 9,000 wait for the answer or for their turn.
    calls[..9_000].iter_mut().for_each(|call| assert!(call.now_or_never().is_none()));
    sleep(ms(12)).await;
    // 1,000 come in the middle of a request.
    calls[9_000..].iter_mut().for_each(|call| assert!(call.now_or_never().is_none()));
    assert_eq!(limiter.waiting(), 10_000);
    drop(calls);
    assert_eq!((limiter.waiting(), limiter.stats().cancelled), (0, 10_000));
    let begun = Instant::now();
    limiter.acquire().await; // the permits of the first batch are still held
    assert_eq!(begun.elapsed(), ms(0));
    sleep(30 * SECOND).await; // what was granted to the others has lapsed and left the window
    let (begun, asks) = (Instant::now(), limiter.stats().asks);
    for _ in 0..3 {
        limiter.acquire().await;
    }
    assert_eq!(begun.elapsed(), ms(30));
    assert_eq!(limiter.stats().asks, asks + 3, "each call asks once, and no request is left over");
    sleep(60 * SECOND).await;
    assert_eq!(limiter.stats().asks, asks + 3, "an idle limiter asks for nothing");
}

#[tokio::test(start_paused = true)]
async fn a_waiter_behind_dropped_waiters_takes_their_permit() {
    let store = FakeStore::new();
    let limiter = closed(window(1, SECOND), &store);
    limiter.acquire().await;
    let begun = Instant::now();
    let mut first = Box::pin(limiter.acquire());
    assert!((&mut first).now_or_never().is_none());
    let second = tokio::spawn({
        let limiter = limiter.clone();
        async move { limiter.acquire().await }
    });
    sleep(ms(500)).await;
    drop(first);
    second.await.unwrap();
    assert_eq!(begun.elapsed(), ms(1_020));
}

#[tokio::test(start_paused = true)]
async fn a_limiter_that_is_dropped_in_the_middle_of_a_request_is_gone() {
    let store = FakeStore::new();
    store.set_trip(ms(10));
    let limiter = closed(window(1, SECOND), &store);
    let call = limiter.clone();
    let handle = Arc::new(());
    let held = Arc::clone(&handle);
    let waiting = tokio::spawn(async move {
        call.acquire().await;
        drop(held);
    });
    sleep(ms(2)).await;
    waiting.abort();
    drop(limiter);
    sleep(SECOND).await;
    assert_eq!(Arc::strong_count(&handle), 1);
    let next = closed(window(1, SECOND), &store);
    next.acquire().await;
    assert_eq!(store.served(), 2, "the request of the limiter that was dropped, and one");
}

#[test]
fn calls_go_on_in_a_second_runtime_after_the_first_was_dropped() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let store = FakeStore::new();
    let limiter = closed(window(1, SECOND), &store);
    let first = runtime();
    first.block_on(limiter.acquire());
    first.block_on(async { assert!(limiter.acquire().now_or_never().is_none()) });
    first.block_on(async { sleep(ms(100)).await });
    drop(first);
    runtime().block_on(async {
        sleep(ms(50)).await; // the driver of the store is gone with its runtime
        let begun = Instant::now();
        limiter.acquire().await;
        assert!(begun.elapsed() <= 2 * SECOND, "{:?}", begun.elapsed());
    });
}
