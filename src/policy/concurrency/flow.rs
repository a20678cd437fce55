//! The calls in progress, and the limit that holds for them.

use super::{adaptive::Adaptive, shrink::Shrink};
use crate::{ConfigError, Error};
use std::fmt;

/// The end of an error message: why a fixed limiter has no range.
const STAYS_FIXED: &str = "left out: a fixed limiter cannot become an adaptive one, because its calls have no order";

/// The end of an error message: why an adaptive limiter has no limit.
const STAYS_ADAPTIVE: &str = "left out: an adaptive limiter cannot become a fixed one, because it has learned a limit";

/// A checked limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Fixed { limit: u32 },
    Adaptive { start: u32, min: u32, max: u32, shrink: Shrink },
}

impl Kind {
    /// The flow of a new limiter.
    pub(crate) fn flow(self) -> Flow {
        match self {
            Self::Fixed { limit } => Flow::new(limit, None),
            Self::Adaptive { start, min, max, shrink } => Flow::new(start, Some(Adaptive::new(min, max, shrink))),
        }
    }

    /// The limit of a new limiter.
    pub(crate) fn start(self) -> u32 {
        match self {
            Self::Fixed { limit } => limit,
            Self::Adaptive { start, .. } => start,
        }
    }
}

/// The calls in progress and their limit. All times are orders of events, so no clock is needed.
#[derive(Debug, Clone)]
pub(crate) struct Flow {
    limit: u32,
    /// Permits of the calls in progress. Above `limit` after the limit was lowered, and while a
    /// call runs alone that asked for more than the limit of an adaptive limiter.
    in_use: u64,
    /// Calls in progress. Not counted for a fixed limiter.
    running: u32,
    /// `None` for a fixed limit.
    adaptive: Option<Adaptive>,
}

/// The answer to a call that no other call stands before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fit {
    Now,
    /// Once other calls have ended.
    Later,
    /// Not with this limit.
    Never,
}

/// The end of a call, as it counts for an adaptive limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The call has completed, with an `Ok` or with an `Err`.
    Well,
    /// The call was cancelled or panicked, or was dropped before it began.
    Otherwise,
}

impl Flow {
    pub(super) fn new(limit: u32, adaptive: Option<Adaptive>) -> Self {
        Self { limit, in_use: 0, running: 0, adaptive }
    }

    pub(crate) fn limit(&self) -> u32 {
        self.limit
    }

    pub(crate) fn in_use(&self) -> u32 {
        u32::try_from(self.in_use).unwrap_or(u32::MAX)
    }

    /// Sets the permits in use of a fixed limiter, which were counted elsewhere.
    pub(crate) fn set_in_use(&mut self, permits: u32) {
        self.in_use = permits.into();
    }

    pub(crate) fn available(&self) -> u32 {
        u32::try_from(u64::from(self.limit).saturating_sub(self.in_use)).unwrap_or(0)
    }

    /// Smallest and largest limit; `None` for a fixed limit.
    pub(crate) fn range(&self) -> Option<(u32, u32)> {
        self.adaptive.as_ref().map(Adaptive::range)
    }

    pub(crate) fn is_adaptive(&self) -> bool {
        self.adaptive.is_some()
    }

    /// Number of decreases so far.
    pub(crate) fn shrinks(&self) -> u64 {
        self.adaptive.as_ref().map_or(0, Adaptive::shrinks)
    }

    /// Largest limit that the limiter can have without [`set_limit`](Self::set_limit).
    fn most(&self) -> u32 {
        self.range().map_or(self.limit, |(_, max)| max)
    }

    /// Returns whether a call for these permits can begin.
    ///
    /// A call for more than the limit of the moment, but not for more than an adaptive limit can
    /// become, runs alone. If such a call were refused, its fate would depend on earlier signals.
    /// If it waited for the limit to grow, it would wait forever, because the calls behind it
    /// cannot run.
    pub(crate) fn fit(&self, permits: u32) -> Fit {
        if permits > self.most() {
            Fit::Never
        } else if self.in_use + u64::from(permits) <= self.limit.into() || (permits > self.limit && self.in_use == 0) {
            Fit::Now
        } else {
            Fit::Later
        }
    }

    /// The error for a call that never fits.
    #[cold]
    pub(crate) fn too_much(&self, permits: u32) -> Error {
        let message = match self.range() {
            None => format!("{permits} permits at once, but the limit is {}", self.limit),
            Some((_, max)) => format!("{permits} permits at once, but the limit is {max} at most"),
        };
        Error::InvalidArgument { message }
    }

    /// Begins a call. `number` is larger than the numbers of all earlier calls.
    pub(crate) fn begin(&mut self, permits: u32, number: u64) {
        self.in_use += u64::from(permits);
        if let Some(adaptive) = &mut self.adaptive {
            self.running += 1;
            adaptive.admit(number);
        }
        self.look();
    }

    /// Notes that a call has to wait, so the limit is reached.
    pub(crate) fn holds_back(&mut self) {
        if let Some(adaptive) = &mut self.adaptive {
            adaptive.reach();
        }
    }

    /// Notes whether the calls in progress have reached the limit.
    fn look(&mut self) {
        if let Some(adaptive) = self.adaptive.as_mut().filter(|_| self.in_use >= self.limit.into()) {
            adaptive.reach();
        }
    }

    /// Ends a call, and gives its permits back. Returns `true` if the limit has grown.
    pub(crate) fn end(&mut self, permits: u32, number: u64, ended: Ended) -> bool {
        self.in_use -= u64::from(permits);
        let Some(adaptive) = &mut self.adaptive else { return false };
        self.running -= 1;
        adaptive.end(number);
        let grows = ended == Ended::Well && adaptive.end_well(number, self.limit);
        if grows {
            self.change(self.limit + 1);
        }
        grows
    }

    /// Decreases an adaptive limit, unless a call that was in progress at the last decrease still
    /// is. Returns `true` if the signal counted.
    pub(crate) fn signal(&mut self) -> bool {
        self.shrink_unless(Adaptive::has_old)
    }

    /// Decreases an adaptive limit, unless it was decreased since this call was admitted.
    pub(crate) fn signal_of(&mut self, number: u64) -> bool {
        self.shrink_unless(|adaptive| adaptive.is_old(number))
    }

    /// Decreases an adaptive limit, unless it was decreased since there were this many decreases.
    pub(crate) fn signal_since(&mut self, shrinks: u64) -> bool {
        self.shrink_unless(|adaptive| adaptive.shrinks() != shrinks)
    }

    fn shrink_unless(&mut self, is_covered: impl FnOnce(&Adaptive) -> bool) -> bool {
        let Some(adaptive) = self.adaptive.as_mut().filter(|adaptive| !is_covered(adaptive)) else { return false };
        let limit = adaptive.shrink(self.limit, self.running);
        self.change(limit);
        true
    }

    /// Sets the limit by hand. An adaptive limit goes on from there.
    pub(crate) fn set_limit(&mut self, limit: u32) -> Result<(), ConfigError> {
        let limit = checked_limit(limit)?;
        if self.range().is_some_and(|(min, max)| !(min..=max).contains(&limit)) {
            return Err(ConfigError::new("limit", limit, "within the range of the adaptive limiter"));
        }
        self.change(limit);
        Ok(())
    }

    /// Takes over the settings of a limit of the same kind. An adaptive limit stays, unless the
    /// range excludes it.
    pub(crate) fn reload(&mut self, kind: Kind) -> Result<(), ConfigError> {
        let limit = match (&mut self.adaptive, kind) {
            (None, Kind::Fixed { limit }) => limit,
            (Some(adaptive), Kind::Adaptive { min, max, shrink, .. }) => {
                adaptive.reload(min, max, shrink);
                self.limit.clamp(min, max)
            }
            (None, Kind::Adaptive { min, max, .. }) => {
                return Err(ConfigError::new("range", format_args!("{min}..={max}"), STAYS_FIXED));
            }
            (Some(_), Kind::Fixed { limit }) => return Err(ConfigError::new("limit", limit, STAYS_ADAPTIVE)),
        };
        if limit != self.limit {
            self.change(limit);
        }
        Ok(())
    }

    fn change(&mut self, limit: u32) {
        self.limit = limit;
        if let Some(adaptive) = &mut self.adaptive {
            adaptive.changed();
        }
        self.look();
    }
}

pub(super) fn checked_limit(limit: u32) -> Result<u32, ConfigError> {
    if limit == 0 { Err(ConfigError::new("limit", limit, "at least 1")) } else { Ok(limit) }
}

/// `8 at once`, or `20 at once, adaptive from 4 to 100`.
impl fmt::Display for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at once", self.limit)?;
        match self.range() {
            None => Ok(()),
            Some((min, max)) => write!(f, ", adaptive from {min} to {max}"),
        }
    }
}
