//! A circuit from its opening until it closes.

use super::{Answer, down, half_open, open, run};
use crate::support::{just_before, ms, secs};
use CircuitState::{Closed, HalfOpen, Open};
use decor::{CircuitBreaker, CircuitState, Jitter, RetryPolicy, prelude::*};
use std::{
    future::{pending, ready},
    time::Duration,
};
use tokio::time::{Instant, advance};

#[tokio::test(start_paused = true)]
async fn a_circuit_is_open_for_exactly_its_time() {
    let breaker = CircuitBreaker::builder().consecutive(1).open_for(secs(5)).named("users").build();
    advance(ms(1)).await;
    run(&breaker, "x");
    for (passes, left) in
        [(Duration::ZERO, secs(5)), (secs(2), secs(3)), (just_before(secs(3)), Duration::from_nanos(1))]
    {
        advance(passes).await;
        assert_eq!(breaker.enter().unwrap_err(), open("users", left));
        assert_eq!(breaker.state(), Open);
    }
    advance(Duration::from_nanos(1)).await;
    run(&breaker, ".");
    assert_eq!(breaker.state(), Closed);
}

/// A breaker that opens at the very moment at which it was made.
#[tokio::test(start_paused = true)]
async fn the_first_nanosecond_counts() {
    let breaker = CircuitBreaker::builder().consecutive(1).open_for(Duration::from_nanos(1)).probes(1).build();
    run(&breaker, "x");
    assert_eq!(breaker.state(), Open);
    advance(Duration::from_nanos(1)).await;
    assert_eq!(breaker.state(), HalfOpen);
    let hung = breaker.enter().unwrap();
    assert!(breaker.enter().is_err());
    advance(Duration::from_nanos(1)).await;
    run(&breaker, ".");
    assert_eq!(breaker.state(), Closed);
    drop(hung);

    let breaker = CircuitBreaker::builder().consecutive(1).slow_after(Duration::from_nanos(1)).build();
    let slow = breaker.enter().unwrap(); // at the epoch
    advance(Duration::from_nanos(1)).await;
    slow.succeeded();
    assert_eq!((breaker.state(), breaker.stats().slow), (Open, 1));
}

#[tokio::test(start_paused = true)]
async fn as_many_probes_run_at_once_as_are_allowed_minus_those_that_succeeded() {
    let breaker = CircuitBreaker::builder().probes(3).build();
    half_open(&breaker).await;
    let mut running = [(); 3].map(|()| Some(breaker.enter().unwrap()));
    assert_eq!(breaker.enter().unwrap_err(), open("breaker", None));
    running[0].take().unwrap().succeeded();
    assert!(breaker.enter().is_err(), "two run, and one has succeeded");
    drop(running[1].take());
    running[1] = Some(breaker.enter().unwrap());
    running[1].take().unwrap().succeeded();
    assert_eq!(breaker.state(), HalfOpen);
    running[2].take().unwrap().succeeded();
    assert_eq!(breaker.state(), Closed);
}

#[tokio::test(start_paused = true)]
async fn one_failure_opens_again_whatever_succeeded_before() {
    let breaker = CircuitBreaker::builder().probes(3).build();
    half_open(&breaker).await;
    run(&breaker, "..x");
    assert_eq!(breaker.enter().unwrap_err(), open("breaker", secs(30)));
    advance(secs(30)).await;
    run(&breaker, "..");
    assert_eq!(breaker.state(), HalfOpen, "successes of an earlier generation do not count");
    run(&breaker, ".");
    assert_eq!(breaker.state(), Closed);
}

#[tokio::test(start_paused = true)]
async fn a_closed_circuit_begins_with_an_empty_window() {
    let breaker = CircuitBreaker::among(3, 10);
    run(&breaker, "xxx");
    advance(secs(30)).await;
    run(&breaker, ".xx");
    assert_eq!(breaker.state(), Closed);
    run(&breaker, "x");
    assert_eq!(breaker.state(), Open);
}

#[tokio::test(start_paused = true)]
async fn each_opening_takes_the_next_delay_and_closing_starts_anew() {
    let delays = RetryPolicy::exponential(secs(1)).max_delay(secs(5)).max_attempts(2);
    let breaker = CircuitBreaker::builder().consecutive(1).open_by(&delays).build();
    run(&breaker, "x");
    for seconds in [1, 2, 4, 5, 5] {
        assert_eq!(breaker.enter().unwrap_err(), open("breaker", secs(seconds)));
        advance(secs(seconds)).await;
        run(&breaker, "x");
    }
    advance(secs(5)).await;
    run(&breaker, ".x");
    assert_eq!(breaker.enter().unwrap_err(), open("breaker", secs(1)));
}

#[tokio::test(start_paused = true)]
async fn jitter_comes_from_the_policy() {
    let delays = RetryPolicy::fixed(secs(10)).jitter(Jitter::Full).seed(7).max_attempts(4);
    let expected: Vec<_> = delays.schedule().collect();
    let breaker = CircuitBreaker::builder().consecutive(1).open_by(delays).build();
    run(&breaker, "x");
    for delay in expected {
        assert_eq!(breaker.enter().unwrap_err(), open("breaker", delay));
        advance(delay).await;
        run(&breaker, "x");
    }
}

/// The closure of a custom policy runs outside of the lock, so it may use the breaker.
#[tokio::test(start_paused = true)]
async fn a_custom_delay_may_look_at_the_breaker() {
    use std::sync::OnceLock;
    static BREAKER: OnceLock<CircuitBreaker> = OnceLock::new();
    let delays = RetryPolicy::custom(|n| {
        assert_eq!(BREAKER.get().unwrap().state(), if n == 1 { Closed } else { HalfOpen });
        secs(n.into())
    });
    let breaker = BREAKER.get_or_init(|| CircuitBreaker::builder().consecutive(1).open_by(delays).build());
    run(breaker, "x");
    advance(secs(1)).await;
    run(breaker, "x");
    assert_eq!(breaker.enter().unwrap_err(), open("breaker", secs(2)));
}

#[tokio::test(start_paused = true)]
async fn no_task_and_no_timer_makes_a_circuit_half_open() {
    let changes = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let sink = changes.clone();
    let breaker = CircuitBreaker::builder()
        .on_change(move |change| sink.lock().unwrap().push((change.to, Instant::now())))
        .build();
    let begun = Instant::now();
    breaker.trip();
    advance(secs(100)).await;
    assert_eq!(*changes.lock().unwrap(), [(Open, begun)]);
    assert_eq!(breaker.state(), HalfOpen);
    assert_eq!(changes.lock().unwrap()[1..], [(HalfOpen, begun + secs(100))]);
}

/// A service with calls that are longer than `open_for` can close its circuit.
#[tokio::test(start_paused = true)]
async fn a_probe_that_lost_its_place_still_counts() {
    let breaker = CircuitBreaker::consecutive(1);
    half_open(&breaker).await;
    let slow = breaker.enter().unwrap();
    advance(secs(30)).await;
    let second = breaker.enter().unwrap();
    slow.succeeded();
    assert_eq!(breaker.state(), Closed);
    second.failed(); // of an earlier generation
    assert_eq!(breaker.state(), Closed);

    half_open(&breaker).await;
    let slow = breaker.enter().unwrap();
    advance(secs(30)).await;
    slow.failed();
    assert_eq!(breaker.state(), Open);
}

#[tokio::test(start_paused = true)]
async fn a_place_that_was_lost_is_not_given_back_twice() {
    let breaker = CircuitBreaker::builder().probes(2).build();
    half_open(&breaker).await;
    let hung = [breaker.enter().unwrap(), breaker.enter().unwrap()];
    advance(secs(30)).await;
    let running = [breaker.enter().unwrap(), breaker.enter().unwrap()];
    drop(hung);
    assert!(breaker.enter().is_err(), "two probes run");
    drop(running);
    assert!(breaker.enter().is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_call_through_the_decorator_is_a_probe_like_any_other() {
    let breaker = CircuitBreaker::consecutive(1);
    let hang = (|| pending::<Answer>()).guarded_by(&breaker);
    let answer = (|| ready(Answer::Ok(7))).guarded_by(&breaker);
    half_open(&breaker).await;
    let mut probe = tokio_test::task::spawn(hang.call());
    tokio_test::assert_pending!(probe.poll());
    assert_eq!(answer.call().await, Err(open("breaker", None)));
    drop(probe);
    assert_eq!(answer.call().await, Ok(7));
    assert_eq!(breaker.state(), Closed);
    let fail = (|| ready(Answer::Err(down()))).guarded_by(&breaker);
    assert_eq!(fail.call().await, Err(down()));
    assert_eq!(breaker.state(), Open);
}
