//! `set_limit`: calls that run stay, and waiters are admitted at once.

use super::limited;
use crate::support::secs;
use decor::prelude::*;
use tokio_test::{assert_pending, assert_ready, task};

#[tokio::test(start_paused = true)]
async fn a_higher_limit_admits_waiters_at_once() {
    let limiter = ConcurrencyLimiter::new(1);
    let permit = limiter.acquire().await;
    let mut waiters = [(); 4].map(|()| task::spawn(limiter.acquire()));
    for waiter in &mut waiters {
        assert_pending!(waiter.poll());
    }
    limiter.set_limit(3);
    assert_eq!(waiters.each_ref().map(task::Spawn::is_woken), [true, true, false, false]);
    assert_eq!((limiter.limit(), limiter.in_use(), limiter.waiting()), (3, 3, 2));
    drop(permit);
    assert!(waiters[2].is_woken() && !waiters[3].is_woken());
}

#[tokio::test(start_paused = true)]
async fn a_lower_limit_cuts_no_call_off() {
    let limiter = ConcurrencyLimiter::new(3);
    let permits = [(); 3].map(|()| limiter.try_acquire().unwrap());
    limiter.set_limit(1);
    assert_eq!((limiter.limit(), limiter.in_use(), limiter.available()), (1, 3, 0));
    let mut waiter = task::spawn(limiter.acquire());
    assert_pending!(waiter.poll());
    let [first, second, third] = permits;
    drop((first, second));
    assert!(!waiter.is_woken());
    assert_eq!(limiter.try_acquire().unwrap_err(), limited(1, 1));
    drop(third);
    drop(assert_ready!(waiter.poll()));
    assert_eq!((limiter.in_use(), limiter.available()), (0, 1));
    assert!(limiter.try_acquire().is_ok());
}

/// As with a rate limiter: a call above the new limit is refused when its turn comes.
#[tokio::test(start_paused = true)]
async fn a_waiter_above_the_new_limit_is_refused_in_its_turn() {
    let limiter = ConcurrencyLimiter::new(4);
    let four = limiter.acquire_many(4).await.unwrap();
    let mut first = task::spawn(limiter.acquire_many(2));
    let mut heavy = task::spawn(limiter.acquire_many(4));
    let mut last = task::spawn(limiter.acquire_many(1));
    assert_pending!(first.poll());
    assert_pending!(heavy.poll());
    assert_pending!(last.poll());
    limiter.set_limit(3);
    assert!(!first.is_woken() && !heavy.is_woken());
    assert_eq!(limiter.waiting(), 3);
    drop(four);
    assert!(first.is_woken() && heavy.is_woken() && last.is_woken());
    assert_eq!((limiter.in_use(), limiter.waiting()), (3, 0));
    let error = assert_ready!(heavy.poll()).unwrap_err();
    assert_eq!(error.to_string(), "invalid argument: 4 permits at once, but the limit is 3");
    drop((assert_ready!(first.poll()), assert_ready!(last.poll())));
    assert_eq!((limiter.in_use(), limiter.stats().refused), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_waiter_above_the_new_limit_may_be_dropped_after_its_refusal() {
    let limiter = ConcurrencyLimiter::new(2);
    let two = limiter.acquire_many(2).await.unwrap();
    let mut heavy = task::spawn(limiter.acquire_many(2));
    assert_pending!(heavy.poll());
    limiter.set_limit(1); // the first of the queue is refused now
    assert!(heavy.is_woken());
    drop(heavy);
    drop(two);
    assert_eq!((limiter.in_use(), limiter.available(), limiter.stats().cancelled), (0, 1, 1));
}

/// The queue is as it was if the limit is raised again before the call's turn.
#[tokio::test(start_paused = true)]
async fn a_limit_that_is_raised_again_in_time_refuses_no_waiter() {
    let limiter = ConcurrencyLimiter::new(3);
    let three = limiter.acquire_many(3).await.unwrap();
    let mut one = task::spawn(limiter.acquire_many(1));
    let mut heavy = task::spawn(limiter.acquire_many(3).within(secs(9)));
    assert_pending!(one.poll());
    assert_pending!(heavy.poll());
    limiter.set_limit(2);
    limiter.set_limit(3);
    drop(three);
    drop(assert_ready!(one.poll()));
    assert!(assert_ready!(heavy.poll()).is_ok());
}
