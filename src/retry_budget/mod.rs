//! The shared budget for retries and hedges.

mod handle;
mod stats;

pub use handle::RetryBudget;
pub(crate) use handle::Withdrawal;
pub use stats::RetryBudgetStats;
