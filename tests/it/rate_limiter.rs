//! `RateLimiter`: exact, fair, safe to drop, on schedule.

use crate::support::{cases, ms, secs};
use decor::{
    ConfigError, Error, Permits, RateLimiter,
    future::{Acquire, AcquireMany},
    layer::{AsError, Never, Refusal},
    prelude::*,
};
use futures::{FutureExt as _, future::join_all};
use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    future::{Future, pending, ready},
    pin::Pin,
    rc::Rc,
    sync::{Arc, LazyLock, Mutex},
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::{Instant, advance, sleep};
use tokio_test::{assert_pending, assert_ready, task};

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap()
}

/// Counts how often a future is polled.
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

// ---- against a naive model ----

mod model;
mod paced;
mod patience;
mod skipped;

#[tokio::test(start_paused = true)]
async fn several_permits_are_tried_and_waited_for_within_a_limit() {
    let limiter = RateLimiter::windows([(20, secs(1)), (1_000, secs(10))]);
    assert_eq!(limiter.try_acquire_many([1_usize, 600]), Ok(()));
    let refused = Err(Error::RateLimited { retry_after: secs(10) });
    assert_eq!(limiter.try_acquire_many([1_usize, 600]), refused);
    assert_eq!(limiter.available_each(), [19, 400], "all of them or none");
    assert_eq!(limiter.try_acquire_many(20), refused.clone().map_err(|_| Error::RateLimited { retry_after: secs(1) }));
    assert_eq!(limiter.acquire_each([1, 600]).within(ms(9_999)).await, refused, "at once");
    let begun = Instant::now();
    assert_eq!(limiter.acquire_each([1, 600]).within(secs(10)).await, Ok(()));
    assert_eq!(begun.elapsed(), secs(10));
    assert_eq!((limiter.stats().admitted, limiter.stats().refused), (2, 3));

    let text = |result: Result<(), Error>| result.unwrap_err().to_string();
    assert_eq!(
        text(limiter.try_acquire_many([1, -5])),
        "invalid argument: -5 permits, but there are only 0 to 4294967295"
    );
    assert_eq!(
        text(limiter.try_acquire_many([1, usize::MAX])),
        "invalid argument: 4294967295 permits at once, but the limit is 1000 per 10s"
    );
    assert_eq!(
        text(limiter.try_acquire_many([1, 2, 3])),
        "invalid argument: permits for 3 windows, but the limiter has 2"
    );
}

/// One program's clocks need not agree: that of a paused runtime may be hours ahead of the next one's.
#[test]
fn a_clock_that_goes_back_stands_still() {
    let paused = || tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let limiter = paused().block_on(async {
        let limiter = RateLimiter::new(1, secs(1));
        advance(secs(3_600)).await;
        limiter.try_acquire().unwrap();
        limiter
    });
    paused().block_on(async {
        assert_eq!(limiter.try_acquire(), Err(Error::RateLimited { retry_after: secs(1) }), "an hour ago is now");
        advance(secs(3_602)).await;
        assert_eq!(limiter.try_acquire(), Ok(()), "caught up");
    });
}

#[test]
#[cfg_attr(miri, ignore = "takes it for ever")]
fn in_real_time_on_many_threads_no_window_is_ever_broken() {
    const LIMIT: usize = 50;
    const TASKS: usize = 50;
    const EACH: usize = 1_000;
    let period = ms(1);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_time().build().unwrap();
    let limiter = RateLimiter::new(u32::try_from(LIMIT).unwrap(), period);
    let begun = std::time::Instant::now();
    let tasks = (0..TASKS).map(|_| {
        let limiter = limiter.clone();
        runtime.spawn(async move {
            let mut admitted = Vec::with_capacity(EACH);
            for _ in 0..EACH {
                limiter.acquire().await;
                admitted.push(begun.elapsed());
            }
            admitted
        })
    });
    let tasks: Vec<_> = tasks.collect();
    let mut admitted: Vec<_> = tasks.into_iter().flat_map(|task| runtime.block_on(task).unwrap()).collect();
    admitted.sort_unstable();

    // An admission is seen when it was made, or later. So by any moment no more can have been seen than windows of the
    // limit have begun: one that was broken anywhere would shift all that come after it before their time.
    let broken = (0_u32..).zip(admitted.chunks(LIMIT)).filter(|(windows, chunk)| chunk[0] < period * *windows);
    assert_eq!(broken.count(), 0);
    let stats = limiter.stats();
    assert_eq!((stats.admitted, stats.cancelled, stats.waiting), (50_000, 0, 0));
}

// ---- fair ----

#[tokio::test(start_paused = true)]
#[cfg_attr(miri, ignore = "takes it for ever")]
async fn a_thousand_waiters_are_admitted_in_order_with_three_polls_each_and_on_schedule() {
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
    assert_eq!(limiter.stats().passed_over, 0);
}

#[tokio::test(start_paused = true)]
#[cfg_attr(miri, ignore = "takes it for ever")]
async fn four_tasks_in_a_loop_get_the_same() {
    for (limit, period) in [(1, 10), (3, 20), (10, 100)] {
        let limiter = RateLimiter::new(limit, ms(period));
        // All four have to wait from the start: permits that are free go to whoever is there first.
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
async fn a_heavy_request_goes_in_its_turn() {
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
async fn a_newcomer_never_overtakes() {
    let limiter = RateLimiter::new(2, secs(1));
    limiter.acquire().await;
    let mut heavy = task::spawn(limiter.acquire_many(2));
    assert_pending!(heavy.poll());
    // There is a permit, but somebody waits for two.
    assert_eq!(limiter.available(), 1);
    // At the earliest, as far as can be known without looking at each who waits.
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

/// Elsewhere a waiter whose task had used up its budget was passed by others. Here the clock decides, not the timer.
#[tokio::test(start_paused = true)]
#[cfg_attr(miri, ignore = "takes it for ever")]
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
    // Always runnable, the greedy one keeps the paused clock from advancing by itself.
    let clock = async {
        for _ in 0..2_000 {
            advance(ms(1)).await;
        }
    };
    futures::future::join3(greedy, modest, clock).await;
    assert_eq!(*order.borrow(), [("greedy", 1000), ("modest", 2000)]);
}

/// Permits of waiters that left behind others are not missing before them. Otherwise the others
/// would look again and again.
#[tokio::test(start_paused = true)]
async fn waiters_that_gave_up_behind_others_cost_no_polls() {
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
        // The last stays, so those before it leave from the middle.
        let last = behind.pop().unwrap();
        drop(behind);
        limiter.pause_for(secs(1));
        last.await;
    };
    futures::future::join(waiting, others).await;
    assert_eq!(begun.elapsed(), secs(1) + ms(500));
    assert!(polls.get() <= 4 * 50, "{} polls", polls.get());
}

// ---- safe to drop ----

#[tokio::test(start_paused = true)]
#[cfg_attr(miri, ignore = "takes it for ever")]
async fn after_ten_thousand_gave_up_a_newcomer_waits_as_if_they_had_never_come() {
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

/// The head is dropped before its timer, at it, or woken and not yet polled: each time the next is admitted when it would
/// have been the head's turn.
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
            assert_eq!(limiter.stats().passed_over, 0);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn waiters_that_are_never_polled_again_hold_nobody_up_for_longer_than_documented() {
    let limiter = RateLimiter::new(1, secs(1));
    limiter.acquire().await;
    let begun = Instant::now();
    let mut dead: Vec<_> = (0..3).map(|_| task::spawn(limiter.acquire())).collect();
    for waiter in &mut dead {
        assert_pending!(waiter.poll());
    }
    // Its own turn would have been after 4 s.
    limiter.acquire().await;
    // It looks 1 ms later for each period, and passes over all three at once 10 ms after that.
    assert!(begun.elapsed() <= secs(4) + ms(5 + 10), "{:?}", begun.elapsed());
    assert_eq!(limiter.stats().passed_over, 3);

    // Those that were passed over are the first again when they come.
    let mut newcomer = task::spawn(limiter.acquire());
    assert_pending!(newcomer.poll());
    assert_pending!(dead[2].poll());
    advance(secs(1)).await;
    assert_pending!(newcomer.poll());
    assert_ready!(dead[2].poll());
}

/// Whoever passes over the dead tells the next, whose turn comes earlier now than it had been told.
#[tokio::test(start_paused = true)]
async fn the_turn_of_the_dead_is_not_waited_for() {
    let limiter = RateLimiter::new(2, secs(1));
    let begun = Instant::now();
    limiter.acquire().await;
    advance(ms(500)).await;
    limiter.acquire().await;
    let mut dead = task::spawn(limiter.acquire());
    assert_pending!(dead.poll());
    let next = limiter.clone();
    let next = tokio::spawn(async move {
        next.acquire_many(2).await.unwrap();
        begun.elapsed()
    });
    for at in [1000, 1010] {
        tokio::time::sleep_until(begun + ms(at)).await;
        assert!(limiter.try_acquire().is_err());
    }
    // Had the dead one taken its permit, it would have been 2 s.
    assert_eq!(next.await.unwrap(), ms(1500));
}

/// A waker's last clone may own the task, and the task a waiter of the same limiter. (Broken, this would hang.)
#[tokio::test(start_paused = true)]
async fn wakers_are_dropped_outside_of_the_lock() {
    struct Owner(#[allow(dead_code)] Mutex<Pin<Box<dyn Future<Output = ()> + Send>>>); // owned, to be dropped with it
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

    // Neither is ever polled again. The outer one's timer goes off and lets go of the waker; passing over it is the last.
    for pause in [1_000, 10, 3_000] {
        assert!(LIMITER.try_acquire().is_err());
        advance(ms(pause)).await;
        assert!(alive.upgrade().is_some());
    }
    assert_eq!(LIMITER.try_acquire(), Ok(()));
    assert!(alive.upgrade().is_none());
    assert_eq!((LIMITER.stats().passed_over, LIMITER.waiting()), (2, 0));
}

/// A waiter that has been told that it is free to go, and does not come.
async fn called_in_vain(limiter: &RateLimiter) -> task::Spawn<Acquire<'_>> {
    limiter.acquire().await;
    let mut dead = task::spawn(limiter.acquire());
    assert_pending!(dead.poll());
    advance(secs(1)).await;
    assert!(limiter.try_acquire().is_err(), "it was called only now");
    dead
}

#[tokio::test(start_paused = true)]
async fn the_dead_do_not_keep_triers_away() {
    let limiter = RateLimiter::new(1, secs(1));
    let _dead = called_in_vain(&limiter).await;
    advance(ms(9)).await;
    assert!(limiter.try_acquire().is_err());
    advance(ms(1)).await;
    assert_eq!(limiter.try_acquire(), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn who_comes_when_all_that_waited_are_dead_need_not_wait() {
    let limiter = RateLimiter::new(1, secs(1));
    let _dead = called_in_vain(&limiter).await;
    advance(ms(10)).await;
    assert_ready!(task::spawn(limiter.acquire()).poll());
    assert_eq!((limiter.stats().admitted, limiter.stats().delayed, limiter.stats().passed_over), (2, 0, 1));
}

// ---- waiting no longer than ----

#[tokio::test(start_paused = true)]
async fn acquire_within_fails_at_once_if_the_wait_is_known_to_be_longer() {
    let limiter = RateLimiter::new(2, secs(1));
    assert_eq!(limiter.acquire_within(Duration::ZERO).await, Ok(()));
    assert_eq!(limiter.acquire_within(Duration::ZERO).await, Ok(()));
    let begun = Instant::now();
    assert_eq!(limiter.acquire_within(ms(999)).await, Err(Error::RateLimited { retry_after: secs(1) }));
    assert_eq!(begun.elapsed(), Duration::ZERO);
    assert_eq!(limiter.acquire_within(ms(1000)).await, Ok(()));
    assert_eq!(begun.elapsed(), secs(1));
}

#[tokio::test(start_paused = true)]
async fn none_at_all_are_free_however_many_are_in_use() {
    let limiter = RateLimiter::new(1, secs(1));
    limiter.charge(5);
    assert_ready!(task::spawn(limiter.acquire_many(0)).poll()).unwrap();
    assert_eq!((limiter.stats().admitted, limiter.stats().delayed), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_already_count() {
    let limiter = RateLimiter::new(2, secs(1));
    limiter.acquire_many(2).await.unwrap();
    let mut waiters: Vec<_> = (0..4).map(|_| task::spawn(limiter.acquire())).collect();
    for waiter in &mut waiters {
        assert_pending!(waiter.poll());
    }
    // Two at 1 s, two at 2 s, and so this one at 3 s.
    assert_eq!(limiter.acquire_within(ms(2_999)).await, Err(Error::RateLimited { retry_after: secs(3) }));
    assert_eq!(limiter.try_acquire(), Err(Error::RateLimited { retry_after: secs(3) }));
}

#[tokio::test(start_paused = true)]
async fn acquire_within_is_a_hard_bound() {
    let limiter = RateLimiter::new(1, secs(1));
    limiter.acquire().await;
    let mut within = task::spawn(limiter.acquire_within(secs(2)));
    assert_pending!(within.poll());
    limiter.pause_for(secs(60));
    let begun = Instant::now();
    assert_eq!(within.await, Err(Error::RateLimited { retry_after: secs(58) }));
    assert_eq!(begun.elapsed(), secs(2));
    assert_eq!((limiter.waiting(), limiter.stats().refused), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_refuses_those_who_can_be_refused() {
    let limiter = RateLimiter::builder().window(1, secs(1)).refuse_above(1).build();
    limiter.acquire().await;
    let mut waiter = task::spawn(limiter.acquire_many(1));
    assert_pending!(waiter.poll());
    assert_eq!(limiter.acquire_many(1).await, Err(Error::QueueFull { waiting: 1 }));
    assert_eq!(limiter.acquire_within(secs(60)).await, Err(Error::QueueFull { waiting: 1 }));
    let mut plain = task::spawn(limiter.acquire());
    assert_pending!(plain.poll()); // cannot be told
    assert_eq!(limiter.waiting(), 2);
}

// ---- what a refusal becomes ----

#[test]
fn a_request_can_be_refused_where_its_refusal_has_an_output() {
    type Output = Result<u8, Error>;
    assert_eq!((<Never as Refusal<Output>>::POSSIBLE, <AsError as Refusal<Output>>::POSSIBLE), (false, true));
    let refused = Error::QueueFull { waiting: 1 };
    assert_eq!(<AsError as Refusal<Output>>::output(refused.clone()), Err(refused));
}

#[test]
#[should_panic(expected = "one permit of any limiter can be waited for, but: rate limited: 2 callers")]
fn a_refusal_that_is_not_possible_does_not_become_a_call() {
    <Never as Refusal<u8>>::output(Error::QueueFull { waiting: 2 });
}

#[tokio::test(start_paused = true)]
async fn only_calls_that_can_be_refused_are_refused_by_a_full_queue() {
    let limiter = RateLimiter::builder().window(1, secs(1)).refuse_above(0).build();
    limiter.acquire().await;
    let full = Err(Error::QueueFull { waiting: 0 });
    assert_eq!(echo("a").rate_limited_by(&limiter, 1).await, full);
    assert_eq!(echo.rate_limited_within(&limiter, secs(9)).call("a").await, full);
    let begun = Instant::now();
    assert_eq!(echo("a").rate_limited(&limiter).await, Ok("a".into()));
    limiter.acquire().await;
    assert_eq!(begun.elapsed(), secs(2));
}

// ---- pauses, charges, limits ----

#[tokio::test(start_paused = true)]
async fn a_pause_holds_everybody_and_the_longer_one_counts() {
    let limiter = RateLimiter::new(10, secs(1));
    limiter.pause_for(secs(30));
    limiter.pause_for(secs(5));
    assert_eq!(limiter.available(), 0);
    assert_eq!(limiter.try_acquire(), Err(Error::RateLimited { retry_after: secs(30) }));
    let begun = Instant::now();
    join_all((0..3).map(|_| limiter.acquire())).await;
    assert_eq!(begun.elapsed(), secs(30));
}

#[tokio::test(start_paused = true)]
async fn behind_a_pause_everybody_is_told_the_time_after_it() {
    for limiter in [RateLimiter::new(1, secs(1)), RateLimiter::paced(1, secs(1))] {
        limiter.pause_for(secs(30));
        let mut waiters: Vec<_> = (0..3).map(|_| task::spawn(limiter.acquire())).collect();
        for waiter in &mut waiters {
            assert_pending!(waiter.poll());
        }
        assert_eq!(limiter.try_acquire(), Err(Error::RateLimited { retry_after: secs(33) }));
        // Nobody is woken by the end of the pause but the first.
        advance(secs(30)).await;
        assert_eq!(waiters.iter().map(task::Spawn::is_woken).collect::<Vec<_>>(), [true, false, false]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_charge_may_overdraw_and_is_waited_for() {
    let limiter = RateLimiter::new(10, secs(1));
    limiter.charge(10);
    advance(ms(100)).await;
    limiter.charge(5);
    assert_eq!(limiter.available(), 0);
    let begun = Instant::now();
    limiter.acquire_many(6).await.unwrap();
    // After 0.9 s there are 5, and after 1 s all of them.
    assert_eq!(begun.elapsed(), secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_higher_limit_reaches_those_who_wait() {
    let limiter = RateLimiter::new(1, secs(60));
    limiter.acquire().await;
    let begun = Instant::now();
    let waiting = join_all((0..3).map(|_| limiter.acquire()));
    let raise = async {
        sleep(secs(1)).await;
        limiter.set_limit(4, secs(60));
    };
    futures::future::join(waiting, raise).await;
    assert_eq!(begun.elapsed(), secs(1));
}

#[tokio::test(start_paused = true)]
async fn what_no_longer_fits_a_lowered_limit_is_refused_in_its_turn() {
    let limiter = RateLimiter::new(5, secs(1));
    limiter.acquire_many(5).await.unwrap();
    let mut heavy = task::spawn(limiter.acquire_many(5));
    let mut light = task::spawn(limiter.acquire());
    assert_pending!(heavy.poll());
    assert_pending!(light.poll());
    limiter.set_limit(2, secs(1));
    assert!(heavy.is_woken());
    let refused = assert_ready!(heavy.poll()).unwrap_err();
    assert_eq!(refused.to_string(), "invalid argument: 5 permits at once, but the limit is 2 per 1s");
    let begun = Instant::now();
    light.await;
    assert_eq!(begun.elapsed(), secs(1));
}

// ---- paced ----

/// A hundred thousand that all looked every 10 ms would keep the first from coming.
#[tokio::test(start_paused = true)]
#[cfg_attr(miri, ignore = "takes it for ever")]
async fn who_stands_far_behind_looks_less_often_whether_the_first_comes() {
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

#[tokio::test(start_paused = true)]
async fn paced_calls_are_evenly_spaced_and_do_not_drift() {
    let limiter = RateLimiter::paced(3, secs(1));
    let begun = Instant::now();
    let mut at = Vec::new();
    for _ in 0..301 {
        limiter.acquire().await;
        at.push(begun.elapsed());
    }
    // A third of a second is no whole number of nanoseconds: the timer rounds each up, the schedule adds none of it up.
    let expected: Vec<_> = (0..301_u64).map(|n| ms((n * 1000).div_ceil(3))).collect();
    assert_eq!(at, expected);
}

#[tokio::test(start_paused = true)]
async fn a_burst_is_given_after_a_pause() {
    let limiter = RateLimiter::paced(10, secs(1)).burst(3);
    let begun = Instant::now();
    let acquire_six = || async {
        let mut at = Vec::new();
        for _ in 0..6 {
            limiter.acquire().await;
            at.push(millis(begun.elapsed()));
        }
        at
    };
    assert_eq!(acquire_six().await, [0, 0, 0, 100, 200, 300]);
    assert_eq!(limiter.available(), 0);
    assert_eq!(limiter.clone().burst(5).available(), 5, "another limiter, as good as new");
    assert_eq!(RateLimiter::builder().paced(10, secs(1)).burst(3).build().available(), 3);
    advance(secs(10)).await;
    assert_eq!(limiter.available(), 3);
    assert_eq!(acquire_six().await, [10_300, 10_300, 10_300, 10_400, 10_500, 10_600]);
}

#[tokio::test(start_paused = true)]
async fn a_heavy_paced_call_takes_its_time_afterwards() {
    let limiter = RateLimiter::paced(10, secs(1));
    let begun = Instant::now();
    limiter.acquire_many(5).await.unwrap();
    assert_eq!(begun.elapsed(), Duration::ZERO);
    limiter.acquire().await;
    assert_eq!(begun.elapsed(), ms(500));
    assert!(limiter.acquire_many(11).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_new_pace_begins_when_the_old_one_would_have_gone_on() {
    let limiter = RateLimiter::paced(10, secs(1)).burst(5);
    limiter.acquire_many(5).await.unwrap();
    let begun = Instant::now();
    limiter.set_limit(2, secs(1));
    assert_eq!(format!("{limiter:?}"), "RateLimiter(2 per 1s, paced, burst 2)");
    let mut at = Vec::new();
    for _ in 0..3 {
        limiter.acquire().await;
        at.push(millis(begun.elapsed()));
    }
    // What was taken lasts until 0.5 s; of the burst, which is 2 now, one permit is free at once.
    assert_eq!(at, [0, 500, 1000]);
}

#[tokio::test(start_paused = true)]
async fn paced_waiters_know_how_long_they_will_wait() {
    let limiter = RateLimiter::paced(10, secs(1));
    limiter.acquire().await;
    let mut waiters: Vec<_> = (0..4).map(|_| task::spawn(limiter.acquire())).collect();
    for waiter in &mut waiters {
        assert_pending!(waiter.poll());
    }
    assert_eq!(limiter.try_acquire(), Err(Error::RateLimited { retry_after: ms(500) }));
}

// ---- decorators ----

async fn echo(text: &str) -> Result<String, Error> {
    Ok(text.to_owned())
}

#[tokio::test(start_paused = true)]
async fn the_decorators_take_what_they_say() {
    let limiter = RateLimiter::windows([(3, secs(1)), (100, secs(1))]);
    let begun = Instant::now();
    echo.rate_limited(&limiter).call("a").await.unwrap();
    assert_eq!(limiter.available_each(), [2, 99]);
    echo.rate_limited_by(&limiter, |text: &&str| [1, u32::try_from(text.len()).unwrap()]).call("four").await.unwrap();
    assert_eq!(limiter.available_each(), [1, 95]);
    echo("b").rate_limited_by(&limiter, [1, 10]).await.unwrap();
    assert_eq!(limiter.available_each(), [0, 85]);
    assert_eq!(echo.try_rate_limited(&limiter).call("c").await, Err(Error::RateLimited { retry_after: secs(1) }));
    assert_eq!(echo("c").try_rate_limited(&limiter).await, Err(Error::RateLimited { retry_after: secs(1) }));
    assert!(echo.rate_limited_within(&limiter, ms(999)).call("c").await.is_err());
    assert_eq!(begun.elapsed(), Duration::ZERO);
    assert!(echo("d").rate_limited_within(&limiter, ms(1000)).await.is_ok());
    assert_eq!(begun.elapsed(), secs(1));
    let too_much = echo.rate_limited_by(&limiter, |_: &&str| 101).call("e").await.unwrap_err();
    assert_eq!(too_much.to_string(), "invalid argument: 101 permits at once, but the limit is 3 per 1s");
}

#[tokio::test(start_paused = true)]
async fn one_limiter_serves_functions_of_any_type() {
    let limiter = RateLimiter::new(2, secs(1));
    let begun = Instant::now();
    assert_eq!((|| ready(1)).rate_limited(&limiter).await, 1);
    assert_eq!(echo.rate_limited(&limiter.clone()).call("a").await.unwrap(), "a");
    assert_eq!(begun.elapsed(), Duration::ZERO);
    assert_eq!(ready("third").rate_limited(&limiter).await, "third");
    assert_eq!(begun.elapsed(), secs(1));
}

#[tokio::test(start_paused = true)]
async fn each_attempt_of_a_retry_takes_a_permit() {
    let limiter = RateLimiter::new(1, secs(1));
    let begun = Instant::now();
    (|| ready(Err::<(), _>("busy")))
        .rate_limited(&limiter)
        .retry_with(RetryPolicy::fixed(ms(10)).max_attempts(4))
        .await
        .unwrap_err();
    assert_eq!(begun.elapsed(), secs(3));
    assert_eq!(limiter.stats().admitted, 4);
}

#[test]
fn no_permit_is_taken_before_the_first_poll() {
    let limiter = RateLimiter::new(2, secs(1));
    let call = (|| ready(1)).rate_limited(&limiter).call();
    let acquire = limiter.acquire();
    assert_eq!(limiter.available(), 2);
    assert_eq!(assert_ready!(task::spawn(call).poll()), 1);
    assert_eq!(limiter.available(), 1);
    drop(acquire);
    assert_eq!(limiter.available(), 1);
}

#[tokio::test(start_paused = true)]
async fn one_429_pauses_everybody() {
    let limiter = RateLimiter::new(100, secs(1));
    let begun = Instant::now();
    let throttled = || ready(Err::<(), _>(secs(7)));
    throttled.pausing(&limiter, |wait| Some(*wait)).rate_limited(&limiter).await.unwrap_err();
    assert_eq!(begun.elapsed(), Duration::ZERO);
    (|| ready(())).rate_limited(&limiter).await;
    assert_eq!(begun.elapsed(), secs(7));
    ready(Ok::<_, Duration>(1)).pausing(&limiter, |wait| Some(*wait)).await.unwrap();
    ready(Err::<(), _>(secs(9))).pausing(&limiter, |_| None).await.unwrap_err();
    assert_eq!(limiter.available(), 99);
}

#[tokio::test(start_paused = true)]
async fn a_call_without_an_answer_pauses_nobody() {
    let limiter = RateLimiter::new(9, secs(1));
    let hang = pending::<Result<(), Error>>().pausing(&limiter, |_| Some(secs(7)));
    hang.timeout(secs(1)).await.unwrap_err();
    assert_eq!(limiter.available(), 9);
}

// ---- settings ----

fn refusal<T: std::fmt::Debug>(refused: Result<T, ConfigError>) -> String {
    refused.unwrap_err().to_string()
}

#[test]
fn settings_that_cannot_work_are_refused_where_they_are_written() {
    assert_eq!(refusal(RateLimiter::try_new(0, secs(1))), "`limit` is 0, but must be at least 1");
    assert_eq!(refusal(RateLimiter::try_new(1, Duration::ZERO)), "`period` is 0ns, but must be longer than zero");
    let second_of = |limit, period| refusal(RateLimiter::try_windows([(20, secs(1)), (limit, period)]));
    assert_eq!(second_of(0, secs(1)), "`limit` is 0 (window 2 of 2), but must be at least 1");
    assert_eq!(second_of(5, Duration::ZERO), "`period` is 0ns (window 2 of 2), but must be longer than zero");
    assert_eq!(refusal(RateLimiter::try_paced(0, secs(1))), "`limit` is 0, but must be at least 1");
    assert_eq!(refusal(RateLimiter::try_windows([])), "`windows` is 0, but must be 1 to 4");
    assert_eq!(refusal(RateLimiter::try_windows([(1, secs(1)); 5])), "`windows` is 5, but must be 1 to 4");
    let paced = || RateLimiter::paced(10, secs(1));
    assert_eq!(refusal(paced().try_burst(0)), "`burst` is 0, but must be 1 to the limit");
    assert_eq!(refusal(paced().try_burst(11)), "`burst` is 11, but must be 1 to the limit");
    let exact = RateLimiter::new(10, secs(1));
    assert_eq!(refusal(exact.clone().try_burst(2)), "`burst` is 2, but must be left out unless the limiter is paced");
    let built = |settings: decor::RateLimiterBuilder| refusal(settings.burst(2).try_build());
    assert_eq!(built(RateLimiter::builder().paced(1, secs(1))), "`burst` is 2, but must be 1 to the limit");
    assert_eq!(
        built(RateLimiter::builder().window(9, secs(1))),
        "`burst` is 2, but must be left out unless the limiter is paced"
    );
    assert_eq!(
        refusal(RateLimiter::builder().paced(1, secs(1)).window(1, secs(1)).try_build()),
        "`windows` is 2, but must be 1 for a paced limiter"
    );
    assert_eq!(
        refusal(exact.try_set_limits([(1, secs(1)), (2, secs(1))])),
        "`limits` is 2, but must be as many as there are windows"
    );
    assert_eq!(refusal(exact.try_set_limits([(0, secs(1))])), "`limit` is 0, but must be at least 1");
}

#[test]
#[should_panic(expected = "`limit` is 0, but must be at least 1")]
fn a_literal_limit_of_zero_panics() {
    let _ = RateLimiter::new(0, secs(1));
}

#[test]
#[should_panic(expected = "`period` is 0ns, but must be longer than zero")]
fn a_literal_period_of_zero_panics_when_it_is_set_later() {
    RateLimiter::new(1, secs(1)).set_limit(1, Duration::ZERO);
}

#[test]
#[should_panic(expected = "invalid argument: permits for 1 windows, but the limiter has 2")]
fn a_charge_that_leaves_a_window_out_panics() {
    RateLimiter::windows([(5, secs(1)), (9, secs(1))]).charge([1]);
}

#[tokio::test(start_paused = true)]
async fn absurd_settings_saturate() {
    for limiter in [RateLimiter::new(u32::MAX, Duration::MAX), RateLimiter::paced(u32::MAX, Duration::MAX)] {
        limiter.acquire().await;
        limiter.charge(u32::MAX);
        limiter.charge(u32::MAX);
        limiter.pause_for(Duration::MAX);
        assert_eq!(limiter.available(), 0);
        assert!(limiter.try_acquire().is_err());
        let mut never = task::spawn(limiter.acquire());
        assert_pending!(never.poll());
        assert!(limiter.acquire_within(secs(60 * 60 * 24 * 365)).await.is_err());
    }
    let fastest = RateLimiter::paced(u32::MAX, Duration::from_nanos(1));
    join_all((0..100).map(|_| fastest.acquire())).await;
}

#[tokio::test(start_paused = true)]
async fn permits_that_make_no_sense_are_refused() {
    let two = RateLimiter::windows([(5, secs(1)), (9, secs(1))]);
    let message = |result: Result<(), Error>| result.unwrap_err().to_string();
    assert_eq!(
        message(two.acquire_each([1, 2, 3]).await),
        "invalid argument: permits for 3 windows, but the limiter has 2"
    );
    assert_eq!(message(two.acquire_many(-3).await), "invalid argument: -3 permits, but there are only 0 to 4294967295");
    assert_eq!(
        message(two.acquire_many(usize::MAX).await),
        "invalid argument: 4294967295 permits at once, but the limit is 5 per 1s"
    );
    assert_eq!(
        message(two.acquire_each([1, 10]).await),
        "invalid argument: 10 permits at once, but the limit is 9 per 1s"
    );
    assert_eq!(two.acquire_each([5, 0]).await, Ok(()));
    assert_eq!(two.available_each(), [0, 9]);
    assert_eq!(two.stats().admitted, 1);
}

#[tokio::test(start_paused = true)]
async fn no_permits_at_all_still_wait_for_their_turn() {
    let limiter = RateLimiter::new(1, secs(1));
    limiter.acquire().await;
    let mut first = task::spawn(limiter.acquire());
    assert_pending!(first.poll());
    let mut nothing = task::spawn(limiter.acquire_many(Permits::default()));
    assert_pending!(nothing.poll());
    advance(secs(1)).await;
    assert_ready!(first.poll());
    assert!(nothing.is_woken());
    assert_eq!(assert_ready!(nothing.poll()), Ok(()));
}

#[test]
fn a_limiter_shows_its_limits() {
    let limiter = RateLimiter::windows([(60, secs(60)), (90_000, secs(60))]);
    assert_eq!(format!("{limiter:?}"), "RateLimiter(60 per 60s, 90000 per 60s)");
    assert_eq!(format!("{:?}", RateLimiter::paced(10, secs(1)).burst(3)), "RateLimiter(10 per 1s, paced, burst 3)");
    let three = RateLimiter::new(3, secs(1));
    let shown = |chain: &dyn std::fmt::Debug| format!("{chain:?}");
    assert_eq!(shown(&echo.rate_limited(&three)), "echo.rate_limited(3 per 1s)");
    assert_eq!(shown(&echo.rate_limited_by(&three, |_: &&str| 2)), "echo.rate_limited_by(3 per 1s, ..)");
    assert_eq!(shown(&echo.rate_limited_within(&three, secs(5))), "echo.rate_limited_within(3 per 1s, 5s)");
    assert_eq!(shown(&echo.try_rate_limited(&three)), "echo.try_rate_limited(3 per 1s)");
    assert_eq!(shown(&echo.pausing(&three, |_| None)), "echo.pausing(3 per 1s, ..)");
    let keyed = decor::KeyedLimiter::new(3, secs(1));
    assert_eq!(
        shown(&echo.rate_limited_by_key(&keyed, |text: &&str| text.len())),
        "echo.rate_limited_by_key(KeyedLimiter(3 per 1s for each key), ..)"
    );
    let stats = "RateLimiterStats(admitted=0, delayed=0, refused=0, cancelled=0, waiting=0, mean_wait=0ns)";
    assert_eq!(three.stats().to_string(), stats);
}

#[tokio::test(start_paused = true)]
async fn a_request_shows_what_it_asks_for_and_whether_it_waits() {
    let limiter = RateLimiter::windows([(1, secs(1)), (5, secs(1))]);
    limiter.charge(1);
    let shown = |request: &dyn std::fmt::Debug| format!("{request:?}");
    let mut request = Box::pin(limiter.acquire());
    assert_eq!(shown(&request), "Acquire { permits: 1, max_wait: None, waiting: false, .. }");
    assert!((&mut request).now_or_never().is_none());
    assert_eq!(shown(&request), "Acquire { permits: 1, max_wait: None, waiting: true, .. }");
    request.as_mut().await;
    assert_eq!(shown(&request), "Acquire { permits: 1, max_wait: None, waiting: false, .. }");
    assert_eq!(
        shown(&limiter.acquire_within(secs(3))),
        "Acquire { permits: 1, max_wait: Some(3s), waiting: false, .. }"
    );
    assert_eq!(shown(&limiter.acquire_each([1, 5])), "Acquire { permits: [1, 5], max_wait: None, waiting: false, .. }");
    assert_eq!(shown(&limiter.acquire_many(-3)), "Acquire { permits: -3, max_wait: None, waiting: false, .. }");

    let mut call = Box::pin(echo("a").rate_limited(&RateLimiter::new(1, secs(1))));
    assert_eq!(shown(&call), "RateLimitedFuture { admitted: false, .. }");
    call.as_mut().await.unwrap();
    assert_eq!(shown(&call), "RateLimitedFuture { admitted: true, .. }");
}
