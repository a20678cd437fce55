//! `.unless_open(..)` refuses while the circuit is open, and does nothing else.

use super::{Answer, at_once, down, half_open, open, run};
use crate::support::secs;
use decor::{CircuitBreaker, CircuitBreakerStats, CircuitState, prelude::*};
use futures::future::join;
use std::{cell::Cell, future::ready};
use tokio::time::{Instant, advance};

#[tokio::test(start_paused = true)]
async fn it_refuses_and_counts_nothing() {
    let breaker = CircuitBreaker::builder().consecutive(1).named("users").build();
    let called = Cell::new(0);
    let fail = (|| {
        called.set(called.get() + 1);
        ready(Answer::Err(down()))
    })
    .unless_open(&breaker);
    for _ in 0..10 {
        assert_eq!(fail.call().await, Err(down()));
    }
    assert_eq!((breaker.state(), breaker.stats()), (CircuitState::Closed, CircuitBreakerStats::default()));
    breaker.trip();
    advance(secs(10)).await;
    assert_eq!(fail.call().await, Err(open("users", secs(20))));
    assert_eq!((called.get(), breaker.stats().refused), (10, 0));
    breaker.close();
    breaker.isolate();
    assert_eq!(fail.call().await, Err(open("users", None)));
}

#[tokio::test(start_paused = true)]
async fn a_half_open_circuit_lets_every_call_pass_and_keeps_its_probes() {
    let breaker = CircuitBreaker::consecutive(1);
    let fetch = (|| ready(Answer::Ok(7))).unless_open(&breaker);
    breaker.trip();
    advance(secs(30)).await;
    assert_eq!(fetch.call().await, Ok(7)); // a look at the state
    let probe = breaker.enter().unwrap();
    assert_eq!(fetch.call().await, Ok(7));
    assert_eq!(ready(Answer::Ok(8)).unless_open(&breaker).await, Ok(8));
    probe.succeeded();
    half_open(&breaker).await;
}

/// Calls that queue for a limiter are refused when their turn comes, and new ones at once.
#[tokio::test(start_paused = true)]
async fn newcomers_do_not_queue_while_the_circuit_is_open() {
    let breaker = CircuitBreaker::consecutive(1);
    let limiter = RateLimiter::new(1, secs(10));
    let called = Cell::new(0);
    let fetch = (|| {
        called.set(called.get() + 1);
        ready(Answer::Ok(7))
    })
    .guarded_by(&breaker)
    .rate_limited(&limiter)
    .unless_open(&breaker);
    assert_eq!(fetch.call().await, Ok(7));
    let begun = Instant::now();
    let queued = async { (fetch.call().await, begun.elapsed()) };
    let newcomer = async {
        tokio::task::yield_now().await;
        run(&breaker, "x");
        at_once(fetch.call()).await
    };
    let (queued, newcomer) = join(queued, newcomer).await;
    assert_eq!(queued, (Err(open("breaker", secs(20))), secs(10)));
    assert_eq!(newcomer, Err(open("breaker", secs(30))));
    assert_eq!(called.get(), 1);
}
