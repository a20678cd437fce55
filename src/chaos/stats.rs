//! The statistics of chaos.

use std::fmt;

/// Counts of [`Chaos`](crate::Chaos) since it was made. Returned by
/// [`Chaos::stats`](crate::Chaos::stats).
///
/// # Examples
///
/// ```
/// let stats = decor::Chaos::seeded(7).stats();
/// assert_eq!(stats.to_string(), "ChaosStats(calls=0, failed=0, slowed=0, hung=0)");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct ChaosStats {
    /// Calls that got a fault or passed. Calls while the chaos was off are not included.
    pub calls: u64,
    /// Calls that failed.
    pub failed: u64,
    /// Calls that were slow.
    pub slowed: u64,
    /// Calls that hung.
    pub hung: u64,
}

impl fmt::Display for ChaosStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { calls, failed, slowed, hung } = self;
        write!(f, "ChaosStats(calls={calls}, failed={failed}, slowed={slowed}, hung={hung})")
    }
}
