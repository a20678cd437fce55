//! `CircuitBreaker` and `KeyedBreaker`: windows, half-open circuits, results, changes by hand.

use decor::{CircuitBreaker, CircuitState, Error};
use std::{fmt::Debug, future::Future, time::Duration};
use tokio::time::{Instant, advance};

mod blocking;
mod by_hand;
mod config;
mod half_open;
mod keyed;
mod model;
mod reports;
mod results;
mod traps;
mod unless_open;
mod windows;

type Answer = Result<u64, Error>;

/// An error of the service.
fn down() -> Error {
    Error::LoadFailed { name: "server".into(), message: "down".into() }
}

fn open(name: &'static str, retry_after: impl Into<Option<Duration>>) -> Error {
    Error::CircuitOpen { name: name.into(), retry_after: retry_after.into() }
}

/// Ends calls by hand, one for each character: `.` for a success, `x` for a failure, `-` for a
/// dropped one.
#[track_caller]
fn run(breaker: &CircuitBreaker, calls: &str) {
    for call in calls.chars() {
        let passage = breaker.enter().unwrap_or_else(|error| panic!("{error}"));
        match call {
            '.' => passage.succeeded(),
            'x' => passage.failed(),
            _ => drop(passage),
        }
    }
}

/// Opens the circuit and lets its time pass.
async fn half_open(breaker: &CircuitBreaker) {
    breaker.trip();
    advance(Duration::from_secs(30)).await;
    assert_eq!(breaker.state(), CircuitState::HalfOpen);
}

/// Returns the output of a call that must end at once.
async fn at_once<T: Debug>(call: impl Future<Output = T>) -> T {
    let begun = Instant::now();
    let output = call.await;
    assert_eq!(begun.elapsed(), Duration::ZERO, "{output:?}");
    output
}
