//! The statistics of a hedge.

use std::{fmt, time::Duration};

/// Counts of a [`Hedge`](crate::Hedge) since it was made. Returned by
/// [`Hedge::stats`](crate::Hedge::stats).
///
/// # Examples
///
/// ```
/// let stats = decor::Hedge::percentile(0.95).stats();
/// assert_eq!(
///     stats.to_string(),
///     "HedgeStats(calls=0, hedges=0, wins=0, over_budget=0, samples=0, delay=None)",
/// );
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct HedgeStats {
    /// Calls of hedged functions that were polled. A call counts once, however many hedges it had.
    pub calls: u64,
    /// Hedges that were started: the calls beyond the first call of each.
    pub hedges: u64,
    /// Calls that returned the `Ok` of a hedge.
    pub wins: u64,
    /// Calls that were due for a hedge, and had none because the budget was empty.
    pub over_budget: u64,
    /// Durations that the percentile is computed from. 0 for a hedge with a fixed delay.
    pub samples: u64,
    /// Delay before the next hedge; `None` as long as a percentile has less than 100 samples. serde
    /// writes `delay_seconds`.
    #[cfg_attr(feature = "serde", serde(rename = "delay_seconds", serialize_with = "crate::serde::optional_seconds"))]
    pub delay: Option<Duration>,
}

impl fmt::Display for HedgeStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { calls, hedges, wins, over_budget, samples, delay } = self;
        write!(
            f,
            "HedgeStats(calls={calls}, hedges={hedges}, wins={wins}, over_budget={over_budget}, \
             samples={samples}, delay="
        )?;
        match delay {
            Some(delay) => write!(f, "{delay:?})"),
            None => f.write_str("None)"),
        }
    }
}
