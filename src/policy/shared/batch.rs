//! The calls of one request.

use super::{ask::Run, held::Held, ledger::MAX_RUNS};
use crate::{
    clock::Nanos,
    policy::{Counts, MAX_WINDOWS},
};
use std::time::Duration;

/// Maximum number of calls in a request. Bounds the time for which a request holds the lock.
const MAX_CALLS: u32 = 4_096;

/// Resolution of the times that calls may wait, in nanoseconds. Calls that came within the same
/// millisecond fit into one run.
const PATIENCE_GRAIN: Nanos = 1_000_000;

/// Collects the waiting calls, in order, that held permits do not cover.
#[derive(Debug)]
pub(crate) struct Batch {
    limits: Vec<u32>,
    /// Held permits that are left for the next waiter. `None` once a waiter was not covered,
    /// because the permits that are left would have to wait for that waiter's.
    left: Option<Held>,
    pub(super) runs: Vec<Run>,
    calls: u32,
    /// Permits that are held, and those of the runs.
    pub(super) ahead: [u64; MAX_WINDOWS],
}

/// The place of a waiter in a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Held permits cover the waiter, or it wants none. A waiter that wants more than a limit,
    /// which was lowered, counts as covered too: it is refused when its turn comes.
    Covered,
    /// The request has this run for the waiter.
    Run(u32),
    /// The request is full.
    Full,
    /// The waiter is not asked for before this moment, and neither are those behind it.
    Later(Nanos),
}

impl Batch {
    pub(super) fn new(limits: &[(u32, Nanos)], held: &Held) -> Self {
        let limits = limits.iter().map(|(limit, _)| *limit).collect();
        Self { limits, left: Some(held.clone()), runs: Vec::new(), calls: 0, ahead: held.totals() }
    }

    /// Adds the next waiter. `patience` is the longest time until it is due; `None` for any time.
    /// `later` is the moment before which a call that takes these permits is not asked for, after
    /// calls that take others; `None` if it is now.
    pub(super) fn add(
        &mut self,
        now: Nanos,
        counts: &Counts,
        patience: Option<Nanos>,
        later: impl FnOnce(&[u64; MAX_WINDOWS], &Counts) -> Option<Nanos>,
    ) -> Place {
        let permits = only_windows(counts, self.limits.len());
        let is_too_much = self.limits.iter().zip(permits).any(|(limit, count)| count > *limit);
        if permits == Counts::default() || is_too_much {
            return Place::Covered;
        }
        if let Some(left) = &mut self.left {
            if left.set_aside(now, &permits) {
                return Place::Covered;
            }
            self.left = None;
        }
        if self.calls == MAX_CALLS {
            return Place::Full;
        }
        if let Some(moment) = later(&self.ahead, &permits) {
            return Place::Later(moment);
        }
        let within = patience.map(|patience| Duration::from_nanos(patience / PATIENCE_GRAIN * PATIENCE_GRAIN));
        let count = self.runs.len();
        match self.runs.last_mut() {
            Some(last) if (last.permits, last.within) == (permits, within) => last.calls += 1,
            _ if count == MAX_RUNS => return Place::Full,
            _ => self.runs.push(Run { permits, calls: 1, within }),
        }
        self.calls += 1;
        self.ahead.iter_mut().zip(permits).for_each(|(ahead, count)| *ahead += u64::from(count));
        Place::Run(u32::try_from(self.runs.len() - 1).unwrap_or(u32::MAX))
    }
}

/// The permits of the first windows, with 0 for the others.
pub(super) fn only_windows(counts: &Counts, windows: usize) -> Counts {
    std::array::from_fn(|window| if window < windows { counts[window] } else { 0 })
}
