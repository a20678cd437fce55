//! The queue is strictly fair, and permits are handed over.

use super::limited;
use crate::support::{millis, secs};
use decor::prelude::*;
use futures::future::join_all;
use std::{
    cell::{Cell, RefCell},
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};
use tokio::time::{Instant, sleep};
use tokio_test::{assert_pending, assert_ready, task};

/// Counts the polls of a future.
#[pin_project::pin_project]
struct Polls<'a, F>(#[pin] F, &'a Cell<u32>);

impl<F: Future> Future for Polls<'_, F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        this.1.set(this.1.get() + 1);
        this.0.poll(cx)
    }
}

#[tokio::test(start_paused = true)]
#[cfg_attr(miri, ignore = "does not finish under Miri")]
async fn a_thousand_waiters_are_admitted_in_order_with_two_polls_each() {
    let limiter = ConcurrencyLimiter::new(10);
    let begun = Instant::now();
    let polls: Vec<_> = (0..1_000).map(|_| Cell::new(0)).collect();
    let order = RefCell::new(Vec::new());
    join_all(polls.iter().enumerate().map(|(n, polls)| {
        let (limiter, order) = (&limiter, &order);
        async move {
            let permit = Polls(limiter.acquire(), polls).await;
            order.borrow_mut().push((n, millis(begun.elapsed())));
            sleep(secs(1)).await;
            drop(permit);
        }
    }))
    .await;
    let expected: Vec<_> = (0..1_000).map(|n| (n, n as u64 / 10 * 1_000)).collect();
    assert_eq!(*order.borrow(), expected);
    assert!(polls[..10].iter().all(|polls| polls.get() == 1));
    assert!(polls[10..].iter().all(|polls| polls.get() == 2));
    assert_eq!((limiter.stats().admitted, limiter.stats().delayed), (1_000, 990));
}

#[tokio::test(start_paused = true)]
async fn a_bounded_wait_needs_two_polls() {
    let (limiter, polls) = (ConcurrencyLimiter::new(1), Cell::new(0));
    let permit = limiter.acquire().await;
    let both = async {
        sleep(secs(1)).await;
        drop(permit);
    };
    let (result, ()) = tokio::join!(Polls(limiter.acquire_within(secs(9)), &polls), both);
    assert!(result.is_ok());
    // `join!` polls all its branches, so the second poll is that of the other branch's wake.
    assert_eq!(limiter.stats().delayed, 1);
    let alone = Cell::new(0);
    let permit = limiter.try_acquire();
    assert!(permit.is_err());
    drop(result);
    drop(Polls(limiter.acquire_within(secs(9)), &alone).await);
    assert_eq!(alone.get(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_newcomer_never_overtakes_a_waiter() {
    let limiter = ConcurrencyLimiter::new(2);
    let one = limiter.acquire().await;
    let mut heavy = task::spawn(limiter.acquire_many(2));
    assert_pending!(heavy.poll());
    // A permit is free, but the first waiter wants two.
    assert_eq!(limiter.available(), 1);
    assert_eq!(limiter.try_acquire().unwrap_err(), limited(2, 1));
    assert_eq!(limiter.try_acquire_many(0).unwrap_err(), limited(2, 1));
    let mut light = task::spawn(limiter.acquire());
    assert_pending!(light.poll());
    drop(one);
    assert!(heavy.is_woken() && !light.is_woken());
    let heavy = assert_ready!(heavy.poll()).unwrap();
    assert_pending!(light.poll());
    drop(heavy);
    assert!(light.is_woken());
    drop(assert_ready!(light.poll()));
}

/// Permits that come back before the first waiter is polled still go to the first waiters.
#[tokio::test(start_paused = true)]
async fn a_newcomer_finds_no_permit_that_was_handed_over() {
    let limiter = ConcurrencyLimiter::new(1);
    let permit = limiter.acquire().await;
    let mut waiter = task::spawn(limiter.acquire());
    assert_pending!(waiter.poll());
    drop(permit);
    assert_eq!((limiter.in_use(), limiter.waiting()), (1, 0));
    assert_eq!(limiter.try_acquire().unwrap_err(), limited(1, 0));
    drop(assert_ready!(waiter.poll()));
}

#[tokio::test(start_paused = true)]
async fn weights_are_admitted_in_order() {
    let limiter = ConcurrencyLimiter::new(4);
    let begun = Instant::now();
    let order = RefCell::new(Vec::new());
    join_all([("a", 3), ("heavy", 4), ("b", 1), ("c", 3), ("d", 1), ("e", 4)].map(|(name, permits)| {
        let (limiter, order) = (&limiter, &order);
        async move {
            let permit = limiter.acquire_many(permits).await.unwrap();
            order.borrow_mut().push((name, millis(begun.elapsed())));
            sleep(secs(1)).await;
            drop(permit);
        }
    }))
    .await;
    let expected = [("a", 0), ("heavy", 1_000), ("b", 2_000), ("c", 2_000), ("d", 3_000), ("e", 4_000)];
    assert_eq!(*order.borrow(), expected);
}

#[tokio::test(start_paused = true)]
async fn a_waiter_that_is_not_polled_holds_its_permit() {
    let limiter = ConcurrencyLimiter::new(1);
    let permit = limiter.acquire().await;
    let mut waiters = [(); 2].map(|()| task::spawn(limiter.acquire()));
    for waiter in &mut waiters {
        assert_pending!(waiter.poll());
    }
    drop(permit);
    tokio::time::advance(secs(1_000_000)).await;
    assert!(waiters[0].is_woken() && !waiters[1].is_woken());
    assert_pending!(waiters[1].poll());
    assert_eq!(limiter.in_use(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_waiter_passes_its_permit_on() {
    let limiter = ConcurrencyLimiter::new(1);
    let permit = limiter.acquire().await;
    let [mut first, mut second, mut third] = [(); 3].map(|()| task::spawn(limiter.acquire()));
    assert_pending!(first.poll());
    assert_pending!(second.poll());
    assert_pending!(third.poll());
    drop(second); // from the middle
    drop(permit);
    assert!(first.is_woken());
    drop(first); // handed over, and never polled
    assert!(third.is_woken());
    drop(assert_ready!(third.poll()));
    let stats = limiter.stats();
    assert_eq!((stats.admitted, stats.delayed, stats.cancelled, stats.in_use), (2, 1, 2, 0));
}

/// A heavy waiter leaves, and those behind it fit.
#[tokio::test(start_paused = true)]
async fn the_waiters_behind_one_that_leaves_move_up() {
    let limiter = ConcurrencyLimiter::new(3);
    let one = limiter.acquire().await;
    let mut heavy = task::spawn(limiter.acquire_many(3).within(secs(1)));
    let mut light = [(); 3].map(|()| task::spawn(limiter.acquire()));
    assert_pending!(heavy.poll());
    for light in &mut light {
        assert_pending!(light.poll());
    }
    sleep(secs(1)).await;
    assert!(heavy.is_woken());
    assert_eq!(assert_ready!(heavy.poll()).unwrap_err(), limited(3, 3));
    assert_eq!(light.each_ref().map(task::Spawn::is_woken), [true, true, false]);
    assert_eq!((limiter.in_use(), limiter.waiting()), (3, 1));
    drop(one);
    assert!(light[2].is_woken());
}

#[tokio::test(start_paused = true)]
async fn the_latest_waker_is_woken() {
    let limiter = ConcurrencyLimiter::new(1);
    let permit = limiter.acquire().await;
    let mut acquire = Box::pin(limiter.acquire());
    let mut first = task::spawn(std::future::poll_fn(|cx| acquire.as_mut().poll(cx).map(drop)));
    assert_pending!(first.poll());
    let first_is_woken = first.is_woken();
    drop(first);
    let mut second = task::spawn(&mut acquire);
    assert_pending!(second.poll());
    drop(permit);
    assert!(!first_is_woken && second.is_woken());
    drop(assert_ready!(second.poll()));
}
