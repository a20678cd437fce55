//! The longest that a policy can take, for the description of a chain.

use super::{jitter::Jitter, policy::RetryPolicy};
use std::time::Duration;

/// Number of delays that are added up one by one. The others count as long as the last of these:
/// a policy with more attempts is as good as endless.
const ADDED_UP: u32 = 10_000;

impl RetryPolicy {
    /// Maximum number of attempts; `u32::MAX` for any number.
    pub(crate) fn most_attempts(&self) -> u32 {
        self.plan.max_attempts
    }

    /// The deadline; `None` without one.
    pub(crate) fn latest_delay(&self) -> Option<Duration> {
        self.plan.deadline
    }

    /// Longest total of the delays, hints aside; `None` for a custom policy, because its closure
    /// must not be called here.
    pub(crate) fn longest_delays(&self) -> Option<Duration> {
        if self.is_custom() {
            return None;
        }
        let retries = self.plan.max_attempts - 1;
        let (mut total, mut longest) = (Duration::ZERO, self.delay(1).min(self.plan.max_delay));
        for attempt in 1..=retries.min(ADDED_UP) {
            longest = self.longest_delay(attempt, longest);
            total = total.saturating_add(longest);
        }
        let rest = longest.saturating_mul(retries.saturating_sub(ADDED_UP));
        let total = total.saturating_add(rest);
        Some(self.plan.deadline.map_or(total, |deadline| total.min(deadline)))
    }

    /// Longest delay after attempt `attempt` (1 for the first). `previous` is the longest delay
    /// before it; the first delay itself for the first attempt.
    fn longest_delay(&self, attempt: u32, previous: Duration) -> Duration {
        let cap = self.plan.max_delay;
        match self.plan.jitter {
            Jitter::None | Jitter::Full | Jitter::Equal => self.delay(attempt).min(cap),
            Jitter::Decorrelated => previous.saturating_mul(3).min(cap).max(self.delay(1).min(cap)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SplitMix64;
    use proptest::prelude::*;

    fn policies() -> impl Strategy<Value = RetryPolicy> {
        let (delay, attempts) = (1..5_000_u64, 1..12_u32);
        let jitters = [Jitter::None, Jitter::Full, Jitter::Equal, Jitter::Decorrelated];
        let settings = (0..4_usize, delay, attempts, prop::sample::select(jitters.to_vec()));
        (settings, prop::option::of(5_000..60_000_u64), prop::option::of(1..60_000_u64)).prop_map(
            |((growth, delay, attempts, jitter), cap, deadline)| {
                let delay = Duration::from_millis(delay);
                let make = [RetryPolicy::fixed, RetryPolicy::linear, RetryPolicy::exponential, RetryPolicy::fibonacci];
                let mut policy = make[growth](delay).max_attempts(attempts).jitter(jitter);
                if let Some(cap) = cap {
                    policy = policy.max_delay(Duration::from_millis(cap));
                }
                if let Some(deadline) = deadline {
                    policy = policy.deadline(Duration::from_millis(deadline));
                }
                policy
            },
        )
    }

    proptest! {
        #[test]
        fn no_schedule_takes_longer(policy in policies(), seed: u64) {
            let longest = policy.longest_delays().unwrap();
            let total: Duration = policy.clone().seed(SplitMix64::new(seed).next()).schedule().sum();
            prop_assert!(total <= longest, "{policy}: {total:?} > {longest:?}");
        }

        #[test]
        fn without_jitter_and_deadline_the_longest_is_the_schedule(policy in policies()) {
            let mut policy = policy.jitter(Jitter::None);
            policy.plan.deadline = None;
            prop_assert_eq!(policy.longest_delays(), Some(policy.schedule().sum()));
        }
    }

    #[test]
    fn any_number_of_attempts_takes_any_time() {
        let secs = Duration::from_secs;
        let endless = |delay| RetryPolicy::fixed(delay).max_attempts(u32::MAX);
        assert_eq!(endless(secs(1)).longest_delays(), Some(secs(u64::from(u32::MAX) - 1)));
        assert_eq!(endless(Duration::MAX).longest_delays(), Some(Duration::MAX));
        assert_eq!(endless(secs(1)).deadline(secs(9)).longest_delays(), Some(secs(9)));
        assert_eq!(RetryPolicy::custom(|_| panic!("called")).longest_delays(), None);
        let grown = RetryPolicy::fixed(secs(1)).jitter(Jitter::Decorrelated).max_delay(secs(10)).max_attempts(5);
        assert_eq!(grown.longest_delays(), Some(secs(3 + 9 + 10 + 10)));
    }
}
