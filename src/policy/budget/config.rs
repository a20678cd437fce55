//! The settings of a retry budget as plain values.

/// The settings of a [`RetryBudget`](crate::RetryBudget) as plain values, from a file or a user.
///
/// # Examples
///
/// The default makes `RetryBudget::new(0.1)`. The conversion into a budget checks all fields:
///
/// ```
/// use decor::{RetryBudget, RetryBudgetConfig};
///
/// let config = RetryBudgetConfig { capacity: 50, ..RetryBudgetConfig::default() };
/// let budget = RetryBudget::try_from(config)?;
/// assert_eq!(budget.to_string(), "0.1 per success, capacity 50");
///
/// let wrong = RetryBudgetConfig { ratio: -1.0, ..RetryBudgetConfig::default() };
/// assert_eq!(RetryBudget::try_from(wrong).unwrap_err().to_string(),
///     "`ratio` is -1, but must be 0, or between 0.000001 and 1000");
/// # Ok::<(), decor::ConfigError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RetryBudgetConfig {
    /// Retries that each success pays for: 0, or 0.000001 to 1,000. Rounded to millionths.
    pub ratio: f64,
    /// Maximum number of retries that are saved up, at least 1. A budget starts with this number.
    pub capacity: u32,
    /// Retries that each second pays for, whether or not calls succeed: 0.000001 to 1,000,000.
    /// Rounded to millionths. `None` for no such retries.
    pub per_second: Option<f64>,
}

impl Default for RetryBudgetConfig {
    fn default() -> Self {
        Self { ratio: 0.1, capacity: 10, per_second: None }
    }
}
