//! The delays of one call, one after the other.

use super::{
    jitter::{Jitter, fraction},
    policy::RetryPolicy,
};
use crate::random::SplitMix64;
use std::time::Duration;

/// The delays of one call: the policy's arithmetic with that call's random stream.
#[derive(Debug, Clone)]
pub(crate) struct Delays {
    random: SplitMix64,
    previous: Option<Duration>,
}

impl Delays {
    pub(crate) fn new(seed: u64) -> Self {
        Self { random: SplitMix64::new(seed), previous: None }
    }

    /// The delay after attempt `attempt`, by the policy alone: capped first, then jittered.
    pub(crate) fn by_policy(&mut self, policy: &RetryPolicy, attempt: u32) -> Duration {
        let cap = policy.plan.max_delay;
        let delay = policy.delay(attempt).min(cap);
        // Asked for only where it matters: a custom policy would see the question.
        let first = match policy.plan.jitter {
            Jitter::Decorrelated if attempt > 1 => policy.delay(1).min(cap),
            _ => delay,
        };
        let previous = self.previous.unwrap_or(first);
        let delay = policy.plan.jitter.apply(delay, first, previous, cap, self.random.next());
        self.previous = Some(delay);
        delay
    }

    /// The delay that the failure itself asked for. Not capped. With jitter, up to a tenth is
    /// added; otherwise all clients with the same hint would return at once.
    pub(crate) fn by_hint(&mut self, policy: &RetryPolicy, hint: Duration) -> Duration {
        match policy.plan.jitter {
            Jitter::None => hint,
            _ => hint.saturating_add(fraction(hint / 10, self.random.next())),
        }
    }
}
