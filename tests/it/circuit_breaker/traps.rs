//! Mistakes of other circuit breakers. Each test names one.

use super::{Answer, at_once, down, half_open, open, run};
use crate::support::{just_before, ms, secs};
use CircuitState::{Closed, HalfOpen, Open};
use decor::{CircuitBreaker, CircuitState, Error, KeyedBreaker, Transient, prelude::*};
use futures::future::join_all;
use std::{
    cell::Cell,
    future::{Ready, pending, poll_fn, ready},
    sync::{Arc, Barrier},
    task::Poll,
    thread,
    time::Duration,
};
use tokio::time::{Instant, advance, sleep};
use tokio_test::{assert_pending, task};

/// Polly#1979, resilience4j#544: the place of a probe with an ignored error was never given back.
#[tokio::test(start_paused = true)]
async fn half_open_does_not_stick_by_an_ignored_error() {
    let breaker = CircuitBreaker::consecutive(1);
    let fetch = (|error: Option<Error>| ready(error.map_or(Answer::Ok(7), Err)))
        .guarded_by(&breaker)
        .ignoring(|e| matches!(e, Error::InvalidArgument { .. }));
    half_open(&breaker).await;
    for _ in 0..100 {
        let error = Error::InvalidArgument { message: "empty".into() };
        assert_eq!(fetch.call(Some(error.clone())).await, Err(error));
        assert_eq!(breaker.state(), HalfOpen);
    }
    assert_eq!(fetch.call(None).await, Ok(7));
    assert_eq!((breaker.state(), breaker.stats().ignored), (Closed, 100));
}

/// resilience4j#935: a probe that hung kept its place for ever.
#[tokio::test(start_paused = true)]
async fn half_open_does_not_stick_by_a_hung_probe() {
    let breaker = CircuitBreaker::consecutive(1);
    let hang = (|| pending::<Answer>()).guarded_by(&breaker);
    let answer = (|| ready(Answer::Ok(7))).guarded_by(&breaker);
    half_open(&breaker).await;
    let mut probe = task::spawn(hang.call());
    assert_pending!(probe.poll());
    advance(just_before(secs(30))).await;
    assert_eq!(answer.call().await, Err(open("breaker", None)));
    advance(Duration::from_nanos(1)).await;
    assert_eq!(answer.call().await, Ok(7));
    assert_eq!(breaker.state(), Closed);
}

#[tokio::test(start_paused = true)]
async fn half_open_does_not_stick_by_a_cancelled_probe() {
    let breaker = CircuitBreaker::consecutive(1);
    let hang = (|| pending::<Answer>()).guarded_by(&breaker).timeout(ms(10));
    half_open(&breaker).await;
    for _ in 0..100 {
        assert!(matches!(hang.call().await, Err(Error::TimedOut { .. })));
    }
    assert_eq!((breaker.state(), breaker.stats().ignored), (HalfOpen, 100));
    run(&breaker, ".");
    assert_eq!(breaker.state(), Closed);
}

/// opossum#276: a half-open circuit waited for its minimum of calls.
#[tokio::test(start_paused = true)]
async fn half_open_does_not_stick_by_a_minimum_of_calls() {
    for probe in [".", "x"] {
        let breaker = CircuitBreaker::rate(0.5, secs(10));
        run(&breaker, &"x".repeat(20));
        advance(secs(30)).await;
        run(&breaker, probe);
        assert_eq!(breaker.state(), if probe == "." { Closed } else { Open });
    }
}

/// recloser and failsafe-rs let all of them through.
#[tokio::test(start_paused = true)]
async fn half_open_lets_one_of_a_thousand_calls_through() {
    for probes in [1, 3] {
        let breaker = CircuitBreaker::builder().consecutive(1).probes(probes).build();
        let called = Cell::new(0);
        let fetch = (|| {
            called.set(called.get() + 1);
            async {
                sleep(secs(1)).await;
                Answer::Ok(7)
            }
        })
        .guarded_by(&breaker);
        half_open(&breaker).await;
        let answers = join_all((0..1_000).map(|_| fetch.call())).await;
        assert_eq!(called.get(), probes);
        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), probes as usize);
        let refused = answers.iter().filter(|answer| **answer == Err(open("breaker", None))).count();
        assert_eq!(refused, 1_000 - probes as usize);
        assert_eq!(breaker.state(), Closed);
    }
}

/// The same on threads. The probe of the first thread ends when all have tried.
#[test]
fn half_open_lets_one_of_many_threads_through() {
    const THREADS: usize = 16;
    let breaker = CircuitBreaker::builder().open_by(RetryPolicy::fixed(Duration::ZERO)).build();
    breaker.trip();
    let all_tried = Arc::new(Barrier::new(THREADS));
    let threads = [(); THREADS].map(|()| {
        let (breaker, all_tried) = (breaker.clone(), Arc::clone(&all_tried));
        thread::spawn(move || {
            let passage = breaker.enter();
            all_tried.wait();
            passage.map(decor::Passage::succeeded).is_ok()
        })
    });
    assert_eq!(threads.map(|thread| thread.join().unwrap()).iter().filter(|passed| **passed).count(), 1);
    assert_eq!(breaker.state(), Closed);
}

/// tower-resilience counted since the beginning, so that 10,000 failures passed as well.
#[tokio::test(start_paused = true)]
async fn a_window_is_not_cumulative() {
    let breakers = [
        (5, CircuitBreaker::consecutive(5)),
        (10, CircuitBreaker::among(10, 20)),
        (20, CircuitBreaker::rate(0.5, secs(10))),
    ];
    for (expected, breaker) in breakers {
        run(&breaker, &".".repeat(10_000));
        advance(secs(10)).await;
        let failures = (1..=10_000).find(|_| {
            run(&breaker, "x");
            breaker.state() == Open
        });
        assert_eq!(failures, Some(expected), "{breaker}");
    }
}

/// Polly#217, #218: the result of a call that had begun before the circuit opened closed it, or
/// opened it anew.
#[tokio::test(start_paused = true)]
async fn results_of_an_earlier_generation_are_ignored() {
    let breaker = CircuitBreaker::consecutive(1);
    let [first, second, third, fourth] = [(); 4].map(|()| breaker.enter().unwrap());
    run(&breaker, "x");
    advance(secs(10)).await;
    first.succeeded();
    second.failed();
    assert_eq!(breaker.enter().unwrap_err(), open("breaker", secs(20)), "neither closed nor opened anew");
    advance(secs(20)).await;
    let probe = breaker.enter().unwrap();
    third.failed();
    assert_eq!(breaker.state(), HalfOpen, "no probe failed");
    assert!(breaker.enter().is_err(), "the place of the probe is taken");
    probe.succeeded();
    fourth.failed();
    assert_eq!(breaker.state(), Closed);
    assert_eq!(breaker.stats().late, 4);
}

/// resilience4j#682.
#[tokio::test(start_paused = true)]
async fn a_cancelled_call_is_no_failure() {
    let breaker = CircuitBreaker::consecutive(1);
    let hang = (|| pending::<Answer>()).guarded_by(&breaker).timeout(secs(1));
    for _ in 0..10 {
        assert!(hang.call().await.is_err());
    }
    assert_eq!((breaker.state(), breaker.stats().ignored, breaker.stats().failed), (Closed, 10, 0));
    // A timeout before the breaker is a failure, because the breaker sees the error.
    let hang = (|| pending::<Answer>()).timeout(secs(1)).guarded_by(&breaker);
    assert!(hang.call().await.is_err());
    assert_eq!(breaker.state(), Open);
}

/// resilience4j#1656, #2013: refusals of a limiter behind the breaker opened the circuit.
#[tokio::test(start_paused = true)]
async fn refusals_of_a_limiter_inside_open_no_circuit() {
    let breaker = CircuitBreaker::consecutive(1);
    let limiter = RateLimiter::new(1, secs(60));
    let fetch = (|| ready(Answer::Ok(7))).try_rate_limited(&limiter).guarded_by(&breaker);
    assert_eq!(fetch.call().await, Ok(7));
    for _ in 0..10 {
        assert_eq!(fetch.call().await, Err(Error::RateLimited { retry_after: secs(60) }));
    }
    let stats = breaker.stats();
    assert_eq!((breaker.state(), stats.succeeded, stats.ignored, stats.failed), (Closed, 1, 10, 0));

    // The refusals are transient errors, but they are not of the service.
    let fetch = (|| ready(Answer::Ok(7))).try_rate_limited(&limiter).guarded_by(&breaker).transient();
    assert!(fetch.call().await.is_err_and(|error| error.is_transient()));
    // Nor are other refusals: a closed limiter, invalid arguments, another breaker.
    limiter.close();
    let closed = (|| ready(Answer::Ok(7))).rate_limited_by(&limiter, || 1).guarded_by(&breaker);
    assert!(matches!(closed.call().await, Err(Error::Closed { .. })));
    let invalid = (|| ready(Answer::Ok(7))).validated(|| Err("no")).guarded_by(&breaker);
    assert!(matches!(invalid.call().await, Err(Error::InvalidArgument { .. })));
    let other = CircuitBreaker::consecutive(1);
    other.isolate();
    let nested = (|| ready(Answer::Ok(7))).guarded_by(&other).guarded_by(&breaker);
    assert_eq!(nested.call().await, Err(open("breaker", None)));
    assert_eq!((breaker.state(), breaker.stats().failed), (Closed, 0));

    // The same error is a failure if the function itself returns it.
    let fetch = (|| ready(Answer::Err(Error::RateLimited { retry_after: secs(60) }))).guarded_by(&breaker);
    assert!(fetch.call().await.is_err());
    assert_eq!(breaker.state(), Open);
}

#[tokio::test(start_paused = true)]
async fn a_refused_probe_gives_its_place_back() {
    let breaker = CircuitBreaker::consecutive(1);
    let limiter = RateLimiter::new(1, secs(60));
    let fetch = (|| ready(Answer::Ok(7))).try_rate_limited(&limiter).guarded_by(&breaker);
    limiter.try_acquire().unwrap();
    half_open(&breaker).await;
    assert_eq!(fetch.call().await, Err(Error::RateLimited { retry_after: secs(30) }));
    assert_eq!(breaker.state(), HalfOpen);
    advance(secs(30)).await;
    assert_eq!(fetch.call().await, Ok(7));
    assert_eq!(breaker.state(), Closed);
}

/// resilience4j#1065, failsafe#119: a retry spent its attempts on refusals.
#[tokio::test(start_paused = true)]
async fn a_transient_retry_returns_a_refusal_at_once() {
    let breaker = CircuitBreaker::consecutive(2);
    let called = Cell::new(0);
    let fetch = (|| {
        called.set(called.get() + 1);
        ready(Answer::Err(down()))
    })
    .guarded_by(&breaker)
    .retry_with(RetryPolicy::fixed(secs(1)).max_attempts(10))
    .transient();
    let begun = Instant::now();
    // Opened by the second attempt, at 1 s. The third one is refused, at 2 s.
    assert_eq!(fetch.call().await, Err(open("breaker", secs(29))));
    assert_eq!((called.get(), begun.elapsed()), (2, secs(2)));
    assert_eq!(at_once(fetch.call()).await, Err(open("breaker", secs(29))));
    assert_eq!(called.get(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_retry_with_the_hint_waits_until_the_circuit_is_half_open() {
    let breaker = CircuitBreaker::consecutive(1);
    let called = Cell::new(0);
    let fetch = (|| {
        called.set(called.get() + 1);
        ready(if called.get() == 1 { Err(down()) } else { Answer::Ok(7) })
    })
    .guarded_by(&breaker)
    .retry_with(RetryPolicy::fixed(secs(1)).max_attempts(3))
    .retry_after(Transient::retry_after);
    let begun = Instant::now();
    assert_eq!(fetch.call().await, Ok(7));
    // 1 s by the policy, and then the 29 s that are left.
    assert_eq!((called.get(), begun.elapsed()), (2, secs(30)));
}

/// resilience4j#332, failsafe#393.
#[tokio::test(start_paused = true)]
async fn a_probe_that_panics_leaves_no_place_behind() {
    let breaker = CircuitBreaker::consecutive(1);
    half_open(&breaker).await;
    let in_its_poll = (|| poll_fn(|_| -> Poll<Answer> { panic!("boom") })).guarded_by(&breaker);
    assert!(tokio::spawn(in_its_poll.call()).await.unwrap_err().is_panic());
    assert_eq!((breaker.state(), breaker.stats().failed), (Open, 1), "a panic is a failure");
    advance(secs(30)).await;
    let in_the_function = (|| -> Ready<Answer> { panic!("boom") }).guarded_by(&breaker);
    assert!(tokio::spawn(in_the_function.call()).await.unwrap_err().is_panic());
    assert_eq!((breaker.state(), breaker.stats().failed), (Open, 2));
    advance(secs(30)).await;
    run(&breaker, ".");
    assert_eq!(breaker.state(), Closed);
}

/// A predicate that panics ends the call, and so leaves no place behind either.
#[tokio::test(start_paused = true)]
async fn a_predicate_that_panics_leaves_no_place_behind() {
    let breaker = CircuitBreaker::consecutive(1);
    let fetch = (|| ready(Answer::Err(down()))).guarded_by(&breaker).when(|_| panic!("boom"));
    half_open(&breaker).await;
    assert!(tokio::spawn(fetch.call()).await.unwrap_err().is_panic());
    assert_eq!(breaker.state(), HalfOpen);
    run(&breaker, ".");
    assert_eq!(breaker.state(), Closed);
}

/// resilience4j#703: a registry kept a breaker for each name that it ever saw.
#[tokio::test(start_paused = true)]
async fn a_keyed_breaker_does_not_grow() {
    let per_host: KeyedBreaker<u32> = KeyedBreaker::consecutive(2);
    for host in 0..80_000 {
        per_host.for_key(&host).enter().unwrap().failed();
    }
    assert_eq!(per_host.len(), 65_536);
    assert_eq!(per_host.stats().failed, 80_000);
}
