//! Order within a process, and between processes.

use crate::support::{Record, SECOND, abort, closed, ms, start, window};
use decor::test_util::FakeStore;
use futures::FutureExt;
use std::{
    cell::RefCell,
    sync::{Arc, Mutex},
};
use tokio::time::{Instant, sleep, timeout};

#[tokio::test(start_paused = true)]
async fn calls_of_a_process_go_in_the_order_in_which_they_came() {
    let store = FakeStore::new();
    store.set_trip(ms(3));
    let limiter = closed(window(2, SECOND), &store);
    let order = Arc::new(Mutex::new(Vec::new()));
    let calls = (0..9).map(|n| {
        let (limiter, order) = (limiter.clone(), Arc::clone(&order));
        tokio::spawn(async move {
            sleep(ms(n)).await;
            limiter.acquire().await;
            order.lock().unwrap().push(n);
        })
    });
    for call in calls.collect::<Vec<_>>() {
        call.await.unwrap();
    }
    assert_eq!(*order.lock().unwrap(), (0..9).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn ten_processes_get_their_parts_of_a_small_limit() {
    let store = FakeStore::new();
    let records = RefCell::new(Vec::new());
    let all = Record::begin();
    let tasks = (0..10).map(|_| {
        let record = Record::begin();
        records.borrow_mut().push(record.clone());
        let limiter = closed(window(10, SECOND), &store.another_process());
        let all = all.clone();
        tokio::spawn(async move {
            let calls = start(4, &limiter, &record);
            let notes = tokio::spawn(async move {
                loop {
                    sleep(SECOND).await;
                    all.elapsed();
                }
            });
            sleep(20 * SECOND).await;
            notes.abort();
            abort(calls);
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    for record in &*records.borrow() {
        let first = record.moments()[0].0;
        assert!(record.total() >= 10 && first < 5_000, "{} calls, the first after {first} ms", record.total());
    }
    let sum: u32 = records.borrow().iter().map(Record::total).sum();
    assert_eq!(sum, 200, "ten each 1.02 s");
}

#[tokio::test(start_paused = true)]
async fn a_process_with_many_waiters_leaves_the_next_batch_to_another() {
    let store = FakeStore::new();
    store.set_trip(ms(1));
    let other = store.another_process();
    other.set_trip(ms(1));
    let (many, few) = (closed(window(10, SECOND), &store), closed(window(10, SECOND), &other));
    let record = Record::begin();
    let tasks = start(1_000, &many, &record);
    sleep(ms(10)).await;
    // The first reserves as far as 10 s ahead at once, which is the tenth batch.
    let waited = timeout(12 * SECOND, few.acquire()).await;
    assert!(waited.is_ok());
    assert!(record.elapsed() <= ms(10 * 1_020 + 1_040), "{:?}", record.elapsed());
    abort(tasks);
}

#[tokio::test(start_paused = true)]
async fn a_waiter_that_is_not_polled_is_skipped_after_10_ms() {
    let store = FakeStore::new();
    store.set_trip(ms(2));
    let limiter = closed(window(2, SECOND), &store);
    let mut silent = Box::pin(limiter.acquire());
    assert!((&mut silent).now_or_never().is_none());
    let next = tokio::spawn({
        let limiter = limiter.clone();
        async move { limiter.acquire().await }
    });
    let begun = Instant::now();
    next.await.unwrap();
    assert_eq!((begun.elapsed(), limiter.stats().skipped), (ms(2 + 10), 1));
    silent.await; // in its own time, by the other permit
    assert_eq!(begun.elapsed(), ms(2 + 10));
}

/// The permits of a silent waiter lapse before it is skipped. The store must not be asked to call
/// all the time until then.
#[tokio::test(start_paused = true)]
async fn a_silent_waiter_with_lapsed_permits_keeps_no_thread_busy() {
    let store = FakeStore::new();
    let limiter = closed(window(1, SECOND).slack(ms(2)), &store);
    let mut silent = Box::pin(limiter.acquire());
    assert!((&mut silent).now_or_never().is_none());
    sleep(ms(500)).await;
    assert_eq!((limiter.stats().lapsed, limiter.stats().skipped), (1, 0));
    sleep(ms(600)).await; // due again at 1,002 ms, and still silent
    assert_eq!(limiter.stats().skipped, 1);
    let begun = Instant::now();
    silent.await;
    assert!(begun.elapsed() <= ms(1_100), "{:?}", begun.elapsed());
}
