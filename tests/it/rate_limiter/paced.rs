//! Paced limiters: an even pace, bursts that come back, and catching up after a stall.

use crate::support::{cases, millis, ms, paused, secs};
use decor::{
    Error,
    prelude::*,
    test_util::{VirtualClock, VirtualThread},
};
use futures::future::join_all;
use proptest::prelude::*;
use std::{thread, time::Duration};
use tokio::time::{Instant, advance};
use tokio_test::{assert_pending, task};

#[tokio::test(start_paused = true)]
async fn paced_calls_are_evenly_spaced_and_do_not_drift() {
    let limiter = RateLimiter::paced(3, secs(1));
    let begun = Instant::now();
    let mut at = Vec::new();
    for _ in 0..301 {
        limiter.acquire().await;
        at.push(begun.elapsed());
    }
    // A third of a second is not a whole number of nanoseconds. The timer rounds each wait up, but
    // the rounding does not add up on the schedule.
    let expected: Vec<_> = (0..301_u64).map(|n| ms((n * 1000).div_ceil(3))).collect();
    assert_eq!(at, expected);
}

#[tokio::test(start_paused = true)]
async fn a_burst_is_given_after_a_pause() {
    let limiter = RateLimiter::builder().paced(10, secs(1)).burst(3).build();
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
    advance(secs(10)).await;
    assert_eq!(limiter.available(), 3);
    assert_eq!(acquire_six().await, [10_300, 10_300, 10_300, 10_400, 10_500, 10_600]);
}

#[tokio::test(start_paused = true)]
async fn a_paced_call_beyond_the_burst_delays_the_calls_after_it() {
    let limiter = RateLimiter::paced(10, secs(1));
    let begun = Instant::now();
    limiter.acquire_many(5).await.unwrap();
    assert_eq!(begun.elapsed(), Duration::ZERO);
    limiter.acquire().await;
    assert_eq!(begun.elapsed(), ms(500));
    assert!(limiter.acquire_many(11).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn permits_taken_at_the_old_pace_keep_their_time_at_the_new_pace() {
    let limiter = RateLimiter::builder().paced(10, secs(1)).burst(5).build();
    limiter.acquire_many(5).await.unwrap();
    let begun = Instant::now();
    limiter.set_limit(2, secs(1));
    assert_eq!(format!("{limiter:?}"), "RateLimiter(2 per 1s, paced, burst 2)");
    let mut at = Vec::new();
    for _ in 0..3 {
        limiter.acquire().await;
        at.push(millis(begun.elapsed()));
    }
    // The permits that were taken count until 0.5 s. The burst is 2 now, and one permit of it is
    // free at once.
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

const STALL: Duration = ms(60);

/// A rate per second, the number of calls that pass together after a stall, and the number in each
/// millisecond from then on.
const RATES: [(u32, usize, usize); 3] = [(100, 1, 0), (1_000, 4, 1), (10_000, 31, 10)];

#[tokio::test(start_paused = true)]
async fn tasks_make_up_for_three_milliseconds_after_a_stall() {
    for (rate, at_once, in_each) in RATES {
        let limiter = RateLimiter::paced(rate, secs(1));
        limiter.acquire().await;
        let mut waiters: Vec<_> = (0..50).map(|_| task::spawn(limiter.acquire())).collect();
        for waiter in &mut waiters {
            assert_pending!(waiter.poll());
        }
        let mut admitted = || {
            let before = waiters.len();
            while let Some(woken) = waiters.iter().position(task::Spawn::is_woken) {
                if waiters[woken].poll().is_ready() {
                    drop(waiters.remove(woken));
                }
            }
            before - waiters.len()
        };
        advance(STALL).await;
        assert_eq!(admitted(), at_once, "{rate} a second");
        advance(ms(1)).await;
        assert_eq!(admitted(), in_each, "{rate} a second");
    }
}

#[test]
fn threads_make_up_for_three_milliseconds_after_a_stall() {
    for (rate, at_once, _) in RATES {
        const THREADS: usize = 34;
        let clock = VirtualClock::start();
        let limiter = RateLimiter::paced(rate, secs(1));
        limiter.acquire_blocking();
        let threads: Vec<_> = (0..THREADS)
            .map(|_| {
                let limiter = limiter.clone();
                clock.spawn(move || {
                    limiter.acquire_blocking();
                    decor::test_util::elapsed().unwrap()
                })
            })
            .collect();
        while limiter.waiting() < THREADS {
            thread::yield_now();
        }
        clock.advance(STALL);
        let mut admitted: Vec<_> = threads.into_iter().map(VirtualThread::join).collect();
        admitted.sort_unstable();
        let interval = secs(1) / rate;
        // The schedule resumes from 3 ms before the end of the stall.
        let turn = |n: usize| STALL.max(ms(57) + interval * u32::try_from(n).unwrap());
        assert_eq!(admitted, (0..THREADS).map(turn).collect::<Vec<_>>(), "{rate} a second");
        assert_eq!(admitted.iter().filter(|at| **at == STALL).count(), at_once, "{rate} a second");
    }
}

#[tokio::test(start_paused = true)]
async fn time_in_a_pause_is_not_made_up_for() {
    let limiter = RateLimiter::paced(1_000, secs(1));
    limiter.acquire().await;
    limiter.pause_for(STALL);
    let begun = Instant::now();
    let waiters = (0..5).map(|_| async {
        limiter.acquire().await;
        millis(begun.elapsed())
    });
    assert_eq!(join_all(waiters).await, [60, 61, 62, 63, 64]);
}

#[derive(Debug, Clone)]
struct Stalls {
    limit: u32,
    burst: u32,
    micros: u64,
    waiters: usize,
    /// Milliseconds in which no waiter is polled.
    pauses: Vec<u64>,
}

fn any_stalls() -> impl Strategy<Value = Stalls> {
    let limits = (1_u32..30).prop_flat_map(|limit| (Just(limit), 1..=limit));
    let pauses = prop::collection::vec(prop_oneof![4 => Just(1_u64), 1 => 2_u64..30], 1..40);
    (limits, 1_000_u64..60_000, 1_usize..60, pauses).prop_map(|((limit, burst), micros, waiters, pauses)| Stalls {
        limit,
        burst,
        micros,
        waiters,
        pauses,
    })
}

/// The moments of all admissions, in microseconds.
async fn admissions(stalls: &Stalls) -> Vec<u64> {
    let limiter =
        RateLimiter::builder().paced(stalls.limit, Duration::from_micros(stalls.micros)).burst(stalls.burst).build();
    let begun = Instant::now();
    let mut waiters: Vec<_> = (0..stalls.waiters).map(|_| task::spawn(limiter.acquire())).collect();
    let mut admitted = Vec::new();
    waiters.retain_mut(|waiter| {
        let is_ready = waiter.poll().is_ready();
        admitted.extend(is_ready.then_some(0));
        !is_ready
    });
    for pause in &stalls.pauses {
        advance(ms(*pause)).await;
        while let Some(woken) = waiters.iter().position(task::Spawn::is_woken) {
            if waiters[woken].poll().is_ready() {
                drop(waiters.remove(woken));
                admitted.push(u64::try_from(begun.elapsed().as_micros()).unwrap());
            }
        }
    }
    admitted
}

proptest! {
    #![proptest_config(cases(5_000))]

    #[test]
    fn no_stretch_of_time_holds_more_than_the_burst_and_the_permits_due(stalls in any_stalls()) {
        let runtime = paused();
        let admitted = runtime.block_on(admissions(&stalls));
        for (first, begin) in admitted.iter().enumerate() {
            for (last, end) in admitted.iter().enumerate().skip(first) {
                let falls_due = (end - begin + 3_000) * u64::from(stalls.limit) / stalls.micros;
                let taken = (first..=last).count() as u64;
                prop_assert!(taken <= u64::from(stalls.burst) + falls_due, "{admitted:?}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_burst_comes_back_with_the_limit() {
    let limiter = RateLimiter::builder().paced(100, secs(1)).burst(50).build();
    let shown = || format!("{limiter:?}");
    limiter.set_limit(10, secs(1));
    assert_eq!((limiter.available(), shown()), (10, "RateLimiter(10 per 1s, paced, burst 10)".into()));
    limiter.set_limit(100, secs(1));
    assert_eq!((limiter.available(), shown()), (50, "RateLimiter(100 per 1s, paced, burst 50)".into()));
    let begun = Instant::now();
    join_all((0..51).map(|_| limiter.acquire())).await;
    assert_eq!(begun.elapsed(), ms(10));
}

#[test]
fn a_burst_comes_back_with_the_limit_for_threads() {
    let clock = VirtualClock::start();
    let limiter = RateLimiter::builder().paced(100, secs(1)).burst(50).build();
    limiter.set_limit(10, secs(1));
    limiter.set_limit(100, secs(1));
    (0..51).for_each(|_| limiter.acquire_blocking());
    assert_eq!(clock.elapsed(), ms(10));
}
