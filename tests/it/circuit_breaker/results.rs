//! The results that count as failures, as successes, and as neither.

use super::{Answer, down, half_open};
use crate::support::{just_before, ms, secs};
use CircuitState::{Closed, HalfOpen, Open};
use decor::{CircuitBreaker, CircuitState, Error, KeyedBreaker, prelude::*};
use std::{
    cell::Cell,
    future::{Ready, pending, ready},
};
use tokio::time::{advance, sleep};
use tokio_test::{assert_pending, task};

fn invalid() -> Error {
    Error::InvalidArgument { message: "empty".into() }
}

fn fail_with(error: Error) -> impl Fn() -> Ready<Answer> + Clone {
    move || ready(Err(error.clone()))
}

#[tokio::test(start_paused = true)]
async fn any_error_is_a_failure() {
    for error in [down(), invalid(), Error::QueueFull { waiting: 1 }] {
        let breaker = CircuitBreaker::consecutive(1);
        assert_eq!(fail_with(error.clone()).guarded_by(&breaker).call().await, Err(error));
        assert_eq!(breaker.state(), Open);
    }
}

#[tokio::test(start_paused = true)]
async fn with_when_other_errors_are_successes() {
    let breaker = CircuitBreaker::consecutive(2);
    let call = |error: Error| {
        let breaker = breaker.clone();
        async move { fail_with(error).guarded_by(&breaker).when(|e| *e == down()).call().await.unwrap_err() }
    };
    for _ in 0..3 {
        call(down()).await;
        call(invalid()).await; // ends the row, because the server has answered
    }
    assert_eq!((breaker.state(), breaker.stats().succeeded, breaker.stats().failed), (Closed, 3, 3));
    half_open(&breaker).await;
    call(invalid()).await;
    assert_eq!(breaker.state(), Closed);
}

#[tokio::test(start_paused = true)]
async fn with_when_result_an_ok_may_be_a_failure() {
    let breaker = CircuitBreaker::consecutive(1);
    let fetch = (|n: u64| ready(if n == 0 { Err(invalid()) } else { Answer::Ok(n) }))
        .guarded_by(&breaker)
        .when_result(|r| matches!(r, Ok(500..)));
    assert!(fetch.call(0).await.is_err());
    assert_eq!(fetch.call(404).await, Ok(404));
    assert_eq!(breaker.state(), Closed);
    assert_eq!(fetch.call(503).await, Ok(503));
    assert_eq!(breaker.state(), Open);
}

#[tokio::test(start_paused = true)]
async fn with_transient_only_transient_errors_are_failures() {
    let breaker = CircuitBreaker::consecutive(1);
    assert!(fail_with(invalid()).guarded_by(&breaker).transient().call().await.is_err());
    assert_eq!(breaker.state(), Closed);
    assert!(fail_with(down()).guarded_by(&breaker).transient().call().await.is_err());
    assert_eq!(breaker.state(), Open);
}

#[tokio::test(start_paused = true)]
async fn an_ignored_error_counts_as_neither_and_does_not_reach_when() {
    let breaker = CircuitBreaker::consecutive(2);
    let asked = Cell::new(0);
    let call = |error: Error| {
        fail_with(error)
            .guarded_by(&breaker)
            .ignoring(|e| *e == invalid())
            .when(|_| {
                asked.set(asked.get() + 1);
                true
            })
            .call()
    };
    call(down()).await.unwrap_err();
    call(invalid()).await.unwrap_err(); // does not end the row
    assert_eq!((breaker.state(), asked.get()), (Closed, 1));
    call(down()).await.unwrap_err();
    assert_eq!((breaker.state(), asked.get(), breaker.stats().ignored), (Open, 2, 1));
}

#[tokio::test(start_paused = true)]
async fn refinements_hold_for_futures_as_well() {
    let breaker = CircuitBreaker::consecutive(1);
    let fail = |error: Error| ready(Answer::Err(error));
    fail(invalid()).guarded_by(&breaker).when(|e| *e == down()).await.unwrap_err();
    fail(invalid()).guarded_by(&breaker).transient().await.unwrap_err();
    fail(invalid()).guarded_by(&breaker).ignoring(|e| *e == invalid()).await.unwrap_err();
    fail(invalid()).guarded_by(&breaker).ignoring(|e| *e == invalid()).when(|_| true).await.unwrap_err();
    fail(invalid()).guarded_by(&breaker).when_result(Result::is_ok).await.unwrap_err();
    assert_eq!((breaker.state(), breaker.stats().succeeded, breaker.stats().ignored), (Closed, 3, 2));
    ready(Answer::Ok(7)).guarded_by(&breaker).when_result(Result::is_ok).await.unwrap();
    assert_eq!(breaker.state(), Open);
}

/// A future does not tell if the function inside was called, so its errors count as they are.
#[tokio::test(start_paused = true)]
async fn a_refusal_inside_of_a_future_counts_as_its_error_does() {
    let limiter = RateLimiter::new(1, secs(60));
    limiter.try_acquire().unwrap();
    let breaker = CircuitBreaker::consecutive(1);
    let refusal = |e: &Error| matches!(e, Error::RateLimited { .. });
    let call = || ready(Answer::Ok(7)).try_rate_limited(&limiter).guarded_by(&breaker);
    assert!(call().ignoring(refusal).await.is_err());
    assert_eq!(breaker.state(), Closed);
    assert!(call().await.is_err());
    assert_eq!(breaker.state(), Open);
}

fn slow_after_a_second() -> CircuitBreaker {
    CircuitBreaker::builder().consecutive(1).slow_after(secs(1)).build()
}

#[tokio::test(start_paused = true)]
async fn a_slow_call_is_a_failure_and_its_value_is_passed_on() {
    let wait = |n: u64| async move {
        sleep(ms(n)).await;
        Answer::Ok(n)
    };
    let breaker = slow_after_a_second();
    assert_eq!(wait.guarded_by(&breaker).call(999).await, Ok(999));
    assert_eq!(breaker.state(), Closed);
    assert_eq!(wait.guarded_by(&breaker).call(1_000).await, Ok(1_000));
    assert_eq!((breaker.state(), breaker.stats().slow, breaker.stats().failed), (Open, 1, 1));

    // Whatever `.when(..)` and `.ignoring(..)` say about an error.
    let late = || async {
        sleep(secs(1)).await;
        Answer::Err(down())
    };
    for n in 0..2 {
        let breaker = slow_after_a_second();
        let late = late.guarded_by(&breaker).when(|_| false).ignoring(move |_| n == 1);
        assert_eq!(late.call().await, Err(down()));
        assert_eq!(breaker.state(), Open);
    }
}

/// The time before the first poll, and the time of a call that is ready at its first poll, do not
/// count.
#[tokio::test(start_paused = true)]
async fn a_duration_runs_from_the_first_pending_poll() {
    let breaker = slow_after_a_second();
    let call = (|| sleep(ms(500))).fallible().guarded_by(&breaker).call();
    advance(secs(10)).await;
    assert_eq!(call.await, Ok(()));
    assert_eq!(breaker.stats().slow, 0);

    let mut gap = task::spawn((|| sleep(ms(500))).fallible().guarded_by(&breaker).call());
    assert_pending!(gap.poll());
    advance(secs(1)).await;
    tokio_test::assert_ready!(gap.poll()).unwrap();
    assert_eq!(breaker.stats().slow, 1, "a call that was polled late was slow");
}

#[tokio::test(start_paused = true)]
async fn a_dropped_call_is_a_failure_if_it_was_slow() {
    let breaker = slow_after_a_second();
    let hang = (|| pending::<Answer>()).guarded_by(&breaker);
    for (wait, state) in [(just_before(secs(1)), Closed), (secs(1), Open)] {
        let mut call = task::spawn(hang.call());
        assert_pending!(call.poll());
        advance(wait).await;
        drop(call);
        assert_eq!(breaker.state(), state);
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_was_never_made_is_not_slow() {
    let breaker = slow_after_a_second();
    let limiter = RateLimiter::new(1, secs(60));
    limiter.try_acquire().unwrap();
    let queued = (|| ready(Answer::Ok(7))).rate_limited(&limiter).guarded_by(&breaker).timeout(secs(5));
    assert!(queued.call().await.is_err());
    assert_eq!((breaker.state(), breaker.stats().ignored), (Closed, 1));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_before_its_first_poll_leaves_no_trace() {
    let breaker = CircuitBreaker::consecutive(1);
    half_open(&breaker).await;
    let called = Cell::new(false);
    let fetch = (|| {
        called.set(true);
        ready(Answer::Ok(7))
    })
    .guarded_by(&breaker);
    drop(fetch.call());
    assert_eq!((breaker.state(), breaker.stats().ignored, called.get()), (HalfOpen, 0, false));
    assert_eq!(fetch.call().await, Ok(7));
}

#[tokio::test(start_paused = true)]
async fn each_attempt_of_a_retry_counts() {
    let breaker = CircuitBreaker::consecutive(3);
    let mut calls = 0;
    let mut asked = 0;
    let fetch = (|| {
        calls += 1;
        ready(Answer::Err(down()))
    })
    .guarded_by(&breaker)
    .when(|_| {
        asked += 1; // one closure for all attempts
        true
    })
    .retry_with(RetryPolicy::fixed(secs(1)).max_attempts(2));
    assert_eq!(fetch.await, Err(down()));
    assert_eq!((calls, asked, breaker.stats().failed, breaker.state()), (2, 2, 2, Closed));

    // Behind the retry, a call counts once.
    let breaker = CircuitBreaker::consecutive(3);
    let fetch = fail_with(down()).retry_with(RetryPolicy::fixed(secs(1)).max_attempts(5)).guarded_by(&breaker);
    assert_eq!(fetch.call().await, Err(down()));
    assert_eq!(breaker.stats().failed, 1);
}

#[tokio::test(start_paused = true)]
async fn each_attempt_takes_its_key_from_the_arguments() {
    let per_host: KeyedBreaker<u64> = KeyedBreaker::consecutive(2);
    let mut asked = 0;
    let fetch = (|_: u64| ready(Answer::Err(down())))
        .guarded_by_key(&per_host, |host: &u64| host % 2)
        .when(|_| {
            asked += 1;
            true
        })
        .retry_with(RetryPolicy::fixed(secs(1)).max_attempts(5))
        .transient();
    let refused = decor::CallableOnce::call_once(fetch, (3,)).await.unwrap_err();
    assert_eq!(refused, super::open("breaker", secs(29)));
    assert_eq!(asked, 2);
    assert_eq!((per_host.state_of(&1), per_host.state_of(&0)), (Some(Open), None));
    assert_eq!(per_host.stats().refused, 1);
}

/// Nothing of an attempt is left in the next one: neither its beginning nor the mark that the
/// function was called.
#[tokio::test(start_paused = true)]
async fn an_attempt_knows_nothing_of_the_one_before() {
    let breaker = CircuitBreaker::builder().consecutive(9).slow_after(secs(1)).build();
    let wait_and_fail = || async {
        sleep(ms(10)).await;
        Answer::Err(down())
    };
    let fetch = wait_and_fail.guarded_by(&breaker).retry_with(RetryPolicy::fixed(secs(10)));
    assert_eq!(fetch.call().await, Err(down()));
    assert_eq!((breaker.stats().failed, breaker.stats().slow), (3, 0));

    let limiter = RateLimiter::new(1, secs(60));
    let fetch = fail_with(down()).try_rate_limited(&limiter).guarded_by(&breaker);
    let fetch = fetch.retry_with(RetryPolicy::fixed(secs(1)));
    assert!(matches!(fetch.call().await, Err(Error::RateLimited { .. })));
    assert_eq!((breaker.stats().failed, breaker.stats().ignored), (4, 2));
}
