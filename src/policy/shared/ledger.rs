//! Permits of one window that a process has used, as long as they count.

use crate::clock::Nanos;
use std::collections::VecDeque;

/// Part of a period to which stamps are rounded up. Bounds the number of entries.
const GRAINS_PER_PERIOD: Nanos = 1_000;

/// Maximum number of entries of one window in a request.
pub(super) const MAX_RUNS: usize = 64;

/// The permits by their moments, rounded up. A moment that is rounded up counts for longer, so no
/// window gets too much room.
#[derive(Debug, Clone)]
pub(super) struct Ledger {
    period: Nanos,
    /// Moments and permits, in order.
    entries: VecDeque<(Nanos, u64)>,
}

impl Ledger {
    pub(super) fn new(period: Nanos) -> Self {
        Self { period, entries: VecDeque::new() }
    }

    pub(super) fn set_period(&mut self, period: Nanos) {
        self.period = period;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Notes permits that are used now. Later calls have later moments.
    pub(super) fn add(&mut self, now: Nanos, permits: u32) {
        if permits == 0 {
            return;
        }
        let grain = (self.period / GRAINS_PER_PERIOD).max(1);
        let at = now.div_ceil(grain).saturating_mul(grain);
        match self.entries.back_mut() {
            Some((last, count)) if *last >= at => *count += u64::from(permits),
            _ => self.entries.push_back((at, permits.into())),
        }
    }

    /// Forgets the permits that have left the window.
    pub(super) fn expire(&mut self, now: Nanos) {
        while self.entries.front().is_some_and(|(at, _)| at.saturating_add(self.period) <= now) {
            self.entries.pop_front();
        }
    }

    /// Takes back the oldest of these permits, up to this number. Returns their number.
    pub(super) fn give_back(&mut self, permits: u32) -> u32 {
        let mut left = u64::from(permits);
        while let Some((_, count)) = self.entries.front_mut().filter(|_| left > 0) {
            let given = left.min(*count);
            (left, *count) = (left - given, *count - given);
            if *count == 0 {
                self.entries.pop_front();
            }
        }
        permits - u32::try_from(left).unwrap_or(permits)
    }

    /// Puts the permits of an earlier ledger of this window before those of this one.
    pub(super) fn prepend(&mut self, mut earlier: Self) {
        earlier.entries.append(&mut self.entries);
        self.entries = earlier.entries;
    }

    /// Moment at which the window is empty; 0 if it is.
    pub(super) fn idle_at(&self) -> Nanos {
        self.entries.back().map_or(0, |(at, _)| at.saturating_add(self.period))
    }

    /// The moments and permits, in few runs.
    pub(super) fn runs(&self) -> impl Iterator<Item = (Nanos, u64)> {
        runs(&self.entries, |entry| *entry)
    }
}

/// Merges neighbours until at most [`MAX_RUNS`] are left. Each run has the last moment of its
/// entries.
pub(super) fn runs<T>(entries: &VecDeque<T>, read: impl Fn(&T) -> (Nanos, u64)) -> impl Iterator<Item = (Nanos, u64)> {
    let each = entries.len().div_ceil(MAX_RUNS).max(1);
    (0..entries.len()).step_by(each).map(move |first| {
        let run = entries.range(first..entries.len().min(first + each)).map(&read);
        run.fold((0, 0), |(last, sum), (at, count)| (at.max(last), sum + count))
    })
}
