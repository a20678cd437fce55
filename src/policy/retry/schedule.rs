//! The schedule of a policy, which lists its delays.

use super::{delays::Delays, policy::RetryPolicy};
use crate::random::{CallSeeds, entropy};
use std::{iter::FusedIterator, time::Duration};

/// The delays between the attempts of one call.
///
/// Made by [`RetryPolicy::schedule`].
///
/// # Examples
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

impl RetryPolicy {
    /// Returns the delays of a call with attempts that all fail at once, jitter included. Use it to
    /// check a policy. A [`deadline`](Self::deadline) ends the schedule.
    ///
    /// With a [`seed`](Self::seed), these are exactly the delays of the next call. The schedule
    /// does not use them up. Tokio's timer rounds each delay of an async call up to a whole
    /// millisecond.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::RetryPolicy;
    /// use std::time::Duration;
    ///
    /// let worst: Duration = RetryPolicy::default().max_attempts(5).schedule().sum();
    /// assert_eq!(worst, Duration::from_secs(1 + 2 + 4 + 8));
    /// ```
    pub fn schedule(&self) -> Schedule {
        Schedule::new(self.clone(), self.seeds().map_or_else(entropy, CallSeeds::peek))
    }
}

impl Schedule {
    fn new(policy: RetryPolicy, seed: u64) -> Self {
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
