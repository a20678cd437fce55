//! Deposits, withdrawals and the refill by time.

use super::config::RetryBudgetConfig;
use crate::{ConfigError, clock::Nanos};
use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

/// A number of retries, in millionths.
pub(crate) type Millionths = u64;

/// A retry.
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

/// The rules of a budget that can be reloaded.
///
/// Not the atomics of `crate::sync`, because a reload may come at any moment: each call reads the
/// rules once.
#[derive(Debug)]
pub(crate) struct LivePlan {
    ratio: AtomicU64,
    capacity: AtomicU64,
    per_second: AtomicU64,
}

impl LivePlan {
    pub(crate) fn new(plan: BudgetPlan) -> Self {
        let BudgetPlan { ratio, capacity, per_second } = plan;
        Self { ratio: ratio.into(), capacity: capacity.into(), per_second: per_second.into() }
    }

    #[inline]
    pub(crate) fn get(&self) -> BudgetPlan {
        let Self { ratio, capacity, per_second } = self;
        BudgetPlan {
            ratio: ratio.load(Relaxed),
            capacity: capacity.load(Relaxed),
            per_second: per_second.load(Relaxed),
        }
    }

    pub(crate) fn set(&self, plan: BudgetPlan) {
        let BudgetPlan { ratio, capacity, per_second } = plan;
        self.ratio.store(ratio, Relaxed);
        self.capacity.store(capacity, Relaxed);
        self.per_second.store(per_second, Relaxed);
    }
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
        Self { ratio: 0, capacity: RETRY, per_second: 0 }
            .with_ratio(config.ratio)?
            .with_capacity(config.capacity)?
            .with_per_second(config.per_second)
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
    pub(crate) fn after_withdrawal(&self, balance: Millionths) -> Option<Millionths> {
        self.kept(balance).checked_sub(RETRY)
    }

    /// Returns the part of a balance that fits into the budget. A success may add to the balance
    /// while a reload lowers the capacity, and the excess is lost.
    pub(crate) fn kept(&self, balance: Millionths) -> Millionths {
        balance.min(self.capacity)
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

#[cfg(feature = "serde")]
crate::serde::settings! {
    RetryBudgetConfig { ratio, capacity, per_second }
    check: |config| BudgetPlan::try_from(*config).map(drop),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cases::cases;
    use proptest::prelude::*;

    fn plan(ratio: f64, capacity: u32, per_second: Option<f64>) -> BudgetPlan {
        RetryBudgetConfig { ratio, capacity, per_second }.try_into().unwrap()
    }

    #[derive(Debug, Clone)]
    enum Act {
        Pass(Nanos),
        Succeed,
        Retry,
        /// A retry that is given back after this time.
        Abandon(Nanos),
    }

    fn acts() -> impl Strategy<Value = Vec<Act>> {
        let time = || prop_oneof![0_u64..3, 0_u64..3_000_000_000, Just(u64::MAX)];
        let act = prop_oneof![
            time().prop_map(Act::Pass),
            Just(Act::Succeed),
            Just(Act::Retry),
            time().prop_map(Act::Abandon),
        ];
        prop::collection::vec(act, 1..60)
    }

    /// A rational model. Its unit is a millionth of a millionth of a thousandth of a retry, and it
    /// pays for each nanosecond as it passes.
    struct Naive {
        plan: BudgetPlan,
        balance: u128,
    }

    impl Naive {
        fn add(&mut self, amount: u128) {
            self.balance = (self.balance + amount).min(u128::from(self.plan.capacity) * u128::from(SECOND));
        }

        fn retry(&mut self) -> bool {
            let one = u128::from(RETRY) * u128::from(SECOND);
            let can_pay = self.balance >= one;
            self.balance -= if can_pay { one } else { 0 };
            can_pay
        }
    }

    /// The plan, with the time settled only before a retry, as the handle does it.
    struct Lazy {
        plan: BudgetPlan,
        balance: Millionths,
        refill: Refill,
        now: Nanos,
    }

    impl Lazy {
        fn settle(&mut self) {
            self.balance = self.plan.after_deposit(self.balance, self.refill.settle(&self.plan, self.now));
            if self.balance == self.plan.full() {
                self.refill.is_full();
            }
        }

        fn retry(&mut self) -> bool {
            self.settle();
            let after = self.plan.after_withdrawal(self.balance);
            self.balance = after.unwrap_or(self.balance);
            after.is_some()
        }
    }

    proptest! {
        #![proptest_config(cases(5_000))]

        /// The time that passes is paid for late and in whole millionths, and yet every decision is
        /// that of exact fractions.
        #[test]
        fn each_retry_is_decided_as_by_exact_fractions(
            ratio in prop_oneof![Just(0_u64), 1_u64..3, 1_u64..2_000_000],
            capacity in 1_u32..6,
            per_second in prop_oneof![Just(0_u64), 1_u64..3, 1_u64..2_000_000],
            acts in acts(),
        ) {
            let plan = BudgetPlan { ratio, capacity: u64::from(capacity) * RETRY, per_second };
            let mut naive = Naive { plan, balance: u128::from(plan.capacity) * u128::from(SECOND) };
            let mut lazy = Lazy { plan, balance: plan.full(), refill: Refill::default(), now: 0 };
            let pass = |naive: &mut Naive, lazy: &mut Lazy, time: Nanos| {
                let now = lazy.now.saturating_add(time);
                naive.add(u128::from(now - lazy.now) * u128::from(per_second));
                lazy.now = now;
            };
            for act in acts {
                match act {
                    Act::Pass(time) => pass(&mut naive, &mut lazy, time),
                    Act::Succeed => {
                        naive.add(u128::from(ratio) * u128::from(SECOND));
                        lazy.balance = plan.after_success(lazy.balance).unwrap_or(lazy.balance);
                    }
                    Act::Retry => prop_assert_eq!(lazy.retry(), naive.retry()),
                    Act::Abandon(time) => {
                        let is_paid = naive.retry();
                        prop_assert_eq!(lazy.retry(), is_paid);
                        pass(&mut naive, &mut lazy, time);
                        if is_paid {
                            naive.add(u128::from(RETRY) * u128::from(SECOND));
                            lazy.balance = plan.after_return(lazy.balance);
                        }
                    }
                }
                prop_assert!(lazy.balance <= plan.capacity);
            }
            lazy.settle();
            prop_assert_eq!(u128::from(lazy.balance), naive.balance / u128::from(SECOND));
        }
    }

    #[test]
    fn settings_are_rounded_to_millionths() {
        assert_eq!(plan(0.6, 10, None), BudgetPlan { ratio: 600_000, capacity: 10_000_000, per_second: 0 });
        assert_eq!(plan(0.000_001, 1, Some(0.1)), BudgetPlan { ratio: 1, capacity: 1_000_000, per_second: 100_000 });
        let largest = plan(1_000.0, u32::MAX, Some(1e6));
        assert_eq!(largest.capacity, 4_294_967_295_000_000);
        assert_eq!(largest.to_string(), "1000 per success, capacity 4294967295, 1000000 per second");
        assert_eq!(retries(largest.full()).to_string(), u32::MAX.to_string());
    }

    #[test]
    fn settings_without_sense_are_refused() {
        let config = RetryBudgetConfig::default();
        let refused = |config: RetryBudgetConfig| BudgetPlan::try_from(config).unwrap_err().to_string();
        for (ratio, shown) in
            [(-0.1, "-0.1"), (f64::NAN, "NaN"), (f64::INFINITY, "inf"), (1_000.1, "1000.1"), (1e-7, "0.0000001")]
        {
            let text = format!("`ratio` is {shown}, but must be 0, or between 0.000001 and 1000");
            assert_eq!(refused(RetryBudgetConfig { ratio, ..config }), text);
        }
        for (rate, shown) in [(0.0, "0"), (-1.0, "-1"), (f64::NAN, "NaN"), (1e7, "10000000")] {
            let text = format!("`per_second` is {shown}, but must be between 0.000001 and 1000000");
            assert_eq!(refused(RetryBudgetConfig { per_second: Some(rate), ..config }), text);
        }
        assert_eq!(refused(RetryBudgetConfig { capacity: 0, ..config }), "`capacity` is 0, but must be at least 1");
    }
}
