//! Real time, by the system's clock. All assertions are lower bounds, or compare a stamp with
//! instants around it, so that a busy machine makes no test fail.
#![cfg(not(any(feature = "paused", feature = "virtual-clock")))]

use decor::{Timing, layer, prelude::*};
use std::{
    future::{pending, ready},
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

const MILLISECOND: Duration = Duration::from_millis(1);
/// Greatest error of a stamp that the documentation admits.
const ERROR: Duration = Duration::from_micros(1);

#[test]
fn the_clock_cannot_be_paused_and_is_fast() {
    const { assert!(decor::HAS_FAST_CLOCK) };
}

/// Takes permits as fast as it can, on two threads. Returns the moments before and after each call
/// that was admitted.
fn admissions(limiter: &RateLimiter, count: usize) -> Vec<(Instant, Instant)> {
    let admitted = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while admitted.lock().unwrap().len() < count {
                    let before = Instant::now();
                    if limiter.try_acquire().is_ok() {
                        admitted.lock().unwrap().push((before, Instant::now()));
                    }
                }
            });
        }
    });
    let mut admitted = admitted.into_inner().unwrap();
    admitted.sort_unstable_by_key(|(before, _)| *before);
    admitted
}

/// Longest time in which the calls can have been admitted.
fn span(calls: &[(Instant, Instant)]) -> Duration {
    calls.iter().map(|(_, after)| *after).max().unwrap() - calls[0].0
}

#[test]
fn a_stretch_with_more_permits_than_the_limit_is_no_shorter_than_the_period() {
    let (limit, period) = (5, 20 * MILLISECOND);
    let admitted = admissions(&RateLimiter::new(5, period), 8 * limit);
    let spans = || admitted.windows(limit + 1).map(span);
    assert!(spans().count() > 20);
    assert!(spans().all(|span| span + ERROR >= period), "{:?}", spans().min());
}

#[test]
fn a_paced_limiter_keeps_its_pace() {
    // 1 in each 5 ms. A stretch holds 1 more, and those of the 3 ms for which the pacer makes up.
    let interval = 5 * MILLISECOND;
    let admitted = admissions(&RateLimiter::paced(1, interval), 20);
    for first in 0..admitted.len() {
        for last in first + 1..admitted.len() {
            let least = (interval * u32::try_from(last - first).unwrap()).saturating_sub(3 * MILLISECOND);
            let span = span(&admitted[first..=last]);
            assert!(span + ERROR >= least, "{} further in {span:?}", last - first);
        }
    }
}

#[tokio::test]
async fn tasks_wait_out_the_period() {
    let (limit, period) = (3, 20 * MILLISECOND);
    let limiter = RateLimiter::new(3, period);
    let mut admitted = Vec::new();
    for _ in 0..6 * limit {
        let before = Instant::now();
        limiter.acquire().await;
        admitted.push((before, Instant::now()));
    }
    for calls in admitted.windows(limit + 1) {
        assert!(span(calls) + ERROR >= period);
    }
}

#[test]
fn threads_wait_out_the_period_in_one_queue() {
    let (limit, period) = (3, 20 * MILLISECOND);
    let limiter = RateLimiter::new(3, period);
    let begun = Instant::now();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..limit).for_each(|_| limiter.acquire_blocking()));
        }
    });
    assert!(begun.elapsed() + ERROR >= 3 * period);
}

#[test]
fn a_value_never_expires_early() {
    let ttl = 60 * MILLISECOND;
    let memo: Memo<u8, u8> = Memo::ttl(ttl);
    for _ in 0..5 {
        let stored = Instant::now();
        memo.insert(7, 49);
        while memo.get(&7).is_some() {}
        assert!(stored.elapsed() + ERROR >= ttl);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_that_one_thread_stores_never_expires_early_for_another() {
    let ttl = 60 * MILLISECOND;
    let memo: Memo<u8, u8> = Memo::ttl(ttl);
    for _ in 0..5 {
        let stored = Instant::now();
        let its = memo.clone();
        tokio::spawn(async move { its.insert(7, 49) }).await.unwrap();
        while memo.get(&7).is_some() {}
        assert!(stored.elapsed() + ERROR >= ttl);
    }
}

fn fail(starts: &Mutex<Vec<Instant>>) -> Result<u8, io::Error> {
    starts.lock().unwrap().push(Instant::now());
    Err(io::ErrorKind::ConnectionReset.into())
}

#[tokio::test]
async fn a_delay_of_a_retry_is_never_short() {
    let delay = 7 * MILLISECOND;
    let starts = Mutex::new(Vec::new());
    let fetch = (|| ready(fail(&starts))).retry_with(RetryPolicy::fixed(delay).max_attempts(6));
    let error = fetch.call().await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    let starts = starts.into_inner().unwrap();
    assert_eq!(starts.len(), 6);
    assert!(starts.windows(2).all(|two| two[1] - two[0] >= delay));
}

#[test]
fn a_delay_of_a_blocking_retry_is_never_short() {
    let delay = 7 * MILLISECOND;
    let starts = Mutex::new(Vec::new());
    let read = || fail(&starts);
    read.blocking().retry_with(RetryPolicy::fixed(delay).max_attempts(6)).call().unwrap_err();
    let starts = starts.into_inner().unwrap();
    assert_eq!(starts.len(), 6);
    assert!(starts.windows(2).all(|two| two[1] - two[0] >= delay));
}

#[tokio::test]
async fn a_timeout_is_never_early() {
    let limit = 15 * MILLISECOND;
    for _ in 0..5 {
        let begun = Instant::now();
        let call = pending::<Result<(), decor::Error>>().timeout(limit);
        call.await.unwrap_err();
        assert!(begun.elapsed() >= limit);
    }
}

#[test]
fn a_measured_time_lies_between_the_times_inside_and_outside_of_the_call() {
    let inside = Arc::new(AtomicU64::new(0));
    let measured = Arc::new(Mutex::new(Vec::new()));
    let (its, sink) = (Arc::clone(&inside), Arc::clone(&measured));
    let work = move |times: u32| {
        let begun = Instant::now();
        (0..times).for_each(|_| _ = std::hint::black_box(Instant::now()));
        its.store(u64::try_from(begun.elapsed().as_nanos()).unwrap(), Relaxed);
    };
    let timing = Timing::new("work").record_to(move |m| sink.lock().unwrap().push(m.elapsed));
    let work = work.blocking().timed_with(timing);
    for times in (0..15).map(|power| 1 << power) {
        let begun = Instant::now();
        work.call(times);
        let outside = begun.elapsed();
        let elapsed = measured.lock().unwrap().pop().unwrap();
        let inside = Duration::from_nanos(inside.load(Relaxed));
        assert!(inside <= elapsed + ERROR && elapsed <= outside + ERROR, "{inside:?} {elapsed:?} {outside:?}");
    }
}

#[test]
fn the_instants_of_the_api_are_those_of_tokio() {
    for _ in 0..10_000 {
        let before = tokio::time::Instant::now();
        let now = layer::now();
        assert!(before <= now && now <= tokio::time::Instant::now());
    }
}
