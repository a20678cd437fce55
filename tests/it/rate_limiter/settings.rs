//! Settings that are read and changed while calls wait, and set back.

use super::waiting_threads;
use crate::support::{millis, ms, secs};
use decor::{Error, KeyedLimiter, prelude::*, test_util::VirtualClock};
use futures::future::join_all;
use std::time::Duration;
use tokio::time::{Instant, advance};
use tokio_test::{assert_pending, assert_ready, task};

type Settings = (Vec<(u32, Duration)>, Option<u32>, Option<usize>, Duration);

fn settings(limiter: &RateLimiter) -> Settings {
    (limiter.limits(), limiter.burst(), limiter.max_waiting(), limiter.longest_pause())
}

fn set(limiter: &RateLimiter, (limits, burst, max_waiting, longest_pause): Settings) {
    limiter.try_set_limits(limits).unwrap();
    if let Some(burst) = burst {
        limiter.set_burst(burst);
    }
    limiter.set_max_waiting(max_waiting);
    limiter.set_longest_pause(longest_pause);
}

#[test]
fn a_handle_reads_the_settings_of_the_builder() {
    let plain = RateLimiter::builder().window(10, secs(1)).build();
    assert_eq!(settings(&plain), (vec![(10, secs(1))], None, None, secs(3600)));
    let bounded = RateLimiter::builder().window(10, secs(1)).window(300, secs(60));
    let bounded = bounded.max_waiting(7).longest_pause(secs(5)).build();
    assert_eq!(settings(&bounded), (vec![(10, secs(1)), (300, secs(60))], None, Some(7), secs(5)));
    let paced = RateLimiter::builder().paced(10, ms(1500)).burst(4).max_waiting(None).build();
    assert_eq!(settings(&paced), (vec![(10, ms(1500))], Some(4), None, secs(3600)));
    assert_eq!([plain, bounded, paced].map(|limiter| limiter.is_paced()), [false, false, true]);
}

/// Limit and burst are changed in each order, with the limit below the burst and not.
#[test]
fn settings_come_back_when_they_are_set_back() {
    let limiters = [
        RateLimiter::builder().window(10, secs(1)).window(300, secs(60)).max_waiting(7).build(),
        RateLimiter::builder().paced(100, secs(1)).burst(50).longest_pause(secs(9)).build(),
    ];
    for limiter in limiters {
        let (before, available) = (settings(&limiter), limiter.available_per_window());
        let shared = limiter.clone();
        for (limit, burst) in [(5, 3), (5, 90), (200, 150), (200, 1)] {
            let limits = before.0.iter().map(|_| (limit, secs(2))).collect();
            set(&shared, (limits, before.1.map(|_| burst), Some(0), ms(1)));
            assert_ne!(settings(&limiter), before);
            set(&shared, before.clone());
            assert_eq!((settings(&limiter), limiter.available_per_window()), (before.clone(), available.clone()));
        }
        // Settings are changed one at a time, and read while the limit is below the burst.
        shared.try_set_limits(before.0.iter().map(|_| (5, secs(2)))).unwrap();
        let (_, burst, ..) = settings(&limiter);
        assert_eq!(burst, before.1);
        if let Some(burst) = burst {
            shared.set_burst(2);
            shared.set_burst(burst);
            assert_eq!(limiter.available(), 5);
        }
        shared.try_set_limits(before.0.clone()).unwrap();
        assert_eq!((settings(&limiter), limiter.available_per_window()), (before, available));
    }
}

#[tokio::test(start_paused = true)]
async fn max_waiting_applies_to_calls_that_come_after_the_change() {
    let limiter = RateLimiter::new(1, secs(1));
    limiter.acquire().await;
    let begun = Instant::now();
    let mut waiters: Vec<_> = (0..3).map(|_| task::spawn(limiter.acquire_many(1))).collect();
    for waiter in &mut waiters {
        assert_pending!(waiter.poll());
    }
    limiter.set_max_waiting(1);
    assert_eq!(limiter.acquire_many(1).await, Err(Error::QueueFull { waiting: 3 }));
    limiter.set_max_waiting(None);
    let mut last = task::spawn(limiter.acquire_many(1));
    assert_pending!(last.poll());
    limiter.set_max_waiting(0);
    // Calls that already wait are not refused.
    for (turn, waiter) in (1..).zip(waiters.into_iter().chain([last])) {
        assert_eq!((waiter.await, begun.elapsed()), (Ok(()), secs(turn)));
    }
    assert_eq!(limiter.acquire_many(1).await, Err(Error::QueueFull { waiting: 0 }));
}

/// The limiter gives one permit each 100 ms. The first is taken at 0. The burst becomes 3 at 50 ms,
/// while four calls wait.
#[tokio::test(start_paused = true)]
async fn a_larger_burst_reaches_waiting_calls() {
    let limiter = RateLimiter::paced(10, secs(1));
    limiter.acquire().await;
    let begun = Instant::now();
    let waiting = (0..4).map(|_| async {
        limiter.acquire().await;
        millis(begun.elapsed())
    });
    let raise = async {
        tokio::time::sleep(ms(50)).await;
        limiter.set_burst(3);
    };
    // A burst of 3 allows the permits of 0, 100 and 200 ms at once.
    assert_eq!(futures::future::join(join_all(waiting), raise).await.0, [50, 50, 100, 200]);
    assert_eq!(limiter.stats().skipped, 0);
}

#[test]
fn a_larger_burst_reaches_waiting_threads() {
    let clock = VirtualClock::start();
    let limiter = RateLimiter::paced(10, secs(1));
    limiter.acquire_blocking();
    let join = waiting_threads(&clock, &limiter, 4);
    clock.advance(ms(50));
    limiter.set_burst(3);
    assert_eq!(join(), [50, 50, 100, 200]);
}

#[tokio::test(start_paused = true)]
async fn with_a_smaller_burst_taken_permits_stay_taken() {
    let limiter = RateLimiter::builder().paced(10, secs(1)).burst(5).build();
    let begun = Instant::now();
    limiter.acquire_many(5).await.unwrap();
    limiter.set_burst(1);
    let mut waiter = task::spawn(limiter.acquire());
    assert_pending!(waiter.poll());
    assert_eq!(limiter.try_acquire(), Err(Error::RateLimited { retry_after: ms(600) }));
    advance(ms(499)).await;
    assert!(!waiter.is_woken());
    // 4 of 5 permits are free again, and would have been free all the time with the larger burst.
    limiter.set_burst(5);
    assert_ready!(waiter.poll());
    assert_eq!((limiter.available(), begun.elapsed()), (3, ms(499)));
}

/// A key with a setting of its own is not forgotten, because the setting would be lost.
#[tokio::test(start_paused = true)]
#[cfg_attr(miri, ignore = "does not finish under Miri")]
async fn a_keys_own_settings_stay() {
    type Change = fn(&RateLimiter);
    let changes: [Change; 3] = [
        |limiter| limiter.set_burst(9),
        |limiter| limiter.set_max_waiting(1),
        |limiter| limiter.set_longest_pause(secs(1)),
    ];
    let paced = RateLimiter::builder().paced(10, secs(1)).burst(3);
    for change in changes {
        let per_user: KeyedLimiter<u32> = paced.clone().keyed().build();
        change(&per_user.for_key(&7));
        let own = settings(&per_user.for_key(&7));
        assert_ne!(own, settings(&per_user.for_key(&8)));
        for user in 100..1_000 {
            advance(secs(1)).await;
            per_user.for_key(&user).try_acquire().unwrap();
        }
        assert!(per_user.len() < 100, "{}", per_user.len());
        assert_eq!(settings(&per_user.for_key(&7)), own);
    }
}

#[tokio::test(start_paused = true)]
async fn an_overdraft_at_the_slowest_pace_survives_the_fastest() {
    let limiter = RateLimiter::paced(1, Duration::MAX);
    limiter.charge(u32::MAX);
    limiter.charge(u32::MAX);
    limiter.set_limit(u32::MAX, Duration::MAX);
    assert!(matches!(limiter.try_acquire(), Err(Error::RateLimited { .. })));
}

#[test]
fn u64_counts_convert_to_permits() {
    let limiter = RateLimiter::windows([(60, secs(60)), (90_000, secs(60))]);
    limiter.charge([1_u64, 350]);
    limiter.charge(1_u64);
    assert_eq!(limiter.available_per_window(), [58, 89_649]);
    let refused = limiter.try_acquire_many([0, u64::MAX]).unwrap_err().to_string();
    assert_eq!(refused, "invalid argument: 4294967295 permits at once, but the limit is 90000 per 60s");
}
