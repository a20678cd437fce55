//! The decision whether a retry goes on after an attempt.

use super::{delays::Delays, policy::RetryPolicy};
use crate::GiveUpReason;
use std::time::Duration;

/// What is known of an attempt that ended in something to be retried, or in an error.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attempted {
    /// 1 for the first.
    pub(crate) attempt: u32,
    /// Since the first attempt began. Only looked at where the policy has a deadline.
    pub(crate) elapsed: Duration,
    pub(crate) retryable: bool,
    /// When the failure asked to be tried again.
    pub(crate) hint: Option<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Another attempt, after this delay.
    RetryIn(Duration),
    GiveUp(GiveUpReason),
}

impl RetryPolicy {
    /// `delays` is asked for only if a delay is needed.
    pub(crate) fn judge<'d>(&self, attempted: Attempted, delays: impl FnOnce() -> &'d mut Delays) -> Verdict {
        let Attempted { attempt, elapsed, retryable, hint } = attempted;
        if !retryable {
            return Verdict::GiveUp(GiveUpReason::NotRetryable);
        }
        if attempt >= self.plan.max_attempts {
            return Verdict::GiveUp(GiveUpReason::Exhausted);
        }
        let delay = match hint {
            Some(hint) if hint > self.longest_hint() => return Verdict::GiveUp(GiveUpReason::HintTooLong),
            Some(hint) => delays().by_hint(self, hint),
            None => delays().by_policy(self, attempt),
        };
        match self.plan.deadline {
            Some(deadline) if elapsed.saturating_add(delay) > deadline => {
                Verdict::GiveUp(GiveUpReason::DeadlineReached)
            }
            _ => Verdict::RetryIn(delay),
        }
    }
}
