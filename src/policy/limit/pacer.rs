//! Even spacing: the generic cell rate algorithm, as a virtual schedule.

use crate::{ConfigError, clock::Nanos};

/// One permit every `period / limit`, and up to `burst` at once after a pause.
///
/// GCRA in its *virtual scheduling* form (ITU-T I.371): the theoretical arrival time `tat` is the
/// moment at which the next permit would be due at an even pace. A permit conforms if it comes no
/// earlier than `tat - (burst - 1) * interval`. The interval need not be a whole number of
/// nanoseconds, so times are counted in `limit`-ths of one, and nothing drifts.
///
/// Permits count from `since`: the present moment for a call that did not wait, and an earlier one
/// for a waiter that was woken late. In a stretch of time that is `t` long, no more than
/// `burst + (t + now - since) / interval` permits pass.
#[derive(Debug, Clone)]
pub(crate) struct Pacer {
    limit: u32,
    period: Nanos,
    /// Permits, as asked for. May exceed the limit after either was changed.
    burst: u32,
    /// In `limit`-ths of a nanosecond.
    tat: u128,
}

impl Pacer {
    /// With a burst of 1.
    pub(crate) fn new(limit: u32, period: Nanos) -> Self {
        Self { limit, period, burst: 1, tat: 0 }
    }

    /// One with another burst, as good as new.
    pub(crate) fn with_burst(&self, burst: u32) -> Result<Self, ConfigError> {
        if burst == 0 || burst > self.limit {
            return Err(ConfigError::new("burst", burst, "1 to the limit"));
        }
        Ok(Self { burst, tat: 0, ..*self })
    }

    pub(crate) fn as_new(&self) -> Self {
        Self { tat: 0, ..*self }
    }

    pub(crate) fn limit(&self) -> u32 {
        self.limit
    }

    pub(crate) fn period(&self) -> Nanos {
        self.period
    }

    /// Permits that may be taken at once after a pause: what was asked for, as far as the limit
    /// allows it.
    #[inline]
    pub(crate) fn burst(&self) -> u32 {
        self.burst.min(self.limit)
    }

    /// The burst as asked for, which a lowered limit leaves as it is.
    pub(crate) fn requested_burst(&self) -> u32 {
        self.burst
    }

    /// Later decisions are made by this burst. The schedule does not depend on it, so what has been
    /// taken stays taken.
    pub(crate) fn set_burst(&mut self, burst: u32) -> Result<(), ConfigError> {
        if burst == 0 {
            return Err(ConfigError::new("burst", burst, "at least 1"));
        }
        self.burst = burst;
        Ok(())
    }

    /// Later decisions are made by this limit; what has been taken stays taken, in time.
    pub(crate) fn set_limit(&mut self, limit: u32, period: Nanos) {
        self.tat = self.tat.div_ceil(self.limit.into()).saturating_mul(limit.into());
        self.limit = limit;
        self.period = period;
    }

    /// When a call of `permits` is due after calls that take `ahead`; 0 if now.
    ///
    /// A call of more than the burst needs no more than a full burst, and takes its time
    /// afterwards.
    #[inline]
    pub(crate) fn due_after(&self, now: Nanos, since: Nanos, ahead: u64, permits: u32) -> Nanos {
        self.due(now, since, ahead.saturating_add(permits.min(self.burst()).into()))
    }

    /// Returns whether a call of `permits` can be admitted now, and leaves room for calls that can
    /// take `ahead` now.
    ///
    /// A call of more than the burst has to fit as a whole, because it takes its time before
    /// theirs.
    pub(crate) fn leaves_room(&self, now: Nanos, since: Nanos, ahead: u64, permits: u32) -> bool {
        self.due(now, since, ahead.saturating_add(permits.into())) == 0
    }

    /// The first moment at which so many permits, taken one after the other, can all have been
    /// taken; 0 if now.
    #[inline]
    fn due(&self, now: Nanos, since: Nanos, permits: u64) -> Nanos {
        let from = self.tat.max(self.scaled(since));
        let burst = u64::from(self.burst());
        let due = match permits.checked_sub(burst) {
            Some(beyond) => from.saturating_add(self.intervals(beyond)),
            None => from.saturating_sub(self.intervals(burst - permits)),
        };
        if due <= self.scaled(now) { 0 } else { Self::saturated(due.div_ceil(self.limit.into())) }
    }

    /// Takes them if they could be taken now by one call.
    #[inline]
    pub(crate) fn try_take(&mut self, now: Nanos, permits: u32) -> bool {
        let now = self.scaled(now);
        let (from, after_burst) = (self.tat.max(now), self.burst().saturating_sub(permits));
        let free = permits <= self.limit && from <= now.saturating_add(self.intervals(after_burst.into()));
        if free {
            self.tat = from.saturating_add(self.intervals(permits.into()));
        }
        free
    }

    /// Takes them, whether they fit or not.
    #[inline]
    pub(crate) fn take(&mut self, since: Nanos, permits: u32) {
        self.tat = self.tat.max(self.scaled(since)).saturating_add(self.intervals(permits.into()));
    }

    /// Moves the schedule back by these permits, and no further than to now. Returns the number of
    /// whole permits that this gives back.
    pub(crate) fn refund(&mut self, now: Nanos, permits: u32) -> u32 {
        let back = self.intervals(permits.into()).min(self.tat.saturating_sub(self.scaled(now)));
        self.tat -= back;
        u32::try_from(back / u128::from(self.period)).unwrap_or(permits)
    }

    /// Permits that could be taken now.
    pub(crate) fn available(&self, now: Nanos) -> u32 {
        let ahead = self.tat.saturating_sub(self.scaled(now)).div_ceil(u128::from(self.period).max(1));
        self.burst().saturating_sub(u32::try_from(ahead).unwrap_or(u32::MAX))
    }

    pub(crate) fn idle_at(&self) -> Nanos {
        Self::saturated(self.tat.div_ceil(self.limit.into()))
    }

    fn scaled(&self, now: Nanos) -> u128 {
        u128::from(now) * u128::from(self.limit)
    }

    fn intervals(&self, permits: u64) -> u128 {
        u128::from(self.period) * u128::from(permits)
    }

    fn saturated(nanos: u128) -> Nanos {
        Nanos::try_from(nanos).unwrap_or(Nanos::MAX)
    }
}
