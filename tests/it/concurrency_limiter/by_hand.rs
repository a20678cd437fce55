//! Permits by hand: taken now, waited for, and waited for within a time.

use super::limited;
use crate::support::{just_before, ms, secs};
use decor::{Error, prelude::*};
use std::pin::pin;
use tokio::time::{Instant, advance};
use tokio_test::{assert_pending, assert_ready, task};

fn assert_send_sync_static<T: Clone + Send + Sync + 'static>(_: &T) {}

#[test]
fn all_clones_are_one_limiter() {
    let limiter = ConcurrencyLimiter::new(2);
    assert_send_sync_static(&limiter);
    assert_send_sync_static(&decor::KeyedConcurrencyLimiter::<String>::new(2));
    let permits = (limiter.try_acquire().unwrap(), limiter.clone().try_acquire().unwrap());
    assert_eq!(limiter.try_acquire().unwrap_err(), limited(2, 0));
    assert_eq!((limiter.in_use(), limiter.available()), (2, 0));
    drop(permits.0);
    assert_eq!((limiter.in_use(), limiter.available()), (1, 1));
}

#[tokio::test]
async fn nothing_is_taken_before_the_first_poll() {
    let limiter = ConcurrencyLimiter::new(1);
    let unpolled = (limiter.acquire(), limiter.acquire_many(1), limiter.acquire_within(secs(1)));
    assert_eq!((limiter.in_use(), limiter.waiting(), limiter.stats().admitted), (0, 0, 0));
    drop(unpolled);
    assert_eq!(limiter.stats(), ConcurrencyLimiter::new(1).stats());
}

#[test]
fn a_free_permit_needs_no_runtime() {
    let limiter = ConcurrencyLimiter::new(3);
    let permit = task::spawn(limiter.acquire_within(secs(1))).poll();
    assert_eq!(assert_ready!(permit).unwrap().permits(), 1);
    assert!(task::spawn(limiter.acquire()).poll().is_ready());
}

#[tokio::test(start_paused = true)]
async fn a_wait_ends_at_its_bound() {
    let limiter = ConcurrencyLimiter::builder().limit(1).named("users").build();
    let permit = limiter.acquire().await;
    let begun = Instant::now();
    let refused = limiter.acquire_within(ms(1_500)).await.unwrap_err();
    assert_eq!(begun.elapsed(), ms(1_500));
    assert_eq!(refused, Error::ConcurrencyLimited { name: "users".into(), limit: 1, waiting: 0 });
    assert_eq!(refused.to_string(), "users is at its limit of 1 (0 waiting)");
    assert_eq!((limiter.waiting(), limiter.stats().refused), (0, 1));
    drop(permit);
    assert_eq!(limiter.available(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_bound_of_zero_does_not_wait() {
    let limiter = ConcurrencyLimiter::new(1);
    let permit = limiter.acquire_within(ms(0)).await.unwrap();
    assert_eq!(assert_ready!(task::spawn(limiter.acquire_within(ms(0))).poll()).unwrap_err(), limited(1, 0));
    drop(permit);
}

#[tokio::test(start_paused = true)]
async fn an_endless_bound_waits_until_a_permit_comes() {
    let limiter = ConcurrencyLimiter::new(1);
    let permit = limiter.acquire().await;
    let mut patient = task::spawn(limiter.acquire_within(std::time::Duration::MAX));
    assert_pending!(patient.poll());
    advance(secs(1_000_000)).await;
    assert!(!patient.is_woken());
    drop(permit);
    assert!(assert_ready!(patient.poll()).is_ok());
}

/// The permit comes in the last moment, and the waiter is polled only after its wait has ended.
#[tokio::test(start_paused = true)]
async fn a_permit_that_was_handed_over_in_time_is_taken_late() {
    let limiter = ConcurrencyLimiter::new(1);
    let permit = limiter.acquire().await;
    let mut waiter = task::spawn(limiter.acquire_within(secs(1)));
    assert_pending!(waiter.poll());
    advance(just_before(secs(1))).await;
    drop(permit);
    advance(secs(1)).await;
    assert!(assert_ready!(waiter.poll()).is_ok());
    assert_eq!(limiter.stats().refused, 0);
}

#[tokio::test(start_paused = true)]
async fn several_permits_are_taken_together() {
    let limiter = ConcurrencyLimiter::new(5);
    let three = limiter.acquire_many(3).await.unwrap();
    let mut more = task::spawn(limiter.acquire_many(3));
    assert_pending!(more.poll());
    assert_eq!((limiter.in_use(), limiter.available(), limiter.waiting()), (3, 2, 1));
    drop(three);
    assert_eq!((limiter.in_use(), limiter.waiting()), (3, 0)); // handed over
    assert_eq!(assert_ready!(more.poll()).unwrap().permits(), 3);
    assert_eq!(limiter.in_use(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_request_for_no_permits_waits_its_turn() {
    let limiter = ConcurrencyLimiter::new(1);
    let permit = limiter.acquire_many(0).await.unwrap();
    assert_eq!((permit.permits(), limiter.in_use()), (0, 0));
    let one = limiter.acquire().await;
    let mut first = task::spawn(limiter.acquire());
    let mut none = task::spawn(limiter.acquire_many(0));
    assert_pending!(first.poll());
    assert_pending!(none.poll());
    drop(one);
    let first = assert_ready!(first.poll());
    assert!(assert_ready!(none.poll()).is_ok());
    drop(first);
}

#[tokio::test]
async fn more_than_the_limit_is_refused_at_once() {
    let limiter = ConcurrencyLimiter::new(8);
    let message = |error: Error| error.to_string();
    let too_much = "invalid argument: 9 permits at once, but the limit is 8";
    assert_eq!(message(limiter.acquire_many(9).await.unwrap_err()), too_much);
    assert_eq!(message(limiter.acquire_many(9).within(secs(1)).await.unwrap_err()), too_much);
    assert_eq!(message(limiter.try_acquire_many(9).unwrap_err()), too_much);
    assert_eq!(
        message(limiter.acquire_many(-1).await.unwrap_err()),
        "invalid argument: -1 permits, but the number must be 0 to 4294967295",
    );
    assert_eq!(
        message(limiter.acquire_many([1, 2]).await.unwrap_err()),
        "invalid argument: permits for 2 windows, but the limiter has 1",
    );
    assert_eq!((limiter.in_use(), limiter.waiting()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn calls_beyond_the_largest_queue_are_refused() {
    let limiter = ConcurrencyLimiter::builder().limit(1).max_waiting(1).build();
    let permit = limiter.acquire().await;
    let mut first = task::spawn(limiter.acquire_many(1));
    assert_pending!(first.poll());
    assert_eq!(limiter.acquire_many(1).await.unwrap_err(), limited(1, 1));
    assert_eq!(limiter.acquire_within(secs(1)).await.unwrap_err(), limited(1, 1));
    let mut cannot_fail = task::spawn(limiter.acquire());
    assert_pending!(cannot_fail.poll());
    assert_eq!(limiter.waiting(), 2);
    limiter.set_max_waiting(None);
    assert_pending!(task::spawn(limiter.acquire_many(1)).poll());
    drop((permit, first, cannot_fail));
    assert_eq!((limiter.in_use(), limiter.waiting()), (0, 0));
}

/// A permit is owned, so it outlives the handle that it came from.
#[test]
fn a_permit_outlives_its_handle() {
    let permit = ConcurrencyLimiter::new(3).try_acquire_many(2).unwrap();
    assert_eq!(format!("{permit:?}"), "ConcurrencyPermit(2 of 3 at once)");
    std::thread::spawn(move || drop(permit)).join().unwrap();
}

#[tokio::test]
async fn a_leaked_future_that_has_no_permit_does_no_harm() {
    let limiter = ConcurrencyLimiter::new(1);
    std::mem::forget(limiter.acquire());
    assert_eq!(limiter.available(), 1);
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "polled after it completed")]
async fn a_completed_future_is_not_polled_again() {
    let limiter = ConcurrencyLimiter::new(1);
    let mut acquire = pin!(limiter.acquire());
    drop(acquire.as_mut().await);
    drop(acquire.await);
}

#[tokio::test(start_paused = true)]
async fn the_text_of_a_future_and_of_statistics() {
    let limiter = ConcurrencyLimiter::new(1);
    let permit = limiter.acquire().await;
    let mut acquire = Box::pin(limiter.acquire_many(1));
    assert_pending!(task::spawn(acquire.as_mut()).poll());
    let text = "AcquireConcurrency { permits: 1, patience: Unbounded, waiting: true, .. }";
    assert_eq!(format!("{acquire:?}"), text);
    assert_eq!(
        limiter.stats().to_string(),
        "ConcurrencyStats(admitted=1, delayed=0, refused=0, cancelled=0, waiting=1, in_use=1, limit=1)",
    );
    drop(permit);
    drop(acquire.await);
    assert_eq!(
        limiter.stats().to_string(),
        "ConcurrencyStats(admitted=2, delayed=1, refused=0, cancelled=0, waiting=0, in_use=0, limit=1)",
    );
}
