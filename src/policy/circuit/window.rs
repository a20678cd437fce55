//! The windows of a circuit breaker: the last calls, or the calls of the last period.

use super::config::CircuitWindow;
use crate::{
    ConfigError,
    clock::{Nanos, nanos},
};

/// Minimum number of calls of a rate, unless it is set.
const DEFAULT_MINIMUM_CALLS: u32 = 20;

/// Maximum number of calls in a window that counts calls. A call takes one bit.
const MAX_CALLS: u32 = 1 << 20;

/// Number of buckets of a window that counts by time.
const BUCKETS: usize = 10;

/// The outcomes that decide whether a failure opens the circuit.
#[derive(Debug, Clone)]
pub(crate) enum Window {
    Among(Ring),
    Rate(Buckets),
}

impl Window {
    /// Makes an empty window.
    pub(crate) fn try_new(window: CircuitWindow, minimum_calls: Option<u32>) -> Result<Self, ConfigError> {
        if let (CircuitWindow::Consecutive { .. } | CircuitWindow::Among { .. }, Some(calls)) = (window, minimum_calls)
        {
            return Err(ConfigError::new("minimum_calls", calls, "left out unless the breaker has a rate"));
        }
        match window {
            CircuitWindow::Consecutive { failures } => Ring::try_new(failures, failures).map(Self::Among),
            CircuitWindow::Among { failures, calls } => Ring::try_new(failures, calls).map(Self::Among),
            CircuitWindow::Rate { rate, period } => {
                Buckets::try_new(rate, nanos(period), minimum_calls.unwrap_or(DEFAULT_MINIMUM_CALLS)).map(Self::Rate)
            }
        }
    }

    /// Returns `true` if another failure opens the circuit.
    pub(super) fn opens_with_failure(&mut self, now: impl FnOnce() -> Nanos) -> bool {
        match self {
            Self::Among(ring) => ring.opens_with_failure(),
            Self::Rate(buckets) => buckets.opens_with_failure(now()),
        }
    }

    pub(super) fn add(&mut self, failed: bool, now: impl FnOnce() -> Nanos) {
        match self {
            Self::Among(ring) => ring.add(failed),
            Self::Rate(buckets) => buckets.add(failed, now()),
        }
    }

    /// Returns `true` if a success would change nothing.
    pub(super) fn is_clean(&self) -> bool {
        match self {
            Self::Among(ring) => ring.failures == 0,
            Self::Rate(_) => false,
        }
    }

    /// Takes over the settings of another window, and keeps the outcomes that fit into it. A window
    /// of another kind is empty.
    pub(super) fn reload(&mut self, new: &Self) {
        match (&mut *self, new) {
            (Self::Among(ring), Self::Among(new)) => ring.reload(new),
            (Self::Rate(buckets), Self::Rate(new)) => buckets.reload(new),
            _ => *self = new.clone(),
        }
    }

    pub(super) fn clear(&mut self) {
        match self {
            Self::Among(ring) => ring.clear(),
            Self::Rate(buckets) => buckets.clear(),
        }
    }

    /// The number of failures in the window, and the time until the window has forgotten all calls;
    /// `None` if time alone does not make it forget.
    pub(super) fn rest(&mut self, now: Nanos) -> (u64, Option<Nanos>) {
        match self {
            Self::Among(ring) => (ring.failures.into(), (ring.failures == 0).then_some(0)),
            Self::Rate(buckets) => buckets.rest(now),
        }
    }
}

/// The outcomes of the last calls, one bit for each. Calls that have not happened are good.
#[derive(Debug, Clone)]
pub(crate) struct Ring {
    /// Number of failures that open the circuit.
    limit: u32,
    calls: u32,
    /// The bit of the oldest call, which the next call replaces.
    next: u32,
    /// Number of bits that are set.
    failures: u32,
    bits: Box<[u64]>,
}

impl Ring {
    fn try_new(limit: u32, calls: u32) -> Result<Self, ConfigError> {
        if limit == 0 {
            return Err(ConfigError::new("failures", limit, "at least 1"));
        }
        if calls < limit {
            return Err(ConfigError::new("calls", calls, "at least the number of failures"));
        }
        if calls > MAX_CALLS {
            return Err(ConfigError::new("calls", calls, "at most 1048576"));
        }
        let bits = vec![0; calls.div_ceil(u64::BITS) as usize].into_boxed_slice();
        Ok(Self { limit, calls, next: 0, failures: 0, bits })
    }

    fn oldest(&self) -> bool {
        self.bits[(self.next / u64::BITS) as usize] >> (self.next % u64::BITS) & 1 == 1
    }

    fn opens_with_failure(&self) -> bool {
        self.failures - u32::from(self.oldest()) + 1 >= self.limit
    }

    fn add(&mut self, failed: bool) {
        if self.failures == 0 && !failed {
            return; // all bits are clear, so the place of the next one does not matter
        }
        if self.limit == self.calls && !failed {
            return self.clear(); // a success ends a row
        }
        self.failures = self.failures - u32::from(self.oldest()) + u32::from(failed);
        let (word, bit) = (&mut self.bits[(self.next / u64::BITS) as usize], 1 << (self.next % u64::BITS));
        if failed {
            *word |= bit;
        } else {
            *word &= !bit;
        }
        self.next = (self.next + 1) % self.calls;
    }

    /// Takes over the settings of an empty ring, and keeps the latest outcomes.
    fn reload(&mut self, new: &Self) {
        let mut resized = new.clone();
        for _ in 0..self.calls {
            resized.add(self.oldest());
            self.next = (self.next + 1) % self.calls;
        }
        *self = resized;
    }

    fn clear(&mut self) {
        (self.next, self.failures) = (0, 0);
        self.bits.fill(0);
    }
}

/// The calls of the last period, in ten buckets of a tenth of the period each. A call leaves the
/// window with its bucket, after 0.9 to 1.0 periods.
#[derive(Debug, Clone)]
pub(crate) struct Buckets {
    /// Share of failures that opens the circuit, above 0 and at most 1.
    rate: f64,
    minimum_calls: u32,
    /// Length of a bucket.
    length: Nanos,
    /// Number of the newest bucket, counted from the epoch. Its tally is at this number modulo
    /// [`BUCKETS`].
    newest: u64,
    tallies: [Tally; BUCKETS],
    /// Sum of the buckets.
    sum: Tally,
}

#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    calls: u64,
    failures: u64,
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.calls += other.calls;
        self.failures += other.failures;
    }
}

impl Buckets {
    fn try_new(rate: f64, period: Nanos, minimum_calls: u32) -> Result<Self, ConfigError> {
        if !(rate > 0.0 && rate <= 1.0) {
            return Err(ConfigError::new("rate", rate, "above 0 and at most 1"));
        }
        let length = period / BUCKETS as u64;
        if length == 0 {
            return Err(ConfigError::new("period", format_args!("{period}ns"), "at least 10ns"));
        }
        if minimum_calls == 0 {
            return Err(ConfigError::new("minimum_calls", minimum_calls, "at least 1"));
        }
        let (tallies, sum) = ([Tally::default(); BUCKETS], Tally::default());
        Ok(Self { rate, minimum_calls, length, newest: 0, tallies, sum })
    }

    /// Takes over the settings of empty buckets, and keeps the calls of the new period. The calls
    /// of a bucket count as if they were made at its beginning.
    fn reload(&mut self, new: &Self) {
        if self.length == new.length {
            (self.rate, self.minimum_calls) = (new.rate, new.minimum_calls);
            return;
        }
        let mut moved = new.clone();
        moved.newest = self.newest * self.length / new.length;
        for number in self.newest.saturating_sub(BUCKETS as u64 - 1)..=self.newest {
            let (tally, number) = (*self.bucket(number), number * self.length / new.length);
            if moved.newest - number < BUCKETS as u64 {
                moved.sum.add(tally);
                moved.bucket(number).add(tally);
            }
        }
        *self = moved;
    }

    /// Removes the buckets that have left the window.
    fn advance(&mut self, now: Nanos) {
        let newest = (now / self.length).max(self.newest);
        if newest - self.newest >= BUCKETS as u64 {
            self.clear();
        } else {
            for number in self.newest + 1..=newest {
                let left = std::mem::take(self.bucket(number));
                self.sum.calls -= left.calls;
                self.sum.failures -= left.failures;
            }
        }
        self.newest = newest;
    }

    #[allow(clippy::cast_possible_truncation)] // below `BUCKETS`
    fn bucket(&mut self, number: u64) -> &mut Tally {
        &mut self.tallies[(number % BUCKETS as u64) as usize]
    }

    #[allow(clippy::cast_precision_loss)] // exact up to 2^53 calls
    fn opens_with_failure(&mut self, now: Nanos) -> bool {
        self.advance(now);
        let (calls, failures) = (self.sum.calls + 1, self.sum.failures + 1);
        // A quotient is rounded as a literal is, so 3 of 30 calls are exactly the rate 0.1.
        calls >= self.minimum_calls.into() && failures as f64 / calls as f64 >= self.rate
    }

    fn add(&mut self, failed: bool, now: Nanos) {
        self.advance(now);
        let newest = self.bucket(self.newest);
        newest.calls += 1;
        newest.failures += u64::from(failed);
        self.sum.calls += 1;
        self.sum.failures += u64::from(failed);
    }

    fn clear(&mut self) {
        self.tallies = Default::default();
        self.sum = Tally::default();
    }

    fn rest(&mut self, now: Nanos) -> (u64, Option<Nanos>) {
        self.advance(now);
        let Some(age) = (0..BUCKETS as u64).find(|age| self.newest >= *age && self.bucket(self.newest - age).calls > 0)
        else {
            return (0, Some(0));
        };
        let empty_at = (self.newest - age + BUCKETS as u64).saturating_mul(self.length);
        (self.sum.failures, Some(empty_at.saturating_sub(now)))
    }
}

#[cfg(all(test, not(shuttle)))]
mod tests {
    use super::*;
    use crate::cases::cases;
    use proptest::prelude::*;

    #[derive(Debug, Clone)]
    enum Event {
        End { failed: bool },
        Reload { limit: u32, calls: u32 },
    }

    fn any_limits() -> impl Strategy<Value = (u32, u32)> {
        (1_u32..80, 1_u32..80).prop_map(|(a, b)| (a.min(b), a.max(b)))
    }

    fn any_events() -> impl Strategy<Value = Vec<Event>> {
        let event = prop_oneof![
            20 => prop::bool::weighted(0.6).prop_map(|failed| Event::End { failed }),
            1 => any_limits().prop_map(|(limit, calls)| Event::Reload { limit, calls }),
        ];
        prop::collection::vec(event, 1..200)
    }

    /// A list of the outcomes, the latest at the end.
    struct Naive {
        limit: usize,
        calls: usize,
        failed: Vec<bool>,
    }

    impl Naive {
        fn add(&mut self, failed: bool) {
            if self.limit == self.calls && !failed {
                self.failed.clear(); // a success ends a row
            } else {
                self.failed.push(failed);
            }
            let beyond = self.failed.len().saturating_sub(self.calls);
            self.failed.drain(..beyond);
        }

        fn reload(&mut self, limit: u32, calls: u32) {
            (self.limit, self.calls) = (limit as usize, calls as usize);
            std::mem::take(&mut self.failed).into_iter().for_each(|failed| self.add(failed));
        }

        fn opens_with_failure(&self) -> bool {
            let others = self.failed.iter().rev().take(self.calls - 1);
            others.filter(|failed| **failed).count() + 1 >= self.limit
        }
    }

    proptest! {
        #![proptest_config(cases(2_000))]

        #[test]
        fn a_ring_that_is_reloaded_decides_as_a_list((limit, calls) in any_limits(), events in any_events()) {
            let mut ring = Ring::try_new(limit, calls).unwrap();
            let mut naive = Naive { limit: limit as usize, calls: calls as usize, failed: Vec::new() };
            for event in events {
                match event {
                    Event::End { failed } => {
                        ring.add(failed);
                        naive.add(failed);
                    }
                    Event::Reload { limit, calls } => {
                        ring.reload(&Ring::try_new(limit, calls).unwrap());
                        naive.reload(limit, calls);
                    }
                }
                prop_assert_eq!(ring.opens_with_failure(), naive.opens_with_failure());
                prop_assert_eq!(ring.failures as usize, naive.failed.iter().filter(|failed| **failed).count());
            }
        }

        /// After a reload, a call is in the window for as long as the new period allows, to a tenth
        /// of the longer period.
        #[test]
        fn calls_stay_for_the_new_period(
            (before, after) in (10_u64..1_000, 10_u64..1_000),
            calls in prop::collection::vec(0_u64..300, 1..20),
            later in 0_u64..2_000,
        ) {
            let buckets = |period| Buckets::try_new(1.0, period, 1).unwrap();
            let (mut reloaded, mut now) = (buckets(before), 0);
            let moments: Vec<_> = calls.into_iter().map(|pause| { now += pause; now }).collect();
            moments.iter().for_each(|moment| reloaded.add(true, *moment));
            reloaded.reload(&buckets(after));
            reloaded.advance(now + later);
            let count = |longest: u64, of: u64| {
                let (age, kept) = (|moment: &u64| now + later - moment, |moment: &u64| now - moment < of);
                moments.iter().filter(|moment| age(moment) < longest && kept(moment)).count() as u64
            };
            let slack = before.max(after).div_ceil(10) + 2;
            let least = count(after.saturating_sub(2 * slack), before.min(after).saturating_sub(2 * slack));
            prop_assert!(reloaded.sum.calls >= least, "{} < {least}", reloaded.sum.calls);
            prop_assert!(reloaded.sum.calls <= count(after + slack, u64::MAX), "{}", reloaded.sum.calls);
            prop_assert_eq!(reloaded.tallies.iter().map(|tally| tally.calls).sum::<u64>(), reloaded.sum.calls);
        }
    }
}
