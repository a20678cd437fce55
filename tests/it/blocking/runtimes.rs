//! Blocking waits on threads that belong to a runtime.

use crate::support::{ms, secs};
use decor::{
    Memo,
    blocking::CancelToken,
    prelude::*,
    test_util::{VirtualClock, sleep},
};
use futures::FutureExt as _;
use std::{
    future::pending,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, mpsc},
    thread,
    time::{Duration, Instant},
};
use tokio::{
    runtime::{Builder, Runtime},
    task::JoinHandle,
};

/// A wait there would stop the tasks that could end it.
#[tokio::test]
async fn a_wait_in_a_task_of_a_current_thread_runtime_panics() {
    let limiter = RateLimiter::new(1, secs(3600));
    limiter.acquire_blocking(); // a permit is free, so the call does not wait
    let message = panic_of(|| limiter.acquire_blocking());
    assert!(message.contains(" would have to wait, and so stop the runtime of its task"), "{message}");
    assert!(message.ends_with("make the call in `tokio::task::spawn_blocking`"), "{message}");
    assert_eq!(limiter.waiting(), 0);

    let memo: Memo<u8, u8> = Memo::ttl(secs(300));
    let mut leads = tokio_test::task::spawn(memo.get_or_load(7, std::future::pending::<u8>));
    assert!(leads.poll().is_pending());
    let waits = (|_: u8| 1_u8).blocking().memoized(&memo);
    assert!(catch_unwind(AssertUnwindSafe(|| waits.call(7))).is_err());
    drop(leads);
    assert_eq!(waits.call(7), 1);
}

fn panic_of<T>(call: impl FnOnce() -> T) -> String {
    *catch_unwind(AssertUnwindSafe(|| drop(call()))).unwrap_err().downcast().unwrap()
}

/// The panic names the line of the call, and not one of decor's.
#[tokio::test]
async fn a_wait_that_is_refused_names_the_line_of_the_call() {
    let limiter = RateLimiter::new(1, secs(3600));
    limiter.acquire_blocking();
    let memo: Memo<u8, u8> = Memo::ttl(secs(300));
    let mut leads = tokio_test::task::spawn(memo.get_or_load(7, pending::<u8>));
    assert!(leads.poll().is_pending());

    let fails = |_: u8| Err::<u8, _>(decor::Error::QueueFull { waiting: 1 });
    let behind = (|_: u8| 1_u8).blocking().rate_limited(&limiter);
    let retried = fails.blocking().timed("inside").retry_with(RetryPolicy::fixed(secs(1)));
    let (_release, held) = mpsc::channel::<()>();
    let held = Arc::new(Mutex::new(held));
    let slow = move |_: u8| {
        let _ = held.lock().unwrap().recv(); // until the end of the test
        Ok::<_, decor::Error>(())
    };
    let bounded = slow.blocking().timeout(secs(9));
    let joins = (|_: u8| 1_u8).blocking().memoized(&memo);
    let run = (|| Err::<(), _>("busy")).blocking().retry_with(RetryPolicy::fixed(secs(1)));
    let here = |line| format!("the blocking call at {}:{line}:", file!());
    for (line, message) in [
        (line!(), panic_of(|| limiter.acquire_blocking())),
        (line!(), panic_of(|| limiter.acquire_many(1).blocking())),
        (line!(), panic_of(|| behind.call(7))),
        (line!(), panic_of(|| retried.call(7))),
        (line!(), panic_of(|| bounded.call(7))),
        (line!(), panic_of(|| joins.call(7))),
        (line!(), panic_of(|| run.run())),
        (line!(), panic_of(|| sleep(secs(1)))),
    ] {
        assert!(message.starts_with(&here(line)), "{line}: {message}");
    }
    // A closure of decor's stands between the two.
    let message = panic_of(|| behind.clone().timed("outside").call(7));
    assert!(message.starts_with("a blocking call would have to wait"), "{message}");
}

/// The waiting thread itself would have to run the tasks that it waits for, and virtual time would
/// not advance to the end of the wait.
#[tokio::test]
async fn a_wait_in_a_task_under_a_virtual_clock_panics_as_well() {
    let clock = VirtualClock::start();
    let memo: Memo<u8, u8> = Memo::ttl(secs(300));
    let mut leads = tokio_test::task::spawn(memo.get_or_load(7, std::future::pending::<u8>));
    assert!(leads.poll().is_pending());
    let waits = (|_: u8| 1_u8).blocking().memoized(&memo);
    assert!(catch_unwind(AssertUnwindSafe(|| waits.call(7))).is_err());
    sleep(secs(1)); // the clock still advances
    assert_eq!(clock.elapsed(), secs(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_wait_in_a_task_of_a_multi_thread_runtime_lets_other_tasks_run() {
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

/// A thread waits in real time, and its wait ends, while time stands still for tasks.
#[tokio::test(start_paused = true)]
async fn a_blocking_wait_beside_a_paused_clock_takes_real_time() {
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

const HOUR: Duration = Duration::from_secs(3600);

fn runtimes() -> [Runtime; 2] {
    [Builder::new_current_thread(), Builder::new_multi_thread()]
        .map(|mut builder| builder.worker_threads(1).enable_all().build().unwrap())
}

/// Asserts that the task was unwound.
#[track_caller]
fn assert_unwound<T>(task: JoinHandle<T>) {
    let ended = task.now_or_never().expect("it has ended").map(drop);
    assert!(ended.unwrap_err().is_panic());
}

#[test]
fn a_runtimes_end_does_not_wait_for_a_threads_backoff() {
    for runtime in runtimes() {
        let (tell, told) = mpsc::channel();
        let retried = (move || Err::<(), _>(tell.send(()))).blocking().retry_with(RetryPolicy::fixed(HOUR));
        let task = runtime.spawn_blocking(move || retried.call().is_ok());
        told.recv().unwrap();
        drop(runtime); // would take an hour if it waited for the retry
        assert_unwound(task);
        told.recv().unwrap_err(); // the function was dropped, and is not called again
    }
}

#[test]
fn a_runtimes_end_does_not_wait_for_a_permit_or_a_load() {
    for runtime in runtimes() {
        let limiter = RateLimiter::new(1, HOUR);
        limiter.acquire_blocking();
        let waits = limiter.clone();
        let waits = runtime.spawn_blocking(move || waits.acquire_blocking());
        let memo: Memo<u8, u8> = Memo::ttl(HOUR);
        let mut leads = tokio_test::task::spawn(memo.get_or_load(7, pending::<u8>));
        assert!(leads.poll().is_pending());
        let joins = (|_: u8| 1_u8).blocking().memoized(&memo);
        let joins = runtime.spawn_blocking(move || joins.call(7));
        while limiter.waiting() == 0 || memo.stats().coalesced == 0 {
            thread::yield_now();
        }
        drop(runtime);
        assert_unwound(waits);
        assert_unwound(joins);
        assert_eq!((limiter.waiting(), limiter.stats().cancelled, memo.stats().loading), (0, 1, 1));
    }
}

/// Later waits of a thread use the task that its first wait has spawned in the runtime.
#[test]
fn the_end_of_a_runtime_ends_later_waits_of_a_thread_too() {
    for runtime in runtimes() {
        let (tell, told) = mpsc::channel();
        let (go, stop) = mpsc::channel::<()>();
        let task = runtime.spawn_blocking(move || {
            for _ in 0..3 {
                sleep(Duration::ZERO);
            }
            tell.send(tokio::runtime::Handle::current().metrics().num_alive_tasks()).unwrap();
            stop.recv().unwrap(); // the runtime ends in the meantime
            sleep(HOUR);
        });
        assert_eq!(told.recv(), Ok(1));
        runtime.shutdown_background();
        go.send(()).unwrap();
        while !task.is_finished() {
            thread::yield_now();
        }
        assert_unwound(task);
    }
}

#[test]
fn a_bounded_call_ends_with_the_runtime_of_its_caller() {
    for runtime in runtimes() {
        let (tell, told) = mpsc::channel();
        let slow = move || {
            tell.send(()).unwrap();
            sleep(HOUR);
            Ok::<_, decor::Error>(())
        };
        let slow = slow.blocking().timeout(HOUR);
        let task = runtime.spawn_blocking(move || slow.call());
        told.recv().unwrap();
        drop(runtime);
        assert_unwound(task);
        told.recv().unwrap_err(); // the abandoned call was unwound as well
    }
}

/// The waiting task runs on the runtime's only worker, and tokio waits for it as well. The second
/// task runs once the first has handed the worker over. A runtime that ends before that drops its
/// tasks only after the wait.
#[test]
fn a_wait_in_a_task_ends_with_its_runtime() {
    let [_, runtime] = runtimes();
    let (tell, told) = mpsc::channel();
    let begun = tell.clone();
    let task = runtime.spawn(async move {
        begun.send(1).unwrap();
        sleep(HOUR);
    });
    assert_eq!(told.recv(), Ok(1));
    runtime.spawn(async move { tell.send(2).unwrap() });
    assert_eq!(told.recv(), Ok(2));
    drop(runtime);
    assert_unwound(task);
}

/// Nothing would catch the unwinding of such a thread.
#[test]
fn the_end_of_a_runtime_does_not_end_waits_of_a_thread_that_merely_entered_it() {
    let clock = VirtualClock::start();
    for runtime in runtimes() {
        let handle = runtime.handle().clone();
        let waits = clock.spawn(move || {
            let _entered = handle.enter();
            sleep(secs(10));
        });
        sleep(secs(1));
        drop(runtime);
        waits.join();
    }
    assert_eq!(clock.elapsed(), secs(20));
}

#[test]
fn a_cancelled_token_ends_calls_in_a_runtime_with_none() {
    for runtime in runtimes() {
        let (token, (tell, told)) = (CancelToken::new(), mpsc::channel());
        let retried = (move || Err::<(), _>(tell.send(()))).blocking().retry_with(RetryPolicy::fixed(HOUR));
        let its_token = token.clone();
        let task = runtime.spawn_blocking(move || its_token.run(|| retried.call().is_ok()));
        told.recv().unwrap();
        token.cancel();
        drop(runtime);
        assert_eq!(task.now_or_never().unwrap().unwrap(), None);
    }
}
