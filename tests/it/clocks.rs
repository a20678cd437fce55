//! Handles that are shared by runtimes and threads with independent clocks.
//!
//! Outside of tests, all clocks agree. In a test binary, a `static` handle is used in one paused
//! runtime after the other, and each has moved its clock.

use crate::support::{just_before, paused, secs};
use decor::{Error, KeyedLimiter, Memo, RateLimiter, test_util::VirtualClock};
use std::{future::Future, task::Poll, time::Duration};
use tokio::{
    runtime::Runtime,
    time::{Instant, advance},
};
use tokio_test::task::{self, Spawn};

/// Asserts that a permit is free after exactly this time, and takes the permit. Times that a test
/// reaches by `advance` are exact to the nanosecond. Times of tokio's timers are whole
/// milliseconds.
async fn takes_a_permit_after(limiter: &RateLimiter, retry_after: Duration) {
    assert_eq!(limiter.try_acquire(), Err(Error::RateLimited { retry_after }));
    advance(just_before(retry_after)).await;
    assert_eq!(limiter.try_acquire(), Err(Error::RateLimited { retry_after: Duration::from_nanos(1) }));
    advance(Duration::from_nanos(1)).await;
    assert_eq!(limiter.try_acquire(), Ok(()));
}

fn poll<F: Future>(runtime: &Runtime, call: &mut Spawn<F>) -> Poll<F::Output> {
    runtime.block_on(async { call.poll() })
}

/// The tests of the feature `fast-clock` itself are in `tests/fast_clock/`.
#[test]
fn a_clock_that_can_be_paused_is_not_replaced_by_the_fast_one() {
    const { assert!(!decor::HAS_FAST_CLOCK) };
}

#[test]
fn a_runtime_that_is_an_hour_ahead_does_not_stop_another() {
    let (ahead, other) = (paused(), paused());
    for limiter in [RateLimiter::new(1, secs(1)), RateLimiter::paced(1, secs(1))] {
        ahead.block_on(async {
            advance(secs(3600)).await;
            limiter.acquire().await;
        });
        // The permit that was just taken stays in the window for one second by either clock.
        other.block_on(takes_a_permit_after(&limiter, secs(1)));
        other.block_on(takes_a_permit_after(&limiter, secs(1)));
        // The first runtime is not stopped either when it comes back.
        ahead.block_on(takes_a_permit_after(&limiter, secs(1)));
        other.block_on(takes_a_permit_after(&limiter, secs(1)));
        assert_eq!(limiter.stats().admitted, 5);
    }
}

#[test]
fn a_waiter_is_admitted_when_another_runtimes_clock_reaches_its_turn() {
    let (ahead, other) = (paused(), paused());
    let limiter = RateLimiter::new(1, secs(60));
    limiter.try_acquire().unwrap();
    let mut waiter = task::spawn(limiter.acquire());
    assert!(poll(&other, &mut waiter).is_pending());
    ahead.block_on(advance(secs(3600)));
    let mut second = task::spawn(limiter.acquire());
    assert!(poll(&ahead, &mut second).is_pending(), "the waiter must be admitted first");
    assert!(waiter.is_woken());
    assert!(poll(&other, &mut waiter).is_ready());
    assert!(poll(&ahead, &mut second).is_pending());
    ahead.block_on(advance(secs(60)));
    assert!(poll(&ahead, &mut second).is_ready());
}

#[test]
fn a_pause_lasts_equally_long_in_each_runtime() {
    let (ahead, other) = (paused(), paused());
    let limiter = RateLimiter::new(10, secs(1));
    ahead.block_on(async {
        advance(secs(3600)).await;
        limiter.pause_for(secs(30));
    });
    other.block_on(takes_a_permit_after(&limiter, secs(30)));
}

#[test]
fn a_wait_with_a_limit_lasts_equally_long_in_each_runtime() {
    let (ahead, other) = (paused(), paused());
    let limiter = RateLimiter::new(1, secs(1));
    ahead.block_on(async {
        advance(secs(3600)).await;
        limiter.acquire().await;
    });
    other.block_on(async {
        let begun = Instant::now();
        assert!(limiter.acquire_within(just_before(secs(1))).await.is_err());
        assert_eq!(begun.elapsed(), Duration::ZERO, "the call must be refused at once");
        assert_eq!(limiter.acquire_within(secs(1)).await, Ok(()));
    });
}

#[test]
fn a_thread_does_not_wait_for_a_runtime_that_is_ahead() {
    let ahead = paused();
    let limiter = RateLimiter::new(1, secs(1));
    ahead.block_on(async {
        advance(secs(3600)).await;
        limiter.acquire().await;
    });
    let clock = VirtualClock::start();
    limiter.acquire_blocking();
    limiter.acquire_blocking();
    assert_eq!(clock.elapsed(), secs(2));
}

#[test]
fn each_virtual_clock_counts_by_the_time_that_passes_on_it() {
    let limiter = RateLimiter::new(1, secs(1));
    for _ in 0..3 {
        let clock = VirtualClock::start();
        clock.advance(secs(3600));
        limiter.acquire_blocking();
        limiter.acquire_blocking();
        assert_eq!(clock.elapsed(), secs(3601));
        drop(clock);
        let clock = VirtualClock::start();
        limiter.acquire_blocking();
        assert_eq!(clock.elapsed(), secs(1));
    }
}

#[test]
fn a_value_lives_equally_long_in_each_runtime() {
    let (ahead, other) = (paused(), paused());
    let memo: Memo<u8, u8> = Memo::ttl(secs(60));
    ahead.block_on(async {
        advance(secs(3600)).await;
        memo.insert(7, 49);
    });
    other.block_on(async {
        assert_eq!(memo.get(&7), Some(49));
        advance(just_before(secs(60))).await;
        assert_eq!(memo.get(&7), Some(49));
        advance(Duration::from_nanos(1)).await;
        assert_eq!(memo.get(&7), None);
        memo.insert(7, 50);
    });
    ahead.block_on(async {
        assert_eq!(memo.get(&7), Some(50));
        advance(secs(60)).await;
        assert_eq!(memo.get(&7), None);
    });
}

#[test]
fn keys_are_forgotten_in_each_runtime() {
    let (ahead, other) = (paused(), paused());
    let per_user = KeyedLimiter::new(1, secs(60));
    ahead.block_on(async {
        advance(secs(3600)).await;
        (0..100).for_each(|user| per_user.for_key(&user).try_acquire().unwrap());
    });
    other.block_on(async {
        assert!(per_user.for_key(&0).try_acquire().is_err());
        advance(secs(60)).await;
        (0..1_000).for_each(|_| drop(per_user.for_key(&0)));
        assert_eq!(per_user.len(), 1);
    });
}
