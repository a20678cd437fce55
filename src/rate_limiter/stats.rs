//! The statistics of a limiter.

use crate::{keys::Sum, policy::MAX_WINDOWS};
use std::{fmt, time::Duration};

/// Counts of a [`RateLimiter`](crate::RateLimiter) since it was made. Returned by
/// [`RateLimiter::stats`](crate::RateLimiter::stats).
///
/// # Examples
///
/// ```
/// let stats = decor::RateLimiter::new(10, std::time::Duration::from_secs(1)).stats();
/// assert_eq!(
///     stats.to_string(),
///     "RateLimiterStats(admitted=0, delayed=0, refused=0, cancelled=0, waiting=0, mean_wait=0ns)",
/// );
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct RateLimiterStats {
    /// Calls that were admitted. A call counts once, however many permits it took.
    pub admitted: u64,
    /// Admitted calls that had to wait.
    pub delayed: u64,
    /// Calls that were refused: because the wait was too long, the queue was full, no permit was
    /// free for a call that only tries, or the limiter was closed.
    pub refused: u64,
    /// Calls that were dropped while they waited.
    pub cancelled: u64,
    /// Waiters that were woken and skipped, because they were not polled in time. A skipped waiter
    /// keeps its place.
    pub skipped: u64,
    /// Calls that wait now.
    pub waiting: usize,
    /// Total wait of the delayed calls. serde writes `total_wait_seconds`.
    #[cfg_attr(feature = "serde", serde(rename = "total_wait_seconds", serialize_with = "crate::serde::seconds"))]
    pub total_wait: Duration,
    /// Permits of each window that were [charged](crate::RateLimiter::charge), or used beyond a
    /// reservation that was [settled](crate::Around::settled). Entries beyond the limiter's windows
    /// are 0.
    pub charged: [u64; MAX_WINDOWS],
    /// Permits of each window that were given back, by [`refund`](crate::RateLimiter::refund) or
    /// when a reservation was settled. Permits that had left the window are not included.
    pub refunded: [u64; MAX_WINDOWS],
    /// Requests to the store of a [shared](crate::RateLimiterBuilder::shared) limiter. 0 for a
    /// limiter of this process alone.
    pub asks: u64,
    /// Permits of all windows that the store granted and no call used in time. They count in the
    /// store until they have left their window.
    pub lapsed: u64,
    /// Calls that this process admitted alone, while the store was down. `admitted` includes them.
    pub admitted_alone: u64,
    /// `false` while the store is down. Always `true` for a limiter of this process alone.
    pub is_up: bool,
}

/// No counts, and a store that is up.
impl Default for RateLimiterStats {
    fn default() -> Self {
        Self {
            admitted: 0,
            delayed: 0,
            refused: 0,
            cancelled: 0,
            skipped: 0,
            waiting: 0,
            total_wait: Duration::ZERO,
            charged: [0; MAX_WINDOWS],
            refunded: [0; MAX_WINDOWS],
            asks: 0,
            lapsed: 0,
            admitted_alone: 0,
            is_up: true,
        }
    }
}

impl RateLimiterStats {
    /// Average wait of an admitted call. Calls that did not wait are included.
    ///
    /// # Examples
    ///
    /// ```
    /// let stats = decor::RateLimiter::new(10, std::time::Duration::from_secs(1)).stats();
    /// assert!(stats.mean_wait().is_zero());
    /// ```
    pub fn mean_wait(&self) -> Duration {
        let nanos = self.total_wait.as_nanos() / u128::from(self.admitted.max(1));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

impl Sum for RateLimiterStats {
    fn add(&mut self, other: &Self) {
        let Self { admitted, delayed, refused, cancelled, skipped, waiting, total_wait, charged, refunded, .. } = other;
        let Self { asks, lapsed, admitted_alone, is_up, .. } = other;
        let add = |sum: &mut u64, count: &u64| *sum = sum.saturating_add(*count);
        add(&mut self.admitted, admitted);
        add(&mut self.delayed, delayed);
        add(&mut self.refused, refused);
        add(&mut self.cancelled, cancelled);
        add(&mut self.skipped, skipped);
        self.charged.iter_mut().zip(charged).for_each(|(sum, count)| add(sum, count));
        self.refunded.iter_mut().zip(refunded).for_each(|(sum, count)| add(sum, count));
        add(&mut self.asks, asks);
        add(&mut self.lapsed, lapsed);
        add(&mut self.admitted_alone, admitted_alone);
        self.is_up &= is_up;
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

/// The counts that the state of a limiter keeps. See [`RateLimiterStats`].
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counted {
    pub(super) admitted: u64,
    pub(super) delayed: u64,
    pub(super) refused: u64,
    pub(super) cancelled: u64,
    pub(super) skipped: u64,
    pub(super) total_wait: Duration,
    pub(super) charged: [u64; MAX_WINDOWS],
    pub(super) refunded: [u64; MAX_WINDOWS],
}

impl Counted {
    /// Adds these counts to those that have another source.
    pub(super) fn and(self, others: RateLimiterStats) -> RateLimiterStats {
        let Self { admitted, delayed, refused, cancelled, skipped, total_wait, charged, refunded } = self;
        let admitted = admitted + others.admitted;
        RateLimiterStats { admitted, delayed, refused, cancelled, skipped, total_wait, charged, refunded, ..others }
    }
}
