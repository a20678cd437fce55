//! No window is exceeded, by the times at which calls run.

use crate::support::{Record, SECOND, abort, closed, ms, start, window};
use decor::{RateLimiter, test_util::FakeStore};
use futures::{FutureExt, future::join_all};
use tokio::time::{Instant, sleep};

#[tokio::test(start_paused = true)]
async fn two_processes_of_64_tasks_use_the_whole_limit_and_no_more() {
    let store = FakeStore::new();
    let (a, b) = (closed(window(100, SECOND), &store), closed(window(100, SECOND), &store.another_process()));
    let record = Record::begin();
    let tasks = [start(64, &a, &record), start(64, &b, &record)];
    sleep(5 * SECOND).await;
    tasks.into_iter().for_each(abort);
    // A permit is held for 20 ms, and leaves the window that much later.
    assert_eq!(record.moments(), [(0, 100), (1_020, 100), (2_040, 100), (3_060, 100), (4_080, 100)]);
    assert_eq!(record.most_in(SECOND), 100);
    assert_eq!((a.stats().lapsed, b.stats().lapsed), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_short_window_is_exact_as_well() {
    let store = FakeStore::new();
    let (a, b) = (closed(window(10, ms(100)), &store), closed(window(10, ms(100)), &store.another_process()));
    let record = Record::begin();
    let tasks = [start(8, &a, &record), start(8, &b, &record)];
    sleep(ms(500)).await;
    tasks.into_iter().for_each(abort);
    assert_eq!(record.moments(), [(0, 10), (120, 10), (240, 10), (360, 10), (480, 10)]);
    assert_eq!(record.most_in(ms(100)), 10);
}

#[tokio::test(start_paused = true)]
async fn a_process_that_is_40_ms_away_uses_its_permits_within_their_time() {
    let store = FakeStore::new();
    let far = store.another_process();
    far.set_trip(ms(40));
    let (a, b) = (closed(window(10, SECOND), &store), closed(window(10, SECOND), &far));
    let record = Record::begin();
    let tasks = [start(3, &a, &record), start(20, &b, &record)];
    sleep(10 * SECOND).await;
    tasks.into_iter().for_each(abort);
    assert_eq!(record.most_in(SECOND), 10);
    assert!(record.total() >= 80, "{:?}", record.moments());
    assert!(b.stats().admitted >= 20, "{:?}", b.stats());
}

#[tokio::test(start_paused = true)]
async fn permits_of_a_late_answer_lapse_and_the_next_are_held_for_longer() {
    let store = FakeStore::new();
    store.set_trip(ms(90));
    let limiter = closed(window(1, SECOND), &store);
    let begun = Instant::now();
    // Granted at 45 ms for 20 ms from the asking, and read at 90 ms. The next permit is free 1 s
    // after its stamp, and read 45 ms after that.
    limiter.acquire().await;
    assert_eq!(begun.elapsed(), ms(45 + 20 + 1_000 + 45));
    assert_eq!((limiter.stats().lapsed, limiter.stats().asks), (1, 2 + 6), "six pulses, 150 ms apart");
    // Now held for three trips.
    limiter.acquire().await;
    assert_eq!(begun.elapsed(), ms(1_110 + 270 + 1_000));
}

#[tokio::test(start_paused = true)]
async fn weights_over_two_windows_are_exact_in_both() {
    let limits = || RateLimiter::builder().window(5, SECOND).window(100, 3 * SECOND);
    let store = FakeStore::new();
    let (a, b) = (closed(limits(), &store), closed(limits(), &store.another_process()));
    let (calls, tokens) = (Record::begin(), Record::begin());
    let tasks = [(&a, 7), (&b, 13), (&a, 29), (&b, 3)].map(|(limiter, weight)| {
        let (limiter, calls, tokens) = (limiter.clone(), calls.clone(), tokens.clone());
        tokio::spawn(async move {
            loop {
                limiter.acquire_many([1, weight]).await.unwrap();
                calls.note(1);
                tokens.note(weight);
            }
        })
    });
    sleep(30 * SECOND).await;
    abort(tasks);
    assert!(calls.most_in(SECOND) <= 5);
    assert!(tokens.most_in(3 * SECOND) <= 100);
    assert!(tokens.most_in(3 * SECOND) > 90 && tokens.total() > 800, "{:?}", tokens.moments());
}

#[tokio::test(start_paused = true)]
async fn leases_are_exact() {
    let store = FakeStore::new();
    let limit = || window(1_000, SECOND).lease(100);
    let far = store.another_process();
    store.set_trip(ms(1));
    far.set_trip(ms(2));
    let (a, b) = (closed(limit(), &store), closed(limit(), &far));
    let record = Record::begin();
    let tasks = [start(1, &a, &record), start(1, &b, &record)];
    sleep(10 * SECOND).await;
    tasks.into_iter().for_each(abort);
    assert!(record.most_in(SECOND) <= 1_000, "{}", record.most_in(SECOND));
    assert!(record.total() > 7_000, "{}", record.total());
    let asks = a.stats().asks + b.stats().asks;
    assert!(asks < u64::from(record.total()) / 20, "{asks} requests");
}

#[tokio::test(start_paused = true)]
async fn a_lease_asks_for_what_was_taken_in_the_last_hold() {
    let store = FakeStore::new();
    let limiter = closed(window(100, SECOND).lease(10), &store);
    limiter.acquire().await; // nothing was taken before
    assert_eq!((limiter.stats().asks, limiter.available()), (1, 99));
    limiter.acquire().await; // and one ahead
    limiter.acquire().await;
    assert_eq!(limiter.stats().asks, 2);
    limiter.acquire().await; // and three ahead
    sleep(ms(21)).await; // which no call takes in time
    assert_eq!(limiter.try_acquire().map_err(|_| ()), Err(()));
    assert_eq!((limiter.stats().asks, limiter.stats().lapsed), (3, 3));
}

#[tokio::test(start_paused = true)]
async fn even_spacing_is_even_across_processes() {
    let store = FakeStore::new();
    let limit = || RateLimiter::builder().paced(10, SECOND);
    let (a, b) = (closed(limit(), &store), closed(limit(), &store.another_process()));
    let record = Record::begin();
    let tasks = [start(2, &a, &record), start(2, &b, &record)];
    sleep(ms(950)).await;
    tasks.into_iter().for_each(abort);
    assert_eq!(record.moments(), (0..10).map(|n| (n * 100, 1)).collect::<Vec<_>>());
    assert_eq!((a.stats().admitted, b.stats().admitted), (5, 5));
}

#[tokio::test(start_paused = true)]
async fn even_spacing_has_its_burst_once() {
    let store = FakeStore::new();
    let limit = || RateLimiter::builder().paced(10, SECOND).burst(4);
    let (a, b) = (closed(limit(), &store), closed(limit(), &store.another_process()));
    let record = Record::begin();
    let tasks = [start(3, &a, &record), start(3, &b, &record)];
    sleep(ms(350)).await;
    tasks.into_iter().for_each(abort);
    assert_eq!(record.moments(), [(0, 4), (100, 1), (200, 1), (300, 1)]);
}

#[tokio::test(start_paused = true)]
async fn a_permit_that_its_waiter_does_not_take_in_time_lapses() {
    let store = FakeStore::new();
    let limiter = closed(window(1, SECOND), &store);
    let mut stalled = Box::pin(limiter.acquire());
    assert!((&mut stalled).now_or_never().is_none());
    sleep(ms(500)).await; // granted at 0, and not polled for longer than the hold
    let begun = Instant::now();
    stalled.await;
    assert_eq!(begun.elapsed(), ms(520), "the permit counts until 20 ms + 1 s");
    assert_eq!(limiter.stats().lapsed, 1);
}

#[tokio::test(start_paused = true)]
async fn one_request_asks_for_all_calls_that_wait() {
    let store = FakeStore::new();
    store.set_trip(ms(2));
    let limiter = closed(window(1_000, SECOND), &store);
    join_all((0..500).map(|_| limiter.acquire())).await;
    assert_eq!((limiter.stats().asks, store.served()), (1, 1));
}
