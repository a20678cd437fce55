//! An adaptive limit: one more after as many good ends, three quarters at a signal.

use crate::support::{ms, secs};
use decor::{ConcurrencyPermit, Error, KeyedConcurrencyLimiter, prelude::*};
use futures::future::join_all;
use tokio::time::sleep;
use tokio_test::{assert_pending, assert_ready, task};

#[derive(Debug, Clone, PartialEq, thiserror::Error)]
enum ApiError {
    #[error("throttled")]
    Throttled,
    #[error("not found")]
    NotFound,
    #[error(transparent)]
    Policy(#[from] Error),
}
use ApiError::{NotFound, Throttled};

fn starting_at(limit: u32) -> ConcurrencyLimiter {
    ConcurrencyLimiter::builder().adaptive(1..=100).start_at(limit).build()
}

fn take(limiter: &ConcurrencyLimiter, calls: u32) -> Vec<ConcurrencyPermit> {
    (0..calls).map(|_| limiter.try_acquire().unwrap()).collect()
}

#[test]
fn it_starts_at_20_clamped_to_the_range() {
    let start = |range| ConcurrencyLimiter::adaptive(range).limit();
    assert_eq!([start(4..=100), start(1..=20), start(20..=20), start(1..=8), start(30..=40)], [20, 20, 20, 8, 30]);
}

#[test]
fn a_signal_takes_three_quarters_rounded_down_but_no_less_than_the_minimum() {
    let limiter = ConcurrencyLimiter::adaptive(4..=100);
    let limits: Vec<_> = (0..8)
        .map(|_| {
            limiter.overloaded();
            limiter.limit()
        })
        .collect();
    assert_eq!(limits, [15, 11, 8, 6, 4, 4, 4, 4]);
    assert_eq!(limiter.stats().shrunk, 8);
}

#[test]
fn a_fixed_limit_ignores_signals() {
    let limiter = ConcurrencyLimiter::new(8);
    let permit = limiter.try_acquire().unwrap();
    permit.overloaded();
    drop(permit);
    limiter.overloaded();
    assert_eq!((limiter.limit(), limiter.stats().shrunk), (8, 0));
}

#[test]
fn as_many_good_ends_as_the_limit_add_one() {
    let limiter = starting_at(4);
    let mut permits = take(&limiter, 4);
    for ends in 1..4 {
        drop(permits.pop());
        assert_eq!(limiter.limit(), 4, "{ends}");
    }
    drop(permits.pop());
    assert_eq!((limiter.limit(), limiter.stats().grown), (5, 1));
    // The next round takes five.
    let mut permits = take(&limiter, 5);
    permits.truncate(1);
    assert_eq!(limiter.limit(), 5);
    drop(permits);
    assert_eq!(limiter.limit(), 6);
}

#[test]
fn an_idle_program_does_not_raise_its_limit() {
    let limiter = starting_at(4);
    for _ in 0..1_000 {
        drop(take(&limiter, 3));
    }
    assert_eq!(limiter.limit(), 4);
    // Good ends from before the limit was reached do not count.
    let permits = take(&limiter, 4);
    drop(permits);
    assert_eq!(limiter.limit(), 5);
}

/// The limit counts as reached for the calls that ran at that time, not for later ones.
#[test]
fn calls_after_a_busy_time_do_not_count() {
    let limiter = starting_at(4);
    let mut permits = take(&limiter, 4);
    permits.drain(..).take(3).for_each(ConcurrencyPermit::cancel);
    for _ in 0..1_000 {
        drop(take(&limiter, 3));
    }
    assert_eq!(limiter.limit(), 4);
}

/// Regression of other limiters (Netflix concurrency-limits#155): the limit was halved at its
/// maximum.
#[test]
fn the_limit_stays_at_its_maximum() {
    let limiter = ConcurrencyLimiter::builder().adaptive(1..=3).start_at(2).build();
    let limits: Vec<_> = (0..6)
        .map(|_| {
            drop(take(&limiter, limiter.limit()));
            limiter.limit()
        })
        .collect();
    assert_eq!(limits, [3; 6]);
    assert_eq!(limiter.stats().grown, 1);
    limiter.overloaded();
    assert_eq!(limiter.limit(), 2);
}

#[test]
fn one_signal_counts_for_all_calls_in_progress() {
    let limiter = ConcurrencyLimiter::adaptive(4..=100);
    let old = take(&limiter, 12);
    old.iter().for_each(ConcurrencyPermit::overloaded);
    limiter.overloaded();
    assert_eq!((limiter.limit(), limiter.stats().shrunk), (15, 1));
    // A newer call that is throttled is news.
    let new = limiter.try_acquire().unwrap();
    old.iter().for_each(ConcurrencyPermit::overloaded);
    assert_eq!(limiter.limit(), 15);
    new.overloaded();
    assert_eq!(limiter.limit(), 11);
    // By hand, the signal could come from an old call until none is left.
    limiter.overloaded();
    assert_eq!(limiter.limit(), 11);
    drop((old, new));
    limiter.overloaded();
    assert_eq!(limiter.limit(), 8);
}

/// The end of a call that began with the old limit says nothing about the new one.
#[test]
fn good_ends_of_calls_from_before_a_signal_do_not_count() {
    let limiter = starting_at(8);
    let old = take(&limiter, 8);
    limiter.overloaded();
    assert_eq!(limiter.limit(), 6);
    drop(old);
    assert_eq!(limiter.limit(), 6);
    drop(take(&limiter, 6));
    assert_eq!(limiter.limit(), 7);
}

#[test]
fn a_signal_forgets_the_good_ends() {
    let limiter = starting_at(4);
    let mut permits = take(&limiter, 4);
    permits.truncate(1);
    limiter.overloaded();
    drop(permits);
    assert_eq!(limiter.limit(), 3);
    let mut permits = take(&limiter, 3);
    permits.truncate(1);
    assert_eq!(limiter.limit(), 3);
    drop(permits);
    assert_eq!(limiter.limit(), 4);
}

#[test]
fn a_permit_that_a_panic_drops_is_no_good_end() {
    let limiter = starting_at(1);
    let shared = limiter.clone();
    let panicked = std::thread::spawn(move || {
        let _permit = shared.try_acquire().unwrap();
        panic!("in a call");
    });
    assert!(panicked.join().is_err());
    assert_eq!((limiter.limit(), limiter.in_use()), (1, 0));
    drop(limiter.try_acquire().unwrap());
    assert_eq!(limiter.limit(), 2);
}

/// Regression of other limiters (Netflix concurrency-limits#146): cancelled calls were counted.
#[tokio::test(start_paused = true)]
async fn cancelled_calls_count_for_nothing() {
    let limiter = starting_at(2);
    let hang = (|| async { std::future::pending::<u64>().await }).concurrency_limited(&limiter);
    for _ in 0..10 {
        let mut calls = [(); 2].map(|()| task::spawn(hang.call()));
        for call in &mut calls {
            assert_pending!(call.poll());
        }
        assert_eq!(limiter.in_use(), 2);
        drop(calls);
    }
    assert_eq!((limiter.limit(), limiter.in_use()), (2, 0));
    let hang = hang.fallible().timeout(secs(1));
    assert!(join_all((0..10).map(|_| hang.call())).await.iter().all(Result::is_err));
    assert_eq!((limiter.limit(), limiter.in_use()), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn a_waiter_that_is_dropped_with_its_permit_counts_for_nothing() {
    let limiter = starting_at(1);
    let permit = limiter.try_acquire().unwrap();
    let mut waiter = task::spawn(limiter.acquire());
    assert_pending!(waiter.poll());
    permit.cancel();
    drop(waiter);
    assert_eq!((limiter.limit(), limiter.in_use()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn panicked_calls_count_for_nothing() {
    let limiter = starting_at(1);
    let call = (|ok: bool| async move { assert!(ok, "in a call") }).concurrency_limited(&limiter);
    for _ in 0..5 {
        assert!(tokio::spawn(call.call(false)).await.is_err());
    }
    assert_eq!((limiter.limit(), limiter.in_use()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn an_error_without_a_signal_is_a_good_end() {
    let limiter = starting_at(1);
    let fetch = (|ok: bool| async move { if ok { Ok(1) } else { Err(NotFound) } })
        .backing_off(&limiter, |error| *error == Throttled)
        .concurrency_limited(&limiter);
    fetch.call(false).await.unwrap_err();
    assert_eq!(limiter.limit(), 2);
    let (first, second) = tokio::join!(fetch.call(true), fetch.call(false));
    assert!(first.is_ok() && second.is_err());
}

#[tokio::test(start_paused = true)]
async fn all_calls_that_a_service_throttles_at_once_are_one_signal() {
    let limiter = ConcurrencyLimiter::adaptive(4..=100);
    let fetch = |millis: u64| async move {
        sleep(ms(millis)).await;
        Err::<u64, _>(Throttled)
    };
    let fetch = fetch.backing_off(&limiter, |error| *error == Throttled).concurrency_limited(&limiter);
    // Twenty calls, which fail one after the other.
    join_all((1..=20).map(|n| fetch.call(n))).await;
    assert_eq!((limiter.limit(), limiter.stats().shrunk), (15, 1));
    join_all((1..=15).map(|n| fetch.call(n))).await;
    assert_eq!((limiter.limit(), limiter.stats().shrunk), (11, 2));
    assert_eq!(limiter.stats().grown, 0);
}

#[tokio::test(start_paused = true)]
async fn each_attempt_of_a_retry_signals_by_itself() {
    let limiter = ConcurrencyLimiter::adaptive(4..=100);
    let fetch = || async { Err::<u64, _>(Throttled) };
    let fetch = fetch
        .backing_off(&limiter, |error| *error == Throttled)
        .concurrency_limited(&limiter)
        .retry_with(RetryPolicy::fixed(secs(1)).max_attempts(3));
    assert_eq!(fetch.call().await, Err(Throttled));
    assert_eq!((limiter.limit(), limiter.in_use()), (8, 0)); // 15, 11, 8
}

#[tokio::test(start_paused = true)]
async fn a_timeout_of_an_attempt_can_be_a_signal() {
    let limiter = ConcurrencyLimiter::adaptive(4..=100);
    let hang = || async { std::future::pending::<Result<u64, ApiError>>().await };
    let fetch = hang
        .timeout(secs(1))
        .backing_off(&limiter, |error| matches!(error, ApiError::Policy(Error::TimedOut { .. })))
        .concurrency_limited(&limiter);
    fetch.call().await.unwrap_err();
    assert_eq!(limiter.limit(), 15);
}

#[tokio::test(start_paused = true)]
async fn a_key_backs_off_by_itself() {
    let per_host = KeyedConcurrencyLimiter::<String>::adaptive(4..=100);
    let fetch = |_: &str| async { Err::<u64, _>(Throttled) };
    let fetch = fetch
        .backing_off_by_key(&per_host, |host: &&str| host.to_string(), |error| *error == Throttled)
        .concurrency_limited_by_key(&per_host, |host: &&str| host.to_string())
        .retry_with(RetryPolicy::fixed(secs(1)).max_attempts(3));
    assert_eq!(fetch.call("a.example").await, Err(Throttled));
    assert_eq!(per_host.for_key("a.example").limit(), 8); // 15, 11, 8
    assert_eq!(per_host.for_key("b.example").limit(), 20);
}

/// A call for more than the limit of the moment runs alone, and later calls wait for it.
#[tokio::test(start_paused = true)]
async fn a_call_for_more_than_the_limit_of_the_moment_runs_alone() {
    let limiter = ConcurrencyLimiter::adaptive(4..=100);
    let one = limiter.try_acquire().unwrap();
    let mut heavy = task::spawn(limiter.acquire_many(30));
    let mut light = task::spawn(limiter.acquire());
    assert_pending!(heavy.poll());
    assert_pending!(light.poll());
    one.cancel();
    let heavy = assert_ready!(heavy.poll()).unwrap();
    assert_eq!((limiter.in_use(), limiter.available(), limiter.limit()), (30, 0, 20));
    assert_pending!(light.poll());
    heavy.cancel();
    drop(assert_ready!(light.poll()));
    let error = limiter.acquire_many(101).await.unwrap_err();
    assert_eq!(error.to_string(), "invalid argument: 101 permits at once, but the limit is 100 at most");
}

#[test]
fn a_limit_that_is_set_goes_on_from_there() {
    let limiter = ConcurrencyLimiter::adaptive(4..=100);
    limiter.set_limit(8);
    drop(take(&limiter, 8));
    assert_eq!(limiter.limit(), 9);
    limiter.overloaded();
    assert_eq!(limiter.limit(), 6);
    let error = limiter.try_set_limit(101).unwrap_err();
    assert_eq!(error.to_string(), "`limit` is 101, but must be within the range of the adaptive limiter");
}

/// A service that has room for ten calls. The limit stays near ten, although no clock is read.
#[tokio::test(start_paused = true)]
async fn the_limit_finds_the_room_of_a_service() {
    let limiter = ConcurrencyLimiter::adaptive(1..=100);
    let server = ConcurrencyLimiter::new(10);
    let fetch = || {
        let server = server.clone();
        async move {
            let _room = server.try_acquire().map_err(|_| Throttled)?;
            sleep(ms(10)).await;
            Ok::<_, ApiError>(())
        }
    };
    let fetch = fetch.backing_off(&limiter, |error| *error == Throttled).concurrency_limited(&limiter);
    let mut limits = Vec::new();
    for _ in 0..100 {
        let results = join_all((0..100).map(|_| fetch.call())).await;
        limits.push((limiter.limit(), results.iter().filter(|result| result.is_err()).count()));
    }
    assert!(limits[10..].iter().all(|(limit, failed)| (7..=11).contains(limit) && *failed <= 3), "{limits:?}");
}
