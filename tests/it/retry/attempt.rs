//! `decor::attempt()`, the number of the running attempt, in tasks, threads and nested retries.

use crate::support::{ms, secs};
use decor::{RetryPolicy, attempt, prelude::*, test_util::VirtualClock};
use futures::{FutureExt as _, future::join_all};
use std::{
    cell::{Cell, RefCell},
    future::{pending, ready},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};
use tokio::{
    task::{spawn, yield_now},
    time::sleep,
};
use tokio_test::{assert_pending, task};

fn policy(attempts: u32) -> RetryPolicy {
    RetryPolicy::fixed(secs(1)).max_attempts(attempts)
}

/// Records the attempt, and fails until `last`.
async fn failing_until(last: u32, seen: &RefCell<Vec<u32>>) -> Result<u32, u32> {
    let number = attempt();
    seen.borrow_mut().push(number);
    yield_now().await;
    assert_eq!(attempt(), number, "the same before and after a wait");
    sleep(ms(10)).await;
    assert_eq!(attempt(), number);
    if number < last { Err(number) } else { Ok(number) }
}

#[tokio::test(start_paused = true)]
async fn the_attempt_is_one_outside_and_counts_inside() {
    assert_eq!(attempt(), 1);
    let seen = RefCell::default();
    let third = (|| failing_until(3, &seen)).retry_with(policy(5)).await;
    assert_eq!((third, attempt()), (Ok(3), 1));
    assert_eq!(*seen.borrow(), [1, 2, 3]);
    let given_up = (|| failing_until(9, &seen)).retry_with(policy(2)).await;
    assert_eq!((given_up, attempt()), (Err(2), 1));
}

/// A closure may run code before it returns its future.
#[tokio::test(start_paused = true)]
async fn a_closure_sees_the_attempt_before_it_returns_its_future() {
    let fail = || ready(Err::<(), _>(attempt()));
    assert_eq!(fail.retry_with(policy(4)).await, Err(4));
    let limiter = RateLimiter::new(1, secs(10));
    assert_eq!(fail.rate_limited(&limiter).retry_with(policy(3)).await, Err(3));
}

#[tokio::test(start_paused = true)]
async fn within_nested_retries_the_innermost_counts() {
    let seen = RefCell::new(Vec::new());
    let inner = || async {
        seen.borrow_mut().push(attempt());
        Err::<(), _>("busy")
    };
    let outer = || async {
        seen.borrow_mut().push(10 * attempt());
        let failed = inner.retry_with(policy(2)).await;
        seen.borrow_mut().push(10 * attempt());
        failed
    };
    outer.retry_with(policy(2)).await.unwrap_err();
    assert_eq!(*seen.borrow(), [10, 1, 2, 10, 20, 1, 2, 20]);

    // Two retries in one chain.
    seen.borrow_mut().clear();
    inner.retry_with(policy(2)).retry_with(policy(2)).await.unwrap_err();
    assert_eq!(*seen.borrow(), [1, 2, 1, 2]);
}

#[tokio::test(start_paused = true)]
async fn concurrent_retries_on_one_thread_keep_their_numbers() {
    let seen = RefCell::default();
    // The n-th call needs n attempts, and begins n ms later.
    let calls = (1..=20_u32).map(|n| {
        let seen = &seen;
        async move {
            sleep(ms(u64::from(n))).await;
            let done = (|| failing_until(n, seen)).retry_with(policy(20)).await;
            assert_eq!((done, attempt()), (Ok(n), 1));
        }
    });
    join_all(calls).await;
    assert_eq!(seen.borrow().len(), 20 * 21 / 2);
}

#[tokio::test(start_paused = true)]
async fn a_spawned_task_has_attempt_one() {
    let spawning = || async {
        let outside = spawn(async { attempt() }).await.unwrap();
        Err::<(), _>((attempt(), outside))
    };
    assert_eq!(spawning.retry_with(policy(3)).await, Err((3, 1)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tasks_that_move_between_threads_keep_their_numbers() {
    let flaky = async |last: u32| {
        let number = attempt();
        for _ in 0..20 {
            yield_now().await;
            assert_eq!(attempt(), number);
        }
        if number < last { Err(number) } else { Ok(number) }
    };
    let policy = RetryPolicy::fixed(ms(0)).max_attempts(8);
    let tasks = (1..=8).map(|n| spawn((move || flaky(n)).retry_with(&policy).call()));
    let done: Vec<_> = join_all(tasks).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(done, (1..=8).map(Ok).collect::<Vec<_>>());
    assert_eq!(attempt(), 1);
}

#[tokio::test(start_paused = true)]
async fn neither_a_panic_nor_a_drop_leaves_an_attempt_behind() {
    let panicking = || async { if attempt() < 3 { Err::<(), _>("busy") } else { panic!("at attempt {}", attempt()) } };
    let panicked = AssertUnwindSafe(panicking.retry_with(policy(5)).into_future()).catch_unwind().await;
    assert_eq!(panicked.unwrap_err().downcast_ref::<String>().unwrap(), "at attempt 3");
    assert_eq!(attempt(), 1);

    let hanging = || async { if attempt() == 1 { Err::<(), _>("busy") } else { pending().await } };
    let mut call = task::spawn(hanging.retry_with(RetryPolicy::fixed(ms(0))).into_future());
    assert_pending!(call.poll());
    assert_pending!(call.poll());
    drop(call);
    assert_eq!(attempt(), 1);
}

/// Hooks and predicates of a retry do not belong to its attempts.
#[tokio::test(start_paused = true)]
async fn hooks_and_predicates_have_the_outer_attempt() {
    let seen = RefCell::new(Vec::new());
    let note = || seen.borrow_mut().push(attempt());
    (|| ready(Err::<(), _>("busy")))
        .retry_with(policy(2))
        .when(|_| {
            note();
            true
        })
        .on_retry(|_| note())
        .on_give_up(|_| note())
        .await
        .unwrap_err();
    assert_eq!(*seen.borrow(), [1, 1, 1]);

    // Within another retry, the inner hooks have the attempt of the outer retry.
    seen.borrow_mut().clear();
    let fail = || ready(Err::<(), _>("busy"));
    let inner = fail.retry_with(policy(2)).on_retry(|_| note()).on_give_up(|_| note());
    inner.retry_with(policy(2)).on_give_up(|_| seen.borrow_mut().push(10 * attempt())).await.unwrap_err();
    assert_eq!(*seen.borrow(), [1, 1, 1, 1, 10]);
}

#[test]
fn attempts_count_on_threads_too() {
    let _clock = VirtualClock::start();
    assert_eq!((|| Err::<(), _>(attempt())).blocking().retry_with(policy(4)).run(), Err(4));
    assert_eq!(attempt(), 1);

    let seen = RefCell::new(Vec::new());
    let inner = || {
        seen.borrow_mut().push(attempt());
        Err::<(), _>("busy")
    };
    let outer = || {
        let failed = inner.blocking().retry_with(policy(2)).run();
        seen.borrow_mut().push(10 * attempt());
        failed
    };
    outer.blocking().retry_with(policy(2)).run().unwrap_err();
    assert_eq!(*seen.borrow(), [1, 2, 10, 1, 2, 20]);

    let panicking = || if attempt() < 3 { Err::<(), _>("busy") } else { panic!("at attempt {}", attempt()) };
    let panicked = catch_unwind(AssertUnwindSafe(|| panicking.blocking().retry_with(policy(5)).run()));
    assert_eq!(panicked.unwrap_err().downcast_ref::<String>().unwrap(), "at attempt 3");
    assert_eq!(attempt(), 1);
}

/// A timeout runs a sync call on another thread, which keeps the number. A thread that the function
/// starts has attempt 1.
#[test]
fn a_sync_call_with_a_timeout_keeps_its_attempt() {
    let _clock = VirtualClock::start();
    let spawning = || Err::<(), _>(format!("{} and {}", attempt(), std::thread::spawn(attempt).join().unwrap()));
    let retried = spawning.blocking().timeout(secs(9)).retry_with(policy(3));
    assert_eq!(retried.run(), Err("3 and 1".to_owned()));
    // The pool's thread is reset.
    let outside = (|| Err::<(), _>(attempt().to_string())).blocking().timeout(secs(9));
    assert_eq!(outside.run(), Err("1".to_owned()));
}

/// A timeout around a retry runs the whole retry on another thread.
#[test]
fn a_retry_within_a_timeout_counts_on_the_other_thread() {
    let _clock = VirtualClock::start();
    let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
    let noted = Arc::clone(&seen);
    let inner = move || {
        noted.lock().unwrap().push(attempt());
        Err::<(), _>("busy".to_owned())
    };
    let chain = inner.blocking().retry_with(policy(2)).timeout(secs(60)).retry_with(policy(2));
    chain.run().unwrap_err();
    assert_eq!(*seen.lock().unwrap(), [1, 2, 1, 2]);
}

#[test]
fn the_last_of_many_attempts_is_counted() {
    let calls = Cell::new(0);
    let fail = || {
        calls.set(calls.get() + 1);
        Err::<(), _>(attempt())
    };
    assert_eq!(fail.blocking().retry_with(RetryPolicy::fixed(ms(0)).max_attempts(1_000)).run(), Err(1_000));
    assert_eq!(calls.get(), 1_000);
}
