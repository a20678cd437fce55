//! The handle, and the withdrawals from it.

use super::stats::RetryBudgetStats;
use crate::{
    ConfigError,
    clock::{Clock, Epoch},
    describe::HandleId,
    error::or_panic,
    policy::{BudgetPlan, LivePlan, Refill, RetryBudgetConfig, retries},
    striped::Striped,
    sync::{Arc, AtomicU64, Mutex, Ordering::Relaxed, lock},
};
use std::{
    fmt,
    // Not by way of `crate::sync`: no decision depends on a count.
    sync::atomic::AtomicU64 as Count,
};

/// A budget for the retries and hedges of many calls. Successes pay into it, and each retry and
/// each hedge takes 1 from it.
///
/// Retries help if few calls fail. If all calls fail, each retry only adds load to a server that is
/// down, and three attempts per call triple the load. A budget of 0.1 lets the retries be a tenth
/// of the successful calls over time. During a full outage there are no successes, and so the
/// retries end once the budget is empty: each call then makes one attempt, and returns its own
/// error.
///
/// A budget starts full. Share one budget among all calls of a server, by
/// [`.retry_with(..).budgeted(&budget)`](crate::Retry::budgeted). A clone is the same budget.
///
/// The balance is counted in millionths, so that five deposits of 0.6 pay for exactly three
/// retries. A success reads no clock. If the budget is full, a success writes nothing but a count
/// of its own thread.
///
/// # Examples
///
/// A server is down. Ten calls have one retry each, and then the budget is empty:
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
/// use decor::prelude::*;
/// use std::{sync::atomic::{AtomicU32, Ordering::Relaxed}, time::Duration};
///
/// static CALLS: AtomicU32 = AtomicU32::new(0);
/// async fn fetch(_id: u64) -> Result<u64, String> {
///     CALLS.fetch_add(1, Relaxed);
///     Err("connection refused".into())
/// }
///
/// let budget = RetryBudget::new(0.1);
/// let policy = RetryPolicy::fixed(Duration::from_secs(1)).max_attempts(2);
/// let fetch = fetch.retry_with(policy).budgeted(&budget);
/// for id in 0..100 {
///     fetch.call(id).await.unwrap_err();
/// }
/// assert_eq!(CALLS.load(Relaxed), 110);
/// assert_eq!((budget.stats().withdrawals, budget.stats().refusals), (10, 90));
/// # }
/// ```
#[derive(Clone)]
pub struct RetryBudget(Arc<Core>);

struct Core {
    plan: LivePlan,
    /// Balance in millionths of a retry, without the time that is not settled. At most the plan's
    /// capacity, except for the deposit of a success during a reload.
    balance: AtomicU64,
    epoch: Epoch,
    /// Its lock holder may change the plan.
    refill: Mutex<Refill>,
    deposits: Striped,
    withdrawals: Count,
    returns: Count,
    refusals: Count,
}

impl RetryBudget {
    pub(crate) fn id(&self) -> HandleId {
        HandleId::of(&self.0)
    }

    /// Makes a budget into which each success pays `ratio` retries. It saves up to 10 retries, and
    /// starts with them.
    ///
    /// A call pays once, when it returns an `Ok` that is not to be retried, whether at its first
    /// attempt or at a later one. With a ratio of 0.1, ten successful calls pay for one retry. With
    /// 0, calls pay nothing: then set [`per_second`](Self::per_second), because the budget is
    /// otherwise never filled again.
    ///
    /// # Panics
    ///
    /// If the ratio is neither 0 nor between 0.000001 and 1,000.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(decor::RetryBudget::new(0.1).stats().balance, 10.0);
    /// ```
    #[track_caller]
    #[must_use]
    pub fn new(ratio: f64) -> Self {
        or_panic(Self::try_new(ratio))
    }

    /// Does the same as [`new`](Self::new), with an error in place of a panic.
    ///
    /// # Errors
    ///
    /// If the ratio is neither 0 nor between 0.000001 and 1,000.
    ///
    /// # Examples
    ///
    /// ```
    /// let error = decor::RetryBudget::try_new(f64::NAN).unwrap_err();
    /// assert_eq!(
    ///     error.to_string(),
    ///     "`ratio` is NaN, but must be 0, or between 0.000001 and 1000",
    /// );
    /// ```
    pub fn try_new(ratio: f64) -> Result<Self, ConfigError> {
        RetryBudgetConfig { ratio, ..RetryBudgetConfig::default() }.try_into()
    }

    /// Sets the number of retries that the budget saves up, and starts with. 10 by default.
    ///
    /// The capacity bounds the retries that come at once when a server fails. Returns another
    /// budget: clones that were made before are not changed.
    ///
    /// # Panics
    ///
    /// If the capacity is 0.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(decor::RetryBudget::new(0.1).capacity(50).stats().balance, 50.0);
    /// ```
    #[track_caller]
    #[must_use]
    pub fn capacity(self, capacity: u32) -> Self {
        or_panic(self.try_capacity(capacity))
    }

    /// Does the same as [`capacity`](Self::capacity), with an error in place of a panic.
    ///
    /// # Errors
    ///
    /// If the capacity is 0.
    ///
    /// # Examples
    ///
    /// ```
    /// let error = decor::RetryBudget::new(0.1).try_capacity(0).unwrap_err();
    /// assert_eq!(error.to_string(), "`capacity` is 0, but must be at least 1");
    /// ```
    pub fn try_capacity(self, capacity: u32) -> Result<Self, ConfigError> {
        self.0.plan.get().with_capacity(capacity).map(Self::with)
    }

    /// Pays for retries by time as well, at this rate, up to the capacity. By default, only
    /// successes pay.
    ///
    /// A client with few calls needs this setting, because its calls pay for a retry only now and
    /// then. During an outage, the retries go on at this rate. Returns another budget, as
    /// [`capacity`](Self::capacity) does.
    ///
    /// # Panics
    ///
    /// If the rate is not between 0.000001 and 1,000,000.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::prelude::*;
    /// use std::time::Duration;
    ///
    /// let budget = RetryBudget::new(0.1).capacity(1).per_second(0.5);
    /// let mut calls = 0;
    /// let policy = RetryPolicy::fixed(Duration::from_secs(2)).max_attempts(5);
    /// (|| { calls += 1; std::future::ready(Err::<(), _>("busy")) })
    ///     .retry_with(policy)
    ///     .budgeted(&budget)
    ///     .await
    ///     .unwrap_err();
    /// assert_eq!(calls, 5);
    /// # }
    /// ```
    #[track_caller]
    #[must_use]
    pub fn per_second(self, retries: f64) -> Self {
        or_panic(self.try_per_second(retries))
    }

    /// Does the same as [`per_second`](Self::per_second), with an error in place of a panic.
    ///
    /// # Errors
    ///
    /// If the rate is not between 0.000001 and 1,000,000.
    ///
    /// # Examples
    ///
    /// ```
    /// let error = decor::RetryBudget::new(0.1).try_per_second(0.0).unwrap_err();
    /// assert_eq!(
    ///     error.to_string(),
    ///     "`per_second` is 0, but must be between 0.000001 and 1000000",
    /// );
    /// ```
    pub fn try_per_second(self, retries: f64) -> Result<Self, ConfigError> {
        self.0.plan.get().with_per_second(Some(retries)).map(Self::with)
    }

    fn with(plan: BudgetPlan) -> Self {
        Self(Arc::new(Core {
            plan: LivePlan::new(plan),
            balance: AtomicU64::new(plan.full()),
            epoch: Epoch::new(),
            refill: Mutex::default(),
            deposits: Striped::default(),
            withdrawals: Count::default(),
            returns: Count::default(),
            refusals: Count::default(),
        }))
    }

    /// Changes all settings of this budget, and of all its clones, such as those of a file that was
    /// changed.
    ///
    /// The balance and the counts stay. A balance above the new capacity is cut to it. A larger
    /// capacity is not filled at once. The time until now pays at the old rate.
    ///
    /// # Errors
    ///
    /// If `RetryBudget::try_from(config)` fails. The budget then stays as it is.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::{RetryBudget, RetryBudgetConfig};
    ///
    /// let budget = RetryBudget::new(0.1);
    /// budget.reload(&RetryBudgetConfig { capacity: 4, ..RetryBudgetConfig::default() })?;
    /// assert_eq!(budget.stats().balance, 4.0);
    /// budget.reload(&RetryBudgetConfig { capacity: 50, ..RetryBudgetConfig::default() })?;
    /// assert_eq!(budget.stats().balance, 4.0);
    /// # Ok::<(), decor::ConfigError>(())
    /// ```
    pub fn reload(&self, config: &RetryBudgetConfig) -> Result<(), ConfigError> {
        self.0.reload(BudgetPlan::try_from(*config)?, Clock::current());
        Ok(())
    }

    /// Returns the counts and the balance.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::prelude::*;
    ///
    /// let budget = RetryBudget::new(0.6);
    /// let mut results = vec![Ok(()), Err("busy")];
    /// (|| std::future::ready(results.pop().unwrap()))
    ///     .retry_with(RetryPolicy::default())
    ///     .budgeted(&budget)
    ///     .await
    ///     .unwrap();
    /// let stats = budget.stats();
    /// assert_eq!((stats.withdrawals, stats.deposits, stats.balance), (1, 1, 9.6));
    /// # }
    /// ```
    #[must_use]
    pub fn stats(&self) -> RetryBudgetStats {
        let Core { deposits, withdrawals, returns, refusals, .. } = &*self.0;
        self.0.settle(Clock::current());
        RetryBudgetStats {
            deposits: deposits.get(),
            withdrawals: withdrawals.load(Relaxed),
            returns: returns.load(Relaxed),
            refusals: refusals.load(Relaxed),
            balance: retries(self.0.plan.get().kept(self.0.balance.load(Relaxed))),
        }
    }

    /// Pays for a success.
    #[inline]
    pub(crate) fn deposit(&self) {
        let Core { plan, balance, deposits, .. } = &*self.0;
        deposits.count();
        // Most budgets are full, and then nothing is written that other threads read.
        let _ = balance.fetch_update(Relaxed, Relaxed, |balance| plan.get().after_success(balance));
    }

    /// Takes 1 for a retry or a hedge; `None` if the balance is below 1.
    pub(crate) fn withdraw(&self, clock: Clock) -> Option<Withdrawal> {
        let Core { plan, balance, withdrawals, refusals, .. } = &*self.0;
        self.0.settle(clock);
        if balance.fetch_update(Relaxed, Relaxed, |balance| plan.get().after_withdrawal(balance)).is_err() {
            refusals.fetch_add(1, Relaxed);
            return None;
        }
        withdrawals.fetch_add(1, Relaxed);
        Some(Withdrawal(Some(self.clone())))
    }
}

impl Core {
    /// Pays for the time that has passed.
    fn settle(&self, clock: Clock) {
        if self.plan.get().needs_clock() {
            let mut refill = lock(&self.refill);
            self.settle_locked(&mut refill, &self.plan.get(), clock);
        }
    }

    fn settle_locked(&self, refill: &mut Refill, plan: &BudgetPlan, clock: Clock) {
        let paid = refill.settle(plan, self.epoch.now(clock));
        let add = |balance| Some(plan.after_deposit(balance, paid));
        let before = self.balance.fetch_update(Relaxed, Relaxed, add).unwrap_or_else(|balance| balance);
        if plan.after_deposit(before, paid) == plan.full() {
            refill.is_full();
        }
    }

    /// Changes the plan. The time until now pays by the old one.
    fn reload(&self, plan: BudgetPlan, clock: Clock) {
        let mut refill = lock(&self.refill);
        let old = self.plan.get();
        if old.needs_clock() || plan.needs_clock() {
            self.settle_locked(&mut refill, &old, clock);
        }
        self.plan.set(plan);
        let _ = self.balance.fetch_update(Relaxed, Relaxed, |balance| Some(plan.kept(balance)));
    }
}

/// A retry or a hedge that a budget has paid for. Goes back to the budget on drop, unless it is
/// [`spent`](Self::spend).
#[must_use = "a withdrawal that is dropped is given back"]
#[derive(Debug)]
pub struct Withdrawal(Option<RetryBudget>);

impl Withdrawal {
    /// Keeps the withdrawal, because the attempt begins.
    pub(crate) fn spend(mut self) {
        self.0 = None;
    }
}

impl Drop for Withdrawal {
    fn drop(&mut self) {
        let Some(RetryBudget(core)) = &self.0 else { return };
        core.returns.fetch_add(1, Relaxed);
        let _ = core.balance.fetch_update(Relaxed, Relaxed, |balance| Some(core.plan.get().after_return(balance)));
    }
}

/// Checks all fields of the config.
///
/// # Examples
///
/// See [`RetryBudgetConfig`].
impl TryFrom<RetryBudgetConfig> for RetryBudget {
    type Error = ConfigError;

    fn try_from(config: RetryBudgetConfig) -> Result<Self, ConfigError> {
        config.try_into().map(Self::with)
    }
}

/// Checks all fields of the config.
///
/// # Examples
///
/// See [`RetryBudgetConfig`].
impl TryFrom<&RetryBudgetConfig> for RetryBudget {
    type Error = ConfigError;

    fn try_from(config: &RetryBudgetConfig) -> Result<Self, ConfigError> {
        Self::try_from(*config)
    }
}

impl fmt::Display for RetryBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.plan.get().fmt(f)
    }
}

impl fmt::Debug for RetryBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RetryBudget({self})")
    }
}
