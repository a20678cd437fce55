//! The handle: the plan, the switch, and the counts.

use super::stats::ChaosStats;
use crate::{
    ConfigError,
    error::or_panic,
    policy::{ChaosConfig, ChaosPlan, Fault},
    sync::{Arc, AtomicBool, AtomicU64, Mutex, Ordering::Relaxed, lock},
};
use std::{
    fmt,
    // Not by way of `crate::sync`: no decision depends on these counts.
    sync::atomic::AtomicU64 as Count,
    time::Duration,
};

/// Faults for calls, to test a chain without a server that fails: failures, hangs and slow calls.
///
/// Give it to [`.chaotic(&chaos, || ApiError::Busy)`](crate::FnExt::chaotic). The faults come from
/// a [script](Self::script), one for each call, or are [drawn by a seed](Self::seeded). Either way
/// they depend on the number of the call only, in the order in which the calls are first polled, so
/// a run can be repeated. All functions that were given the handle or a clone count together.
///
/// Chaos can be [switched off](Self::switch_off) at run time, and costs two atomic operations then.
/// Needs the feature `chaos`.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
/// use decor::{Chaos, Error, Fault, prelude::*};
/// use std::time::Duration;
///
/// async fn fetch(id: u64) -> Result<u64, Error> { Ok(id) }
///
/// let chaos = Chaos::script([Fault::Fail, Fault::Hang, Fault::Slow(Duration::from_millis(300))]);
/// let fetch = fetch
///     .chaotic(&chaos, || Error::QueueFull { waiting: 9 })
///     .timeout(Duration::from_secs(1))
///     .retry_with(RetryPolicy::fixed(Duration::from_secs(1)));
///
/// let begun = tokio::time::Instant::now();
/// assert_eq!(fetch.call(42).await, Ok(42));
/// assert_eq!(begun.elapsed(), Duration::from_millis(3_300));
/// assert_eq!(chaos.stats().to_string(), "ChaosStats(calls=3, failed=1, slowed=1, hung=1)");
/// # }
/// ```
///
/// If each call hangs, every caller has its error after 5 s.
#[derive(Clone)]
pub struct Chaos(Arc<Core>);

struct Core {
    plan: Mutex<ChaosPlan>,
    is_on: AtomicBool,
    /// Number of calls that have got a fault or passed.
    calls: AtomicU64,
    failed: Count,
    slowed: Count,
    hung: Count,
}

impl Chaos {
    /// Makes faults by a script: the first fault is that of the first call. The calls after the
    /// script are made as they are.
    ///
    /// # Examples
    ///
    /// See [`Chaos`].
    #[must_use]
    pub fn script(faults: impl IntoIterator<Item = Fault>) -> Self {
        Self::with(ChaosPlan::Script(faults.into_iter().collect()))
    }

    /// Makes faults by a seed. At first there are none: [`failing`](Self::failing),
    /// [`slowing`](Self::slowing) and [`hanging`](Self::hanging) set their shares.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::Chaos;
    /// use std::time::Duration;
    ///
    /// let by = Duration::from_secs(2);
    /// let chaos = Chaos::seeded(7).failing(0.1).slowing(0.05, by).hanging(0.01);
    /// assert_eq!(chaos.to_string(), "seed 7, failing 0.1, slowing 0.05 by 2s, hanging 0.01");
    /// ```
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self::with(ChaosPlan::Seeded(ChaosConfig { seed, ..ChaosConfig::default() }))
    }

    /// Lets this share of the calls fail. Returns another handle, with counts of its own.
    ///
    /// # Panics
    ///
    /// For a script, for a share outside of 0 to 1, and if all shares together are more than 1.
    ///
    /// # Examples
    ///
    /// See [`seeded`](Self::seeded).
    #[track_caller]
    #[must_use]
    pub fn failing(self, share: f64) -> Self {
        or_panic(self.try_failing(share))
    }

    /// Does the same as [`failing`](Self::failing), with an error in place of a panic.
    ///
    /// # Errors
    ///
    /// For a script, for a share outside of 0 to 1, and if all shares together are more than 1.
    ///
    /// # Examples
    ///
    /// ```
    /// let error = decor::Chaos::seeded(7).try_failing(10.0).unwrap_err();
    /// assert_eq!(error.to_string(), "`failing` is 10, but must be between 0 and 1");
    /// ```
    pub fn try_failing(self, share: f64) -> Result<Self, ConfigError> {
        self.plan().with("failing", share, |config| config.failing = share).map(Self::with)
    }

    /// Lets this share of the calls wait for `by` before the function is called. Returns another
    /// handle, with counts of its own.
    ///
    /// # Panics
    ///
    /// For a script, for a share outside of 0 to 1, and if all shares together are more than 1.
    ///
    /// # Examples
    ///
    /// See [`seeded`](Self::seeded).
    #[track_caller]
    #[must_use]
    pub fn slowing(self, share: f64, by: Duration) -> Self {
        or_panic(self.try_slowing(share, by))
    }

    /// Does the same as [`slowing`](Self::slowing), with an error in place of a panic.
    ///
    /// # Errors
    ///
    /// For a script, for a share outside of 0 to 1, and if all shares together are more than 1.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::Chaos;
    ///
    /// let by = std::time::Duration::from_secs(1);
    /// let error = Chaos::seeded(7).failing(0.6).try_slowing(0.5, by).unwrap_err();
    /// assert_eq!(
    ///     error.to_string(),
    ///     "`slowing` is 0.5, but must be at most 1 together with the other faults",
    /// );
    /// ```
    pub fn try_slowing(self, share: f64, by: Duration) -> Result<Self, ConfigError> {
        let change = |config: &mut ChaosConfig| (config.slowing, config.slow_by) = (share, by);
        self.plan().with("slowing", share, change).map(Self::with)
    }

    /// Lets this share of the calls hang. Returns another handle, with counts of its own.
    ///
    /// # Panics
    ///
    /// For a script, for a share outside of 0 to 1, and if all shares together are more than 1.
    ///
    /// # Examples
    ///
    /// See [`seeded`](Self::seeded).
    #[track_caller]
    #[must_use]
    pub fn hanging(self, share: f64) -> Self {
        or_panic(self.try_hanging(share))
    }

    /// Does the same as [`hanging`](Self::hanging), with an error in place of a panic.
    ///
    /// # Errors
    ///
    /// For a script, for a share outside of 0 to 1, and if all shares together are more than 1.
    ///
    /// # Examples
    ///
    /// ```
    /// let error = decor::Chaos::script([]).try_hanging(0.01).unwrap_err();
    /// assert_eq!(error.to_string(), "`hanging` is 0.01, but must be left out of a script");
    /// ```
    pub fn try_hanging(self, share: f64) -> Result<Self, ConfigError> {
        self.plan().with("hanging", share, |config| config.hanging = share).map(Self::with)
    }

    fn with(plan: ChaosPlan) -> Self {
        Self(Arc::new(Core {
            plan: Mutex::new(plan),
            is_on: AtomicBool::new(true),
            calls: AtomicU64::new(0),
            failed: Count::default(),
            slowed: Count::default(),
            hung: Count::default(),
        }))
    }

    fn plan(&self) -> ChaosPlan {
        lock(&self.0.plan).clone()
    }

    /// Changes the seed and the shares for calls that come from now on, such as those of a file
    /// that was changed. The counts stay, and the numbers of the calls go on.
    ///
    /// # Errors
    ///
    /// If `Chaos::try_from(config)` fails, or the chaos has a script. The chaos then stays as it
    /// is.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::{Chaos, ChaosConfig};
    ///
    /// let chaos = Chaos::seeded(7);
    /// chaos.reload(&ChaosConfig { seed: 7, failing: 0.1, ..ChaosConfig::default() })?;
    /// assert_eq!(chaos.to_string(), "seed 7, failing 0.1");
    ///
    /// let script = Chaos::script([]);
    /// let refused = script.reload(&ChaosConfig::default()).unwrap_err();
    /// assert_eq!(refused.to_string(), "`seed` is 0, but must be left out of a script");
    /// # Ok::<(), decor::ConfigError>(())
    /// ```
    pub fn reload(&self, config: &ChaosConfig) -> Result<(), ConfigError> {
        let new = ChaosPlan::try_from(*config)?;
        let mut plan = lock(&self.0.plan);
        if let ChaosPlan::Script(_) = *plan {
            return Err(ConfigError::new("seed", config.seed, "left out of a script"));
        }
        *plan = new;
        Ok(())
    }

    /// Lets all further calls pass, until the chaos is [switched on](Self::switch_on) again. Such
    /// calls use up nothing of a script. Calls that hang or wait already go on to do so.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use decor::{Chaos, Fault, prelude::*};
    ///
    /// async fn fetch(id: u64) -> Result<u64, &'static str> { Ok(id) }
    ///
    /// let chaos = Chaos::script([Fault::Fail]);
    /// let fetch = fetch.chaotic(&chaos, || "busy");
    /// chaos.switch_off();
    /// assert_eq!(fetch.call(42).await, Ok(42));
    /// chaos.switch_on();
    /// assert_eq!(fetch.call(42).await, Err("busy"));
    /// # }
    /// ```
    pub fn switch_off(&self) {
        self.0.is_on.store(false, Relaxed);
    }

    /// Ends a [`switch_off`](Self::switch_off). Chaos is on when it is made.
    ///
    /// # Examples
    ///
    /// See [`switch_off`](Self::switch_off).
    pub fn switch_on(&self) {
        self.0.is_on.store(true, Relaxed);
    }

    /// Returns `true` unless the chaos is switched off.
    ///
    /// # Examples
    ///
    /// ```
    /// let chaos = decor::Chaos::seeded(7);
    /// assert!(chaos.is_on());
    /// chaos.switch_off();
    /// assert!(!chaos.is_on());
    /// ```
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.0.is_on.load(Relaxed)
    }

    /// Returns the counts.
    ///
    /// # Examples
    ///
    /// See [`Chaos`].
    #[must_use]
    pub fn stats(&self) -> ChaosStats {
        let Core { calls, failed, slowed, hung, .. } = &*self.0;
        ChaosStats {
            calls: calls.load(Relaxed),
            failed: failed.load(Relaxed),
            slowed: slowed.load(Relaxed),
            hung: hung.load(Relaxed),
        }
    }

    /// Takes the fault of the next call, and counts it.
    pub(crate) fn take(&self) -> Fault {
        if !self.is_on() {
            return Fault::Pass;
        }
        let Core { plan, calls, failed, slowed, hung, .. } = &*self.0;
        let fault = lock(plan).fault_of(calls.fetch_add(1, Relaxed));
        let count = match fault {
            Fault::Pass => return fault,
            Fault::Fail => failed,
            Fault::Slow(_) => slowed,
            Fault::Hang => hung,
        };
        count.fetch_add(1, Relaxed);
        fault
    }
}

/// Checks all fields of the config.
///
/// # Examples
///
/// See [`ChaosConfig`].
impl TryFrom<ChaosConfig> for Chaos {
    type Error = ConfigError;

    fn try_from(config: ChaosConfig) -> Result<Self, ConfigError> {
        config.try_into().map(Self::with)
    }
}

/// Checks all fields of the config.
///
/// # Examples
///
/// See [`ChaosConfig`].
impl TryFrom<&ChaosConfig> for Chaos {
    type Error = ConfigError;

    fn try_from(config: &ChaosConfig) -> Result<Self, ConfigError> {
        Self::try_from(*config)
    }
}

impl fmt::Display for Chaos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.plan().fmt(f)
    }
}

impl fmt::Debug for Chaos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Chaos({self})")
    }
}
