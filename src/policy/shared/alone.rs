//! The log of a process, with which it decides alone while the store is down.

use super::on_failure::OnFailure;
use crate::{
    clock::Nanos,
    policy::{
        Counts, MAX_WINDOWS,
        limit::{Pacer, SlidingLog},
    },
};

/// All admissions of this process, against its part of the limits.
#[derive(Debug, Clone)]
pub(super) enum Alone {
    Windows(Vec<SlidingLog>),
    Paced(Pacer),
}

impl Alone {
    /// `None` if the process never decides by a log of its own.
    pub(super) fn new(on_failure: OnFailure, limits: &[(u32, Nanos)], burst: Option<u32>) -> Option<Self> {
        let part = |limit| on_failure.part_of(limit);
        let Some(burst) = burst else {
            let log = |&(limit, period): &(u32, Nanos)| Some(SlidingLog::new(part(limit)?, period, false));
            return limits.iter().map(log).collect::<Option<Vec<_>>>().map(Self::Windows);
        };
        let &(limit, period) = limits.first()?;
        let mut pacer = Pacer::new(part(limit)?, period);
        // Never 0, and cut to the limit by the pacer.
        let _ = pacer.set_burst(part(burst)?);
        Some(Self::Paced(pacer))
    }

    pub(super) fn expire(&mut self, now: Nanos) {
        if let Self::Windows(logs) = self {
            for log in logs {
                log.expire(now);
            }
        }
    }

    /// Moment at which a call is due after calls that take `ahead`; `now` or earlier means now.
    pub(super) fn due(&self, now: Nanos, ahead: &[u64; MAX_WINDOWS], counts: &Counts) -> Nanos {
        let all = |window: usize| ahead[window].saturating_add(counts[window].into());
        match self {
            Self::Windows(logs) => (0..).zip(logs).map(|(window, log)| log.due(now, all(window))).max().unwrap_or(0),
            Self::Paced(pacer) => pacer.due_after(now, now, ahead[0], counts[0]),
        }
    }

    pub(super) fn take(&mut self, now: Nanos, counts: &Counts) {
        match self {
            Self::Windows(logs) => {
                for (log, &count) in logs.iter_mut().zip(counts) {
                    log.take(now, count);
                }
            }
            Self::Paced(pacer) => pacer.take(now, counts[0]),
        }
    }

    pub(super) fn give_back(&mut self, now: Nanos, counts: &Counts) {
        match self {
            Self::Windows(logs) => {
                for (log, &count) in logs.iter_mut().zip(counts) {
                    log.refund(count);
                }
            }
            Self::Paced(pacer) => drop(pacer.refund(now, counts[0])),
        }
    }

    pub(super) fn available(&self, now: Nanos, window: usize) -> u32 {
        match self {
            Self::Windows(logs) => logs[window].available(),
            Self::Paced(pacer) => pacer.available(now),
        }
    }

    pub(super) fn set_limits(&mut self, on_failure: OnFailure, limits: &[(u32, Nanos)]) {
        for (window, &(limit, period)) in limits.iter().enumerate() {
            let Some(part) = on_failure.part_of(limit) else { return };
            match self {
                Self::Windows(logs) => logs[window].set_limit(part, period),
                Self::Paced(pacer) => pacer.set_limit(part, period),
            }
        }
    }

    pub(super) fn set_burst(&mut self, on_failure: OnFailure, burst: u32) {
        if let (Self::Paced(pacer), Some(part)) = (self, on_failure.part_of(burst)) {
            let _ = pacer.set_burst(part);
        }
    }
}
