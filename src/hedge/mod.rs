//! The shared settings of hedged calls, with their durations and statistics.

mod handle;
mod stats;

pub use handle::Hedge;
pub use stats::HedgeStats;
