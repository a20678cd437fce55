//! Permits that the store has granted, and that no call has taken yet.

use super::ledger::runs;
use crate::{
    clock::Nanos,
    policy::{Counts, MAX_WINDOWS},
};
use std::collections::VecDeque;

/// Granted permits of each window.
///
/// Permits of one window are alike, whichever call they were granted for: each has a stamp of its
/// own in the log of its window, and may be used until that stamp. A call may therefore use permits
/// that were granted for a waiter that has left.
#[derive(Debug, Clone, Default)]
pub(super) struct Held {
    /// Ordered by `from`.
    windows: [VecDeque<Parcel>; MAX_WINDOWS],
    /// Permits of each window.
    totals: [u64; MAX_WINDOWS],
}

/// Permits of one window that may be used from one moment until another, both included.
#[derive(Debug, Clone, Copy)]
struct Parcel {
    from: Nanos,
    until: Nanos,
    permits: u64,
}

impl Held {
    /// Adds permits for a number of calls.
    pub(super) fn put(&mut self, counts: &Counts, calls: u32, from: Nanos, until: Nanos) {
        let windows = self.windows.iter_mut().zip(&mut self.totals).zip(counts);
        for ((parcels, total), &count) in windows.filter(|(_, count)| **count > 0) {
            let permits = u64::from(count) * u64::from(calls);
            *total += permits;
            match parcels.back_mut() {
                Some(last) if (last.from, last.until) == (from, until) => last.permits += permits,
                _ => {
                    let place = parcels.partition_point(|parcel| parcel.from <= from);
                    parcels.insert(place, Parcel { from, until, permits });
                }
            }
        }
    }

    /// Removes permits that may be used no longer. Returns their number in all windows.
    pub(super) fn expire(&mut self, now: Nanos) -> u64 {
        let mut lapsed = 0;
        for (parcels, total) in self.windows.iter_mut().zip(&mut self.totals) {
            // Nearly always, none has lapsed. A later parcel may lapse first, because the time for
            // which permits are held has grown shorter.
            if parcels.iter().take_while(|parcel| parcel.from <= now).any(|parcel| parcel.until < now) {
                let before = *total;
                parcels.retain(|parcel| {
                    *total -= if parcel.until < now { parcel.permits } else { 0 };
                    parcel.until >= now
                });
                lapsed += before - *total;
            }
        }
        lapsed
    }

    /// Removes all permits. Returns their number in all windows.
    pub(super) fn clear(&mut self) -> u64 {
        let lapsed = self.totals.iter().sum();
        *self = Self::default();
        lapsed
    }

    /// Moment at which a call can use its permits, all at that moment, after calls that take
    /// `ahead`; 0 if now, and `Nanos::MAX` if it is not covered. Permits for one moment and permits
    /// for another do not cover a call together, because the first lapse before the others begin.
    pub(super) fn due(&self, now: Nanos, ahead: &[u64; MAX_WINDOWS], counts: &Counts) -> Nanos {
        let is_first = *ahead == [0; MAX_WINDOWS];
        if is_first && self.are_usable(now, counts) {
            return 0;
        }
        if *counts == Counts::default() {
            return self
                .windows
                .iter()
                .zip(ahead)
                .map(|(parcels, ahead)| Self::begin_of(parcels, now, *ahead))
                .max()
                .unwrap_or(0);
        }
        let windows = || self.windows.iter().zip(ahead).zip(counts).filter(|(_, count)| **count > 0);
        let begins = |parcels: &VecDeque<Parcel>| {
            let parcels = parcels.iter().filter(|parcel| parcel.until >= now);
            parcels.map(|parcel| parcel.from.max(now)).collect::<Vec<_>>()
        };
        let mut moments: Vec<Nanos> = windows().flat_map(|((parcels, _), _)| begins(parcels)).collect();
        moments.sort_unstable();
        moments.dedup();
        let covers = |moment: &Nanos| {
            windows().all(|((parcels, ahead), count)| Self::left_at(parcels, now, *moment, *ahead) >= (*count).into())
        };
        moments.into_iter().find(covers).map_or(Nanos::MAX, |moment| if moment <= now { 0 } else { moment })
    }

    /// Moment at which so many permits of a window have begun; `Nanos::MAX` if fewer are held.
    fn begin_of(parcels: &VecDeque<Parcel>, now: Nanos, permits: u64) -> Nanos {
        let mut left = permits;
        if left == 0 {
            return 0;
        }
        for parcel in parcels.iter().filter(|parcel| parcel.until >= now) {
            left = left.saturating_sub(parcel.permits);
            if left == 0 {
                return if parcel.from <= now { 0 } else { parcel.from };
            }
        }
        Nanos::MAX
    }

    /// Permits that can be used at a moment, after calls that take `ahead` from the earliest.
    fn left_at(parcels: &VecDeque<Parcel>, now: Nanos, moment: Nanos, mut ahead: u64) -> u64 {
        let mut left = 0;
        for parcel in parcels.iter().filter(|parcel| parcel.until >= now) {
            let taken = ahead.min(parcel.permits);
            ahead -= taken;
            if (parcel.from..=parcel.until).contains(&moment) {
                left += parcel.permits - taken;
            }
        }
        left
    }

    fn are_usable(&self, now: Nanos, counts: &Counts) -> bool {
        counts.iter().enumerate().all(|(window, &count)| count == 0 || self.usable(now, window) >= count.into())
    }

    /// Sets the permits of a call aside, at the first moment that covers it. Returns `false` if
    /// there is none.
    pub(super) fn set_aside(&mut self, now: Nanos, counts: &Counts) -> bool {
        let due = self.due(now, &[0; MAX_WINDOWS], counts);
        if due < Nanos::MAX {
            self.take_at(due.max(now), counts);
        }
        due < Nanos::MAX
    }

    /// Permits of a window that can be used now.
    pub(super) fn usable(&self, now: Nanos, window: usize) -> u64 {
        let begun = self.windows[window].iter().take_while(|parcel| parcel.from <= now);
        begun.filter(|parcel| parcel.until >= now).map(|parcel| parcel.permits).sum()
    }

    /// Takes permits if all of them can be used now, the earliest first.
    #[inline]
    pub(super) fn try_take(&mut self, now: Nanos, counts: &Counts) -> bool {
        let is_covered = self.are_usable(now, counts);
        if is_covered {
            self.take_at(now, counts);
        }
        is_covered
    }

    fn take_at(&mut self, moment: Nanos, counts: &Counts) {
        for ((parcels, total), &count) in self.windows.iter_mut().zip(&mut self.totals).zip(counts) {
            let mut needed = u64::from(count);
            *total -= needed;
            while needed > 0 {
                let Some(first) = parcels.iter().position(|parcel| parcel.until >= moment) else { break };
                let taken = needed.min(parcels[first].permits);
                needed -= taken;
                parcels[first].permits -= taken;
                if parcels[first].permits == 0 {
                    parcels.remove(first);
                }
            }
        }
    }

    /// Permits of each window, those for later included.
    pub(super) fn totals(&self) -> [u64; MAX_WINDOWS] {
        self.totals
    }

    pub(super) fn is_empty(&self) -> bool {
        self.totals.iter().all(|total| *total == 0)
    }

    /// Returns `true` if a permit may be used only after this moment.
    pub(super) fn reaches_beyond(&self, moment: Nanos) -> bool {
        self.windows.iter().any(|parcels| parcels.back().is_some_and(|last| last.from > moment))
    }

    /// Moment after which no permit is held; 0 if none is held now.
    pub(super) fn idle_at(&self) -> Nanos {
        self.windows.iter().flatten().map(|parcel| parcel.until).max().unwrap_or(0)
    }

    /// The permits of a window by the last moments at which they may be used, in few runs.
    pub(super) fn runs(&self, window: usize) -> impl Iterator<Item = (Nanos, u64)> {
        runs(&self.windows[window], |parcel| (parcel.until, parcel.permits))
    }
}
