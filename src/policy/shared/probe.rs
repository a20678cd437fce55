//! When a store that is down is tried again.

use crate::random::SplitMix64;
use std::time::Duration;

/// Delay before the first probe of a store that has gone down.
const FIRST: Duration = Duration::from_millis(100);

/// Longest delay between two probes.
const LONGEST: Duration = Duration::from_secs(1);

/// Largest part of a delay by which jitter shortens or lengthens the delay, in thousandths.
const JITTER: u64 = 200;

/// Delays between the probes of a store that is down: 100 ms, doubling to 1 s, each shortened or
/// lengthened by up to a fifth.
///
/// A store has one for all its handles. All delays count from the end of the failed attempt.
///
/// # Examples
///
/// ```
/// use decor::shared::Probe;
/// use std::time::Duration;
///
/// let mut probe = Probe::new(42);
/// let delays = [(); 6].map(|()| probe.failed().as_millis());
/// for (delay, plain) in delays.into_iter().zip([100, 200, 400, 800, 1000, 1000]) {
///     assert!(plain * 4 / 5 <= delay && delay <= plain * 6 / 5);
/// }
/// probe.succeeded();
/// assert!(probe.failed() <= Duration::from_millis(120));
/// ```
#[derive(Debug, Clone)]
pub struct Probe {
    /// Failed attempts since the store was up last.
    failures: u32,
    random: SplitMix64,
}

impl Probe {
    /// Makes the delays of a store that is up. Stores with the same seed have the same jitter.
    ///
    /// # Examples
    ///
    /// See [`Probe`].
    pub fn new(seed: u64) -> Self {
        Self { failures: 0, random: SplitMix64::new(seed) }
    }

    /// Returns `true` if the last attempt has not failed.
    ///
    /// # Examples
    ///
    /// ```
    /// let mut probe = decor::shared::Probe::new(42);
    /// assert!(probe.is_up());
    /// probe.failed();
    /// assert!(!probe.is_up());
    /// ```
    pub fn is_up(&self) -> bool {
        self.failures == 0
    }

    /// Notes that an attempt has failed, and returns the delay before the next one.
    ///
    /// # Examples
    ///
    /// See [`Probe`].
    pub fn failed(&mut self) -> Duration {
        let plain = FIRST.saturating_mul(1 << self.failures.min(10)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        let thousandths = 1_000 - JITTER + self.random.next() % (2 * JITTER + 1);
        plain * u32::try_from(thousandths).unwrap_or(1_000) / 1_000
    }

    /// Notes that an attempt has succeeded.
    ///
    /// # Examples
    ///
    /// See [`Probe`].
    pub fn succeeded(&mut self) {
        self.failures = 0;
    }
}
