//! `retry_with` against a naive model, with any outcomes, in both halves.

use crate::support::{cases, millis, ms, paused};
use decor::{
    GiveUpEvent, GiveUpReason, RetryEvent,
    prelude::*,
    test_util::{self, VirtualClock},
};
use proptest::prelude::*;
use std::{cell::RefCell, time::Duration};
use tokio::time::{Instant, sleep};

/// The duration and the outcome of an attempt.
#[derive(Debug, Clone)]
struct Attempt {
    runs: u64,
    outcome: Outcome,
}

#[derive(Debug, Clone, PartialEq)]
enum Outcome {
    Ok,
    NotYet, // an `Ok` that the predicate retries
    Busy,
    Wait(u64),
    WaitOk(u64), // an `Ok` with a hint
    Fatal,
}

#[derive(Debug, Clone)]
struct Scenario {
    attempts: Vec<Attempt>,
    delay: u64,
    max_delay: u64,
    max_attempts: u32,
    deadline: Option<u64>,
    max_hint: u64,
    /// Moment at which the caller drops the call, in milliseconds; `None` if it never does. Odd,
    /// and therefore between all other events, which are even.
    dropped: Option<u64>,
}

fn any_scenario() -> impl Strategy<Value = Scenario> {
    let even = |most: u64| prop_oneof![1 => Just(0_u64), 2 => (1..most).prop_map(|half| 2 * half)];
    let outcome = prop_oneof![
        1 => Just(Outcome::Ok),
        2 => Just(Outcome::NotYet),
        4 => Just(Outcome::Busy),
        3 => even(1_500).prop_map(Outcome::Wait),
        2 => even(1_500).prop_map(Outcome::WaitOk),
        1 => Just(Outcome::Fatal),
    ];
    let attempt = (even(1_000), outcome).prop_map(|(runs, outcome)| Attempt { runs, outcome });
    (
        prop::collection::vec(attempt, 8),
        (even(500), even(2_000)),
        1_u32..9,
        prop::option::of((1_u64..4_000).prop_map(|half| 2 * half)),
        prop_oneof![even(3_000), Just(4_000)],
        prop::option::of((0_u64..4_000).prop_map(|half| 2 * half + 1)),
    )
        .prop_map(|(attempts, (delay, more), max_attempts, deadline, max_hint, dropped)| Scenario {
            attempts,
            delay,
            max_delay: delay + more,
            max_attempts,
            deadline,
            max_hint,
            dropped,
        })
}

/// All that can be observed of a retry, in milliseconds of virtual time.
#[derive(Debug, Clone, PartialEq, Default)]
struct Trace {
    began: Vec<u64>,
    retrying: Vec<(u32, u64, u64)>,
    given_up: Vec<(u32, u64, GiveUpReason)>,
    ended: u64,
}

fn model(scenario: &Scenario) -> Trace {
    let mut trace = Trace::default();
    let mut now = 0;
    for (number, attempt) in (1..).zip(&scenario.attempts) {
        trace.began.push(now);
        now += attempt.runs;
        let doubled = scenario.delay * 2_u64.pow(number - 1);
        let delay = match attempt.outcome {
            Outcome::Ok => break,
            Outcome::Wait(hint) | Outcome::WaitOk(hint) => hint,
            _ => doubled.min(scenario.max_delay),
        };
        let reason = if number == scenario.max_attempts {
            Some(GiveUpReason::Exhausted)
        } else if attempt.outcome == Outcome::Fatal {
            Some(GiveUpReason::NotRetryable)
        } else if matches!(attempt.outcome, Outcome::Wait(hint) | Outcome::WaitOk(hint) if hint > scenario.max_hint) {
            Some(GiveUpReason::HintTooLong)
        } else if scenario.deadline.is_some_and(|deadline| now + delay > deadline) {
            Some(GiveUpReason::DeadlineReached)
        } else {
            None
        };
        if let Some(reason) = reason {
            trace.given_up.push((number, now, reason));
            break;
        }
        trace.retrying.push((number, delay, now));
        now += delay;
    }
    trace.ended = now;
    trace
}

impl Trace {
    /// Cuts the trace at the moment at which the call is dropped.
    fn until(mut self, dropped: u64) -> Self {
        self.began.retain(|began| *began < dropped);
        self.retrying.retain(|(.., elapsed)| *elapsed < dropped);
        self.given_up.retain(|(_, elapsed, _)| *elapsed < dropped);
        self.ended = self.ended.min(dropped);
        self
    }
}

/// The scenario's attempts in turn, and the trace of the retry.
struct World<'s> {
    scenario: &'s Scenario,
    trace: RefCell<Trace>,
}

impl<'s> World<'s> {
    fn new(scenario: &'s Scenario) -> Self {
        Self { scenario, trace: RefCell::default() }
    }

    fn begin(&self, now: Duration) -> &'s Attempt {
        let mut trace = self.trace.borrow_mut();
        trace.began.push(millis(now));
        &self.scenario.attempts[trace.began.len() - 1]
    }

    fn assert_attempt(&self) {
        assert_eq!(decor::attempt() as usize, self.trace.borrow().began.len());
    }

    fn policy(&self) -> RetryPolicy {
        let Scenario { delay, max_delay, max_attempts, deadline, max_hint, .. } = *self.scenario;
        // A delay of zero cannot grow.
        let backoff = if delay == 0 { RetryPolicy::fixed } else { RetryPolicy::exponential };
        let policy = backoff(ms(delay)).max_delay(ms(max_delay)).max_attempts(max_attempts).max_hint(ms(max_hint));
        deadline.map_or(policy.clone(), |deadline| policy.deadline(ms(deadline)))
    }

    fn end(self, result: Option<Result<Outcome, Outcome>>, now: Duration) -> Trace {
        let mut trace = self.trace.into_inner();
        if let Some(result) = result {
            let last = &self.scenario.attempts[trace.began.len() - 1].outcome;
            assert_eq!(result.unwrap_or_else(|error| error), *last, "the last result is returned");
        }
        trace.ended = millis(now);
        trace
    }
}

impl Attempt {
    fn result(&self) -> Result<Outcome, Outcome> {
        let outcome = self.outcome.clone();
        if matches!(outcome, Outcome::Ok | Outcome::NotYet | Outcome::WaitOk(_)) { Ok(outcome) } else { Err(outcome) }
    }
}

/// Builds the same chain in both halves.
macro_rules! retried {
    ($world:ident, $call:expr) => {
        $call
            .retry_with($world.policy())
            .when_result(|r: &Result<Outcome, Outcome>| !matches!(r, Ok(Outcome::Ok) | Err(Outcome::Fatal)))
            .retry_after_result(|r: &Result<Outcome, Outcome>| match r {
                Ok(Outcome::WaitOk(hint)) | Err(Outcome::Wait(hint)) => Some(ms(*hint)),
                _ => None,
            })
            .on_retry(|r: &RetryEvent<'_, Outcome>| {
                $world.trace.borrow_mut().retrying.push((r.attempt, millis(r.delay), millis(r.elapsed)));
            })
            .on_give_up(|g: &GiveUpEvent<'_, Outcome>| {
                $world.trace.borrow_mut().given_up.push((g.attempts, millis(g.elapsed), g.reason));
            })
    };
}

async fn drive(scenario: &Scenario) -> Trace {
    let (world, began) = (World::new(scenario), Instant::now());
    let call = || async {
        let attempt = world.begin(began.elapsed());
        world.assert_attempt();
        if attempt.runs > 0 {
            sleep(ms(attempt.runs)).await;
        }
        world.assert_attempt();
        attempt.result()
    };
    let patience = scenario.dropped.map_or(Duration::MAX, ms);
    let result = tokio::time::timeout(patience, retried!(world, call).into_future()).await;
    world.end(result.ok(), began.elapsed())
}

fn drive_blocking(scenario: &Scenario) -> Trace {
    let (world, clock) = (World::new(scenario), VirtualClock::start());
    let call = || {
        let attempt = world.begin(clock.elapsed());
        world.assert_attempt();
        test_util::sleep(ms(attempt.runs));
        attempt.result()
    };
    let result = retried!(world, call.blocking()).run();
    world.end(Some(result), clock.elapsed())
}

proptest! {
    #![proptest_config(cases(5_000))]

    #[test]
    fn a_retry_agrees_with_the_model(scenario in any_scenario()) {
        let seen = paused().block_on(drive(&scenario));
        let expected = model(&scenario);
        prop_assert_eq!(&seen, &scenario.dropped.map_or(expected.clone(), |dropped| expected.clone().until(dropped)));

        let seen = drive_blocking(&scenario);
        prop_assert_eq!(&seen, &expected);
        // The requirements, checked without the model.
        prop_assert_eq!(seen.retrying.len(), seen.began.len() - 1, "the hook is called once before each further attempt");
        if let Some(deadline) = scenario.deadline {
            prop_assert!(seen.began.iter().skip(1).all(|began| *began <= deadline), "no delay passes the deadline");
        }
        prop_assert!(u32::try_from(seen.began.len()).unwrap() <= scenario.max_attempts);
    }
}
