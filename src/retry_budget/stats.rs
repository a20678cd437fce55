//! The statistics of a budget.

use std::fmt;

/// Counts of a [`RetryBudget`](crate::RetryBudget) since it was made, and its balance. Returned by
/// [`RetryBudget::stats`](crate::RetryBudget::stats).
///
/// # Examples
///
/// ```
/// let stats = decor::RetryBudget::new(0.1).stats();
/// assert_eq!(
///     stats.to_string(),
///     "RetryBudgetStats(deposits=0, withdrawals=0, returns=0, refusals=0, balance=10)",
/// );
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct RetryBudgetStats {
    /// Calls that succeeded. A call that found the budget full is included.
    pub deposits: u64,
    /// Retries and hedges that the budget has paid for.
    pub withdrawals: u64,
    /// Withdrawals that were given back, because the attempt never began.
    pub returns: u64,
    /// Retries and hedges that did not take place, because the balance was below 1.
    pub refusals: u64,
    /// Retries that the budget can pay for now.
    pub balance: f64,
}

impl fmt::Display for RetryBudgetStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { deposits, withdrawals, returns, refusals, balance } = self;
        write!(
            f,
            "RetryBudgetStats(deposits={deposits}, withdrawals={withdrawals}, returns={returns}, \
             refusals={refusals}, balance={balance})"
        )
    }
}
