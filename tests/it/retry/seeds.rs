//! Seeds of the jitter. Delays differ between calls, and repeat from run to run.

use crate::support::secs;
use decor::{RetryEvent, prelude::*};
use std::{future::ready, time::Duration};

async fn delays_of_calls(policy: &RetryPolicy, calls: usize) -> Vec<Vec<Duration>> {
    let mut seen = Vec::new();
    for _ in 0..calls {
        let mut delays = Vec::new();
        (|| ready(Err::<(), _>("busy")))
            .retry_with(policy)
            .on_retry(|r: &RetryEvent<'_, &str>| delays.push(r.delay))
            .await
            .unwrap_err();
        seen.push(delays);
    }
    seen
}

#[tokio::test(start_paused = true)]
#[cfg_attr(miri, ignore = "takes it for ever")]
async fn calls_of_a_seeded_policy_differ_and_repeat_from_run_to_run() {
    for jitter in [Jitter::Full, Jitter::Equal, Jitter::Decorrelated] {
        let policy = || RetryPolicy::exponential(secs(1)).jitter(jitter).max_attempts(5).seed(42);
        let run = delays_of_calls(&policy(), 20).await;
        assert_eq!(run, delays_of_calls(&policy(), 20).await, "the next run repeats the delays");
        let mut distinct = run.clone();
        distinct.sort();
        distinct.dedup();
        assert_eq!(distinct.len(), 20, "each call has other delays");
        let other = delays_of_calls(&policy().seed(43), 20).await;
        assert_ne!(run, other, "another seed has other delays");
    }
}

#[tokio::test(start_paused = true)]
async fn clones_of_a_seeded_policy_draw_different_delays() {
    let policy = RetryPolicy::exponential(secs(1)).jitter(Jitter::Full).seed(42);
    let (a, b) = (delays_of_calls(&policy, 1).await, delays_of_calls(&policy.clone(), 1).await);
    assert_ne!(a, b);
}

#[tokio::test(start_paused = true)]
async fn the_schedule_of_a_seeded_policy_is_that_of_its_next_call() {
    let policy = RetryPolicy::exponential(secs(1)).jitter(Jitter::Full).max_attempts(5).seed(42);
    for _ in 0..3 {
        let looked_at: Vec<_> = policy.schedule().collect();
        assert_eq!(delays_of_calls(&policy, 1).await, [looked_at]);
    }
}

/// Exact figures, because a change to the generator or to the spread of seeds would change the
/// delays of every program with a seed.
#[test]
fn the_delays_of_a_seed_are_the_same_in_every_release() {
    let policy = RetryPolicy::fixed(secs(1)).jitter(Jitter::Full).max_attempts(5).seed(42);
    let nanos: Vec<u128> = policy.schedule().map(|delay| delay.as_nanos()).collect();
    assert_eq!(nanos, [704_815_263, 529_529_063, 878_110_545, 302_223_349]);
}
