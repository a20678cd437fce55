//! The targets of decor.

use crate::measure::Row;
use std::fmt;

/// A target for a pair.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Target {
    /// Maximum ratio to the peer's time.
    Ratio(f64),
    /// Maximum number of nanoseconds beyond the peer's.
    Plus(f64),
    /// No allocation.
    NoAllocation,
    /// Maximum size of the future, as a fraction of the peer's.
    Future(f64),
    /// Maximum deviation from the schedule, as a fraction of it.
    Late(f64),
    /// Maximum number of polls for each waiter.
    Polls(f64),
    /// Maximum number of bytes for each waiter, without its future.
    Bytes(f64),
}

impl Target {
    /// Returns `true` if the row meets the target; `false` if the row lacks the figure.
    pub fn met(self, row: &Row) -> bool {
        let (ours, peer) = (&row.ours, &row.peer_figures);
        match self {
            Self::Ratio(most) => row.ratio.medians <= most,
            Self::Plus(nanos) => ours.nanos - peer.nanos <= nanos,
            Self::NoAllocation => ours.allocations == 0.0,
            Self::Future(part) => {
                matches!((ours.future, peer.future), (Some(ours), Some(peer)) if ours as f64 <= part * peer as f64)
            }
            Self::Late(part) => ours.ideal.is_some_and(|ideal| (ours.nanos / ideal - 1.0).abs() <= part),
            Self::Polls(most) => ours.polls.is_some_and(|polls| polls <= most),
            Self::Bytes(most) => ours.bytes.is_some_and(|bytes| bytes <= most),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ratio(most) => write!(f, "<= {most:.2}x"),
            Self::Plus(nanos) => write!(f, "<= +{nanos} ns"),
            Self::NoAllocation => f.write_str("0 allocations"),
            Self::Future(part) => write!(f, "future <= {part}x"),
            Self::Late(part) => write!(f, "within {} % of the schedule", part * 100.0),
            Self::Polls(most) => write!(f, "<= {most} polls"),
            Self::Bytes(most) => write!(f, "<= {most} bytes"),
        }
    }
}
