//! The rules behind the lints: a pure function for each, over the decorators from the inside out.

use super::{
    Lint, Retries, Step,
    StepKind::{
        self, ConcurrencyLimited, Fallback, GuardedBy, Hedging, RateLimited, Remembered, Retried, Timeout, UnlessOpen,
    },
    longest::{hedged, longest},
};
use std::time::Duration;

type Rule = fn(&[Step]) -> Vec<Lint>;

/// All rules, in the order of the documentation's table.
const RULES: &[Rule] = &[
    timeout_never_fires,
    retries_do_not_fit,
    retry_around_refusals,
    retry_around_retry,
    retry_around_memo,
    two_limiters,
    limiter_around_retry,
    limiter_around_concurrency_limiter,
    limiter_around_memo,
    concurrency_limiter_around_retry,
    concurrency_limiter_within_itself,
    timeout_outside_breaker,
    hedge_never_fires,
    hedge_around_retry,
    hedge_without_budget,
    memo_of_fallback,
    memo_without_timeout,
];

/// Applies all rules.
pub(super) fn lints(steps: &[Step]) -> Vec<Lint> {
    RULES.iter().flat_map(|rule| rule(steps)).collect()
}

fn timeout_never_fires(steps: &[Step]) -> Vec<Lint> {
    let limits = (0..steps.len()).filter_map(|at| Some((at, limit(&steps[at])?)));
    limits
        .filter_map(|(inner, limit)| {
            let (outer, shorter) = timeouts_around(steps, inner).find(|(_, outer)| *outer <= limit)?;
            let (inner_text, outer_text) = (&steps[inner].text, &steps[outer].text);
            let message = if shorter == limit {
                format!("{inner_text} and {outer_text} around it fire at the same time, so one of them is of no use")
            } else {
                format!("{inner_text} never fires, because {outer_text} around it fires first")
            };
            Some(Lint { code: "timeout-never-fires", message, steps: vec![inner, outer] })
        })
        .collect()
}

fn retries_do_not_fit(steps: &[Step]) -> Vec<Lint> {
    let retries = (0..steps.len()).filter_map(|at| Some((at, attempts_and_delays(steps, at)?)));
    retries
        .filter_map(|(retry, (attempt, total))| {
            // A limit that no attempt reaches is another fault.
            let cuts_off = |(_, limit): &(usize, Duration)| *limit > attempt && *limit < total;
            let (outer, _) = timeouts_around(steps, retry).find(cuts_off)?;
            let (retry_text, outer_text) = (&steps[retry].text, &steps[outer].text);
            let message = format!("{retry_text} may take {total:?}, and {outer_text} around it ends the call earlier");
            Some(Lint { code: "retries-do-not-fit", message, steps: vec![retry, outer] })
        })
        .collect()
}

fn retry_around_refusals(steps: &[Step]) -> Vec<Lint> {
    let is_retried = |inner: &StepKind, outer: &StepKind| match (inner, outer) {
        (RateLimited { max_wait, .. } | ConcurrencyLimited { max_wait, .. }, Retried { retries, .. }) => {
            max_wait.is_some() && *retries != Retries::ChosenErrors
        }
        // The refusal of a breaker is not transient. Its hint lets a retry wait until the circuit
        // is half-open.
        (GuardedBy { .. } | UnlessOpen { .. }, Retried { retries, follows_hints, .. }) => {
            *retries == Retries::AllErrors && !follows_hints
        }
        _ => false,
    };
    nested(steps, "retry-around-refusals", is_retried, |inner, outer| {
        format!("{outer} calls again what {inner} has refused")
    })
}

fn retry_around_retry(steps: &[Step]) -> Vec<Lint> {
    let are_retries = |inner: &StepKind, outer: &StepKind| matches!((inner, outer), (Retried { .. }, Retried { .. }));
    nested(steps, "retry-around-retry", are_retries, |inner, outer| {
        format!("{outer} repeats {inner}, so that their attempts multiply")
    })
}

fn retry_around_memo(steps: &[Step]) -> Vec<Lint> {
    let matches = |inner: &StepKind, outer: &StepKind| matches!((inner, outer), (Remembered { .. }, Retried { .. }));
    nested(steps, "retry-around-memo", matches, |inner, outer| {
        format!("{outer} repeats {inner}, so that each caller of a failed load retries by itself")
    })
}

fn two_limiters(steps: &[Step]) -> Vec<Lint> {
    let are_two = |inner: &StepKind, outer: &StepKind| match (inner, outer) {
        (RateLimited { is_keyed: inner, .. }, RateLimited { is_keyed: outer, .. }) => *inner || !*outer,
        _ => false,
    };
    nested(steps, "two-limiters", are_two, |inner, outer| {
        format!("a call that has a permit of {outer} may wait for {inner} until the permit is worth nothing")
    })
}

fn limiter_around_retry(steps: &[Step]) -> Vec<Lint> {
    let matches = |inner: &StepKind, outer: &StepKind| matches!((inner, outer), (Retried { .. }, RateLimited { .. }));
    nested(steps, "limiter-around-retry", matches, |inner, outer| {
        format!("{outer} gives one permit for all attempts of {inner}, so more calls are made than it allows")
    })
}

fn limiter_around_concurrency_limiter(steps: &[Step]) -> Vec<Lint> {
    let matches =
        |inner: &StepKind, outer: &StepKind| matches!((inner, outer), (ConcurrencyLimited { .. }, RateLimited { .. }));
    nested(steps, "limiter-around-concurrency-limiter", matches, |inner, outer| {
        format!("a call that has a permit of {outer} may wait for {inner}, and then be made in a burst with others")
    })
}

fn limiter_around_memo(steps: &[Step]) -> Vec<Lint> {
    let matches =
        |inner: &StepKind, outer: &StepKind| matches!((inner, outer), (Remembered { .. }, RateLimited { .. }));
    nested(steps, "limiter-around-memo", matches, |inner, outer| {
        format!("{outer} takes a permit even if {inner} knows the answer")
    })
}

fn concurrency_limiter_around_retry(steps: &[Step]) -> Vec<Lint> {
    let matches =
        |inner: &StepKind, outer: &StepKind| matches!((inner, outer), (Retried { .. }, ConcurrencyLimited { .. }));
    nested(steps, "concurrency-limiter-around-retry", matches, |inner, outer| {
        format!("{outer} keeps its place during the delays of {inner}")
    })
}

fn concurrency_limiter_within_itself(steps: &[Step]) -> Vec<Lint> {
    let are_one = |inner: &StepKind, outer: &StepKind| match (inner, outer) {
        (ConcurrencyLimited { handle: inner, .. }, ConcurrencyLimited { handle: outer, .. }) => inner == outer,
        _ => false,
    };
    nested(steps, "concurrency-limiter-within-itself", are_one, |inner, outer| {
        format!("{outer} and {inner} are one limiter: if all its places are taken outside, no call gets one inside")
    })
}

fn timeout_outside_breaker(steps: &[Step]) -> Vec<Lint> {
    let blind = |step: &Step| matches!(step.kind, GuardedBy { counts_slow_calls: false, .. });
    let breakers = (0..steps.len()).filter(|at| blind(&steps[*at]));
    breakers
        .filter(|breaker| steps[..*breaker].iter().all(|step| limit(step).is_none()))
        .filter_map(|breaker| {
            let (outer, _) = timeouts_around(steps, breaker).next()?;
            let (breaker_text, outer_text) = (&steps[breaker].text, &steps[outer].text);
            let message =
                format!("{outer_text} drops calls that hang, and {breaker_text} inside counts no dropped call");
            Some(Lint { code: "timeout-outside-breaker", message, steps: vec![breaker, outer] })
        })
        .collect()
}

fn hedge_never_fires(steps: &[Step]) -> Vec<Lint> {
    let hedges = (0..steps.len()).filter_map(|at| match steps[at].kind {
        Hedging { delay: Some(delay), .. } => Some((at, delay)),
        _ => None,
    });
    hedges
        .filter_map(|(hedge, delay)| {
            let call = longest(&steps[..hedge]).pop()??;
            let timeout = (0..hedge).rev().find(|at| limit(&steps[*at]).is_some())?;
            let (hedge_text, timeout_text) = (&steps[hedge].text, &steps[timeout].text);
            let message = format!("{hedge_text} starts no further call, because {timeout_text} inside ends the first");
            (delay >= call).then(|| Lint { code: "hedge-never-fires", message, steps: vec![timeout, hedge] })
        })
        .collect()
}

fn hedge_around_retry(steps: &[Step]) -> Vec<Lint> {
    let matches = |inner: &StepKind, outer: &StepKind| matches!((inner, outer), (Retried { .. }, Hedging { .. }));
    nested(steps, "hedge-around-retry", matches, |inner, outer| {
        format!("{outer} takes the delays of {inner} for a slow call, and doubles its attempts")
    })
}

fn hedge_without_budget(steps: &[Step]) -> Vec<Lint> {
    let hedges = steps.iter().enumerate().filter(|(_, step)| matches!(step.kind, Hedging { budget: None, .. }));
    let message = |hedge: &Step| format!("{} may multiply the calls when the server is slow", hedge.text);
    hedges.map(|(at, step)| Lint { code: "hedge-without-budget", message: message(step), steps: vec![at] }).collect()
}

fn memo_of_fallback(steps: &[Step]) -> Vec<Lint> {
    let matches = |inner: &StepKind, outer: &StepKind| matches!((inner, outer), (Fallback, Remembered { .. }));
    nested(steps, "memo-of-fallback", matches, |inner, outer| {
        format!("{outer} remembers the answer of {inner} as if it came from the function")
    })
}

fn memo_without_timeout(steps: &[Step]) -> Vec<Lint> {
    let memos = steps.iter().enumerate().filter(|(_, step)| matches!(step.kind, Remembered { .. }));
    let endless = memos.filter(|(at, _)| steps[at + 1..].iter().all(|step| limit(step).is_none()));
    let message =
        |memo: &Step| format!("no timeout bounds the callers that wait for another call's load in {}", memo.text);
    endless.map(|(at, step)| Lint { code: "memo-without-timeout", message: message(step), steps: vec![at] }).collect()
}

/// A lint for each decorator with a fault in relation to a decorator inside it. If there are
/// several inside, the nearest one is taken.
fn nested(
    steps: &[Step],
    code: &'static str,
    is_fault: impl Fn(&StepKind, &StepKind) -> bool,
    message: impl Fn(&str, &str) -> String,
) -> Vec<Lint> {
    let inside = |outer: usize| (0..outer).rev().find(|inner| is_fault(&steps[*inner].kind, &steps[outer].kind));
    let pairs = (0..steps.len()).filter_map(|outer| Some((inside(outer)?, outer)));
    pairs
        .map(|(inner, outer)| {
            let message = message(&steps[inner].text, &steps[outer].text);
            Lint { code, message, steps: vec![inner, outer] }
        })
        .collect()
}

/// The limit of a timeout; `None` for other decorators, and for `Duration::MAX`.
fn limit(step: &Step) -> Option<Duration> {
    match step.kind {
        Timeout { limit, .. } if limit != Duration::MAX => Some(limit),
        _ => None,
    }
}

/// The timeouts around a decorator that end its work, from the inside out. A timeout behind a
/// detached memo ends no load.
fn timeouts_around(steps: &[Step], at: usize) -> impl Iterator<Item = (usize, Duration)> {
    let outer = (at + 1..steps.len()).take_while(|at| !matches!(steps[*at].kind, Remembered { is_detached: true, .. }));
    outer.filter_map(|at| Some((at, limit(&steps[at])?)))
}

/// The longest time of an attempt, zero without a limit, and the longest time of a retry with such
/// attempts. `None` for other decorators, and for a retry that only the time ends.
fn attempts_and_delays(steps: &[Step], retry: usize) -> Option<(Duration, Duration)> {
    let Retried { max_attempts, delays, deadline, .. } = steps[retry].kind else { return None };
    let inside = &steps[..retry];
    let timeout = inside.iter().rposition(|step| limit(step).is_some());
    let attempt = timeout.map_or(Duration::ZERO, |timeout| {
        let limit = limit(&inside[timeout]).unwrap_or_default();
        inside[timeout..].iter().fold(limit, |call, step| match step.kind {
            // The delay of a percentile is short, unless most calls are slow.
            Hedging { delay: Some(delay), max_calls, .. } => hedged(call, Some(delay), max_calls),
            _ => call,
        })
    });
    let total = attempt.saturating_mul(max_attempts).saturating_add(delays.unwrap_or_default());
    match deadline {
        Some(deadline) => Some((attempt, total.min(deadline.saturating_add(attempt)))),
        None => (max_attempts != u32::MAX).then_some((attempt, total)),
    }
}

#[cfg(test)]
mod tests {
    use super::RULES;

    #[test]
    fn the_documentation_has_a_row_for_each_rule() {
        let rows = include_str!("mod.rs").lines().filter_map(|line| line.strip_prefix("//! | `"));
        let documented = rows.filter_map(|row| row.split('`').next()).collect::<Vec<_>>();
        let code = include_str!("rules.rs").split("#[cfg(test)]").next().expect("the rules");
        let names = code.split("\n];").next().expect("the list").lines().filter(|line| line.starts_with("    "));
        let rules = names.filter_map(|line| line.trim().strip_suffix(',')).filter(|name| !name.contains('{'));
        let rules = rules.filter(|name| name.contains('_')).map(|name| name.replace('_', "-")).collect::<Vec<_>>();
        assert_eq!((documented.len(), &documented), (RULES.len(), &rules.iter().map(|code| &**code).collect()));
        for rule in rules {
            assert!(code.contains(&format!("\"{rule}\"")), "no rule raises {rule}");
        }
    }
}
