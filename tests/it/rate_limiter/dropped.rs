//! Waiters that are dropped at any point, and wakers that own waiters.

use crate::support::{millis, ms, secs};
use decor::prelude::*;
use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, LazyLock, Mutex},
    task::Context,
};
use tokio::time::{Instant, advance};
use tokio_test::{assert_pending, task};

#[tokio::test(start_paused = true)]
#[cfg_attr(miri, ignore = "does not finish under Miri")]
async fn ten_thousand_dropped_waiters_do_not_delay_a_new_call() {
    let limiter = RateLimiter::new(1, secs(1));
    limiter.acquire().await;
    let mut waiters: Vec<_> = (0..10_000).map(|_| task::spawn(limiter.acquire())).collect();
    for waiter in &mut waiters {
        assert_pending!(waiter.poll());
    }
    assert_eq!(limiter.waiting(), 10_000);
    drop(waiters);
    assert_eq!(limiter.waiting(), 0);
    let begun = Instant::now();
    limiter.acquire().await;
    assert_eq!(begun.elapsed(), secs(1));
    let stats = limiter.stats();
    assert_eq!((stats.admitted, stats.delayed, stats.cancelled), (2, 1, 10_000));
    assert_eq!(stats.total_wait, secs(1));
}

/// The head is dropped before its timer, at its timer, or after it was woken and before it was
/// polled. Each time, the next waiter is admitted at the head's turn.
#[tokio::test(start_paused = true)]
async fn the_head_can_be_dropped_at_any_point() {
    for drop_after in [0, 500, 999, 1000, 1001] {
        for between in [0, 1, 3] {
            let limiter = RateLimiter::new(1, secs(1));
            limiter.acquire().await;
            let begun = Instant::now();
            let mut head = task::spawn(limiter.acquire());
            assert_pending!(head.poll());
            let mut also: Vec<_> = (0..between).map(|_| task::spawn(limiter.acquire())).collect();
            for waiter in &mut also {
                assert_pending!(waiter.poll());
            }
            let mut next = task::spawn(limiter.acquire());
            assert_pending!(next.poll());
            advance(ms(drop_after)).await;
            assert_eq!(head.is_woken(), drop_after >= 1000);
            drop(also);
            drop(head);
            next.await;
            assert_eq!(millis(begun.elapsed()), drop_after.max(1000), "{drop_after} {between}");
            assert_eq!(limiter.stats().skipped, 0);
        }
    }
}

/// The last clone of a waker may own a task, and the task may own a waiter of the same limiter.
/// Dropping such a waker under the lock would hang.
#[tokio::test(start_paused = true)]
async fn wakers_are_dropped_outside_of_the_lock() {
    /// Owns a waiter, which is dropped with it.
    struct Owner(#[allow(dead_code)] Mutex<Pin<Box<dyn Future<Output = ()> + Send>>>);
    impl std::task::Wake for Owner {
        fn wake(self: Arc<Self>) {}
    }
    static LIMITER: LazyLock<RateLimiter> = LazyLock::new(|| RateLimiter::new(1, secs(1)));
    LIMITER.acquire().await;
    let mut inner: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(LIMITER.acquire());
    assert!(inner.as_mut().poll(&mut Context::from_waker(std::task::Waker::noop())).is_pending());
    let owner = Arc::new(Owner(Mutex::new(inner)));
    let alive = Arc::downgrade(&owner);
    let mut outer = Box::pin(LIMITER.acquire());
    assert!(outer.as_mut().poll(&mut Context::from_waker(&owner.into())).is_pending());

    // Neither waiter is ever polled again. The timer of the outer waiter drops its clone of the
    // waker. The skip of the waiter drops the last clone.
    for pause in [1_000, 10, 3_000] {
        assert!(LIMITER.try_acquire().is_err());
        advance(ms(pause)).await;
        assert!(alive.upgrade().is_some());
    }
    assert_eq!(LIMITER.try_acquire(), Ok(()));
    assert!(alive.upgrade().is_none());
    assert_eq!((LIMITER.stats().skipped, LIMITER.waiting()), (2, 0));
}
