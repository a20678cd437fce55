//! The breaker under a model checker: see [`crate::model_check`]. Before each lock and each atomic,
//! any other thread may run. The checks:
//!
//! - A half-open circuit lets exactly as many calls through as it has probes, whichever threads
//!   come.
//! - The places of probes that end, are dropped or lost all come back.
//! - A success that finds the window clean, without the lock, neither hides a failure nor keeps the
//!   circuit closed.
//! - Results of an earlier generation change nothing.

use super::{CircuitBreaker, Passage};
use crate::{CircuitState, RetryPolicy, model_check::explore, test_util::VirtualClock};
use shuttle::thread;
use std::{
    // Not the checker's types, because the log is not part of the model.
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};

const OPEN_FOR: Duration = Duration::from_secs(30);

fn half_open(probes: u32) -> CircuitBreaker {
    let delays = RetryPolicy::fixed(Duration::ZERO);
    let breaker = CircuitBreaker::builder().open_by(delays).probes(probes).build();
    breaker.trip();
    breaker
}

/// Runs the same on `threads` threads, this one included.
fn on_threads(threads: usize, act: impl Fn(usize) + Send + Sync + 'static) {
    let act = Arc::new(act);
    let others: Vec<_> = (1..threads)
        .map(|number| {
            let act = Arc::clone(&act);
            thread::spawn(move || act(number))
        })
        .collect();
    act(0);
    others.into_iter().for_each(|thread| thread.join().unwrap());
}

#[test]
fn a_half_open_circuit_lets_through_as_many_calls_as_it_has_probes() {
    for probes in [1, 2] {
        let explored = explore(2, move || {
            let breaker = half_open(probes);
            let passages = Arc::new(Mutex::new(Vec::<Passage>::new()));
            let (own, held) = (breaker.clone(), Arc::clone(&passages));
            on_threads(3, move |_| {
                let entered = own.enter();
                held.lock().unwrap().extend(entered);
            });
            let mut passages = std::mem::take(&mut *passages.lock().unwrap());
            assert_eq!((passages.len(), breaker.stats().refused), (probes as usize, u64::from(3 - probes)));
            assert!(breaker.enter().is_err());
            passages.pop();
            let again = breaker.enter().expect("the place of a dropped probe is free");
            passages.into_iter().for_each(Passage::succeeded);
            again.succeeded();
            assert_eq!(breaker.state(), CircuitState::Closed);
        });
        println!("{probes} probes: {explored} interleavings");
    }
}

/// Probes that succeed, fail and are dropped, with calls that come meanwhile. In the end a good
/// service closes the circuit.
#[test]
fn no_place_is_lost_and_no_more_probes_run_than_are_allowed() {
    type End = fn(Passage);
    let ends: [[End; 3]; 3] = [
        [Passage::succeeded, Passage::succeeded, drop],
        [Passage::succeeded, Passage::failed, drop],
        [drop, drop, Passage::failed],
    ];
    for (number, ends) in ends.into_iter().enumerate() {
        let explored = explore(2, move || {
            let clock = VirtualClock::start();
            let breaker = CircuitBreaker::builder().open_for(OPEN_FOR).probes(2).build();
            breaker.trip();
            clock.advance(OPEN_FOR);
            let (own, running) = (breaker.clone(), Arc::new(AtomicU32::new(0)));
            on_threads(3, move |number| {
                let Ok(passage) = own.enter() else { return };
                assert!(running.fetch_add(1, SeqCst) < 2 || own.state() == CircuitState::Closed);
                running.fetch_sub(1, SeqCst);
                ends[number](passage);
            });
            clock.advance(OPEN_FOR);
            while breaker.state() == CircuitState::HalfOpen {
                breaker.enter().expect("a place is free").succeeded();
            }
            assert_eq!(breaker.state(), CircuitState::Closed);
        });
        println!("ends {number}: {explored} interleavings");
    }
}

/// Successes without the lock against failures that open the circuit.
#[test]
fn a_success_without_the_lock_hides_no_failure() {
    let explored = explore(2, || {
        let breaker = CircuitBreaker::among(2, 100);
        let own = breaker.clone();
        on_threads(3, move |number| match own.enter() {
            Ok(passage) if number == 0 => passage.succeeded(),
            Ok(passage) => passage.failed(),
            Err(_) => assert_eq!(number, 0, "the circuit is closed until the second failure"),
        });
        assert_eq!(breaker.state(), CircuitState::Open, "both failures are among the last hundred calls");
        let stats = breaker.stats();
        assert_eq!((stats.failed, stats.succeeded + stats.late + stats.refused, stats.opened), (2, 1, 1));
    });
    println!("{explored} interleavings");
}

/// A call that began before the circuit opened ends while the circuit is open, half-open or closed
/// again.
#[test]
fn an_earlier_generation_changes_nothing() {
    let explored = explore(2, || {
        let breaker = CircuitBreaker::builder().consecutive(1).open_by(RetryPolicy::fixed(Duration::ZERO)).build();
        let early = Arc::new(Mutex::new(Some((breaker.enter().unwrap(), breaker.enter().unwrap()))));
        breaker.enter().unwrap().failed();
        let own = breaker.clone();
        on_threads(2, move |number| {
            if number == 0 {
                let (failed, succeeded) = early.lock().unwrap().take().unwrap();
                failed.failed();
                succeeded.succeeded();
            } else {
                own.enter().expect("the only probe").succeeded();
            }
        });
        assert_eq!(breaker.state(), CircuitState::Closed);
        assert_eq!((breaker.stats().late, breaker.stats().opened), (2, 1));
    });
    println!("{explored} interleavings");
}
