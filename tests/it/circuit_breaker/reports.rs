//! Events and callbacks of changes.

use super::run;
use crate::support::{Listener, listen, secs};
use CircuitState::{Closed, HalfOpen, Open};
use decor::{CircuitBreaker, CircuitReason, CircuitState, RetryPolicy};
use std::sync::{Arc, Mutex, OnceLock};
use tokio::time::advance;
use tracing::Level;

fn lines(log: &Listener) -> Vec<String> {
    log.lines().iter().for_each(|line| {
        assert_eq!((line.target.as_str(), line.fields["breaker"].as_str()), ("decor::breaker", "users"));
    });
    log.take()
}

#[tokio::test(start_paused = true)]
async fn each_change_is_one_event() {
    let log = listen();
    let breaker = CircuitBreaker::builder().consecutive(2).open_by(RetryPolicy::linear(secs(1))).named("users").build();
    run(&breaker, ".x.");
    assert_eq!(lines(&log), [""; 0]);
    run(&breaker, "xx");
    assert_eq!(lines(&log), ["WARN circuit users opened for 1s: too many failures"]);
    assert!(breaker.enter().is_err());
    advance(secs(1)).await;
    run(&breaker, "x");
    advance(secs(2)).await;
    run(&breaker, ".");
    breaker.close();
    assert_eq!(
        lines(&log),
        [
            "INFO circuit users is half-open: its delay has passed",
            "WARN circuit users opened for 2s: a probe failed",
            "INFO circuit users is half-open: its delay has passed",
            "INFO circuit users is closed: the probes succeeded",
        ]
    );
    breaker.trip();
    breaker.trip();
    breaker.isolate();
    breaker.isolate();
    breaker.close();
    let seen = log.lines();
    assert_eq!((seen[0].level, &*seen[0].fields["from"], &*seen[0].fields["to"]), (Level::WARN, "closed", "open"));
    assert_eq!(
        lines(&log),
        [
            "WARN circuit users opened for 1s: tripped by hand",
            "WARN circuit users is isolated: isolated by hand",
            "INFO circuit users is closed: closed by hand",
        ]
    );
    let observing = CircuitBreaker::builder().consecutive(1).observing().named("users").build();
    run(&observing, "x");
    assert_eq!(lines(&log), ["WARN circuit users opened for 30s: too many failures (observing, refuses nothing)"]);
}

#[tokio::test(start_paused = true)]
async fn the_callback_gets_each_change() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&seen);
    let breaker = CircuitBreaker::builder()
        .consecutive(1)
        .named("users")
        .on_change(move |change| sink.lock().unwrap().push(change.clone()))
        .build();
    run(&breaker, "x");
    advance(secs(30)).await;
    run(&breaker, ".");
    let seen = seen.lock().unwrap();
    let changes: Vec<_> = seen.iter().map(|c| (c.name.to_string(), c.from, c.to, c.reason, c.open_for)).collect();
    let users = || "users".to_owned();
    assert_eq!(
        changes,
        [
            (users(), Closed, Open, CircuitReason::TooManyFailures, Some(secs(30))),
            (users(), Open, HalfOpen, CircuitReason::DelayPassed, None),
            (users(), HalfOpen, Closed, CircuitReason::ProbesSucceeded, None),
        ]
    );
}

/// The callback runs outside of the lock.
#[tokio::test(start_paused = true)]
async fn a_callback_may_use_the_breaker() {
    static BREAKER: OnceLock<CircuitBreaker> = OnceLock::new();
    static SEEN: Mutex<Vec<String>> = Mutex::new(Vec::new());
    let breaker = BREAKER.get_or_init(|| {
        CircuitBreaker::builder()
            .consecutive(1)
            .on_change(|change| {
                let breaker = BREAKER.get().unwrap();
                let line = format!("{}: {}, {} opened", change.to, breaker.state(), breaker.stats().opened);
                SEEN.lock().unwrap().push(line);
                assert_eq!(breaker.enter().is_ok(), breaker.state() == Closed);
                if change.to == Open {
                    breaker.close(); // another change, within this one
                }
            })
            .build()
    });
    run(breaker, "x");
    assert_eq!(*SEEN.lock().unwrap(), ["open: open, 1 opened", "closed: closed, 1 opened"]);
    assert_eq!(breaker.state(), Closed);
}

#[tokio::test(start_paused = true)]
async fn a_callback_that_panics_does_no_harm() {
    let breaker = CircuitBreaker::builder().consecutive(1).on_change(|_| panic!("boom")).build();
    run(&breaker, "x");
    assert_eq!(breaker.state(), Open);
    advance(secs(30)).await;
    run(&breaker, ".");
    assert_eq!((breaker.state(), breaker.stats().opened), (Closed, 1));

    // In a call that another panic drops, a second panic would abort the process.
    let breaker = CircuitBreaker::builder().consecutive(1).on_change(|_| panic!("boom")).build();
    let exploding = {
        use decor::prelude::*;
        let explode = || std::future::poll_fn(|_| -> std::task::Poll<Result<u64, decor::Error>> { panic!("bang") });
        tokio::spawn(explode.guarded_by(&breaker).call())
    };
    assert!(exploding.await.unwrap_err().is_panic());
    assert_eq!(breaker.state(), Open);
}
