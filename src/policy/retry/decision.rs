//! The decision to retry or to give up after an attempt.

use super::{delays::Delays, policy::RetryPolicy};
use crate::GiveUpReason;
use std::time::Duration;

/// An attempt that ended in an error, or in an `Ok` that is retried.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FailedAttempt {
    /// Number of the attempt; 1 for the first.
    pub(crate) attempt: u32,
    /// Time since the first attempt began. Read only if the policy has a deadline.
    pub(crate) elapsed: Duration,
    /// `true` if the predicate retries the result.
    pub(crate) retryable: bool,
    /// Delay that the result asks for; `None` if it asks for none.
    pub(crate) hint: Option<Duration>,
}

/// The decision after an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RetryDecision {
    /// Another attempt follows after this delay.
    RetryIn(Duration),
    GiveUp(GiveUpReason),
}

impl RetryPolicy {
    /// Decides after an attempt. Calls `delays` only if a delay is needed.
    pub(crate) fn decide<'d>(
        &self,
        attempted: FailedAttempt,
        delays: impl FnOnce() -> &'d mut Delays,
    ) -> RetryDecision {
        let FailedAttempt { attempt, elapsed, retryable, hint } = attempted;
        if !retryable {
            return RetryDecision::GiveUp(GiveUpReason::NotRetryable);
        }
        if attempt >= self.plan.max_attempts {
            return RetryDecision::GiveUp(GiveUpReason::Exhausted);
        }
        let delay = match hint {
            Some(hint) if hint > self.longest_hint() => return RetryDecision::GiveUp(GiveUpReason::HintTooLong),
            Some(hint) => delays().by_hint(self, hint),
            None => delays().by_policy(self, attempt),
        };
        match self.plan.deadline {
            Some(deadline) if elapsed.saturating_add(delay) > deadline => {
                RetryDecision::GiveUp(GiveUpReason::DeadlineReached)
            }
            _ => RetryDecision::RetryIn(delay),
        }
    }
}
