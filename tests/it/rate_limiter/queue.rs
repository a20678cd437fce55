//! The queue is fair: each waiter is admitted in turn, on schedule, with few polls.

use crate::support::{millis, ms, secs};
use decor::{Error, prelude::*};
use futures::{FutureExt as _, future::join_all};
use std::{
    cell::{Cell, RefCell},
    future::Future,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};
use tokio::time::{Instant, advance, sleep};
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
async fn a_thousand_waiters_are_admitted_in_order_with_three_polls_each() {
    let limiter = RateLimiter::new(10, ms(100));
    let begun = Instant::now();
    let polls = Cell::new(0);
    let order = RefCell::new(Vec::new());
    join_all((0..1000_u64).map(|n| {
        let (limiter, order) = (&limiter, &order);
        Polls(
            async move {
                limiter.acquire().await;
                order.borrow_mut().push((n, millis(begun.elapsed())));
            },
            &polls,
        )
    }))
    .await;
    let expected: Vec<_> = (0..1000).map(|n| (n, n / 10 * 100)).collect();
    assert_eq!(*order.borrow(), expected);
    assert_eq!(begun.elapsed(), ms(9_900));
    assert!(polls.get() <= 3000, "{} polls", polls.get());
    assert_eq!(limiter.stats().skipped, 0);
}

#[tokio::test(start_paused = true)]
#[cfg_attr(miri, ignore = "does not finish under Miri")]
async fn four_tasks_in_a_loop_get_equal_shares() {
    for (limit, period) in [(1, 10), (3, 20), (10, 100)] {
        let limiter = RateLimiter::new(limit, ms(period));
        // All four have to wait from the start, because free permits go to the task that polls
        // first.
        limiter.acquire_many(limit).await.unwrap();
        let counts: Rc<[Cell<u32>; 4]> = Rc::default();
        let tasks = tokio::task::LocalSet::new();
        for task in 0..4 {
            let (limiter, counts) = (limiter.clone(), Rc::clone(&counts));
            tasks.spawn_local(async move {
                loop {
                    limiter.acquire().await;
                    counts[task].set(counts[task].get() + 1);
                }
            });
        }
        tasks.run_until(sleep(ms(2_735))).await;
        let counts: Vec<u32> = counts.iter().map(Cell::get).collect();
        assert_eq!(counts.iter().sum::<u32>(), limit * u32::try_from(2_735 / period).unwrap());
        assert!(counts.iter().max().unwrap() - counts.iter().min().unwrap() <= 1, "{limit}: {counts:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_heavy_request_is_admitted_in_its_turn() {
    let limiter = RateLimiter::new(10, secs(1));
    let begun = Instant::now();
    let order = RefCell::new(Vec::new());
    let take = |name: &'static str, permits: u32| {
        let (limiter, order) = (&limiter, &order);
        async move {
            limiter.acquire_many(permits).await.unwrap();
            order.borrow_mut().push((name, millis(begun.elapsed())));
        }
    };
    let calls = [("a", 6), ("heavy", 10), ("b", 1), ("c", 1)].map(|(name, permits)| take(name, permits));
    join_all(calls).await;
    assert_eq!(*order.borrow(), [("a", 0), ("heavy", 1000), ("b", 2000), ("c", 2000)]);
}

#[tokio::test(start_paused = true)]
async fn a_new_call_never_overtakes_a_waiter() {
    let limiter = RateLimiter::new(2, secs(1));
    limiter.acquire().await;
    let mut heavy = task::spawn(limiter.acquire_many(2));
    assert_pending!(heavy.poll());
    // A permit is free, but a waiter wants two.
    assert_eq!(limiter.available(), 1);
    // A lower bound, computed without looking at each waiter.
    assert_eq!(limiter.try_acquire(), Err(Error::RateLimited { retry_after: secs(1) }));
    let mut light = task::spawn(limiter.acquire());
    assert_pending!(light.poll());
    advance(secs(1)).await;
    assert!(heavy.is_woken());
    assert_eq!(assert_ready!(heavy.poll()), Ok(()));
    assert_pending!(light.poll());
    advance(secs(1)).await;
    assert_ready!(light.poll());
}

/// Regression of other limiters: a waiter was overtaken after its task had used up its coop budget.
/// Here the clock decides, not the timer.
#[tokio::test(start_paused = true)]
#[cfg_attr(miri, ignore = "does not finish under Miri")]
async fn a_task_that_has_used_up_its_budget_keeps_its_turn() {
    let limiter = RateLimiter::new(1, secs(1));
    limiter.acquire().await;
    let begun = Instant::now();
    let order = RefCell::new(Vec::new());
    let greedy = async {
        let mut acquire = Box::pin(limiter.acquire());
        std::future::poll_fn(|cx| {
            while let Poll::Ready(spent) = tokio::task::coop::poll_proceed(cx) {
                spent.made_progress();
            }
            acquire.as_mut().poll(cx)
        })
        .await;
        order.borrow_mut().push(("greedy", millis(begun.elapsed())));
    };
    let modest = async {
        limiter.acquire().await;
        order.borrow_mut().push(("modest", millis(begun.elapsed())));
    };
    // The greedy task is always runnable, so the paused clock does not advance by itself.
    let clock = async {
        for _ in 0..2_000 {
            advance(ms(1)).await;
        }
    };
    futures::future::join3(greedy, modest, clock).await;
    assert_eq!(*order.borrow(), [("greedy", 1000), ("modest", 2000)]);
}

/// Waiters that leave do not change the permits ahead of the waiters before them. Otherwise those
/// would recheck again and again.
#[tokio::test(start_paused = true)]
async fn waiters_that_leave_cost_the_waiters_before_them_no_polls() {
    let limiter = RateLimiter::paced(100, secs(1));
    limiter.acquire().await;
    let begun = Instant::now();
    let polls = Cell::new(0);
    let waiting = join_all((0..50).map(|_| Polls(limiter.acquire(), &polls)));
    let others = async {
        let mut behind: Vec<_> = (0..500).map(|_| Box::pin(limiter.acquire())).collect();
        for waiter in &mut behind {
            assert!(waiter.now_or_never().is_none());
        }
        // The last waiter stays, so the others leave from the middle.
        let last = behind.pop().unwrap();
        drop(behind);
        limiter.pause_for(secs(1));
        last.await;
    };
    futures::future::join(waiting, others).await;
    assert_eq!(begun.elapsed(), secs(1) + ms(500));
    assert!(polls.get() <= 4 * 50, "{} polls", polls.get());
}

/// If a hundred thousand waiters rechecked every 10 ms, the head would never be polled.
#[tokio::test(start_paused = true)]
#[cfg_attr(miri, ignore = "does not finish under Miri")]
async fn waiters_far_behind_recheck_a_silent_head_less_often() {
    for (before, patience) in [(999, 10), (1_000, 20), (2_500, 30)] {
        let limiter = RateLimiter::new(1, secs(1));
        limiter.try_acquire().unwrap();
        let mut silent: Vec<_> = (0..before).map(|_| task::spawn(limiter.acquire())).collect();
        for waiter in &mut silent {
            assert_pending!(waiter.poll());
        }
        advance(secs(1)).await;
        let mut last = task::spawn(limiter.acquire());
        assert_pending!(last.poll());
        advance(ms(patience - 1)).await;
        assert!(!last.is_woken(), "behind {before}");
        advance(ms(2)).await;
        assert!(last.is_woken(), "behind {before}");
    }
}
