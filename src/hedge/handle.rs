//! The handle: settings, durations of first calls, and counts.

use super::stats::HedgeStats;
use crate::{
    ConfigError, RetryBudget,
    clock::{Clock, nanos},
    describe::StepKind,
    error::or_panic,
    policy::{HedgeConfig, HedgePlan, Latencies, Trigger},
    retry_budget::Withdrawal,
    striped::Striped,
    sync::{Arc, AtomicU64, Mutex, Ordering::Relaxed, lock, lock_spinning},
};
use std::{
    fmt,
    // Not by way of `crate::sync`: no decision depends on a count. A reload may come at any moment,
    // so a call reads each of the other two once.
    sync::{
        OnceLock,
        atomic::{AtomicU32, AtomicU64 as Count},
    },
    time::Duration,
};

/// The delay after which a call that has not ended gets a second call beside it, and the number of
/// such calls.
///
/// If a server answers one call in a hundred slowly, the second call is most likely a fast one, and
/// its answer is returned. Hedge only functions that may be called twice for one result, such as
/// reads. Share one `Hedge` among the calls of one kind, by
/// [`.hedged(&hedge)`](crate::FnExt::hedged). A clone is the same handle.
///
/// A fixed delay is [`Hedge::after`], or just a [`Duration`] in its place. With
/// [`Hedge::percentile`], the delay follows the durations of the calls.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
/// use decor::{Hedge, RetryBudget, prelude::*};
/// use std::time::Duration;
/// use tokio::time::{Instant, sleep};
///
/// /// Takes 10 ms, and every hundredth time 1 s.
/// async fn fetch(id: u64) -> Result<u64, String> {
///     # use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
///     # static CALLS: AtomicU64 = AtomicU64::new(1);
///     let millis = if CALLS.fetch_add(1, Relaxed) % 100 == 0 { 1_000 } else { 10 };
///     sleep(Duration::from_millis(millis)).await;
///     Ok(id)
/// }
///
/// let hedge = Hedge::percentile(0.95).budget(&RetryBudget::new(0.1));
/// let fetch = fetch.hedged(&hedge);
/// let mut longest = Duration::ZERO;
/// for id in 0..1_000 {
///     let begun = Instant::now();
///     fetch.call(id).await.unwrap();
///     if id >= 100 {
///         longest = longest.max(begun.elapsed());
///     }
/// }
/// assert_eq!((hedge.stats().hedges, hedge.stats().wins), (9, 9));
/// assert_eq!(longest, Duration::from_millis(21));
/// # }
/// ```
#[derive(Clone)]
pub struct Hedge(Arc<Core>);

struct Core {
    /// The settings, for a reload and for texts.
    plan: Mutex<HedgePlan>,
    budget: Option<RetryBudget>,
    /// Fixed delay in nanoseconds, at most [`LONGEST`]; [`MEASURED`] for a percentile. Of the plan.
    delay: AtomicU64,
    /// Maximum number of calls, of the plan.
    max_calls: AtomicU32,
    /// Not set before the delay is a percentile.
    durations: OnceLock<Box<Durations>>,
    calls: Striped,
    hedges: Count,
    wins: Count,
    over_budget: Count,
}

/// A delay that is a percentile.
const MEASURED: u64 = u64::MAX;

/// A fixed delay that never ends.
const LONGEST: u64 = u64::MAX - 1;

/// The durations of first calls.
struct Durations {
    /// Calls that succeeded at their first poll. Such calls take no lock. A call that another
    /// thread counts at this moment may be left out until the next look.
    instant: Striped,
    recorded: Mutex<Recorded>,
}

struct Recorded {
    latencies: Latencies,
    /// The part of `instant` that `latencies` has.
    instant: u64,
}

impl Durations {
    /// Runs `use_them` with all durations.
    fn with<R>(&self, use_them: impl FnOnce(&mut Latencies) -> R) -> R {
        let mut recorded = lock_spinning(&self.recorded);
        let instant = self.instant.get();
        let new = instant - recorded.instant;
        if new > 0 {
            recorded.instant = instant;
            recorded.latencies.record_instant(new);
        }
        use_them(&mut recorded.latencies)
    }
}

impl Hedge {
    /// Makes a hedge with a fixed delay. With a delay of zero, all calls start at once, unless the
    /// first call succeeds at its first poll.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::Hedge;
    /// use std::time::Duration;
    ///
    /// let hedge = Hedge::after(Duration::from_millis(50)).max_calls(3);
    /// assert_eq!(hedge.to_string(), "after 50ms, at most 3 calls");
    /// ```
    #[must_use]
    pub fn after(delay: Duration) -> Self {
        Self::with(HedgePlan::after(delay), None)
    }

    /// Makes a hedge with a delay that this share of the calls does not reach: with 0.95, five
    /// calls in a hundred are hedged.
    ///
    /// There is no hedge before 100 calls have been measured. The delay then is the percentile of
    /// some 4,096 to 8,192 of the latest calls. It is at most a sixteenth longer than the exact
    /// percentile, and never shorter. The durations take 4 KiB.
    ///
    /// Measured are first calls that succeed, and not the hedges beside them. A call that is ready
    /// at its first poll counts as zero, and reads no clock. If a hedge wins, the first call counts
    /// with the time until it was dropped. This time is longer than the delay, so that the slow
    /// calls do not vanish from the measurement. A call that the caller drops counts in the same
    /// way, if it has reached the delay. Failures do not count.
    ///
    /// # Panics
    ///
    /// If the percentile is not above 0 and below 1.
    ///
    /// # Examples
    ///
    /// ```
    /// let hedge = decor::Hedge::percentile(0.99);
    /// assert_eq!(hedge.to_string(), "after percentile 0.99, at most 2 calls");
    /// assert_eq!(hedge.stats().delay, None);
    /// ```
    #[track_caller]
    #[must_use]
    pub fn percentile(percentile: f64) -> Self {
        or_panic(Self::try_percentile(percentile))
    }

    /// Does the same as [`percentile`](Self::percentile), with an error in place of a panic.
    ///
    /// # Errors
    ///
    /// If the percentile is not above 0 and below 1.
    ///
    /// # Examples
    ///
    /// ```
    /// let error = decor::Hedge::try_percentile(95.0).unwrap_err();
    /// assert_eq!(error.to_string(), "`percentile` is 95, but must be above 0 and below 1");
    /// ```
    pub fn try_percentile(percentile: f64) -> Result<Self, ConfigError> {
        Ok(Self::with(HedgePlan::percentile(percentile)?, None))
    }

    /// Sets the maximum number of calls, the first one included. 2 by default. Each further call
    /// starts one delay after the call before it. With 1, there is no hedge.
    ///
    /// Returns another hedge, with durations and counts of its own. Clones that were made before
    /// are not changed.
    ///
    /// # Panics
    ///
    /// If the number is 0.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::Hedge;
    /// use std::time::Duration;
    ///
    /// let hedge = Hedge::after(Duration::from_millis(50)).max_calls(3);
    /// assert_eq!(hedge.to_string(), "after 50ms, at most 3 calls");
    /// ```
    #[track_caller]
    #[must_use]
    pub fn max_calls(self, max_calls: u32) -> Self {
        or_panic(self.try_max_calls(max_calls))
    }

    /// Does the same as [`max_calls`](Self::max_calls), with an error in place of a panic.
    ///
    /// # Errors
    ///
    /// If the number is 0.
    ///
    /// # Examples
    ///
    /// ```
    /// let error = decor::Hedge::percentile(0.95).try_max_calls(0).unwrap_err();
    /// assert_eq!(error.to_string(), "`max_calls` is 0, but must be at least 1");
    /// ```
    pub fn try_max_calls(self, max_calls: u32) -> Result<Self, ConfigError> {
        Ok(Self::with(self.plan().max_calls(max_calls)?, self.0.budget.clone()))
    }

    /// Lets a [`RetryBudget`] pay for the hedges. Each hedge takes 1 from it before it starts, and
    /// gives it back if the function was not called. Each call that returns an `Ok` pays into it.
    ///
    /// If the budget is empty when a hedge is due, the call goes on without further hedges. A hedge
    /// that runs is never ended by the budget. A retry around the hedge that has the same budget
    /// pays into it as well, so that a successful call pays twice.
    ///
    /// Returns another hedge, as [`max_calls`](Self::max_calls) does.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::{Hedge, RetryBudget, prelude::*};
    /// use std::time::Duration;
    ///
    /// async fn slow(id: u64) -> Result<u64, String> {
    ///     tokio::time::sleep(Duration::from_secs(1)).await;
    ///     Ok(id)
    /// }
    ///
    /// let budget = RetryBudget::new(0.1).capacity(3);
    /// let hedge = Hedge::after(Duration::from_millis(50)).budget(&budget);
    /// let fetch = slow.hedged(&hedge);
    /// for id in 0..10 {
    ///     fetch.call(id).await.unwrap();
    /// }
    /// assert_eq!((hedge.stats().hedges, hedge.stats().over_budget), (3, 7));
    /// # }
    /// ```
    #[must_use]
    pub fn budget(self, budget: &RetryBudget) -> Self {
        Self::with(self.plan(), Some(budget.clone()))
    }

    fn with(plan: HedgePlan, budget: Option<RetryBudget>) -> Self {
        let core = Core {
            plan: Mutex::new(plan),
            budget,
            delay: AtomicU64::new(LONGEST),
            max_calls: AtomicU32::new(plan.max_calls),
            durations: OnceLock::new(),
            calls: Striped::default(),
            hedges: Count::default(),
            wins: Count::default(),
            over_budget: Count::default(),
        };
        core.set(plan);
        Self(Arc::new(core))
    }

    fn plan(&self) -> HedgePlan {
        *lock(&self.0.plan)
    }

    /// Changes all settings for calls that begin from now on, such as those of a file that was
    /// changed. A call in progress keeps its delay and its number of calls.
    ///
    /// The measured durations, the counts and the budget stay. With another percentile, the delay
    /// is that percentile of the durations so far. A hedge that had a fixed delay has no durations,
    /// and measures them from now on.
    ///
    /// # Errors
    ///
    /// If `Hedge::try_from(config)` fails. The hedge then stays as it is.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::{Hedge, HedgeConfig};
    /// use std::time::Duration;
    ///
    /// let hedge = Hedge::after(Duration::from_millis(50));
    /// let after = Some(Duration::from_millis(80));
    /// hedge.reload(&HedgeConfig { after, max_calls: 3, ..HedgeConfig::default() })?;
    /// assert_eq!(hedge.to_string(), "after 80ms, at most 3 calls");
    /// # Ok::<(), decor::ConfigError>(())
    /// ```
    pub fn reload(&self, config: &HedgeConfig) -> Result<(), ConfigError> {
        let new = HedgePlan::try_from(config)?;
        let mut plan = lock(&self.0.plan);
        self.0.set(new);
        *plan = new;
        Ok(())
    }

    /// Returns the counts and the delay.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use decor::{Hedge, prelude::*};
    /// use std::time::Duration;
    ///
    /// async fn fetch(id: u64) -> Result<u64, String> { Ok(id) }
    ///
    /// let hedge = Hedge::after(Duration::from_millis(50));
    /// fetch.hedged(&hedge).call(42).await.unwrap();
    /// assert_eq!((hedge.stats().calls, hedge.stats().hedges), (1, 0));
    /// # }
    /// ```
    #[must_use]
    pub fn stats(&self) -> HedgeStats {
        let Core { calls, hedges, wins, over_budget, .. } = &*self.0;
        let (samples, delay) = match self.0.measured() {
            Some(durations) => durations.with(|latencies| (latencies.samples(), percentile_of(latencies))),
            None => (0, self.0.fixed_delay()),
        };
        HedgeStats {
            calls: calls.get(),
            hedges: hedges.load(Relaxed),
            wins: wins.load(Relaxed),
            over_budget: over_budget.load(Relaxed),
            samples,
            delay,
        }
    }

    pub(crate) fn kind(&self) -> StepKind {
        let HedgePlan { trigger, max_calls } = self.plan();
        if max_calls == 1 {
            return StepKind::Immediate; // only measures
        }
        let delay = match trigger {
            Trigger::After(delay) => Some(delay),
            Trigger::Percentile(_) => None,
        };
        StepKind::Hedging { delay, max_calls, budget: self.0.budget.as_ref().map(RetryBudget::id) }
    }

    /// The delay before another call; `None` for no further call, because the percentile has less
    /// than 100 samples.
    pub(crate) fn delay(&self) -> Option<Duration> {
        match self.0.measured() {
            Some(durations) => durations.with(|latencies| percentile_of(latencies)),
            None => self.0.fixed_delay(),
        }
    }

    pub(crate) fn allowed_calls(&self) -> u32 {
        self.0.max_calls.load(Relaxed)
    }

    /// Returns `true` if the durations of calls are measured.
    pub(crate) fn measures(&self) -> bool {
        self.0.measured().is_some()
    }

    /// Counts a call that begins.
    #[inline]
    pub(crate) fn begun(&self) {
        self.0.calls.count();
    }

    /// Counts a success at the first poll.
    #[inline]
    pub(crate) fn ended_at_once(&self) {
        if let Some(durations) = self.0.measured() {
            durations.instant.count();
        }
        self.deposit();
    }

    /// Counts a success; `true` for that of a hedge.
    pub(crate) fn ended(&self, by_a_hedge: bool) {
        self.0.wins.fetch_add(by_a_hedge.into(), Relaxed);
        self.deposit();
    }

    #[inline]
    fn deposit(&self) {
        if let Some(budget) = &self.0.budget {
            budget.deposit();
        }
    }

    /// Records the duration of a first call.
    pub(crate) fn measured(&self, duration: Duration) {
        if let Some(durations) = self.0.measured() {
            durations.with(|latencies| latencies.record(nanos(duration)));
        }
    }

    /// Returns `Err` if the budget cannot pay for another call, and otherwise its payment; `None`
    /// without a budget.
    pub(crate) fn pay(&self) -> Result<Option<Withdrawal>, Unaffordable> {
        let Core { budget, hedges, over_budget, .. } = &*self.0;
        let withdrawal = match budget.as_ref().map(|budget| budget.withdraw(Clock::Task)) {
            None => None,
            Some(Some(withdrawal)) => Some(withdrawal),
            Some(None) => {
                over_budget.fetch_add(1, Relaxed);
                return Err(Unaffordable);
            }
        };
        hedges.fetch_add(1, Relaxed);
        Ok(withdrawal)
    }
}

impl Core {
    /// Takes over the settings of a plan. The caller holds the lock of the plan.
    fn set(&self, plan: HedgePlan) {
        let delay = match plan.trigger {
            Trigger::After(delay) => nanos(delay).min(LONGEST),
            Trigger::Percentile(rank) => {
                let durations = self.durations.get_or_init(|| {
                    let recorded = Recorded { latencies: Latencies::new(rank), instant: 0 };
                    Box::new(Durations { instant: Striped::default(), recorded: Mutex::new(recorded) })
                });
                durations.with(|latencies| latencies.set_rank(rank));
                MEASURED
            }
        };
        self.delay.store(delay, Relaxed);
        self.max_calls.store(plan.max_calls, Relaxed);
    }

    /// The durations, if the delay is a percentile of them.
    #[inline]
    fn measured(&self) -> Option<&Durations> {
        if self.delay.load(Relaxed) == MEASURED { self.durations.get().map(|durations| &**durations) } else { None }
    }

    /// `None` if the delay is a percentile.
    fn fixed_delay(&self) -> Option<Duration> {
        match self.delay.load(Relaxed) {
            MEASURED => None,
            LONGEST => Some(Duration::MAX),
            nanos => Some(Duration::from_nanos(nanos)),
        }
    }
}

fn percentile_of(latencies: &Latencies) -> Option<Duration> {
    latencies.percentile().map(Duration::from_nanos)
}

/// The budget is empty.
pub(crate) struct Unaffordable;

impl From<Duration> for Hedge {
    fn from(delay: Duration) -> Self {
        Self::after(delay)
    }
}

impl From<&Hedge> for Hedge {
    fn from(hedge: &Hedge) -> Self {
        hedge.clone()
    }
}

/// Checks all fields of the config.
///
/// # Examples
///
/// See [`HedgeConfig`].
impl TryFrom<HedgeConfig> for Hedge {
    type Error = ConfigError;

    fn try_from(config: HedgeConfig) -> Result<Self, ConfigError> {
        Self::try_from(&config)
    }
}

/// Checks all fields of the config.
///
/// # Examples
///
/// See [`HedgeConfig`].
impl TryFrom<&HedgeConfig> for Hedge {
    type Error = ConfigError;

    fn try_from(config: &HedgeConfig) -> Result<Self, ConfigError> {
        Ok(Self::with(config.try_into()?, None))
    }
}

impl fmt::Display for Hedge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.plan().fmt(f)?;
        match &self.0.budget {
            Some(budget) => write!(f, ", budget {budget}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Hedge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hedge({self})")
    }
}
