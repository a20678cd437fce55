//! The statistics of a limiter.

use crate::policy::MAX_WINDOWS;
use std::{fmt, time::Duration};

/// What a [`RateLimiter`](crate::RateLimiter) has seen since it was made: see [`stats`](crate::RateLimiter::stats).
///
/// ```
/// let stats = decor::RateLimiter::new(10, std::time::Duration::from_secs(1)).stats();
/// assert_eq!(stats.to_string(), "RateLimiterStats(admitted=0, delayed=0, refused=0, cancelled=0, waiting=0, mean_wait=0ns)");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct RateLimiterStats {
    /// Calls that were admitted, whatever their weight.
    pub admitted: u64,
    /// Those of them that had to wait.
    pub delayed: u64,
    /// Calls that were turned away: the wait too long, the queue too full, no permit to try for,
    /// the limiter closed.
    pub refused: u64,
    /// Calls that left while they waited.
    pub cancelled: u64,
    /// Waiters that were woken, did not come, and were skipped. A skipped waiter keeps its place.
    pub skipped: u64,
    /// Calls that wait now.
    pub waiting: usize,
    /// The time that the delayed calls waited, added up.
    pub total_wait: Duration,
    /// Permits of each window that were [charged](crate::RateLimiter::charge), or used beyond a
    /// reservation that was [settled](crate::Around::settled). Zeros beyond the windows that there
    /// are.
    pub charged: [u64; MAX_WINDOWS],
    /// Permits of each window that were given back: by [`refund`](crate::RateLimiter::refund), or
    /// from a reservation that was settled. Permits that had left the window are not included.
    pub refunded: [u64; MAX_WINDOWS],
}

impl RateLimiterStats {
    /// How long a call waited on average, those that did not wait included.
    ///
    /// ```
    /// let stats = decor::RateLimiter::new(10, std::time::Duration::from_secs(1)).stats();
    /// assert!(stats.mean_wait().is_zero());
    /// ```
    pub fn mean_wait(&self) -> Duration {
        let nanos = self.total_wait.as_nanos() / u128::from(self.admitted.max(1));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// Adds the counts of another limiter. Sums saturate.
    pub(super) fn add(&mut self, other: &Self) {
        let Self { admitted, delayed, refused, cancelled, skipped, waiting, total_wait, charged, refunded } = other;
        let add = |sum: &mut u64, count: &u64| *sum = sum.saturating_add(*count);
        add(&mut self.admitted, admitted);
        add(&mut self.delayed, delayed);
        add(&mut self.refused, refused);
        add(&mut self.cancelled, cancelled);
        add(&mut self.skipped, skipped);
        self.charged.iter_mut().zip(charged).for_each(|(sum, count)| add(sum, count));
        self.refunded.iter_mut().zip(refunded).for_each(|(sum, count)| add(sum, count));
        self.waiting = self.waiting.saturating_add(*waiting);
        self.total_wait = self.total_wait.saturating_add(*total_wait);
    }
}

impl fmt::Display for RateLimiterStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { admitted, delayed, refused, cancelled, waiting, .. } = self;
        write!(
            f,
            "RateLimiterStats(admitted={admitted}, delayed={delayed}, refused={refused}, cancelled={cancelled}, \
             waiting={waiting}, mean_wait={:?})",
            self.mean_wait()
        )
    }
}
