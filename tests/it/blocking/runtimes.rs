//! Waits of a thread that belongs to a runtime.

use crate::support::{ms, secs};
use decor::{
    Memo,
    prelude::*,
    test_util::{VirtualClock, sleep},
};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::Instant,
};

/// A thread that waited there would stop everything that it waits for.
#[tokio::test]
async fn a_wait_in_a_task_of_a_current_thread_runtime_says_so() {
    let limiter = RateLimiter::new(1, secs(3600));
    limiter.acquire_blocking(); // does not wait
    let panic = catch_unwind(AssertUnwindSafe(|| limiter.acquire_blocking())).unwrap_err();
    let message = *panic.downcast::<&str>().unwrap();
    assert!(message.starts_with("a blocking call would have to wait here, and so stop the runtime"), "{message}");
    assert!(message.ends_with("call it in `tokio::task::spawn_blocking`"), "{message}");
    assert_eq!(limiter.waiting(), 0);

    let memo: Memo<u8, u8> = Memo::ttl(secs(300));
    let mut leads = tokio_test::task::spawn(memo.get_or_load(7, std::future::pending::<u8>));
    assert!(leads.poll().is_pending());
    let waits = (|_: u8| 1_u8).blocking().memoized(&memo);
    assert!(catch_unwind(AssertUnwindSafe(|| waits.call(7))).is_err());
    drop(leads);
    assert_eq!(waits.call(7), 1);
}

/// The waiting thread itself would have to do the work that it waits for, and no time passes that
/// would end the wait.
#[tokio::test]
async fn a_wait_in_a_task_under_a_virtual_clock_says_so_as_well() {
    let clock = VirtualClock::start();
    let memo: Memo<u8, u8> = Memo::ttl(secs(300));
    let mut leads = tokio_test::task::spawn(memo.get_or_load(7, std::future::pending::<u8>));
    assert!(leads.poll().is_pending());
    let waits = (|_: u8| 1_u8).blocking().memoized(&memo);
    assert!(catch_unwind(AssertUnwindSafe(|| waits.call(7))).is_err());
    sleep(secs(1)); // time still passes
    assert_eq!(clock.elapsed(), secs(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_wait_in_a_task_of_several_threads_lets_others_go_on() {
    let memo: Memo<u8, u8> = Memo::ttl(secs(300));
    let (go, stop) = tokio::sync::oneshot::channel();
    let leads = tokio::spawn(memo.get_or_load(7, move || async move { stop.await.unwrap() }));
    while memo.stats().loading == 0 {
        tokio::task::yield_now().await;
    }
    let (waits, other) = (memo.clone(), memo.clone());
    let waits = tokio::spawn(async move { (|_: u8| 0_u8).blocking().memoized(&waits).call(7) });
    let goes_on = tokio::spawn(async move {
        while other.stats().coalesced == 0 {
            tokio::task::yield_now().await;
        }
        go.send(49).unwrap();
    });
    assert_eq!((waits.await.unwrap(), leads.await.unwrap()), (49, 49));
    goes_on.await.unwrap();
}

/// A thread waits in real time while time stands still for tasks, and its wait ends.
#[tokio::test(start_paused = true)]
async fn a_wait_beside_a_paused_clock_is_a_real_one_and_ends() {
    let limiter = RateLimiter::new(1, ms(20));
    let waits = limiter.clone();
    let (took, error) = tokio::task::spawn_blocking(move || {
        let begun = Instant::now();
        waits.acquire_blocking();
        waits.acquire_blocking();
        let failing = (|| Err::<(), _>("busy")).blocking().retry_with(RetryPolicy::fixed(ms(10)));
        (begun.elapsed(), failing.call())
    })
    .await
    .unwrap();
    assert!(took >= ms(20), "{took:?}");
    assert_eq!(error, Err("busy"));
}
