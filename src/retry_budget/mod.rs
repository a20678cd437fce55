//! The shared budget for retries and hedges.

mod handle;
#[cfg(all(test, shuttle))]
mod model_check;
mod stats;

pub use handle::RetryBudget;
pub(crate) use handle::Withdrawal;
pub use stats::RetryBudgetStats;
