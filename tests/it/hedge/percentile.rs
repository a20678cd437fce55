//! The delay that follows the durations of the calls.

use super::script::{Answer, Failure, HANGS, Script, Step, Success};
use crate::support::{ms, secs};
use decor::{Hedge, prelude::*};
use proptest::prelude::*;
use std::{future::ready, time::Duration};
use tokio::time::{Instant, advance, timeout};
use tokio_test::{assert_pending, assert_ready, task};

/// Measures the percentile of these calls, which take so many milliseconds each.
async fn learned(percentile: f64, millis: &[u64]) -> Hedge {
    let hedge = Hedge::percentile(percentile);
    let steps = millis.iter().map(|millis| (*millis, Success)).collect::<Vec<Step>>();
    let chain = Script::new(&steps).function().hedged(&hedge);
    for _ in millis {
        chain.call(7).await.unwrap();
    }
    hedge
}

fn is_near(found: Option<Duration>, exact: Duration) -> bool {
    found.is_some_and(|found| exact <= found && found <= exact + exact / 16)
}

#[tokio::test(start_paused = true)]
async fn there_is_no_hedge_before_100_samples() {
    let hedge = learned(0.95, &[10; 99]).await;
    assert_eq!((hedge.stats().samples, hedge.stats().delay), (99, None));
    let slow = Script::new(&[(500, Success)]);
    assert_eq!(slow.function().hedged(&hedge).call(7).await, Ok(1));
    assert_eq!((hedge.stats().hedges, hedge.stats().samples), (0, 100));
    assert!(is_near(hedge.stats().delay, ms(10)), "{:?}", hedge.stats());
    // The hundred-and-first call has a hedge, at the first whole millisecond after the delay.
    let slow = Script::new(&[(HANGS, Success), (30, Success)]);
    assert_eq!(slow.function().hedged(&hedge).call(7).await, Ok(2));
    assert_eq!((slow.elapsed(), hedge.stats().hedges), (ms(41), 1));
}

#[tokio::test(start_paused = true)]
async fn clones_share_the_durations_and_counts() {
    let hedge = learned(0.5, &[10; 50]).await;
    let chain = Script::new(&[(20, Success); 50]).function().hedged(hedge.clone());
    for _ in 0..50 {
        chain.clone().call(7).await.unwrap();
    }
    assert_eq!((hedge.stats().calls, hedge.stats().samples), (100, 100));
    assert!(is_near(hedge.stats().delay, ms(10)));
}

#[tokio::test(start_paused = true)]
async fn failures_are_not_measured() {
    let hedge = learned(0.5, &[10; 100]).await;
    let delay = hedge.stats().delay;
    // Alone, at the first poll, and after a hedge has started.
    for steps in [vec![(1, Failure)], vec![(0, Failure)], vec![(90, Failure), (500, Failure)]] {
        Script::new(&steps).function().hedged(&hedge).call(7).await.unwrap_err();
    }
    // The hedge wins after the first call has failed.
    assert_eq!(Script::new(&[(20, Failure), (30, Success)]).function().hedged(&hedge).call(7).await, Ok(2));
    assert_eq!((hedge.stats().samples, hedge.stats().delay, hedge.stats().calls), (100, delay, 104));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_ready_at_once_counts_as_zero() {
    let hedge = learned(0.5, &[10; 60]).await;
    let chain = (|n: u64| ready(Answer::Ok(n))).hedged(&hedge);
    for _ in 0..59 {
        chain.call(7).await.unwrap();
    }
    assert_eq!(hedge.stats().samples, 119);
    assert!(is_near(hedge.stats().delay, ms(10)));
    chain.call(7).await.unwrap();
    assert_eq!((hedge.stats().samples, hedge.stats().delay), (120, Some(ms(0))));
}

/// If slow calls that a hedge beats were not measured, the percentile would sink with each of them,
/// and more and more calls would be hedged.
#[tokio::test(start_paused = true)]
async fn calls_that_a_hedge_beats_do_not_vanish_from_the_measurement() {
    let hedge = Hedge::percentile(0.8);
    // Ten equally frequent durations. Those of 90 and 100 ms are hedged, and the hedge takes 1 ms.
    let mut hedged = 0;
    for round in 0..500 {
        for millis in (1..=10).map(|n| n * 10) {
            let script = Script::new(&[(millis, Success), (1, Success)]);
            script.function().hedged(&hedge).call(7).await.unwrap();
            if round >= 10 {
                hedged += script.calls() - 1;
            }
        }
    }
    assert_eq!((hedged, hedge.stats().wins), (980, 980), "two calls in ten");
    assert!(is_near(hedge.stats().delay, ms(80)), "{:?}", hedge.stats());
}

/// The future is kept after its end, because its drop would measure the call as well.
#[tokio::test(start_paused = true)]
async fn a_call_that_a_hedge_beats_is_measured_when_it_is_beaten() {
    let hedge = learned(0.5, &[10; 100]).await;
    let script = Script::new(&[(HANGS, Success), (30, Success)]);
    let mut call = task::spawn(script.function().hedged(&hedge).call(7));
    assert_pending!(call.poll());
    advance(ms(20)).await;
    assert_pending!(call.poll());
    advance(ms(30)).await;
    assert_eq!(assert_ready!(call.poll()), Ok(2));
    assert_eq!((hedge.stats().wins, hedge.stats().samples), (1, 101));
    drop(call);
    assert_eq!(hedge.stats().samples, 101, "measured once");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_the_caller_drops_counts_once_it_has_reached_the_delay() {
    let hedge = learned(0.5, &[100; 100]).await;
    let delay = hedge.stats().delay.unwrap();
    let hangs = || Script::new(&[]).function().hedged(&hedge);
    assert!(timeout(ms(50), hangs().call(7)).await.is_err());
    assert_eq!(hedge.stats().samples, 100, "a call that was dropped early may have been a fast one");
    assert!(timeout(delay + ms(50), hangs().call(7)).await.is_err());
    assert_eq!(hedge.stats().samples, 101);
    // The same if a retry ends the attempt.
    let script = Script::new(&[]);
    let attempts = script.fallible().hedged(&hedge).timeout(delay + ms(50));
    assert!(attempts.retry_with(RetryPolicy::fixed(secs(1)).max_attempts(2)).call(7).await.is_err());
    assert_eq!(hedge.stats().samples, 103);
    // And before there is a delay, such calls do not count.
    let hedge = Hedge::percentile(0.5);
    assert!(timeout(secs(9), Script::new(&[]).function().hedged(&hedge).call(7)).await.is_err());
    assert_eq!((hedge.stats().samples, hedge.stats().calls), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_percentile_with_one_call_measures_only() {
    let hedge = Hedge::percentile(0.5).max_calls(1);
    let chain = Script::new(&[(10, Success); 101]).function().hedged(&hedge);
    for _ in 0..101 {
        chain.call(7).await.unwrap();
    }
    assert_eq!((hedge.stats().samples, hedge.stats().hedges), (101, 0));
    assert!(timeout(secs(9), chain.call(7)).await.is_err());
    assert_eq!(hedge.stats().hedges, 0);
}

/// The delay of a call is that of its beginning, and further calls keep it.
#[tokio::test(start_paused = true)]
async fn further_calls_start_by_the_same_delay() {
    let hedge = learned(0.5, &[16; 99]).await.max_calls(3);
    assert_eq!(hedge.stats().samples, 0, "a changed hedge measures anew");
    let chain = Script::new(&[(16, Success); 100]).function().hedged(&hedge);
    for _ in 0..100 {
        chain.call(7).await.unwrap();
    }
    let delay = hedge.stats().delay.unwrap();
    assert_eq!(delay, Duration::from_nanos(16_252_927), "the end of the bucket of 16 ms");
    let script = Script::new(&[(HANGS, Success), (HANGS, Success), (1, Success)]);
    let begun = Instant::now();
    assert_eq!(script.function().hedged(&hedge).call(7).await, Ok(3));
    assert_eq!(script.take()[..3], ["0ns 1 starts", "17ms 2 starts", "34ms 3 starts"]);
    assert_eq!(begun.elapsed(), ms(35));
}

proptest! {
    #![proptest_config(crate::support::cases(300))]

    /// Against the sorted samples: never shorter, and at most a sixteenth longer.
    #[test]
    fn the_delay_is_the_percentile_of_the_calls(
        mut millis in prop::collection::vec(prop_oneof![Just(0_u64), 1_u64..50, 1_u64..10_000], 100..160),
        percentile in prop_oneof![Just(0.5), Just(0.9), Just(0.95), Just(0.99)],
    ) {
        let found = crate::support::paused().block_on(async {
            // The calls are made at once, and therefore all before there is a percentile.
            let hedge = Hedge::percentile(percentile).max_calls(1);
            let calls = millis.iter().map(|millis| {
                let hedge = hedge.clone();
                let function = Script::new(&[(*millis, Success)]).function();
                async move { function.hedged(hedge).call(7).await }
            });
            futures::future::join_all(calls).await;
            hedge.stats().delay
        });
        millis.sort_unstable();
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
        let rank = (millis.len() as f64 * percentile - 1e-9).ceil() as usize;
        prop_assert!(is_near(found, ms(millis[rank - 1])), "{found:?} {:?}", millis[rank - 1]);
    }
}
