//! Threads: waits of the blocking half, in one queue with tasks.

use super::limited;
use crate::support::{millis, ms, secs};
use decor::{
    Error,
    blocking::CancelToken,
    prelude::*,
    test_util::{self, VirtualClock, elapsed},
};
use std::{
    sync::{Arc, Mutex},
    thread,
};
use tokio_test::{assert_pending, assert_ready, task};

fn until(reached: impl Fn() -> bool) {
    while !reached() {
        thread::yield_now();
    }
}

#[test]
fn threads_wait_in_order_and_permits_are_handed_over() {
    let limiter = ConcurrencyLimiter::new(1);
    let order = Arc::new(Mutex::new(Vec::new()));
    let first = limiter.acquire().blocking();
    let threads: Vec<_> = (0..5)
        .map(|n| {
            let (of_thread, order) = (limiter.clone(), Arc::clone(&order));
            let thread = thread::spawn(move || {
                let permit = of_thread.acquire().blocking();
                order.lock().unwrap().push(n);
                drop(permit);
            });
            until(|| limiter.waiting() == n + 1);
            thread
        })
        .collect();
    drop(first);
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(*order.lock().unwrap(), [0, 1, 2, 3, 4]);
    assert_eq!((limiter.in_use(), limiter.stats().delayed), (0, 5));
}

#[test]
fn tasks_and_threads_stand_in_one_queue() {
    let limiter = ConcurrencyLimiter::new(1);
    let permit = limiter.try_acquire().unwrap();
    let mut first = task::spawn(limiter.acquire());
    assert_pending!(first.poll());
    let of_thread = limiter.clone();
    let thread = thread::spawn(move || of_thread.acquire_many(1).blocking().unwrap().permits());
    until(|| limiter.waiting() == 2);
    let mut last = task::spawn(limiter.acquire());
    assert_pending!(last.poll());
    drop(permit);
    assert!(first.is_woken() && !last.is_woken());
    drop(assert_ready!(first.poll())); // the thread's turn
    assert_eq!(thread.join().unwrap(), 1);
    drop(assert_ready!(last.poll()));
    assert_eq!(limiter.in_use(), 0);
}

#[test]
fn a_bounded_wait_ends_in_virtual_time() {
    let clock = VirtualClock::start();
    let limiter = ConcurrencyLimiter::new(1);
    let permit = limiter.acquire().blocking();
    let refused = limiter.acquire_within(ms(1_500)).blocking().unwrap_err();
    assert_eq!((refused, clock.elapsed()), (limited(1, 0), ms(1_500)));
    assert_eq!(limiter.acquire_many(1).within(ms(0)).blocking().unwrap_err(), limited(1, 0));
    drop(permit);
    assert_eq!(limiter.acquire_within(secs(1)).blocking().unwrap().permits(), 1);
}

#[test]
fn sync_functions_run_no_more_than_the_limit_at_once() {
    let clock = VirtualClock::start();
    let limiter = ConcurrencyLimiter::new(2);
    let load = |id: u64| {
        test_util::sleep(secs(1));
        Ok::<_, Error>((id, millis(elapsed().unwrap())))
    };
    let load = load.blocking().concurrency_limited(&limiter);
    let threads: Vec<_> = (0..5)
        .map(|id| {
            let load = load.clone();
            clock.spawn(move || load.call(id).unwrap().1)
        })
        .collect();
    let mut ends: Vec<_> = threads.into_iter().map(test_util::VirtualThread::join).collect();
    ends.sort_unstable();
    assert_eq!(ends, [1_000, 1_000, 2_000, 2_000, 3_000]);
    assert_eq!(limiter.in_use(), 0);
}

#[test]
fn a_thread_that_is_cancelled_leaves_the_queue() {
    let limiter = ConcurrencyLimiter::new(1);
    let permit = limiter.acquire().blocking();
    let token = CancelToken::new();
    let (of_thread, cancelled) = (limiter.clone(), token.clone());
    let thread = thread::spawn(move || cancelled.run(|| drop(of_thread.acquire().blocking())).is_none());
    until(|| limiter.waiting() == 1);
    token.cancel();
    assert!(thread.join().unwrap());
    assert_eq!((limiter.waiting(), limiter.in_use()), (0, 1));
    drop(permit);
    assert_eq!(limiter.in_use(), 0);
}

#[test]
fn a_higher_limit_and_a_close_wake_threads() {
    let limiter = ConcurrencyLimiter::new(1);
    let permit = limiter.acquire().blocking();
    let wait = || {
        let limiter = limiter.clone();
        thread::spawn(move || limiter.acquire_many(1).blocking().map(drop))
    };
    let (first, second) = (wait(), wait());
    until(|| limiter.waiting() == 2);
    limiter.set_limit(2);
    until(|| limiter.stats().delayed == 2);
    assert!(first.join().unwrap().is_ok() && second.join().unwrap().is_ok());
    limiter.set_limit(1);
    let third = wait();
    until(|| limiter.waiting() == 1);
    limiter.close();
    assert_eq!(third.join().unwrap(), Err(Error::Closed { what: "the concurrency limiter" }));
    drop(permit);
}
