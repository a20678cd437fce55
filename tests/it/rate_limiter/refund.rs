//! Permits that are given back by `refund`.

use crate::support::{ms, secs};
use decor::{Error, Permits, prelude::*};
use std::panic::catch_unwind;
use tokio::time::{Instant, advance};
use tokio_test::{assert_pending, assert_ready, assert_ready_ok, task};

#[tokio::test(start_paused = true)]
async fn a_refund_admits_waiters() {
    let limiter = RateLimiter::new(10, secs(1));
    limiter.acquire_many(10).await.unwrap();
    let mut waiting = [3, 4].map(|permits| task::spawn(limiter.acquire_many(permits)));
    for waiter in &mut waiting {
        assert_pending!(waiter.poll());
    }
    let [first, second] = &mut waiting;
    limiter.refund(2);
    assert!(!first.is_woken(), "two permits are not enough");
    limiter.refund(2);
    assert!(first.is_woken());
    assert_ready_ok!(first.poll());
    assert_pending!(second.poll());
    limiter.refund(3);
    assert!(second.is_woken());
    assert_ready_ok!(second.poll());
    assert_eq!(limiter.available(), 0);
    assert_eq!((limiter.stats().refunded, limiter.stats().skipped), ([7, 0, 0, 0], 0));
}

#[tokio::test(start_paused = true)]
async fn a_window_gives_back_its_oldest_permits() {
    let limiter = RateLimiter::new(10, secs(1));
    limiter.acquire_many(6).await.unwrap();
    advance(ms(500)).await;
    limiter.acquire_many(4).await.unwrap();
    limiter.refund(4);
    assert_eq!(limiter.available(), 4);
    advance(ms(499)).await;
    assert_eq!(limiter.available(), 4);
    advance(ms(1)).await;
    assert_eq!(limiter.available(), 6, "two of the first six permits were left");
    advance(ms(500)).await;
    assert_eq!(limiter.available(), 10);
    limiter.refund(1);
    assert_eq!((limiter.available(), limiter.stats().refunded[0]), (10, 4), "nothing was left to give back");
}

#[tokio::test(start_paused = true)]
async fn each_window_gives_back_its_own_number_and_no_more_than_it_has() {
    let limiter = RateLimiter::windows([(5, secs(1)), (100, secs(10))]);
    limiter.acquire_many([2, 60]).await.unwrap();
    limiter.refund([1, 20]);
    assert_eq!(limiter.available_per_window(), [4, 60]);
    limiter.refund(30);
    assert_eq!(limiter.available_per_window(), [5, 90]);
    limiter.charge([0, 70]);
    limiter.charge([3, 0]);
    assert_eq!(limiter.available_per_window(), [2, 20]);
    limiter.refund(Permits::default());
    assert_eq!((limiter.stats().charged, limiter.stats().refunded), ([3, 70, 0, 0], [2, 50, 0, 0]));
}

#[test]
fn a_refund_for_other_windows_panics() {
    let limiter = RateLimiter::new(5, secs(1));
    let message = |refund: fn(&RateLimiter)| {
        let limiter = limiter.clone();
        *catch_unwind(move || refund(&limiter)).unwrap_err().downcast::<String>().unwrap()
    };
    let two = message(|limiter| limiter.refund([1, 2]));
    assert_eq!(two, "invalid argument: permits for 2 windows, but the limiter has 1");
    assert!(message(|limiter| limiter.refund(-1)).starts_with("invalid argument: -1 permits"));
    assert_eq!((limiter.available(), limiter.stats().refunded[0]), (5, 0));
}

#[tokio::test(start_paused = true)]
async fn a_paced_limiter_moves_its_schedule_back_and_not_before_now() {
    let limiter = RateLimiter::paced(10, secs(1));
    let begun = Instant::now();
    limiter.acquire_many(10).await.unwrap();
    let mut waiter = task::spawn(limiter.acquire());
    assert_pending!(waiter.poll());
    limiter.refund(7);
    assert!(waiter.is_woken(), "the waiter must be due after 300 ms, not after 1 s");
    assert_pending!(waiter.poll());
    waiter.await;
    assert_eq!(begun.elapsed(), ms(300));

    advance(ms(50)).await;
    limiter.refund(9);
    assert_eq!(limiter.available(), 1);
    assert_eq!(limiter.try_acquire(), Ok(()));
    let retry_after = ms(100);
    assert_eq!(limiter.try_acquire(), Err(Error::RateLimited { retry_after }));
    assert_eq!(limiter.stats().refunded[0], 7, "only whole permits count");
}

/// The schedule may move back by less than a permit, because it stops at the present moment.
#[tokio::test(start_paused = true)]
async fn a_refund_of_a_part_of_a_permit_admits_a_waiter() {
    let limiter = RateLimiter::paced(1, ms(9));
    limiter.acquire().await;
    let mut waiter = task::spawn(limiter.acquire());
    assert_pending!(waiter.poll());
    advance(ms(1)).await;
    limiter.refund(1);
    assert!(waiter.is_woken());
    assert_ready!(waiter.poll());
    assert_eq!((limiter.available(), limiter.stats().refunded[0]), (0, 0));
}

/// The expired stamps that a shortened period keeps do not bring back refunded permits.
#[tokio::test(start_paused = true)]
async fn a_refund_beside_a_shortened_period_holds_when_it_grows_back() {
    let limiter = RateLimiter::new(10, secs(10));
    limiter.acquire_many(2).await.unwrap();
    advance(secs(2)).await;
    limiter.set_limit(10, secs(1));
    limiter.acquire_many(5).await.unwrap();
    assert_eq!(limiter.available(), 5);
    limiter.refund(3);
    assert_eq!(limiter.available(), 8);
    limiter.set_limit(10, secs(10));
    assert_eq!(limiter.available(), 6, "in use must be 2 outside of the short window, and 2 of 5");
    advance(secs(8)).await;
    assert_eq!(limiter.available(), 8);
}

#[tokio::test(start_paused = true)]
async fn a_refund_lets_no_new_call_overtake() {
    let limiter = RateLimiter::new(10, secs(1));
    limiter.acquire_many(10).await.unwrap();
    let mut waiter = task::spawn(limiter.acquire_many(5));
    assert_pending!(waiter.poll());
    limiter.refund(5);
    assert!(limiter.try_acquire().is_err(), "the refunded permits belong to the waiter");
    limiter.refund(1);
    assert_eq!(limiter.try_acquire(), Ok(()), "this permit belongs to no waiter");
    assert!(assert_ready!(waiter.poll()).is_ok());
}

#[test]
fn a_refund_admits_waiting_threads() {
    let clock = decor::test_util::VirtualClock::start();
    let limiter = RateLimiter::new(1, secs(60));
    limiter.acquire_blocking();
    limiter.refund(1);
    limiter.acquire_blocking();
    assert_eq!(clock.elapsed(), secs(0));
}
