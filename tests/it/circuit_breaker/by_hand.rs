//! Passages, isolation and changes by hand, and a breaker that only observes.

use super::{Answer, down, half_open, open, run};
use crate::support::secs;
use CircuitState::{Closed, HalfOpen, Isolated, Open};
use decor::{CircuitBreaker, CircuitState, prelude::*};
use std::future::ready;
use tokio::time::advance;

#[tokio::test(start_paused = true)]
async fn a_passage_ends_with_its_result_or_as_neither() {
    let breaker = CircuitBreaker::consecutive(9);
    breaker.enter().unwrap().succeeded();
    breaker.enter().unwrap().failed();
    breaker.enter().unwrap().ended(&Ok::<_, ()>(1));
    breaker.enter().unwrap().ended(&Err::<(), _>(1));
    drop(breaker.enter().unwrap());
    let stats = breaker.stats();
    assert_eq!((stats.succeeded, stats.failed, stats.ignored), (2, 2, 1));
    assert_eq!(
        stats.to_string(),
        "CircuitBreakerStats(succeeded=2, failed=2, slow=0, ignored=1, late=0, refused=0, opened=0)"
    );
}

#[tokio::test(start_paused = true)]
async fn a_passage_that_lasted_too_long_is_a_failure() {
    let breaker = CircuitBreaker::builder().consecutive(9).slow_after(secs(1)).build();
    let [succeeded, dropped] = [(); 2].map(|()| breaker.enter().unwrap());
    advance(secs(1)).await;
    succeeded.succeeded();
    drop(dropped);
    assert_eq!((breaker.stats().failed, breaker.stats().slow), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn a_passage_outlives_its_handle_and_goes_to_another_thread() {
    let breaker = CircuitBreaker::consecutive(1);
    let handle = breaker.clone();
    let passage = handle.enter().unwrap();
    drop(handle);
    std::thread::spawn(move || passage.failed()).join().unwrap();
    assert_eq!(breaker.state(), Open);
}

#[tokio::test(start_paused = true)]
async fn an_isolated_breaker_refuses_all_calls_until_it_is_closed() {
    let breaker = CircuitBreaker::consecutive(1);
    let running = breaker.enter().unwrap();
    breaker.isolate();
    assert_eq!(breaker.state(), Isolated);
    advance(secs(1_000_000)).await;
    assert_eq!(breaker.enter().unwrap_err(), open("breaker", None));
    breaker.trip();
    breaker.isolate();
    assert_eq!(breaker.state(), Isolated);
    running.succeeded();
    assert_eq!((breaker.state(), breaker.stats().late), (Isolated, 1));
    breaker.close();
    run(&breaker, "x");
    assert_eq!(breaker.enter().unwrap_err(), open("breaker", secs(30)));
    // From an open and from a half-open circuit as well.
    breaker.isolate();
    assert_eq!(breaker.state(), Isolated);
    breaker.close();
    half_open(&breaker).await;
    breaker.isolate();
    assert_eq!(breaker.state(), Isolated);
}

#[tokio::test(start_paused = true)]
async fn a_trip_opens_for_the_next_delay_and_leaves_an_open_circuit_alone() {
    let breaker = CircuitBreaker::builder().open_by(RetryPolicy::linear(secs(1))).build();
    breaker.trip();
    advance(secs(1) / 2).await;
    breaker.trip();
    assert_eq!(breaker.enter().unwrap_err(), open("breaker", secs(1) / 2));
    advance(secs(1) / 2).await;
    breaker.trip(); // half-open by now
    assert_eq!(breaker.enter().unwrap_err(), open("breaker", secs(2)));
    advance(secs(2)).await;
    assert_eq!(breaker.state(), HalfOpen);
    breaker.trip();
    assert_eq!(breaker.enter().unwrap_err(), open("breaker", secs(3)));
    assert_eq!(breaker.stats().opened, 3);
}

#[tokio::test(start_paused = true)]
async fn closing_forgets_failures_and_delays() {
    let breaker = CircuitBreaker::builder().consecutive(3).open_by(RetryPolicy::linear(secs(1))).build();
    run(&breaker, "xx");
    breaker.close();
    assert_eq!((breaker.state(), breaker.stats().failed), (Closed, 2));
    run(&breaker, "xx");
    assert_eq!(breaker.state(), Closed);
    run(&breaker, "x");
    advance(secs(1)).await;
    run(&breaker, "x");
    breaker.close();
    run(&breaker, "xxx");
    assert_eq!(breaker.enter().unwrap_err(), open("breaker", secs(1)));
}

#[tokio::test(start_paused = true)]
async fn an_observing_breaker_refuses_nothing_and_shows_what_it_would_do() {
    let breaker = CircuitBreaker::builder().consecutive(2).observing().build();
    let fetch = (|answer: Answer| ready(answer)).guarded_by(&breaker).unless_open(&breaker);
    for _ in 0..2 {
        assert_eq!(fetch.call(Err(down())).await, Err(down()));
    }
    assert_eq!(breaker.state(), Open);
    for _ in 0..3 {
        assert_eq!(fetch.call(Ok(7)).await, Ok(7));
        assert_eq!(fetch.call(Err(down())).await, Err(down()));
    }
    let stats = breaker.stats();
    assert_eq!((stats.refused, stats.failed, stats.succeeded, stats.late, stats.opened), (6, 2, 0, 0, 1));
    advance(secs(30)).await;
    let probe = breaker.enter().unwrap();
    assert_eq!(fetch.call(Err(down())).await, Err(down()), "no probe, so it does not open the circuit");
    assert_eq!((breaker.state(), breaker.stats().refused), (HalfOpen, 7));
    probe.succeeded();
    assert_eq!(breaker.state(), Closed);
    breaker.isolate();
    assert_eq!(fetch.call(Ok(7)).await, Ok(7));
}
