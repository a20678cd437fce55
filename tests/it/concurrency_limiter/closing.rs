//! A closed limiter admits no more calls, and ends all waits.

use crate::support::secs;
use decor::{Error, KeyedConcurrencyLimiter, prelude::*};
use tokio_test::{assert_pending, assert_ready, task};

const CLOSED: Error = Error::Closed { what: "the concurrency limiter" };

async fn fetch(id: u64) -> Result<u64, Error> {
    Ok(id)
}

#[tokio::test(start_paused = true)]
async fn every_wait_that_can_fail_ends() {
    let limiter = ConcurrencyLimiter::new(1);
    let permit = limiter.acquire().await;
    let mut many = task::spawn(limiter.acquire_many(1));
    let mut within = task::spawn(limiter.acquire_within(secs(9)));
    let mut cannot_fail = task::spawn(limiter.acquire());
    assert_pending!(many.poll());
    assert_pending!(within.poll());
    assert_pending!(cannot_fail.poll());
    limiter.close();
    assert!(many.is_woken() && within.is_woken());
    assert_eq!(assert_ready!(many.poll()).unwrap_err(), CLOSED);
    assert_eq!(assert_ready!(within.poll()).unwrap_err(), CLOSED);
    assert_pending!(cannot_fail.poll());
    assert_pending!(cannot_fail.poll());
    assert_eq!((limiter.waiting(), limiter.in_use(), limiter.available()), (0, 1, 0));
    drop(permit);
    assert_eq!((limiter.is_closed(), limiter.in_use(), limiter.available()), (true, 0, 0));
    assert_eq!((limiter.stats().refused, limiter.stats().cancelled), (3, 0));
}

#[tokio::test(start_paused = true)]
async fn later_calls_are_refused() {
    let limiter = ConcurrencyLimiter::builder().limit(2).named("users").build();
    limiter.close();
    limiter.close();
    assert_eq!(limiter.try_acquire().unwrap_err(), CLOSED);
    assert_eq!(limiter.acquire_many(1).await.unwrap_err(), CLOSED);
    assert_eq!(fetch.concurrency_limited_by(&limiter, |_: &u64| 1).call(1).await, Err(CLOSED));
    assert_eq!(fetch(1).try_concurrency_limited(&limiter).await, Err(CLOSED));
    assert_pending!(task::spawn(fetch.concurrency_limited(&limiter).call(1)).poll());
    assert_eq!(limiter.to_string(), "users, 2 at once, closed");
    assert_eq!(format!("{limiter:?}"), "ConcurrencyLimiter(users, 2 at once, closed)");
}

#[tokio::test(start_paused = true)]
async fn a_permit_that_was_handed_over_before_stays() {
    let limiter = ConcurrencyLimiter::new(1);
    let permit = limiter.acquire().await;
    let [mut first, mut second] = [(); 2].map(|()| task::spawn(limiter.acquire_many(1)));
    assert_pending!(first.poll());
    assert_pending!(second.poll());
    drop(permit);
    limiter.close();
    let permit = assert_ready!(first.poll()).unwrap();
    assert_eq!(assert_ready!(second.poll()).unwrap_err(), CLOSED);
    assert_eq!(limiter.in_use(), 1);
    drop(permit);
    assert_eq!(limiter.in_use(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_waiter_of_a_closed_limiter_may_be_dropped() {
    let limiter = ConcurrencyLimiter::new(1);
    let permit = limiter.acquire().await;
    let mut waiter = task::spawn(limiter.acquire_many(1));
    assert_pending!(waiter.poll());
    limiter.close();
    drop(waiter);
    drop(permit);
    assert_eq!((limiter.in_use(), limiter.stats().cancelled), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn all_keys_are_closed_those_that_come_later_as_well() {
    let keyed = KeyedConcurrencyLimiter::new(1);
    let seven = keyed.for_key(&7);
    let permit = seven.acquire().await;
    let mut waiter = task::spawn(seven.acquire_many(1));
    assert_pending!(waiter.poll());
    keyed.remove(&7); // its callers keep it
    keyed.close();
    assert_eq!(assert_ready!(waiter.poll()).unwrap_err(), CLOSED);
    assert_eq!(keyed.for_key(&8).try_acquire().unwrap_err(), CLOSED);
    assert!(keyed.is_closed());
    assert_eq!(keyed.to_string(), "1 at once for each key, closed");
    drop(permit);
}

#[test]
fn a_closed_limiter_is_not_transient() {
    use decor::Transient;
    assert!(!CLOSED.is_transient());
    assert!(super::limited(8, 0).is_transient());
    assert_eq!(super::limited(8, 0).retry_after(), None);
    assert_eq!(std::io::Error::from(super::limited(8, 0)).kind(), std::io::ErrorKind::WouldBlock);
}
