//! The longest time that a call takes.

use super::{Step, StepKind};
use std::time::Duration;

/// The longest time of a call at each decorator, from the inside out; `None` if there is no bound.
pub(super) fn longest(steps: &[Step]) -> Vec<Option<Duration>> {
    let mut inside = None;
    let around = |step: &Step| {
        inside = around(&step.kind, inside);
        inside
    };
    steps.iter().map(around).collect()
}

fn around(kind: &StepKind, inside: Option<Duration>) -> Option<Duration> {
    match *kind {
        StepKind::Timeout { limit, .. } if limit != Duration::MAX => {
            Some(inside.map_or(limit, |inside| inside.min(limit)))
        }
        StepKind::Retried { follows_hints: false, .. } => without_hints(kind, inside),
        StepKind::RateLimited { max_wait, .. } | StepKind::ConcurrencyLimited { max_wait, .. } => {
            Some(inside?.saturating_add(max_wait?))
        }
        StepKind::Hedging { delay, max_calls, .. } => Some(hedged(inside?, delay, max_calls)),
        StepKind::Timeout { .. } | StepKind::GuardedBy { .. } | StepKind::UnlessOpen { .. } | StepKind::Immediate => {
            inside
        }
        // A call behind a memo may wait for the loads of others, one after the other.
        StepKind::Retried { .. } | StepKind::Remembered { .. } | StepKind::Fallback | StepKind::Other => None,
    }
}

/// The longest time of a hedged call, if each of its calls takes at most `call`. A further call
/// starts only beside one that is running.
pub(super) fn hedged(call: Duration, delay: Option<Duration>, max_calls: u32) -> Duration {
    let each = delay.map_or(call, |delay| if delay < call { delay } else { Duration::ZERO });
    each.saturating_mul(max_calls - 1).saturating_add(call)
}

/// The longest time of a retry that gets no hint; `None` for other decorators, and without a bound.
pub(super) fn without_hints(kind: &StepKind, inside: Option<Duration>) -> Option<Duration> {
    let StepKind::Retried { max_attempts, delays, deadline, .. } = *kind else { return None };
    let attempts = |delays| Some(inside?.saturating_mul(max_attempts).saturating_add(delays));
    let in_time = |deadline: Duration| Some(deadline.saturating_add(inside?));
    [delays.and_then(attempts), deadline.and_then(in_time)].into_iter().flatten().min()
}
