//! Deposits, withdrawals and the refill by time.

use super::config::RetryBudgetConfig;
use crate::{ConfigError, clock::Nanos};
use std::fmt;

/// A number of retries, in millionths.
pub(crate) type Millionths = u64;

/// One retry.
const RETRY: Millionths = 1_000_000;

/// Nanoseconds of a second.
const SECOND: u64 = 1_000_000_000;

/// The rules of a budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BudgetPlan {
    /// Deposit of a success.
    ratio: Millionths,
    /// Largest balance, at least one retry.
    capacity: Millionths,
    /// Deposit of each second; 0 for a budget without a clock.
    per_second: Millionths,
}

/// The moment up to which the time has paid.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Refill {
    until: Nanos,
    /// Part of a millionth that the time before `until` has paid beyond whole ones, in units of
    /// 1 / [`SECOND`].
    rest: u64,
}

impl TryFrom<RetryBudgetConfig> for BudgetPlan {
    type Error = ConfigError;

    fn try_from(config: RetryBudgetConfig) -> Result<Self, ConfigError> {
        Ok(Self { ratio: 0, capacity: RETRY, per_second: 0 }
            .with_ratio(config.ratio)?
            .with_capacity(config.capacity)?
            .with_per_second(config.per_second)?)
    }
}

impl BudgetPlan {
    fn with_ratio(self, ratio: f64) -> Result<Self, ConfigError> {
        let checked = if ratio == 0.0 { Some(0) } else { millionths(ratio, 1_000.0) };
        let refusal = || ConfigError::new("ratio", ratio, "0, or between 0.000001 and 1000");
        Ok(Self { ratio: checked.ok_or_else(refusal)?, ..self })
    }

    pub(crate) fn with_capacity(self, capacity: u32) -> Result<Self, ConfigError> {
        if capacity == 0 {
            return Err(ConfigError::new("capacity", capacity, "at least 1"));
        }
        Ok(Self { capacity: u64::from(capacity) * RETRY, ..self })
    }

    pub(crate) fn with_per_second(self, per_second: Option<f64>) -> Result<Self, ConfigError> {
        let Some(rate) = per_second else { return Ok(Self { per_second: 0, ..self }) };
        let refusal = || ConfigError::new("per_second", rate, "between 0.000001 and 1000000");
        Ok(Self { per_second: millionths(rate, 1_000_000.0).ok_or_else(refusal)?, ..self })
    }

    /// Returns `true` if the time pays for retries.
    pub(crate) fn needs_clock(&self) -> bool {
        self.per_second > 0
    }

    /// Returns the balance of a new budget.
    pub(crate) fn full(&self) -> Millionths {
        self.capacity
    }

    /// Returns the balance after a success; `None` if it stays the same.
    #[inline]
    pub(crate) fn after_success(&self, balance: Millionths) -> Option<Millionths> {
        (balance < self.capacity && self.ratio > 0).then(|| self.after_deposit(balance, self.ratio))
    }

    /// Returns the balance after a retry is paid for; `None` if the balance is too low.
    pub(crate) fn after_withdrawal(balance: Millionths) -> Option<Millionths> {
        balance.checked_sub(RETRY)
    }

    /// Returns the balance after a retry that was paid for is given back.
    pub(crate) fn after_return(&self, balance: Millionths) -> Millionths {
        self.after_deposit(balance, RETRY)
    }

    /// Returns the balance after a deposit. What exceeds the capacity is lost.
    pub(crate) fn after_deposit(&self, balance: Millionths, deposit: Millionths) -> Millionths {
        balance.saturating_add(deposit).min(self.capacity)
    }
}

impl Refill {
    /// Returns the deposit of the time up to `now`.
    ///
    /// The deposit may be made late, because deposits can be made in any order: only a withdrawal
    /// makes a difference. So a budget settles its time before a withdrawal, and a success needs no
    /// clock.
    pub(crate) fn settle(&mut self, plan: &BudgetPlan, now: Nanos) -> Millionths {
        let passed = u128::from(now.saturating_sub(self.until));
        let paid = passed * u128::from(plan.per_second) + u128::from(self.rest);
        self.until = self.until.max(now);
        self.rest = u64::try_from(paid % u128::from(SECOND)).expect("less than a second");
        u64::try_from(paid / u128::from(SECOND)).unwrap_or(u64::MAX)
    }

    /// Forgets the part of a millionth, because the budget is full.
    pub(crate) fn is_full(&mut self) {
        self.rest = 0;
    }
}

/// The number in millionths, rounded; `None` if it is not between 0.000001 and `max`.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // in range
fn millionths(number: f64, max: f64) -> Option<Millionths> {
    (0.000_001..=max).contains(&number).then(|| (number * 1e6).round() as u64)
}

/// Returns a number of millionths as a number of retries. The nearest `f64`, so 600,000 is 0.6.
#[allow(clippy::cast_precision_loss)] // at most 2^53 for all capacities
pub(crate) fn retries(number: Millionths) -> f64 {
    number as f64 / 1e6
}

impl fmt::Display for BudgetPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { ratio, capacity, per_second } = *self;
        write!(f, "{} per success, capacity {}", retries(ratio), retries(capacity))?;
        if per_second > 0 { write!(f, ", {} per second", retries(per_second)) } else { Ok(()) }
    }
}
