//! The arithmetic of a retry budget.
//!
//! A budget counts in millionths of a retry. Six deposits of 0.6 are then 3.6 retries: a count in
//! whole retries would round each deposit, and a count in floats would lose a little at each.

mod config;
mod plan;

pub use config::RetryBudgetConfig;
pub(crate) use plan::{BudgetPlan, LivePlan, Refill, retries};
