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

    /// Moment at which so many permits of each window can be used; 0 if now, and `Nanos::MAX` if
    /// fewer are held.
    pub(super) fn due(&self, now: Nanos, needed: &[u64; MAX_WINDOWS]) -> Nanos {
        if self.totals.iter().zip(needed).any(|(total, needed)| total < needed) {
            return Nanos::MAX;
        }
        let due = |(parcels, needed): (&VecDeque<Parcel>, &u64)| Self::due_in(parcels, now, *needed);
        self.windows.iter().zip(needed).map(due).max().unwrap_or(0)
    }

    fn due_in(parcels: &VecDeque<Parcel>, now: Nanos, needed: u64) -> Nanos {
        let mut left = needed;
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

    /// Permits of a window that can be used now.
    pub(super) fn usable(&self, now: Nanos, window: usize) -> u64 {
        let begun = self.windows[window].iter().take_while(|parcel| parcel.from <= now);
        begun.filter(|parcel| parcel.until >= now).map(|parcel| parcel.permits).sum()
    }

    /// Takes permits if all of them can be used now, the earliest first.
    #[inline]
    pub(super) fn try_take(&mut self, now: Nanos, counts: &Counts) -> bool {
        let needed = counts.map(u64::from);
        let is_covered = self.due(now, &needed) == 0;
        if is_covered {
            for ((parcels, total), needed) in self.windows.iter_mut().zip(&mut self.totals).zip(needed) {
                *total -= needed;
                Self::take(parcels, now, needed);
            }
        }
        is_covered
    }

    fn take(parcels: &mut VecDeque<Parcel>, now: Nanos, mut needed: u64) {
        while needed > 0 {
            let Some(first) = parcels.iter().position(|parcel| parcel.until >= now) else { return };
            let taken = needed.min(parcels[first].permits);
            needed -= taken;
            parcels[first].permits -= taken;
            if parcels[first].permits == 0 {
                parcels.remove(first);
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
