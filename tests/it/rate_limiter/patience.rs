//! Waits with a time limit, the *patience* of a call: decisions at the very moment at which it
//! ends.

use crate::support::{millis, ms, secs};
use decor::{
    Error,
    future::AcquireMany,
    prelude::*,
    test_util::{VirtualClock, VirtualThread},
};
use futures::{FutureExt as _, future::join_all};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::time::{Instant, advance};
use tokio_test::{assert_pending, assert_ready, task};

type Waiting<'l> = task::Spawn<AcquireMany<'l>>;

fn waits(acquire: AcquireMany<'_>) -> Waiting<'_> {
    let mut waiter = task::spawn(acquire);
    assert_pending!(waiter.poll());
    waiter
}

fn limited(retry_after: Duration) -> Result<(), Error> {
    Err(Error::RateLimited { retry_after })
}

/// All permutations of the numbers below `n`.
fn orders(n: usize) -> Vec<Vec<usize>> {
    if n == 0 {
        return vec![Vec::new()];
    }
    let longer = |order: &Vec<usize>| -> Vec<Vec<usize>> {
        (0..n).map(|at| [&order[..at], &[n - 1], &order[at..]].concat()).collect()
    };
    orders(n - 1).iter().flat_map(longer).collect()
}

/// Limiters, each with the number of permits to charge so that five permits become free together
/// one second later.
const FIVE_AFTER_A_SECOND: [(fn() -> RateLimiter, u32); 3] = [
    (|| RateLimiter::new(5, secs(1)), 5),
    (|| RateLimiter::windows([(5, secs(1)), (7, ms(500))]), 5),
    (|| RateLimiter::builder().paced(5_000, secs(1)).burst(5).build(), 5_000),
];

#[tokio::test(start_paused = true)]
#[cfg_attr(miri, ignore = "does not finish under Miri")]
async fn waiters_due_at_the_end_of_patience_are_admitted_in_any_poll_order() {
    assert_eq!(orders(5).len(), 120);
    for order in orders(5) {
        for (limiter, charge) in FIVE_AFTER_A_SECOND {
            let limiter = limiter();
            limiter.charge(charge);
            let mut waiters: Vec<_> = (0..5).map(|_| waits(limiter.acquire_within(secs(1)))).collect();
            advance(secs(1)).await;
            for n in &order {
                assert!(waiters[*n].is_woken());
                assert_eq!(assert_ready!(waiters[*n].poll()), Ok(()), "{limiter:?} {order:?}");
            }
            assert_eq!((limiter.stats().refused, limiter.waiting()), (0, 0));
        }
    }
}

/// Waiters want two, none and one of five permits. Three new calls try for one each.
#[tokio::test(start_paused = true)]
#[cfg_attr(miri, ignore = "does not finish under Miri")]
async fn waiters_and_new_calls_get_the_same_in_any_poll_order() {
    for order in orders(6) {
        let limiter = RateLimiter::new(5, secs(1));
        limiter.charge(5);
        let within = |permits: u32| limiter.acquire_many(permits).within(secs(1));
        let mut waiters = [within(2), within(0), within(1)].map(waits);
        advance(secs(1)).await;
        let mut refused = Vec::new();
        for n in &order {
            match n {
                0..3 => assert_eq!(assert_ready!(waiters[*n].poll()), Ok(()), "{order:?}"),
                3 => refused.extend(limiter.acquire_within(Duration::ZERO).now_or_never().unwrap().err()),
                _ => refused.extend(limiter.try_acquire().err()),
            }
        }
        // Two permits are left for the new calls.
        assert_eq!(refused, [Error::RateLimited { retry_after: secs(1) }], "{order:?}");
        assert_eq!((limiter.available(), limiter.waiting()), (0, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_call_takes_only_permits_that_the_waiters_leave() {
    let limiter = RateLimiter::new(2, secs(1));
    limiter.acquire_many(2).await.unwrap();
    let mut first = waits(limiter.acquire_many(1));
    advance(secs(1)).await;
    assert_eq!(limiter.try_acquire_many(2), limited(secs(1)));
    assert_eq!(limiter.try_acquire(), Ok(()));
    assert_eq!(limiter.try_acquire(), limited(secs(1)));
    assert_eq!(limiter.acquire_within(Duration::ZERO).await, limited(secs(1)));
    assert!(first.is_woken());
    assert_eq!(assert_ready!(first.poll()), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_new_call_that_may_wait_joins_behind_the_waiters() {
    let limiter = RateLimiter::new(3, secs(1));
    limiter.acquire_many(3).await.unwrap();
    let first = waits(limiter.acquire_many(1));
    advance(secs(1)).await;
    let newcomers = [limiter.acquire_many(1), limiter.acquire_within(ms(1))].map(waits);
    for mut waiter in [first].into_iter().chain(newcomers) {
        assert!(waiter.is_woken());
        assert_eq!(assert_ready!(waiter.poll()), Ok(()));
    }
}

/// A heavy paced call is due behind a late waiter, but would take the permit that the waiter can
/// have now.
#[tokio::test(start_paused = true)]
async fn a_heavy_paced_call_does_not_delay_the_waiters_before_it() {
    let limiter = RateLimiter::paced(1_000, secs(1));
    limiter.acquire().await;
    let mut first = task::spawn(limiter.acquire());
    assert_pending!(first.poll());
    let mut heavy = waits(limiter.acquire_many(5).within(ms(2)));
    advance(ms(2)).await;
    assert_eq!(limiter.try_acquire_many(5), limited(ms(5)), "due after both");
    assert_pending!(heavy.poll());
    assert_ready!(first.poll());
    assert!(heavy.is_woken());
    assert_eq!(assert_ready!(heavy.poll()), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_never_says_to_retry_at_once() {
    let limiter = RateLimiter::paced(1_000, secs(1));
    limiter.acquire().await;
    let mut first = task::spawn(limiter.acquire());
    assert_pending!(first.poll());
    advance(ms(2)).await;
    // Five permits are due after the first waiter, which is about to leave. Taken before it, they
    // would take its turn.
    assert_eq!(limiter.try_acquire_many(5), limited(ms(1)));
    assert_ready!(first.poll());
    assert_eq!(limiter.try_acquire_many(5), Ok(()));
}

/// Only calls that are not due fill the queue.
#[tokio::test(start_paused = true)]
async fn due_calls_do_not_count_for_a_full_queue() {
    for polled_first in [true, false] {
        let limiter = RateLimiter::builder().window(1, secs(1)).max_waiting(1).build();
        limiter.acquire().await;
        let mut due = waits(limiter.acquire_many(1));
        advance(secs(1)).await;
        if polled_first {
            assert_eq!(assert_ready!(due.poll()), Ok(()));
        }
        let mut newcomer = waits(limiter.acquire_many(1));
        assert_eq!(limiter.acquire_many(1).await, Err(Error::QueueFull { waiting: 1 }));
        if !polled_first {
            assert_eq!(assert_ready!(due.poll()), Ok(()));
        }
        advance(secs(1)).await;
        assert_eq!(assert_ready!(newcomer.poll()), Ok(()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_admits_a_new_call_that_need_not_wait() {
    let limiter = RateLimiter::builder().window(2, secs(1)).max_waiting(1).build();
    limiter.acquire_many(2).await.unwrap();
    let mut due = waits(limiter.acquire_many(1));
    assert_eq!(limiter.acquire_many(1).await, Err(Error::QueueFull { waiting: 1 }));
    advance(secs(1)).await;
    let mut next = task::spawn(limiter.acquire_many(1));
    assert_eq!(assert_ready!(next.poll()), Ok(()));
    assert_eq!(assert_ready!(due.poll()), Ok(()));
}

// ---- admissions after the end of patience, because of late timers ----

/// The first call is admitted `late` milliseconds late. That delays the turn of the second call,
/// which waits for two periods.
async fn second_after_a_late_first(late: u64) -> (Result<(), Error>, u64) {
    let limiter = RateLimiter::new(1, ms(100));
    limiter.acquire().await;
    let begun = Instant::now();
    let mut first = waits(limiter.acquire_many(1));
    let second = waits(limiter.acquire_within(ms(200)));
    advance(ms(100 + late)).await;
    assert_eq!(assert_ready!(first.poll()), Ok(()));
    (second.await, millis(begun.elapsed()))
}

#[tokio::test(start_paused = true)]
async fn a_waiter_outlasts_the_lateness_of_timers_and_no_more() {
    // 1 ms for each of the estimated periods, and 1 ms for its own turn.
    for late in 0..4 {
        assert_eq!(second_after_a_late_first(late).await, (Ok(()), 200 + late));
    }
    assert_eq!(second_after_a_late_first(4).await, (limited(ms(4)), 200));
}

/// Each disturbance delays the turn by no more than timers may. Patience ends in time nevertheless.
#[tokio::test(start_paused = true)]
async fn delays_other_than_late_timers_do_not_extend_patience() {
    type Disturbance = fn(&RateLimiter);
    let disturbances: [Disturbance; 3] =
        [|limiter| limiter.pause_for(ms(2)), |limiter| limiter.charge(1), |limiter| limiter.set_limit(1, ms(1_001))];
    for disturb in disturbances {
        let limiter = RateLimiter::new(1, secs(1));
        limiter.acquire().await;
        let begun = Instant::now();
        let within = waits(limiter.acquire_within(secs(1)));
        advance(ms(999)).await;
        disturb(&limiter);
        assert!(within.await.is_err());
        assert_eq!(begun.elapsed(), secs(1));
    }
}

/// With heavy calls in the queue, the estimated moment is a lower bound, so heavy calls may cause
/// the delay.
#[tokio::test(start_paused = true)]
async fn heavy_calls_ahead_do_not_extend_patience() {
    let limiter = RateLimiter::new(3, ms(2));
    limiter.acquire_many(3).await.unwrap();
    let begun = Instant::now();
    let heavy: Vec<_> = (0..3).map(|_| waits(limiter.acquire_many(2))).collect();
    let within = waits(limiter.acquire_many(2).within(ms(6)));
    let (_, refused) = futures::future::join(join_all(heavy), async {
        let refused = within.await;
        (refused, millis(begun.elapsed()))
    })
    .await;
    // The calls ahead are admitted one after the other, at 2, 4 and 6 ms. The last call gets the
    // permits of 8 ms.
    assert_eq!(refused, (limited(ms(2)), 6));
}

/// The returning waiter takes the turn of the next. The next one's own turn then comes later by no
/// more than timers may delay it.
#[tokio::test(start_paused = true)]
async fn a_skipped_waiter_that_returns_does_not_extend_patience() {
    let limiter = RateLimiter::new(1, ms(2));
    limiter.acquire().await;
    let mut slow = waits(limiter.acquire_many(1));
    limiter.acquire().await;
    assert_eq!(limiter.stats().skipped, 1);
    let begun = Instant::now();
    let within = waits(limiter.acquire_within(ms(2)));
    assert_pending!(slow.poll());
    let (returned, refused) = futures::future::join(slow, within).await;
    assert_eq!((returned, refused), (Ok(()), limited(ms(2))));
    assert_eq!(begun.elapsed(), ms(2));
}

// ---- behind a call that will be refused ----

/// The limit is lowered below the number of permits that the first waiter wants. The first has not
/// been polled since.
#[tokio::test(start_paused = true)]
async fn a_call_above_a_lowered_limit_does_not_hold_up_others() {
    let limiter = RateLimiter::new(5, secs(1));
    limiter.charge(5);
    let mut too_much = waits(limiter.acquire_many(5));
    let mut within = waits(limiter.acquire_within(secs(2)));
    limiter.set_limit(2, secs(1));
    assert_eq!(limiter.acquire_many(2).within(ms(999)).await, limited(secs(2)));
    let mut newcomer = waits(limiter.acquire_within(secs(1)));
    advance(secs(2)).await;
    assert_eq!(assert_ready!(newcomer.poll()), Ok(()));
    assert_eq!(assert_ready!(within.poll()), Ok(()));
    assert!(assert_ready!(too_much.poll()).is_err());
    assert_eq!((limiter.available(), limiter.stats().refused), (0, 2));
}

// ---- threads ----

/// The patience of all threads ends together, and they poll in any order.
#[test]
#[cfg_attr(miri, ignore = "does not finish under Miri")]
fn threads_due_at_the_end_of_patience_are_admitted() {
    for run in 0..200 {
        let clock = VirtualClock::start();
        let limiter = RateLimiter::new(4, ms(100));
        limiter.charge(4);
        let threads: Vec<_> = [100, 100, 100, 100, 200, 200, 200, 200]
            .into_iter()
            .map(|patience| {
                let its_limiter = limiter.clone();
                let waiting = limiter.waiting();
                let thread = clock.spawn(move || {
                    let admitted = its_limiter.acquire_within(ms(patience)).blocking();
                    (admitted, millis(decor::test_util::elapsed().unwrap()))
                });
                while limiter.waiting() == waiting {
                    std::thread::yield_now();
                }
                thread
            })
            .collect();
        let ends: Vec<_> = threads.into_iter().map(VirtualThread::join).collect();
        let expected = [100, 200].map(|at| [(); 4].map(|()| (Ok(()), at))).concat();
        assert_eq!(ends, expected, "run {run}");
    }
}

// ---- real clocks ----

/// Each call waits for exactly the time that the limiter estimates. A refusal is right only if the
/// turn was later than that. After a wait, the turn must also be later by more than timers may be
/// late.
fn refusals_are_beyond_patience_on(worker_threads: usize) {
    const TASKS: u64 = 100;
    const EACH: u64 = 100;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(worker_threads).enable_time().build().unwrap();
    let limiter = RateLimiter::new(50, ms(10));
    let waited = Arc::new(AtomicU64::new(0));
    let tasks = (0..TASKS).map(|_| {
        let (limiter, waited) = (limiter.clone(), Arc::clone(&waited));
        runtime.spawn(async move {
            for _ in 0..EACH {
                let Err(Error::RateLimited { retry_after: patience }) = limiter.try_acquire() else { continue };
                assert!(!patience.is_zero());
                let begun = std::time::Instant::now();
                let result = limiter.acquire_within(patience).await;
                waited.fetch_add(1, Relaxed);
                if let Err(Error::RateLimited { retry_after }) = result {
                    let elapsed = begun.elapsed();
                    let lateness = if elapsed < patience { Duration::ZERO } else { ms(1) };
                    assert!(elapsed + retry_after > patience + lateness, "{elapsed:?} {retry_after:?} {patience:?}");
                }
            }
        })
    });
    let tasks: Vec<_> = tasks.collect();
    for task in tasks {
        runtime.block_on(task).unwrap();
    }
    let (stats, waited) = (limiter.stats(), waited.load(Relaxed));
    assert_eq!(stats.admitted + stats.refused, TASKS * EACH + waited);
    assert_eq!((stats.cancelled, stats.waiting), (0, 0));
}

#[test]
#[cfg_attr(miri, ignore = "does not finish under Miri")]
fn four_threads_refuse_no_call_that_is_due_in_time() {
    refusals_are_beyond_patience_on(4);
}

#[test]
#[cfg_attr(miri, ignore = "does not finish under Miri")]
fn eight_threads_refuse_no_call_that_is_due_in_time() {
    refusals_are_beyond_patience_on(8);
}
