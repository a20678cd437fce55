//! The delays of one call.

use super::{
    jitter::{Jitter, fraction},
    policy::RetryPolicy,
};
use crate::random::SplitMix64;
use std::time::Duration;

/// The state of one call's delays, with the call's random stream.
#[derive(Debug, Clone)]
pub(crate) struct Delays {
    random: SplitMix64,
    previous: Option<Duration>,
}

impl Delays {
    pub(crate) fn new(seed: u64) -> Self {
        Self { random: SplitMix64::new(seed), previous: None }
    }

    /// Returns the delay after attempt `attempt` by the policy alone, first capped and then
    /// jittered.
    pub(crate) fn by_policy(&mut self, policy: &RetryPolicy, attempt: u32) -> Duration {
        let cap = policy.plan.max_delay;
        let delay = policy.delay(attempt).min(cap);
        // Computed only if needed, because a custom policy's closure would notice the call.
        let first = match policy.plan.jitter {
            Jitter::Decorrelated if attempt > 1 => policy.delay(1).min(cap),
            _ => delay,
        };
        let previous = self.previous.unwrap_or(first);
        let delay = policy.plan.jitter.apply(delay, first, previous, cap, self.random.next());
        self.previous = Some(delay);
        delay
    }

    /// Returns the delay that the result asked for. Not capped. With jitter, up to a tenth is
    /// added, because otherwise all clients with the same hint would return at once.
    pub(crate) fn by_hint(&mut self, policy: &RetryPolicy, hint: Duration) -> Duration {
        match policy.plan.jitter {
            Jitter::None => hint,
            _ => hint.saturating_add(fraction(hint / 10, self.random.next())),
        }
    }
}
