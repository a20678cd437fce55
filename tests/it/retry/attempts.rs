//! The start of attempts, drops before an attempt, and the arguments of an attempt.

use super::counted;
use crate::support::{ms, secs};
use decor::prelude::*;
use std::{
    cell::{Cell, RefCell},
    future::{pending, ready},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::time::sleep;
use tokio_test::{assert_pending, assert_ready, task};

#[tokio::test(start_paused = true)]
async fn a_retry_dropped_during_a_delay_makes_no_further_call() {
    let calls = Cell::new(0);
    let mut call = task::spawn(counted(&calls).retry_with(RetryPolicy::fixed(secs(1))).into_future());
    assert_pending!(call.poll());
    drop(call);
    sleep(secs(60)).await;
    assert_eq!(calls.get(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_retry_dropped_during_an_attempt_drops_the_attempt() {
    let token = Arc::new(());
    let held = Arc::clone(&token);
    let hang = move || {
        let held = Arc::clone(&held);
        async move {
            let held = held;
            pending::<()>().await;
            drop(held);
            Ok::<(), ()>(())
        }
    };
    let mut call = task::spawn(hang.retry_with(RetryPolicy::default()).into_future());
    assert_pending!(call.poll());
    assert_eq!(Arc::strong_count(&token), 3);
    drop(call);
    assert_eq!(Arc::strong_count(&token), 1);
}

#[tokio::test(start_paused = true)]
async fn a_failed_attempts_future_is_dropped_before_the_delay() {
    let token = Arc::new(());
    let held = Arc::clone(&token);
    let fail = move || {
        let held = Arc::clone(&held);
        std::future::poll_fn(move |_| std::task::Poll::Ready(Err::<(), _>(Arc::strong_count(&held))))
    };
    let mut call = task::spawn(fail.retry_with(RetryPolicy::fixed(secs(1))).into_future());
    assert_pending!(call.poll());
    assert_eq!(Arc::strong_count(&token), 2, "only this test and the closure hold the token");
}

#[tokio::test(start_paused = true)]
async fn nothing_of_the_next_attempt_runs_before_its_delay_is_over() {
    let calls = Cell::new(0);
    let mut call = task::spawn(counted(&calls).retry_with(RetryPolicy::fixed(secs(1))).into_future());
    assert_pending!(call.poll());
    tokio::time::advance(ms(999)).await;
    assert_pending!(call.poll());
    assert_eq!(calls.get(), 1);
    tokio::time::advance(ms(1)).await;
    assert_pending!(call.poll());
    assert_eq!(calls.get(), 2);
}

#[test]
fn a_retry_without_delay_yields_between_attempts() {
    // Without a runtime, because neither timer nor clock is used.
    let calls = Cell::new(0);
    let policy = RetryPolicy::fixed(Duration::ZERO).max_attempts(4);
    let mut call = task::spawn(counted(&calls).retry_with(policy).into_future());
    for attempt in 1..4 {
        assert_pending!(call.poll());
        assert_eq!(calls.get(), attempt);
        assert!(call.is_woken());
    }
    assert_eq!(assert_ready!(call.poll()), Err("busy"));
    assert_eq!(calls.get(), 4);
}

#[test]
fn a_success_at_once_needs_no_runtime() {
    let policy = RetryPolicy::exponential(secs(1)).jitter(Jitter::Full);
    let mut call = task::spawn((|n: u8| ready(Ok::<_, ()>(n))).retry_with(policy).call(7));
    assert_eq!(assert_ready!(call.poll()), Ok(7));
}

#[tokio::test(start_paused = true)]
async fn a_delay_beyond_the_range_of_the_clock_never_ends() {
    let calls = Cell::new(0);
    let mut call = task::spawn(counted(&calls).retry_with(RetryPolicy::fixed(Duration::MAX)).into_future());
    assert_pending!(call.poll());
    tokio::time::advance(secs(60 * 60 * 24 * 365 * 10)).await;
    assert_pending!(call.poll());
    assert_eq!(calls.get(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_attempts_resources_are_freed_before_its_end_is_reported() {
    let permits = tokio::sync::Semaphore::new(1);
    let free = RefCell::new(Vec::new());
    let fail = || {
        let permit = permits.try_acquire().unwrap();
        // The future drops the value when it is dropped, not when it is ready.
        std::future::poll_fn(move |_| std::task::Poll::Ready(Err::<(), _>(permit.num_permits())))
    };
    fail.retry_with(RetryPolicy::fixed(ms(5)).max_attempts(2))
        .on_retry(|_| free.borrow_mut().push(permits.available_permits()))
        .on_give_up(|_| free.borrow_mut().push(permits.available_permits()))
        .await
        .unwrap_err();
    assert_eq!(*free.borrow(), [1, 1]);
}

#[tokio::test(start_paused = true)]
async fn each_hook_by_itself_gets_the_elapsed_time() {
    let failing = || async {
        sleep(ms(5)).await;
        Err::<(), _>("busy")
    };
    let policy = RetryPolicy::fixed(ms(10)).max_attempts(2);
    let mut at = Vec::new();
    failing.retry_with(&policy).on_retry(|r| at.push(r.elapsed)).await.unwrap_err();
    failing.retry_with(&policy).on_give_up(|g| at.push(g.elapsed)).await.unwrap_err();
    assert_eq!(at, [ms(5), ms(5 + 10 + 5)]);
}

#[tokio::test(start_paused = true)]
async fn a_delay_that_ends_exactly_at_the_deadline_is_begun() {
    for (deadline, expected) in [(2_999, 3), (3_000, 4)] {
        let calls = Cell::new(0);
        let policy = RetryPolicy::fixed(secs(1)).max_attempts(10).deadline(ms(deadline));
        counted(&calls).retry_with(policy).await.unwrap_err();
        assert_eq!(calls.get(), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn elapsed_time_and_the_longest_delay_do_not_overflow() {
    let busy = || async {
        sleep(ms(5)).await;
        Err::<(), _>("busy")
    };
    let patient = RetryPolicy::fixed(Duration::MAX).deadline(Duration::MAX);
    let mut call = task::spawn(busy.retry_with(patient).into_future());
    assert_pending!(call.poll());
    sleep(ms(5)).await;
    assert_pending!(call.poll());
    let jittered = RetryPolicy::fixed(ms(1)).jitter(Jitter::Full).max_hint(Duration::MAX);
    let mut call = task::spawn(busy.retry_with(jittered).retry_after(|_| Some(Duration::MAX)).into_future());
    assert_pending!(call.poll());
    sleep(ms(5)).await;
    assert_pending!(call.poll());
}

#[tokio::test(start_paused = true)]
async fn arguments_are_cloned_only_for_attempts_that_may_be_followed() {
    static CLONES: AtomicU32 = AtomicU32::new(0);
    struct Counted;
    impl Clone for Counted {
        fn clone(&self) -> Self {
            CLONES.fetch_add(1, Relaxed);
            Self
        }
    }
    let clones_with = |max_attempts| async move {
        CLONES.store(0, Relaxed);
        let policy = RetryPolicy::fixed(ms(1)).max_attempts(max_attempts);
        (|_: Counted| ready(Err::<(), _>("busy"))).retry_with(policy).call(Counted).await.unwrap_err();
        CLONES.load(Relaxed)
    };
    assert_eq!(clones_with(1).await, 0);
    assert_eq!(clones_with(2).await, 1);
    assert_eq!(clones_with(5).await, 4);
}
