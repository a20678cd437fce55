//! A policy's delays, to look at.

use super::{Delays, RetryPolicy};
use std::{iter::FusedIterator, time::Duration};

/// The delays between the attempts of one call.
///
/// Made by [`RetryPolicy::schedule`].
///
/// ```
/// use decor::RetryPolicy;
///
/// let mut schedule = RetryPolicy::default().schedule();
/// assert_eq!(schedule.next().map(|delay| delay.as_secs()), Some(1));
/// assert_eq!(schedule.next().map(|delay| delay.as_secs()), Some(2));
/// assert_eq!(schedule.next(), None); // three attempts, two delays
/// ```
#[derive(Debug, Clone)]
#[must_use = "iterators do nothing unless consumed"]
pub struct Schedule {
    policy: RetryPolicy,
    delays: Delays,
    attempt: u32,
    waited: Duration,
}

impl Schedule {
    pub(crate) fn new(policy: RetryPolicy, seed: u64) -> Self {
        Self { policy, delays: Delays::new(seed), attempt: 1, waited: Duration::ZERO }
    }
}

impl Iterator for Schedule {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        if self.attempt >= self.policy.plan.max_attempts {
            return None;
        }
        let delay = self.delays.by_policy(&self.policy, self.attempt);
        self.waited = self.waited.saturating_add(delay);
        if self.policy.plan.deadline.is_some_and(|deadline| self.waited > deadline) {
            self.attempt = self.policy.plan.max_attempts;
            return None;
        }
        self.attempt += 1;
        Some(delay)
    }
}

impl FusedIterator for Schedule {}
