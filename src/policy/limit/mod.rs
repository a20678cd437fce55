//! The quota of a limiter: windows, even spacing, or permits of a store that processes share.
//! Decides when one more call fits.

mod config;
mod pacer;
mod permits;
mod sliding_log;
#[cfg(feature = "serde")]
mod text;

pub use config::{RateLimit, RateLimiterConfig};
pub use permits::Permits;

pub(crate) use config::{DEFAULT_LONGEST_PAUSE, checked_pause};
pub(crate) use pacer::{Pacer, Ticks};
pub(crate) use permits::{Counts, MAX_WINDOWS};
pub(crate) use sliding_log::SlidingLog;

use crate::{
    ConfigError, Error,
    clock::{Nanos, nanos},
    policy::Purse,
};
use permits::invalid;
use std::{fmt, time::Duration};

/// The end of an error message: how many limits a limiter takes, and why.
const SAME_WINDOWS: &str = "as many as there are windows: a new window would not know of earlier calls";

/// The end of an error message: why an exact limiter stays exact.
const NOT_PACED: &str =
    "left as it is: an exact limiter cannot become a paced one, because its windows have no schedule";

/// The end of an error message: why a paced limiter stays paced.
const NOT_EXACT: &str = "left as it is: a paced limiter cannot become an exact one, because its schedule has no calls";

/// The end of an error message: why an exact limiter has no burst.
const NO_BURST: &str = "left out: an exact limiter cannot become a paced one, because its windows have no schedule";

/// Sums of permits over many calls, for each window. Saturates.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Sums([u64; MAX_WINDOWS]);

impl Sums {
    pub(crate) fn by_window(&self) -> &[u64; MAX_WINDOWS] {
        &self.0
    }

    pub(crate) fn add(&mut self, counts: &Counts) {
        for (sum, count) in self.0.iter_mut().zip(counts) {
            *sum = sum.saturating_add((*count).into());
        }
    }

    pub(crate) fn take(&mut self, counts: &Counts) {
        for (sum, count) in self.0.iter_mut().zip(counts) {
            *sum = sum.saturating_sub((*count).into());
        }
    }

    pub(crate) fn plus(mut self, other: &Self) -> Self {
        for (sum, other) in self.0.iter_mut().zip(other.0) {
            *sum = sum.saturating_add(other);
        }
        self
    }

    pub(crate) fn minus(mut self, other: &Self) -> Self {
        for (sum, other) in self.0.iter_mut().zip(other.0) {
            *sum = sum.saturating_sub(other);
        }
        self
    }
}

/// Number by which `counts` exceeds `over`, for each window; 0 where it does not.
pub(crate) fn excess(counts: &Counts, over: &Counts) -> Counts {
    std::array::from_fn(|window| counts[window].saturating_sub(over[window]))
}

#[derive(Debug, Clone)]
pub(crate) enum Quota {
    /// Admits a call if every window has room.
    Windows(Vec<SlidingLog>),
    Paced(Pacer),
    /// Admits a call if the store has granted it.
    Shared(Box<Purse>),
}

impl Quota {
    /// Makes a quota of checked limits, with all permits free. `windows` has at least one limit.
    /// With `reserve`, memory for the stamps is allocated.
    pub(crate) fn try_new(
        windows: &[(u32, Duration)],
        paced: bool,
        burst: Option<u32>,
        reserve: bool,
    ) -> Result<Self, ConfigError> {
        let limits = checked_limits(windows)?;
        match (paced, burst) {
            (true, burst) => {
                let (limit, period) = limits[0];
                Ok(Self::Paced(Pacer::new(limit, period).with_burst(burst.unwrap_or(1))?))
            }
            (false, Some(burst)) => Err(ConfigError::new("burst", burst, "left out unless the limiter is paced")),
            (false, None) => Ok(Self::Windows(limits.iter().map(|&(n, p)| SlidingLog::new(n, p, reserve)).collect())),
        }
    }

    #[inline]
    pub(crate) fn windows(&self) -> usize {
        match self {
            Self::Windows(logs) => logs.len(),
            Self::Paced(_) => 1,
            Self::Shared(purse) => purse.windows(),
        }
    }

    /// The permits of a store; `None` for a limit of this process alone.
    #[inline]
    pub(crate) fn purse(&self) -> Option<&Purse> {
        match self {
            Self::Windows(_) | Self::Paced(_) => None,
            Self::Shared(purse) => Some(purse),
        }
    }

    #[inline]
    pub(crate) fn purse_mut(&mut self) -> Option<&mut Purse> {
        match self {
            Self::Windows(_) | Self::Paced(_) => None,
            Self::Shared(purse) => Some(purse),
        }
    }

    /// The schedule of even spacing; `None` for windows, and if the store has the schedule.
    pub(crate) fn pacer(&self) -> Option<&Pacer> {
        match self {
            Self::Windows(_) | Self::Shared(_) => None,
            Self::Paced(pacer) => Some(pacer),
        }
    }

    pub(crate) fn pacer_mut(&mut self) -> Option<&mut Pacer> {
        match self {
            Self::Windows(_) | Self::Shared(_) => None,
            Self::Paced(pacer) => Some(pacer),
        }
    }

    /// Returns the permits for each window, or an error if they exceed a limit.
    #[inline]
    pub(crate) fn check<'p>(&self, permits: &'p Permits) -> Result<&'p Counts, Error> {
        let counts = permits.for_windows(self.windows())?;
        self.check_counts(counts)?;
        Ok(counts)
    }

    #[inline]
    pub(crate) fn check_counts(&self, counts: &Counts) -> Result<(), Error> {
        let Some((count, limit, period)) = self.exceeded(counts) else { return Ok(()) };
        let period = Duration::from_nanos(period);
        Err(invalid(format_args!("{count} permits at once, but the limit is {limit} per {period:?}")))
    }

    /// Returns `true` if a call wants more than a limit.
    pub(crate) fn is_too_much(&self, counts: &Counts) -> bool {
        self.exceeded(counts).is_some()
    }

    /// The first count that exceeds its limit, with that limit and its period.
    fn exceeded(&self, counts: &Counts) -> Option<(u32, u32, Nanos)> {
        match self {
            Self::Windows(logs) => {
                let limits = logs.iter().zip(counts).map(|(log, &count)| (count, log.limit(), log.period()));
                { limits }.find(|(count, limit, _)| count > limit)
            }
            Self::Paced(pacer) => {
                Some((counts[0], pacer.limit(), pacer.period())).filter(|(count, limit, _)| count > limit)
            }
            Self::Shared(purse) => {
                let limits = purse.limits().iter().zip(counts).map(|(&(limit, period), &count)| (count, limit, period));
                { limits }.find(|(count, limit, _)| count > limit)
            }
        }
    }

    /// Removes permits that have left their windows by now.
    #[inline]
    pub(crate) fn expire(&mut self, now: Nanos) {
        match self {
            Self::Windows(logs) => {
                for log in logs {
                    log.expire(now);
                }
            }
            Self::Paced(_) => {}
            Self::Shared(purse) => purse.expire(now),
        }
    }

    /// Returns `true` if a window keeps stamps after they have left it.
    /// [`try_take`](Self::try_take) must not be called then, because it drops such stamps.
    pub(crate) fn keeps_expired(&self) -> bool {
        matches!(self, Self::Windows(logs) if logs.iter().any(SlidingLog::keeps_expired))
    }

    /// Takes the permits of a call if they are free now. Equivalent to
    /// [`due_after`](Self::due_after) with nothing ahead, but in one pass. Nearly every call takes
    /// this path.
    #[inline]
    pub(crate) fn try_take(&mut self, now: Nanos, permits: &Permits) -> bool {
        match self {
            Self::Windows(logs) => {
                let Some(counts) = permits.fitting(logs.len()) else { return false };
                let mut each = logs.iter_mut().zip(counts);
                let free = each.all(|(log, &count)| {
                    log.expire_for_good(now);
                    log.has_free(count)
                });
                if free {
                    for (log, &count) in logs.iter_mut().zip(counts) {
                        log.take(now, count);
                    }
                }
                free
            }
            Self::Paced(pacer) => permits.fitting(1).is_some_and(|counts| pacer.try_take(now, counts[0])),
            Self::Shared(purse) => purse.try_take(now, permits),
        }
    }

    /// Moment at which a call is due after calls that take `ahead`. `now` or earlier means now.
    ///
    /// The result "now" is exact. A later moment is exact if [`due_is_exact`](Self::due_is_exact),
    /// and otherwise a lower bound.
    #[inline]
    pub(crate) fn due_after(&self, now: Nanos, since: Nanos, ahead: &Sums, counts: &Counts) -> Nanos {
        let all = |window: usize| ahead.0[window].saturating_add(counts[window].into());
        match self {
            Self::Windows(logs) => (0..).zip(logs).map(|(window, log)| log.due(now, all(window))).max().unwrap_or(0),
            Self::Paced(pacer) => pacer.due_after(now, since, ahead.0[0], counts[0]),
            Self::Shared(purse) => purse.due_after(now, &ahead.0, counts),
        }
    }

    /// Returns `true` if a call can be admitted now and leaves room for calls that can take `ahead`
    /// now.
    pub(crate) fn leaves_room(&self, now: Nanos, since: Nanos, ahead: &Sums, counts: &Counts) -> bool {
        match self {
            Self::Windows(_) | Self::Shared(_) => self.due_after(now, since, ahead, counts) <= now,
            Self::Paced(pacer) => pacer.leaves_room(now, since, ahead.0[0], counts[0]),
        }
    }

    /// Returns `true` if [`due_after`](Self::due_after) is exact. With `single_permits`, all calls
    /// take at most one permit of each window.
    pub(crate) fn due_is_exact(&self, single_permits: bool) -> bool {
        match self {
            Self::Windows(logs) => logs.len() == 1 && single_permits,
            Self::Paced(_) => true,
            Self::Shared(_) => false,
        }
    }

    /// Maximum delay that late timers may cause for a call that waits this long. An exact window
    /// carries the lateness of a timer on from period to period. A pacer follows its schedule and
    /// does not.
    pub(crate) fn max_timer_lateness(&self, wait: Nanos, timer_resolution: Nanos) -> Nanos {
        match self {
            Self::Windows(logs) => {
                let period = logs.iter().map(SlidingLog::period).min().unwrap_or(Nanos::MAX).max(1);
                (wait / period + 1).saturating_mul(timer_resolution)
            }
            Self::Paced(_) | Self::Shared(_) => timer_resolution,
        }
    }

    /// Takes permits, whether they fit or not. A window counts them from `now`. A pacer counts them
    /// from its schedule, but no earlier than `since`. If it counted them from `now`, the lateness
    /// of timers would add up.
    #[inline]
    pub(crate) fn take(&mut self, now: Nanos, since: Nanos, counts: &Counts) {
        match self {
            Self::Windows(logs) => {
                for (log, &count) in logs.iter_mut().zip(counts) {
                    log.take(now, count);
                }
            }
            Self::Paced(pacer) => pacer.take(since, counts[0]),
            Self::Shared(purse) => purse.take(now, counts),
        }
    }

    /// Counts permits that were used without being taken, from `now`.
    pub(crate) fn charge(&mut self, now: Nanos, counts: &Counts) {
        match self {
            Self::Windows(_) | Self::Paced(_) => self.take(now, now, counts),
            Self::Shared(purse) => purse.charge(now, counts),
        }
    }

    /// Gives back permits that were taken at an unknown moment, up to the number that is counted
    /// now. Returns their number for each window. Call [`expire`](Self::expire) first.
    pub(crate) fn refund(&mut self, now: Nanos, counts: &Counts) -> Counts {
        match self {
            Self::Windows(logs) => each(logs, counts, SlidingLog::refund),
            Self::Paced(pacer) => only(pacer.refund(now, counts[0])),
            Self::Shared(purse) => purse.refund(now, counts),
        }
    }

    /// Gives back permits that were taken at the moment `at`, up to the number that is still
    /// counted. Returns their number for each window. Takes time in proportion to the stamps since
    /// then.
    pub(crate) fn refund_at(&mut self, now: Nanos, at: Nanos, counts: &Counts) -> Counts {
        match self {
            Self::Windows(logs) => each(logs, counts, |log, count| log.refund_at(at, count)),
            Self::Paced(pacer) if at.saturating_add(pacer.period()) > now => only(pacer.refund(now, counts[0])),
            Self::Paced(_) => only(0),
            Self::Shared(purse) => purse.refund(now, counts),
        }
    }

    /// Number of permits that could be taken now from this window.
    pub(crate) fn available(&self, now: Nanos, window: usize) -> u32 {
        match self {
            Self::Windows(logs) => logs[window].available(),
            Self::Paced(pacer) => pacer.available(now),
            Self::Shared(purse) => purse.available(now, window),
        }
    }

    /// Moment from which all permits are free.
    pub(crate) fn idle_at(&self) -> Nanos {
        match self {
            Self::Windows(logs) => logs.iter().map(SlidingLog::idle_at).max().unwrap_or(0),
            Self::Paced(pacer) => pacer.idle_at(),
            Self::Shared(purse) => purse.idle_at(),
        }
    }

    /// Makes a quota with the same limits and burst, and all permits free.
    pub(crate) fn as_new(&self) -> Self {
        match self {
            Self::Windows(logs) => {
                Self::Windows(logs.iter().map(|log| SlidingLog::new(log.limit(), log.period(), false)).collect())
            }
            Self::Paced(pacer) => Self::Paced(pacer.as_new()),
            Self::Shared(purse) => Self::Shared(Box::new(purse.as_new())),
        }
    }

    /// The limit and the period of each window.
    pub(crate) fn limits(&self) -> Vec<(u32, Nanos)> {
        match self {
            Self::Windows(logs) => logs.iter().map(|log| (log.limit(), log.period())).collect(),
            Self::Paced(pacer) => vec![(pacer.limit(), pacer.period())],
            Self::Shared(purse) => purse.limits().to_vec(),
        }
    }

    pub(crate) fn longest_period(&self) -> Nanos {
        match self {
            Self::Windows(logs) => logs.iter().map(SlidingLog::period).max().unwrap_or(0),
            Self::Paced(pacer) => pacer.period(),
            Self::Shared(purse) => purse.limits().iter().map(|(_, period)| *period).max().unwrap_or(0),
        }
    }

    /// The burst as it was set; `None` for windows.
    pub(crate) fn burst(&self) -> Option<u32> {
        match self {
            Self::Windows(_) => None,
            Self::Paced(pacer) => Some(pacer.requested_burst()),
            Self::Shared(purse) => purse.burst(),
        }
    }

    pub(crate) fn set_burst(&mut self, burst: u32) -> Result<(), ConfigError> {
        match self {
            Self::Windows(_) => Err(ConfigError::new("burst", burst, NO_BURST)),
            Self::Paced(pacer) => pacer.set_burst(burst),
            Self::Shared(purse) if purse.burst().is_none() => Err(ConfigError::new("burst", burst, NO_BURST)),
            Self::Shared(purse) => purse.set_burst(burst),
        }
    }

    /// Takes over the limits and the burst of another quota of the same kind.
    pub(crate) fn reload(&mut self, now: Nanos, new: &Self) -> Result<(), ConfigError> {
        match (self.burst(), new.burst()) {
            (None, Some(_)) => return Err(ConfigError::new("paced", true, NOT_PACED)),
            (Some(_), None) => return Err(ConfigError::new("paced", false, NOT_EXACT)),
            _ if self.windows() != new.windows() => {
                return Err(ConfigError::new("limit", format_args!("a list of {}", new.windows()), SAME_WINDOWS));
            }
            _ => {}
        }
        self.reload_limits(now, &new.limits())?;
        new.burst().map_or(Ok(()), |burst| self.set_burst(burst))
    }

    /// Changes the limits, one for each window. The permits of a pacer become free at the new pace.
    pub(crate) fn reload_limits(&mut self, now: Nanos, limits: &[(u32, Nanos)]) -> Result<(), ConfigError> {
        match (self, limits) {
            (Self::Paced(pacer), &[(limit, period)]) => {
                pacer.reload(now, limit, period);
                Ok(())
            }
            (quota, limits) => quota.set_limits(limits),
        }
    }

    /// Changes the limits, one for each window.
    pub(crate) fn set_limits(&mut self, limits: &[(u32, Nanos)]) -> Result<(), ConfigError> {
        if limits.len() != self.windows() {
            return Err(ConfigError::new("limits", limits.len(), SAME_WINDOWS));
        }
        if let Self::Shared(purse) = self {
            purse.set_limits(limits);
            return Ok(());
        }
        for (window, &(limit, period)) in limits.iter().enumerate() {
            match self {
                Self::Windows(logs) => logs[window].set_limit(limit, period),
                Self::Paced(pacer) => pacer.set_limit(limit, period),
                Self::Shared(_) => {}
            }
        }
        Ok(())
    }
}

/// Checks limits, and turns their periods into nanoseconds. Periods beyond 584 years are cut to 584
/// years.
pub(crate) fn checked_limits(limits: &[(u32, Duration)]) -> Result<Vec<(u32, Nanos)>, ConfigError> {
    let check = |(window, &(limit, period)): (usize, &(u32, Duration))| {
        let which =
            if limits.len() > 1 { format!(" (window {} of {})", window + 1, limits.len()) } else { String::new() };
        if limit == 0 {
            return Err(ConfigError::new("limit", format_args!("{limit}{which}"), "at least 1"));
        }
        if period.is_zero() {
            return Err(ConfigError::new("period", format_args!("{period:?}{which}"), "longer than zero"));
        }
        Ok((limit, nanos(period)))
    };
    limits.iter().enumerate().map(check).collect()
}

/// Calls `act` for each log with a count other than 0, and returns its results by window.
fn each(logs: &mut [SlidingLog], counts: &Counts, act: impl Fn(&mut SlidingLog, u32) -> u32) -> Counts {
    let mut results = Counts::default();
    for ((result, log), &count) in results.iter_mut().zip(logs).zip(counts) {
        *result = if count == 0 { 0 } else { act(log, count) };
    }
    results
}

/// Counts for a quota with one window.
fn only(count: u32) -> Counts {
    let mut counts = Counts::default();
    counts[0] = count;
    counts
}

impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, (limit, period)) in self.limits().into_iter().enumerate() {
            let separator = if position == 0 { "" } else { ", " };
            write!(f, "{separator}{limit} per {:?}", Duration::from_nanos(period))?;
        }
        match self {
            Self::Windows(_) => {}
            Self::Paced(pacer) => write_pace(f, pacer.burst())?,
            Self::Shared(purse) => {
                let limit = purse.limits().first().map_or(1, |(limit, _)| *limit);
                purse.burst().map_or(Ok(()), |burst| write_pace(f, burst.min(limit)))?;
                write!(f, ", shared as {}", purse.name())?;
            }
        }
        Ok(())
    }
}

fn write_pace(f: &mut fmt::Formatter<'_>, burst: u32) -> fmt::Result {
    f.write_str(", paced")?;
    if burst > 1 { write!(f, ", burst {burst}") } else { Ok(()) }
}
