//! The shared source of faults.

mod handle;
mod stats;

pub use handle::Chaos;
pub use stats::ChaosStats;
