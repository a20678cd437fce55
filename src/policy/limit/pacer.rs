//! Even spacing, by the generic cell rate algorithm (GCRA).

use crate::{ConfigError, clock::Nanos};

/// Gives one permit every `period / limit`, and up to `burst` permits at once after an idle time.
///
/// Uses GCRA in its *virtual scheduling* form (ITU-T I.371). The theoretical arrival time `tat` is
/// the moment at which the next permit would be due at an even pace. A permit conforms if it comes
/// no earlier than `tat - (burst - 1) * interval`. The interval need not be a whole number of
/// nanoseconds. Times are therefore counted in `limit`-ths of a nanosecond, so that rounding errors
/// do not add up.
///
/// Permits count from `since`. For a call that did not wait, that is the present moment. For a
/// waiter that was woken late, it is an earlier moment. In a stretch of time that is `t` long, no
/// more than `burst + (t + now - since) / interval` permits pass.
#[derive(Debug, Clone)]
pub(crate) struct Pacer {
    limit: u32,
    period: Nanos,
    /// Permits, as set. May exceed the limit after either was changed.
    burst: u32,
    /// Theoretical arrival time, in `limit`-ths of a nanosecond.
    tat: u128,
}

impl Pacer {
    /// Makes a pacer with a burst of 1.
    pub(crate) fn new(limit: u32, period: Nanos) -> Self {
        Self { limit, period, burst: 1, tat: 0 }
    }

    /// Makes a pacer with another burst, and all permits free.
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

    /// Permits that may be taken at once after an idle time: the burst that was set, cut to the
    /// limit.
    #[inline]
    pub(crate) fn burst(&self) -> u32 {
        self.burst.min(self.limit)
    }

    /// The burst as it was set. A lowered limit does not change it.
    pub(crate) fn requested_burst(&self) -> u32 {
        self.burst
    }

    /// Changes the burst. The schedule does not depend on the burst, so permits that were taken
    /// stay taken.
    pub(crate) fn set_burst(&mut self, burst: u32) -> Result<(), ConfigError> {
        if burst == 0 {
            return Err(ConfigError::new("burst", burst, "at least 1"));
        }
        self.burst = burst;
        Ok(())
    }

    /// Changes the limit, and keeps the number of permits that are not free. They become free at
    /// the new pace, so that a faster limit serves the calls that wait, and a slower one has no
    /// second burst.
    pub(crate) fn reload(&mut self, now: Nanos, limit: u32, period: Nanos) {
        // A permit is a period of units, before and after.
        let (ahead, old_period) = (self.tat.saturating_sub(self.scaled(now)), u128::from(self.period));
        self.set_limit(limit, period);
        let Some(ahead) = ahead.checked_mul(period.into()) else { return };
        let schedule = self.scaled(now).saturating_add(ahead.div_ceil(old_period.max(1)));
        // A whole number of nanoseconds, and so of ticks.
        self.tat = schedule.div_ceil(limit.into()).saturating_mul(limit.into());
    }

    /// Changes the limit. Permits that were taken stay taken, and free again at the same time.
    pub(crate) fn set_limit(&mut self, limit: u32, period: Nanos) {
        self.tat = self.tat.div_ceil(self.limit.into()).saturating_mul(limit.into());
        self.limit = limit;
        self.period = period;
    }

    /// Moment at which a call of `permits` is due after calls that take `ahead`; 0 if now.
    ///
    /// A call of more than the burst waits for a full burst only. The rest delays the calls after
    /// it.
    #[inline]
    pub(crate) fn due_after(&self, now: Nanos, since: Nanos, ahead: u64, permits: u32) -> Nanos {
        self.due(now, since, ahead.saturating_add(permits.min(self.burst()).into()))
    }

    /// Returns `true` if a call of `permits` can be admitted now and leaves room for calls that can
    /// take `ahead` now.
    ///
    /// A call of more than the burst has to fit as a whole, because its rest would delay the other
    /// calls.
    pub(crate) fn leaves_room(&self, now: Nanos, since: Nanos, ahead: u64, permits: u32) -> bool {
        self.due(now, since, ahead.saturating_add(permits.into())) == 0
    }

    /// The first moment at which `permits`, taken one after the other, can all have been taken; 0
    /// if now.
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

    /// Takes permits if one call could take them now.
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

    /// Takes permits, whether they fit or not.
    #[inline]
    pub(crate) fn take(&mut self, since: Nanos, permits: u32) {
        self.tat = self.tat.max(self.scaled(since)).saturating_add(self.intervals(permits.into()));
    }

    /// Moves the schedule back by these permits, to `now` at the earliest. Returns the number of
    /// whole permits that were given back.
    pub(crate) fn refund(&mut self, now: Nanos, permits: u32) -> u32 {
        let back = self.intervals(permits.into()).min(self.tat.saturating_sub(self.scaled(now)));
        self.tat -= back;
        u32::try_from(back / u128::from(self.period)).unwrap_or(permits)
    }

    /// Number of permits that could be taken now.
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

/// The schedule of a [`Pacer`] in one integer, for as long as neither limit nor burst changes.
///
/// Times are counted in *ticks*: the largest unit in which a nanosecond and the interval are both
/// whole numbers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ticks {
    limit: u32,
    period: Nanos,
    burst: u32,
    /// Greatest common divisor of the limit and the period.
    divisor: u32,
    per_nano: u64,
    per_permit: u64,
}

impl Ticks {
    pub(crate) fn of(pacer: &Pacer) -> Self {
        let &Pacer { limit, period, .. } = pacer;
        let divisor = u32::try_from(gcd(limit.into(), period)).unwrap_or(limit);
        let (per_nano, per_permit) = (u64::from(limit / divisor), period / u64::from(divisor));
        Self { limit, period, burst: pacer.burst(), divisor, per_nano, per_permit }
    }

    /// The schedule of a pacer; `None` if its limit or burst is another, or the schedule is too far
    /// ahead.
    pub(crate) fn read(&self, pacer: &Pacer) -> Option<u64> {
        let is_same = (pacer.limit, pacer.period, pacer.burst()) == (self.limit, self.period, self.burst);
        u64::try_from(pacer.tat / u128::from(self.divisor)).ok().filter(|_| is_same)
    }

    pub(crate) fn write(&self, schedule: u64, pacer: &mut Pacer) {
        pacer.tat = u128::from(schedule) * u128::from(self.divisor);
    }

    /// [`Pacer::try_take`]: the schedule once the permits are taken. `None` if they are not free,
    /// or the numbers are too large.
    #[inline]
    pub(crate) fn take(&self, schedule: u64, now: Nanos, permits: u32) -> Option<u64> {
        let now = now.checked_mul(self.per_nano)?;
        let from = schedule.max(now);
        let ahead = self.per_permit.checked_mul(self.burst.saturating_sub(permits).into())?;
        let is_free = permits <= self.limit && from - now <= ahead;
        is_free.then(|| from.checked_add(self.per_permit.checked_mul(permits.into())?)).flatten()
    }
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cases::cases;
    use proptest::prelude::*;

    /// Limits that have large common divisors with the period, and none.
    fn any_pacer() -> impl Strategy<Value = Pacer> {
        let limit = prop_oneof![1..=10_u32, Just(1_000), Just(7_919), 1..=u32::MAX];
        let period = prop_oneof![1..=100_u64, Just(1_000_000_000), Just(60_000_000_000), 1..=u64::MAX / 2];
        (limit, period, 1..=20_u32).prop_map(|(limit, period, burst)| {
            let pacer = Pacer::new(limit, period);
            pacer.with_burst(burst.min(limit)).unwrap()
        })
    }

    proptest! {
        #![proptest_config(cases(20_000))]

        #[test]
        fn ticks_take_what_the_pacer_takes(
            mut pacer in any_pacer(),
            calls in prop::collection::vec((0..=3_u64, 0..=4_u32), 1..60),
        ) {
            let ticks = Ticks::of(&pacer);
            let interval = pacer.period / u64::from(pacer.limit);
            let mut now = 0_u64;
            for (intervals, permits) in calls {
                now = now.saturating_add((interval / 2).saturating_mul(intervals)).saturating_add(intervals % 2);
                let Some(schedule) = ticks.read(&pacer) else { break };
                let taken = ticks.take(schedule, now, permits);
                let is_free = pacer.clone().try_take(now, permits);
                prop_assert!(is_free || taken.is_none());
                let fits = u128::from(now) * u128::from(pacer.limit) <= u128::from(u64::MAX) / 64
                    && u128::from(pacer.period) <= u128::from(u64::MAX) / 1_024;
                prop_assert!(taken.is_some() || !is_free || !fits);
                if let Some(schedule) = taken {
                    let mut by_ticks = pacer.clone();
                    ticks.write(schedule, &mut by_ticks);
                    pacer.try_take(now, permits);
                    prop_assert_eq!(by_ticks.tat, pacer.tat);
                } else {
                    pacer.try_take(now, permits);
                }
            }
        }

        /// In any stretch of time, no more permits are taken than the largest burst and the fastest
        /// pace of that time allow. A faster pace makes no call wait longer.
        #[test]
        fn a_reload_lets_pass_what_the_fastest_pace_allows(
            first in (1..6_u32, 1..60_u64),
            events in prop::collection::vec((0..9_u64, prop::option::weighted(0.2, (1..6_u32, 1..60_u64))), 1..80),
        ) {
            let mut pacer = Pacer::new(first.0, first.1).with_burst(1 + first.0 / 2).unwrap();
            let (mut now, mut taken, mut paces) = (0, Vec::new(), vec![first]);
            for (pause, pace) in events {
                now += pause;
                if let Some((limit, period)) = pace {
                    let (before, due) = (pacer.clone(), pacer.due_after(now, now, 0, 1));
                    pacer.reload(now, limit, period);
                    paces.push((limit, period));
                    let is_faster = u64::from(limit) * before.period >= u64::from(before.limit) * period;
                    if is_faster && pacer.burst() >= before.burst() {
                        prop_assert!(pacer.due_after(now, now, 0, 1) <= due.max(now) + 1);
                    }
                }
                while pacer.try_take(now, 1) {
                    taken.push(now);
                }
            }
            let burst = u64::from(1 + first.0 / 2);
            for (earlier, from) in taken.iter().enumerate() {
                for (number, to) in (1_u64..).zip(&taken[earlier..]) {
                    let allowed = |(limit, period): &(u32, u64)| {
                        number <= burst || (number - burst) * period <= (to - from) * u64::from(*limit)
                    };
                    prop_assert!(paces.iter().any(allowed), "{number} permits from {from} to {to}");
                }
            }
        }

        /// No operation of the pacer leaves a remainder, so that the schedule can always be read.
        #[test]
        fn a_schedule_is_a_whole_number_of_ticks(
            pacer in any_pacer(),
            calls in prop::collection::vec((0..=3_u8, 0..=1_000_000_000_u64, 0..=4_u32), 1..40),
        ) {
            let ticks = Ticks::of(&pacer);
            let mut pacer = pacer;
            let mut now = 0_u64;
            for (what, nanos, permits) in calls {
                now += nanos;
                match what {
                    0 => drop(pacer.try_take(now, permits)),
                    1 => pacer.take(now, permits),
                    2 => drop(pacer.refund(now, permits)),
                    _ => {
                        let (limit, period) = (pacer.limit, pacer.period);
                        pacer.set_limit(3, 1_000);
                        pacer.set_limit(limit, period);
                    }
                }
                prop_assert_eq!(pacer.tat % u128::from(ticks.divisor), 0);
            }
        }
    }
}
