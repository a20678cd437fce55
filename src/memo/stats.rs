//! The statistics of a memo, and the counters behind them.

use super::tier::TierCounts;
use crate::{clock::Nanos, striped::Striped};
use std::{
    fmt,
    // Not from `crate::sync`, because no decision depends on the order of these.
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// Counts of a [`Memo`](crate::Memo) since it was made or cleared, from
/// [`Memo::stats`](crate::Memo::stats).
///
/// `hits + misses + coalesced` is the number of calls. Each call is counted once, at its first
/// contact with the memo, whatever its outcome.
///
/// Displays as one line with the names of the fields. Failures, abandoned loads, refreshes, stale
/// answers, expirations and evictions appear once there are any. [`cache_info`](Self::cache_info)
/// displays Python's line instead.
///
/// # Examples
///
/// ```
/// use decor::Memo;
///
/// let memo = Memo::builder().capacity(100).build();
/// memo.insert(42, "answer");
/// assert_eq!(memo.get(&42), Some("answer"));
/// assert_eq!(memo.get(&43), None);
/// assert_eq!(
///     memo.stats().to_string(),
///     "MemoStats(hits=1, misses=1, coalesced=0, loads=0, entries=1, capacity=100)",
/// );
/// assert_eq!(memo.stats().hit_rate(), 0.5);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct MemoStats {
    /// Calls that a value in the memo answered at once.
    pub hits: u64,
    /// Calls that began a load and waited for it, and `get`s that found no value.
    pub misses: u64,
    /// Calls that waited for a load that another call had begun.
    pub coalesced: u64,
    /// Loads begun, which is the number of calls of the function.
    pub loads: u64,
    /// Loads under way now.
    pub loading: u64,
    /// Loads that ended without a value to keep, with an error or a `None`.
    pub load_failures: u64,
    /// Loads that did not end, because their caller dropped them or because they panicked.
    pub loads_abandoned: u64,
    /// Loads begun while there was a value to serve, before its expiry or while it was stale. With
    /// a tier, those that the tier answered count too.
    pub refreshes: u64,
    /// Refreshes begun before the value expired.
    pub refreshes_ahead: u64,
    /// Hits that were served an expired value, because it was being refreshed or because its latest
    /// refresh had failed shortly before.
    pub stale_hits: u64,
    /// Calls that waited for a load, and were served an expired value because the load failed.
    pub stale_on_error: u64,
    /// Values that had expired when they were dropped or replaced.
    pub expirations: u64,
    /// Values that were dropped to keep to the capacity. Includes values that weigh more than the
    /// whole capacity, which are never stored.
    pub evictions: u64,
    /// Values stored now, including expired ones that have not been dropped yet.
    pub entries: u64,
    /// Maximum number of values, or their maximum weight if there is a
    /// [`weigher`](crate::MemoBuilder::weigher).
    pub capacity: u64,
    /// Total duration of the loads that ended, failed ones included. serde writes
    /// `total_load_time_seconds`.
    #[cfg_attr(feature = "serde", serde(rename = "total_load_time_seconds", serialize_with = "crate::serde::seconds"))]
    pub total_load_time: Duration,
    /// Misses that the [tier](crate::MemoBuilder::tier) answered, without a load. The counts of the
    /// tier are 0 without one.
    pub tier_hits: u64,
    /// Misses that waited for the load of another process.
    pub tier_waits: u64,
    /// Loaded values that did not reach the tier, because another process had invalidated them, or
    /// was allowed to load meanwhile.
    pub tier_refused: u64,
    /// Values of the tier that could not be read, and were replaced.
    pub undecodable: u64,
    /// `true` if there is a tier, and it is not down.
    pub tier_is_up: bool,
}

impl MemoStats {
    /// Returns the number of calls, which is `hits + misses + coalesced`.
    ///
    /// # Examples
    ///
    /// ```
    /// let memo = decor::Memo::<u64, u64>::ttl(std::time::Duration::from_secs(60));
    /// memo.get(&42);
    /// assert_eq!(memo.stats().calls(), 1);
    /// ```
    pub fn calls(&self) -> u64 {
        self.hits + self.misses + self.coalesced
    }

    /// Returns the share of the calls that were hits, 0 to 1. Returns 0 before the first call.
    /// Coalesced calls do not count as hits, because they waited.
    ///
    /// # Examples
    ///
    /// ```
    /// let memo = decor::Memo::<u64, u64>::ttl(std::time::Duration::from_secs(60));
    /// assert_eq!(memo.stats().hit_rate(), 0.0);
    /// ```
    #[allow(clippy::cast_precision_loss)] // a rate
    pub fn hit_rate(&self) -> f64 {
        self.hits as f64 / self.calls().max(1) as f64
    }

    /// Returns the mean duration of a load. Failed loads count, abandoned ones do not. Zero before
    /// the first load has ended.
    ///
    /// # Examples
    ///
    /// ```
    /// let memo = decor::Memo::<u64, u64>::ttl(std::time::Duration::from_secs(60));
    /// assert!(memo.stats().mean_load_time().is_zero());
    /// ```
    pub fn mean_load_time(&self) -> Duration {
        let ended = self.loads.saturating_sub(self.loading + self.loads_abandoned).max(1);
        let nanos = self.total_load_time.as_nanos() / u128::from(ended);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// Returns the counts as Python's `functools.lru_cache` displays those of its `cache_info()`.
    ///
    /// `maxsize` is the [capacity](Self::capacity), `currsize` the number of
    /// [entries](Self::entries). [Coalesced](Self::coalesced) calls are in neither `hits` nor
    /// `misses`, because Python has no such calls.
    ///
    /// # Examples
    ///
    /// ```
    /// let memo = decor::Memo::builder().capacity(128).build();
    /// memo.insert(42, "answer");
    /// memo.get(&42);
    /// assert_eq!(
    ///     memo.stats().cache_info().to_string(),
    ///     "CacheInfo(hits=1, misses=0, maxsize=128, currsize=1)",
    /// );
    /// ```
    pub fn cache_info(&self) -> impl fmt::Display + use<> {
        CacheInfo(*self)
    }
}

impl fmt::Display for MemoStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { hits, misses, coalesced, loads, entries, capacity, .. } = self;
        write!(f, "MemoStats(hits={hits}, misses={misses}, coalesced={coalesced}, loads={loads}")?;
        write!(f, ", entries={entries}, capacity={capacity}")?;
        for (name, count) in [
            ("load_failures", self.load_failures),
            ("loads_abandoned", self.loads_abandoned),
            ("refreshes", self.refreshes),
            ("stale_hits", self.stale_hits),
            ("stale_on_error", self.stale_on_error),
            ("expirations", self.expirations),
            ("evictions", self.evictions),
        ] {
            if count > 0 {
                write!(f, ", {name}={count}")?;
            }
        }
        f.write_str(")")
    }
}

/// Python's line about the same counts.
struct CacheInfo(MemoStats);

impl fmt::Display for CacheInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let MemoStats { hits, misses, entries, capacity, .. } = self.0;
        write!(f, "CacheInfo(hits={hits}, misses={misses}, maxsize={capacity}, currsize={entries})")
    }
}

/// The counts since a memo was made. No clear resets them, and none of them ever falls.
#[cfg(feature = "metrics")]
pub(crate) struct Totals {
    /// Calls that were answered at once, with a value that had not expired.
    pub(crate) fresh_hits: u64,
    /// Calls that were answered at once, with an expired value.
    /// [`stale_hits`](MemoStats::stale_hits) includes calls that were counted as a miss before.
    pub(crate) expired_hits: u64,
    pub(crate) has_tier: bool,
    pub(crate) others: MemoStats,
}

/// The counters behind [`MemoStats`]. All accesses are `Relaxed`, because no decision depends on
/// their order.
#[derive(Debug, Default)]
pub(super) struct Counters {
    /// Hits with a value that had not expired. The sum with `expired_hits` is
    /// [`MemoStats::hits`], so no export of either ever falls.
    pub(super) fresh_hits: Striped,
    /// Hits with an expired value.
    pub(super) expired_hits: Counter,
    pub(super) misses: Counter,
    pub(super) coalesced: Counter,
    pub(super) loads_begun: Counter,
    pub(super) loaded: Counter,
    pub(super) failed: Counter,
    pub(super) loads_abandoned: Counter,
    pub(super) refreshes: Counter,
    pub(super) refreshes_ahead: Counter,
    pub(super) stale_hits: Counter,
    pub(super) stale_on_error: Counter,
    pub(super) expirations: Counter,
    pub(super) evictions: Counter,
    pub(super) load_time: Counter,
    pub(super) tier_hits: Counter,
}

impl Counters {
    pub(super) fn read(&self, entries: u64, capacity: u64, tier: TierCounts) -> MemoStats {
        MemoStats { entries, capacity, ..self.read_by(self.fresh_hits.get(), Counter::get, tier) }
    }

    #[cfg(feature = "metrics")]
    pub(super) fn totals(&self, tier: Option<TierCounts>) -> Totals {
        let (fresh_hits, expired_hits) = (self.fresh_hits.total(), self.expired_hits.total());
        let others = self.read_by(fresh_hits, Counter::total, tier.unwrap_or_default());
        Totals { fresh_hits, expired_hits, has_tier: tier.is_some(), others }
    }

    fn read_by(&self, fresh_hits: u64, read: fn(&Counter) -> u64, tier: TierCounts) -> MemoStats {
        let ended = read(&self.loaded) + read(&self.failed) + read(&self.loads_abandoned);
        let loads = read(&self.loads_begun);
        MemoStats {
            hits: fresh_hits + read(&self.expired_hits),
            misses: read(&self.misses),
            coalesced: read(&self.coalesced),
            loads,
            loading: loads.saturating_sub(ended),
            load_failures: read(&self.failed),
            loads_abandoned: read(&self.loads_abandoned),
            refreshes: read(&self.refreshes),
            refreshes_ahead: read(&self.refreshes_ahead),
            stale_hits: read(&self.stale_hits),
            stale_on_error: read(&self.stale_on_error),
            expirations: read(&self.expirations),
            evictions: read(&self.evictions),
            entries: 0,
            capacity: 0,
            total_load_time: Duration::from_nanos(read(&self.load_time)),
            tier_hits: read(&self.tier_hits),
            tier_waits: tier.waits,
            tier_refused: tier.refused,
            undecodable: tier.undecodable,
            tier_is_up: tier.is_up,
        }
    }

    pub(super) fn reset(&self) {
        let Self { fresh_hits, expired_hits, misses, coalesced, loads_begun, loaded, failed, loads_abandoned, .. } =
            self;
        let Self { refreshes, refreshes_ahead, stale_hits, stale_on_error, .. } = self;
        let Self { expirations, evictions, load_time, tier_hits, .. } = self;
        fresh_hits.reset();
        expired_hits.reset();
        tier_hits.reset();
        for counter in [misses, coalesced, loads_begun, loaded, failed, loads_abandoned] {
            counter.reset();
        }
        for counter in [refreshes, refreshes_ahead, stale_hits, stale_on_error, expirations, evictions, load_time] {
            counter.reset();
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Counter {
    total: AtomicU64,
    /// Total at the latest reset. A reset leaves the total as it is, because an exported counter
    /// must not fall.
    reset_at: AtomicU64,
}

impl Counter {
    pub(super) fn count(&self) {
        self.add(1);
    }

    pub(super) fn add(&self, n: Nanos) {
        self.total.fetch_add(n, Relaxed);
    }

    fn total(&self) -> u64 {
        self.total.load(Relaxed)
    }

    fn get(&self) -> u64 {
        let reset_at = self.reset_at.load(Relaxed);
        self.total().saturating_sub(reset_at)
    }

    fn reset(&self) {
        self.reset_at.store(self.total(), Relaxed);
    }
}
