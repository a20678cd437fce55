//! The failures that open a circuit.

use super::run;
use crate::support::{just_before, ms, secs};
use CircuitState::{Closed, Open};
use decor::{CircuitBreaker, CircuitState};
use tokio::time::advance;

#[test]
fn the_fifth_failure_in_a_row_opens() {
    let breaker = CircuitBreaker::consecutive(5);
    run(&breaker, "xxxx.xxxx.");
    assert_eq!(breaker.state(), Closed);
    run(&breaker, "xxxx");
    assert_eq!(breaker.state(), Closed);
    run(&breaker, "x");
    assert_eq!(breaker.state(), Open);
}

#[test]
fn the_tenth_failure_among_the_last_twenty_calls_opens() {
    let breaker = CircuitBreaker::among(10, 20);
    run(&breaker, &"x".repeat(9));
    run(&breaker, &".".repeat(10));
    assert_eq!(breaker.state(), Closed);
    run(&breaker, "x"); // the tenth of twenty
    assert_eq!(breaker.state(), Open);

    // One success more, and the first failure has left the window.
    let breaker = CircuitBreaker::among(10, 20);
    run(&breaker, &"x".repeat(9));
    run(&breaker, &".".repeat(11));
    run(&breaker, "x");
    assert_eq!(breaker.state(), Closed);
    run(&breaker, &"x".repeat(8));
    assert_eq!(breaker.state(), Closed, "nine failures are among the last twenty calls");
    run(&breaker, "x");
    assert_eq!(breaker.state(), Open);
}

#[test]
fn a_window_needs_no_minimum_of_calls() {
    let breaker = CircuitBreaker::among(2, 1_000);
    run(&breaker, "xx");
    assert_eq!(breaker.state(), Open);
    let breaker = CircuitBreaker::among(1, 1);
    run(&breaker, "x");
    assert_eq!(breaker.state(), Open);
}

/// The sizes around a word of 64 bits, each with failures as far apart as the window allows.
#[test]
fn a_failure_is_remembered_for_exactly_as_many_calls_as_the_window_has() {
    for calls in [2, 3, 63, 64, 65, 127, 128, 129, 1_000] {
        for before in [0, 1, 5, 63, 64] {
            let breaker = CircuitBreaker::among(2, calls);
            run(&breaker, &".".repeat(before));
            run(&breaker, "x");
            run(&breaker, &".".repeat(calls as usize - 1));
            run(&breaker, "x");
            assert_eq!(breaker.state(), Closed, "{calls} calls after {before}");
            run(&breaker, &".".repeat(calls as usize - 2));
            run(&breaker, "x");
            assert_eq!(breaker.state(), Open, "{calls} calls after {before}");
        }
    }
}

#[test]
fn dropped_calls_leave_the_window_as_it_is() {
    let breaker = CircuitBreaker::consecutive(3);
    run(&breaker, "x--x---x");
    assert_eq!(breaker.state(), Open);
}

fn rate() -> CircuitBreaker {
    CircuitBreaker::builder().rate(0.5, secs(10)).minimum_calls(4).build()
}

#[tokio::test(start_paused = true)]
async fn a_rate_opens_at_its_share_and_not_below_its_minimum() {
    let breaker = rate();
    run(&breaker, "xxx");
    assert_eq!(breaker.state(), Closed, "three calls");
    run(&breaker, "x");
    assert_eq!(breaker.state(), Open);

    let breaker = rate();
    run(&breaker, "....xxx");
    assert_eq!(breaker.state(), Closed, "three of seven");
    run(&breaker, "x");
    assert_eq!(breaker.state(), Open, "four of eight");

    let breaker = CircuitBreaker::rate(0.5, secs(10));
    run(&breaker, &"x".repeat(19));
    assert_eq!(breaker.state(), Closed);
    run(&breaker, "x");
    assert_eq!(breaker.state(), Open, "the minimum is 20 calls");
}

#[tokio::test(start_paused = true)]
async fn only_a_failure_opens() {
    let breaker = rate();
    run(&breaker, "xxx.");
    assert_eq!(breaker.state(), Closed, "the fourth call reached the minimum, and succeeded");
    run(&breaker, "x");
    assert_eq!(breaker.state(), Open);
}

/// 3 of 30 is a tenth, although 0.1 has no exact representation.
#[tokio::test(start_paused = true)]
async fn a_share_is_exact() {
    for (rate, failures, calls) in [(0.1, 3, 30), (0.6, 3, 5), (0.3, 3, 10), (0.7, 7, 10), (1.0, 1, 1)] {
        let breaker = CircuitBreaker::builder().rate(rate, secs(10)).minimum_calls(1).build();
        run(&breaker, &".".repeat(calls - failures));
        for failure in 1..=failures {
            assert_eq!(breaker.state(), Closed, "{rate}: {failure} of {calls}");
            // Below the last failure the share is smaller, because the successes came first.
            run(&breaker, "x");
        }
        assert_eq!(breaker.state(), Open, "{rate}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_leaves_a_rate_after_nine_to_ten_tenths_of_its_period() {
    // A failure at the beginning of a bucket leaves after ten tenths, one at the end after nine.
    for (at, leaves) in [(ms(0), secs(10)), (ms(999), secs(10)), (ms(1_000), secs(11)), (ms(5_500), secs(15))] {
        for (wait, state) in [(just_before(leaves), Open), (leaves, Closed)] {
            let breaker = CircuitBreaker::builder().rate(0.5, secs(10)).minimum_calls(2).build();
            advance(at).await;
            run(&breaker, "x");
            advance(wait.saturating_sub(at)).await;
            run(&breaker, "x");
            assert_eq!(breaker.state(), state, "failed at {at:?}, and again at {wait:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_rate_forgets_everything_after_a_long_idle_time() {
    let breaker = rate();
    run(&breaker, "xxx");
    advance(secs(1_000_000)).await;
    run(&breaker, "xxx");
    assert_eq!(breaker.state(), Closed);
    run(&breaker, "x");
    assert_eq!(breaker.state(), Open);
}
