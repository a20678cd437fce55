//! The statistics of a concurrency limiter.

use crate::keys::Sum;
use std::fmt;

/// Counts of a [`ConcurrencyLimiter`](crate::ConcurrencyLimiter) since it was made. Returned by
/// [`ConcurrencyLimiter::stats`](crate::ConcurrencyLimiter::stats).
///
/// # Examples
///
/// ```
/// let limiter = decor::ConcurrencyLimiter::new(8);
/// let permit = limiter.try_acquire()?;
/// assert_eq!(
///     limiter.stats().to_string(),
///     "ConcurrencyStats(admitted=1, delayed=0, refused=0, cancelled=0, waiting=0, in_use=1, \
///      limit=8)",
/// );
/// # drop(permit);
/// # Ok::<(), decor::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct ConcurrencyStats {
    /// Calls that were admitted. A call counts once, however many permits it took.
    pub admitted: u64,
    /// Admitted calls that had to wait.
    pub delayed: u64,
    /// Calls that were refused: because the wait was too long, the queue was full, no permit was
    /// free for a call that only tries, the limit was lowered below the call's permits, or the
    /// limiter was closed.
    pub refused: u64,
    /// Calls that were dropped while they waited.
    pub cancelled: u64,
    /// Increases of an adaptive limit.
    pub grown: u64,
    /// Signals of overload that decreased an adaptive limit, or found it at its minimum.
    pub shrunk: u64,
    /// Calls that wait now.
    pub waiting: usize,
    /// Permits that are taken now.
    pub in_use: u32,
    /// The limit now. With keys, the sum of their limits.
    pub limit: u32,
}

impl Sum for ConcurrencyStats {
    fn add(&mut self, other: &Self) {
        let Self { admitted, delayed, refused, cancelled, grown, shrunk, waiting, in_use, limit } = other;
        let add = |sum: &mut u64, count: &u64| *sum = sum.saturating_add(*count);
        add(&mut self.admitted, admitted);
        add(&mut self.delayed, delayed);
        add(&mut self.refused, refused);
        add(&mut self.cancelled, cancelled);
        add(&mut self.grown, grown);
        add(&mut self.shrunk, shrunk);
        self.waiting = self.waiting.saturating_add(*waiting);
        self.in_use = self.in_use.saturating_add(*in_use);
        self.limit = self.limit.saturating_add(*limit);
    }
}

impl fmt::Display for ConcurrencyStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { admitted, delayed, refused, cancelled, waiting, in_use, limit, .. } = self;
        write!(
            f,
            "ConcurrencyStats(admitted={admitted}, delayed={delayed}, refused={refused}, cancelled={cancelled}, \
             waiting={waiting}, in_use={in_use}, limit={limit})"
        )
    }
}
