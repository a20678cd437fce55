//! An exact window: at most `limit` permits in any stretch of time that is one period long.

use crate::clock::Nanos;
use std::collections::VecDeque;

/// Maximum number of stamps (16 bytes each) that are allocated up front. The log of a larger limit
/// grows when it is first needed.
const MAX_RESERVED: usize = 1 << 16;

/// Log of the moments at which permits were taken, as long as they matter.
///
/// A token bucket does not keep these moments. It lets up to `2 * limit - 1` permits pass within
/// one period.
#[derive(Debug, Clone)]
pub(crate) struct SlidingLog {
    limit: u32,
    /// The largest limit so far.
    largest_limit: u32,
    period: Nanos,
    stamps: VecDeque<Stamp>,
    /// Running totals: permits that were ever taken, and those before the oldest stamp. With
    /// running totals, a binary search finds when a number of permits will be free again.
    taken_total: u64,
    expired_total: u64,
    /// Stamps that would be in the window again if the period grew back. `None` while no period so
    /// far was longer.
    expired: Option<Box<Expired>>,
}

/// Stamps that are outside of the window because its period was shortened.
#[derive(Debug, Clone)]
struct Expired {
    stamps: VecDeque<Stamp>,
    /// Permits that were taken before the oldest of these stamps.
    total_before: u64,
    /// The longest period so far, in nanoseconds.
    period: Nanos,
}

#[derive(Debug, Clone, Copy)]
struct Stamp {
    at: Nanos,
    /// Permits that were ever taken, those of this stamp included.
    taken_total: u64,
}

impl SlidingLog {
    pub(crate) fn new(limit: u32, period: Nanos, reserve: bool) -> Self {
        let reserved = if reserve { MAX_RESERVED.min(limit as usize) } else { 0 };
        let stamps = VecDeque::with_capacity(reserved);
        Self { limit, largest_limit: limit, period, stamps, taken_total: 0, expired_total: 0, expired: None }
    }

    pub(crate) fn limit(&self) -> u32 {
        self.limit
    }

    pub(crate) fn period(&self) -> Nanos {
        self.period
    }

    /// Changes the limit and the period. Permits that are in the window stay in it. Permits that a
    /// shorter period has put outside of the window are in it again with a longer period. Call
    /// [`expire`](Self::expire) before and afterwards.
    pub(crate) fn set_limit(&mut self, limit: u32, period: Nanos) {
        let expired = self.expired.take();
        let longest_period = expired.as_ref().map_or(self.period, |expired| expired.period).max(period);
        if let Some(mut expired) = expired.filter(|expired| !expired.stamps.is_empty()) {
            self.expired_total = expired.total_before;
            expired.stamps.append(&mut self.stamps);
            self.stamps.append(&mut expired.stamps);
        }
        if period < longest_period {
            self.expired = Some(Box::new(Expired { stamps: VecDeque::new(), total_before: 0, period: longest_period }));
        }
        self.limit = limit;
        self.largest_limit = self.largest_limit.max(limit);
        self.period = period;
    }

    /// Returns `true` if stamps that leave the window are kept.
    pub(crate) fn keeps_expired(&self) -> bool {
        self.expired.is_some()
    }

    #[inline]
    fn in_use(&self) -> u64 {
        self.taken_total - self.expired_total
    }

    /// Removes permits that have left the window by now. A permit taken at `t` is in the window
    /// until, and not at, `t + period`.
    pub(crate) fn expire(&mut self, now: Nanos) {
        let Some(expired) = &mut self.expired else { return self.expire_for_good(now) };
        let leaving = self.stamps.partition_point(|stamp| stamp.at.saturating_add(self.period) <= now);
        for stamp in self.stamps.drain(..leaving) {
            if expired.stamps.is_empty() {
                expired.total_before = self.expired_total;
            }
            expired.stamps.push_back(stamp);
            self.expired_total = stamp.taken_total;
        }
        // Removes stamps that are older than the longest period so far, and stamps before as many
        // permits as the largest limit so far.
        while let Some(first) = expired.stamps.front() {
            if first.at.saturating_add(expired.period) > now
                && self.taken_total - first.taken_total < self.largest_limit.into()
            {
                break;
            }
            expired.total_before = first.taken_total;
            expired.stamps.pop_front();
        }
    }

    /// [`expire`](Self::expire) for a log that keeps no expired stamps.
    #[inline]
    pub(crate) fn expire_for_good(&mut self, now: Nanos) {
        while let Some(first) = self.stamps.front() {
            if first.at.saturating_add(self.period) > now {
                break;
            }
            self.expired_total = first.taken_total;
            self.stamps.pop_front();
        }
    }

    /// Returns `true` if `permits` could be taken now. Call [`expire`](Self::expire) first.
    #[inline]
    pub(crate) fn has_free(&self, permits: u32) -> bool {
        permits == 0 || self.in_use() + u64::from(permits) <= self.limit.into()
    }

    /// The first moment at which this number of permits, taken one after the other, can all have
    /// been taken; 0 if at once. Call [`expire`](Self::expire) first.
    ///
    /// Permits `i` and `i + limit` are at least a period apart, so permits beyond the limit add
    /// whole periods. For calls of more than one permit this is a lower bound.
    #[inline]
    pub(crate) fn due(&self, now: Nanos, permits: u64) -> Nanos {
        let Some(most) = permits.checked_sub(1) else { return 0 };
        let limit = u64::from(self.limit);
        if permits <= limit {
            return self.due_within_limit(permits);
        }
        let (periods, rest) = (most / limit, most % limit + 1);
        self.due_within_limit(rest).max(now).saturating_add(self.period.saturating_mul(periods))
    }

    #[inline]
    fn due_within_limit(&self, permits: u64) -> Nanos {
        let Some(must_leave) = (self.in_use() + permits).checked_sub(u64::from(self.limit)).filter(|n| *n > 0) else {
            return 0;
        };
        let last_to_leave = self.stamps.partition_point(|stamp| stamp.taken_total - self.expired_total < must_leave);
        // A number of permits up to the limit fits at the latest when all others have left.
        self.stamps.get(last_to_leave).or(self.stamps.back()).map_or(0, |stamp| stamp.at.saturating_add(self.period))
    }

    /// Takes permits, whether they fit or not.
    #[inline]
    pub(crate) fn take(&mut self, now: Nanos, permits: u32) {
        if permits == 0 {
            return;
        }
        self.taken_total += u64::from(permits);
        match self.stamps.back_mut() {
            Some(last) if last.at == now => last.taken_total = self.taken_total,
            _ => self.stamps.push_back(Stamp { at: now, taken_total: self.taken_total }),
        }
    }

    /// Gives back up to `permits` of the permits that were taken at the moment `at`, and returns
    /// their number. Takes time in proportion to the stamps since then.
    ///
    /// Afterwards, the log is as if they had never been taken. Permits that have left the window
    /// for good are not given back, and permits of other moments stay.
    pub(crate) fn refund_at(&mut self, at: Nanos, permits: u32) -> u32 {
        let mut given = give_back(&mut self.stamps, self.expired_total, at, permits);
        if let Some(expired) = self.expired.as_mut().filter(|_| given == 0) {
            given = give_back(&mut expired.stamps, expired.total_before, at, permits);
            self.stamps.iter_mut().for_each(|stamp| stamp.taken_total -= u64::from(given));
            self.expired_total -= u64::from(given);
        }
        self.taken_total -= u64::from(given);
        given
    }

    /// Gives back up to `permits` of the permits in the window, the oldest first, and returns their
    /// number. Call [`expire`](Self::expire) first.
    ///
    /// The oldest are the safe choice: each stretch of time up to now then counts at least as many
    /// permits as after a refund of any other permits in the window.
    pub(crate) fn refund(&mut self, permits: u32) -> u32 {
        let given = self.in_use().min(permits.into());
        self.expired_total += given;
        while self.stamps.front().is_some_and(|first| first.taken_total <= self.expired_total) {
            self.stamps.pop_front();
        }
        // The totals of expired stamps keep their distance from those of the window.
        if let Some(expired) = &mut self.expired {
            expired.total_before += given;
            expired.stamps.iter_mut().for_each(|stamp| stamp.taken_total += given);
        }
        u32::try_from(given).unwrap_or(permits)
    }

    /// Number of permits that could be taken now. Call [`expire`](Self::expire) first.
    pub(crate) fn available(&self) -> u32 {
        let used = u32::try_from(self.in_use()).unwrap_or(u32::MAX);
        self.limit.saturating_sub(used)
    }

    /// Moment at which the window will be empty; 0 if it is empty.
    pub(crate) fn idle_at(&self) -> Nanos {
        self.stamps.back().map_or(0, |last| last.at.saturating_add(self.period))
    }
}

/// Gives back up to `permits` of the permits that were taken at the moment `at`, and returns their
/// number. `before` is the total before the first of `stamps`.
fn give_back(stamps: &mut VecDeque<Stamp>, before: u64, at: Nanos, permits: u32) -> u32 {
    let position = stamps.partition_point(|stamp| stamp.at < at);
    let before = position.checked_sub(1).map_or(before, |previous| stamps[previous].taken_total);
    let Some(stamp) = stamps.get(position).filter(|stamp| stamp.at == at) else { return 0 };
    let of_this_moment = stamp.taken_total - before;
    let given = permits.min(u32::try_from(of_this_moment).unwrap_or(u32::MAX));
    stamps.range_mut(position..).for_each(|stamp| stamp.taken_total -= u64::from(given));
    if u64::from(given) == of_this_moment {
        stamps.remove(position);
    }
    given
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cases::cases;
    use proptest::prelude::*;

    #[derive(Debug, Clone)]
    enum Event {
        Pass(Nanos),
        Take(u32),
        SetLimit(u32, Nanos),
        Refund(u32),
        /// A refund of permits that the n-th taking event took.
        RefundAt(usize, u32),
    }

    fn any_events() -> impl Strategy<Value = Vec<Event>> {
        let event = prop_oneof![
            4 => (0_u64..12).prop_map(Event::Pass),
            4 => (0_u32..5).prop_map(Event::Take),
            2 => (1_u32..8, 1_u64..40).prop_map(|(limit, period)| Event::SetLimit(limit, period)),
            1 => (0_u32..9).prop_map(Event::Refund),
            2 => (0_usize..30, 0_u32..6).prop_map(|(n, permits)| Event::RefundAt(n, permits)),
        ];
        prop::collection::vec(event, 1..60)
    }

    /// Naive model: the moment of each permit that was ever taken.
    struct Naive {
        limit: u32,
        period: Nanos,
        largest_limit: u32,
        longest_period: Nanos,
        taken: Vec<Nanos>,
        now: Nanos,
    }

    impl Naive {
        fn in_use_at(&self, moment: Nanos) -> u64 {
            self.taken.iter().filter(|at| **at + self.period > moment).count() as u64
        }

        /// Removes permits that no window so far would count.
        fn expire(&mut self) {
            let is_held = |at: Nanos| {
                let later = self.taken.iter().filter(|later| **later > at).count();
                at + self.period > self.now
                    || (at + self.longest_period > self.now && later < self.largest_limit as usize)
            };
            self.taken = self.taken.iter().copied().filter(|at| is_held(*at)).collect();
        }

        fn set_limit(&mut self, limit: u32, period: Nanos) {
            (self.limit, self.period) = (limit, period);
            self.largest_limit = self.largest_limit.max(limit);
            self.longest_period = self.longest_period.max(period);
        }

        /// Gives back up to this number of permits for which `is_meant` is true, the oldest first.
        fn refund(&mut self, permits: u32, is_meant: impl Fn(Nanos) -> bool) -> u32 {
            let mut given = 0;
            self.taken.retain(|at| {
                let goes = given < permits && is_meant(*at);
                given += u32::from(goes);
                !goes
            });
            given
        }

        fn due(&self, permits: u64) -> Nanos {
            let end = self.now + self.period;
            (self.now..=end).find(|moment| self.in_use_at(*moment) + permits <= self.limit.into()).unwrap()
        }
    }

    proptest! {
        #![proptest_config(cases(5_000))]

        #[test]
        fn the_log_decides_as_a_list_of_all_permits(limit in 1_u32..8, period in 1_u64..40, events in any_events()) {
            let mut log = SlidingLog::new(limit, period, true);
            let (largest_limit, longest_period) = (limit, period);
            let mut naive = Naive { limit, period, largest_limit, longest_period, taken: Vec::new(), now: 0 };
            let mut moments = Vec::new();
            for event in events {
                match event {
                    Event::Pass(time) => naive.now += time,
                    Event::Take(permits) => {
                        log.take(naive.now, permits);
                        naive.taken.extend((0..permits).map(|_| naive.now));
                        moments.push(naive.now);
                    }
                    Event::SetLimit(limit, period) => {
                        log.set_limit(limit, period);
                        naive.set_limit(limit, period);
                    }
                    Event::Refund(permits) => {
                        let (now, period) = (naive.now, naive.period);
                        let given = naive.refund(permits, |at| at + period > now);
                        prop_assert_eq!(log.refund(permits), given);
                    }
                    Event::RefundAt(n, permits) => {
                        let Some(moment) = moments.get(n % moments.len().max(1)).copied() else { continue };
                        let given = naive.refund(permits, |at| at == moment);
                        prop_assert_eq!(log.refund_at(moment, permits), given);
                    }
                }
                log.expire(naive.now);
                naive.expire();
                let in_use = naive.in_use_at(naive.now);
                prop_assert_eq!(u64::from(log.available()), u64::from(naive.limit).saturating_sub(in_use));
                for permits in 1..=naive.limit {
                    let due = naive.due(permits.into());
                    prop_assert_eq!(log.has_free(permits), due == naive.now);
                    prop_assert_eq!(log.due(naive.now, permits.into()).max(naive.now), due);
                }
                prop_assert_eq!(log.keeps_expired(), naive.period < naive.longest_period);
                let kept = log.expired.as_ref().map_or(0, |expired| expired.stamps.len());
                prop_assert!(kept <= naive.largest_limit as usize, "{kept} stamps");
            }
        }

        /// After a refund of the oldest permits, each stretch of time counts at least as many
        /// permits as after a refund of any others in the window.
        #[test]
        fn a_refund_of_the_oldest_leaves_no_stretch_of_time_emptier(
            limit in 1_u32..8,
            takes in prop::collection::vec((0_u64..12, 1_u32..5), 1..12),
            others in prop::collection::vec((0_usize..12, 0_u32..5), 1..6),
        ) {
            let mut log = SlidingLog::new(limit, 40, true);
            let (mut now, mut moments) = (0, Vec::new());
            for (pause, permits) in takes {
                now += pause;
                log.take(now, permits);
                moments.push(now);
            }
            log.expire(now);
            let mut of_others = log.clone();
            for (n, permits) in others {
                let given = of_others.refund_at(moments[n % moments.len()], permits);
                prop_assert_eq!(log.refund(given), given);
            }
            prop_assert_eq!(log.in_use(), of_others.in_use());
            for later in now..=now + 40 {
                log.expire(later);
                of_others.expire(later);
                prop_assert!(log.in_use() >= of_others.in_use());
            }
        }
    }
}
