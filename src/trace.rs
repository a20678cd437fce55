//! Events with a level that is chosen at run time. `tracing` needs the level at compile time, so
//! there is one callsite for each level.

use crate::{
    clock::{Clock, Epoch, Nanos, nanos},
    sync::{Arc, Mutex, lock},
};
use std::{fmt, time::Duration};
use tracing::{Level, level_filters::LevelFilter};

/// Target of the events of `timed`, `logged` and `deprecated`.
pub(crate) const CALL: &str = "decor::call";
/// Target of the events of `retry_with`.
pub(crate) const RETRY: &str = "decor::retry";
/// Target of the events of a circuit breaker.
pub(crate) const BREAKER: &str = "decor::breaker";
/// Target of the events of a limiter that shares its limit.
pub(crate) const SHARED: &str = "decor::shared";

/// `tracing::event!` under [`CALL`] with a level that is only known at run time.
macro_rules! event {
    ($level:expr, $($event:tt)*) => {
        $crate::trace::at_level!($crate::trace::CALL, $level, event, $($event)*)
    };
}

/// [`event!`] under [`RETRY`].
macro_rules! retry_event {
    ($level:expr, $($event:tt)*) => {
        $crate::trace::at_level!($crate::trace::RETRY, $level, event, $($event)*)
    };
}

macro_rules! at_level {
    ($target:expr, $level:expr, $what:ident $(, $($event:tt)*)?) => {
        match $level {
            tracing::Level::ERROR => tracing::$what!(target: $target, tracing::Level::ERROR $(, $($event)*)?),
            tracing::Level::WARN => tracing::$what!(target: $target, tracing::Level::WARN $(, $($event)*)?),
            tracing::Level::INFO => tracing::$what!(target: $target, tracing::Level::INFO $(, $($event)*)?),
            tracing::Level::DEBUG => tracing::$what!(target: $target, tracing::Level::DEBUG $(, $($event)*)?),
            tracing::Level::TRACE => tracing::$what!(target: $target, tracing::Level::TRACE $(, $($event)*)?),
        }
    };
}

pub(crate) use {at_level, event, retry_event};

/// Returns whether an event at this level under [`CALL`] has a listener. Without a listener, costs
/// one comparison.
#[inline]
pub(crate) fn enabled(level: Level) -> bool {
    may_be_enabled(level) && enabled_slow(level)
}

/// Returns whether an event at this level may have a listener, under any target.
#[inline]
pub(crate) fn may_be_enabled(level: Level) -> bool {
    level <= LevelFilter::current()
}

#[inline(never)]
fn enabled_slow(level: Level) -> bool {
    at_level!(CALL, level, enabled)
}

/// A duration in a log line: three digits and a unit, as `3.2ms` or `1.05s`. Whole seconds from
/// 1,000 s on.
pub(crate) struct Readable(pub(crate) Duration);

impl fmt::Display for Readable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SECOND: u128 = 1_000_000_000;
        let nanos = self.0.as_nanos();
        let mut step = 1;
        while nanos / step >= 1_000 && step < SECOND {
            step *= 10;
        }
        let rounded = (nanos + step / 2) / step * step;
        let secs = u64::try_from(rounded / SECOND).unwrap_or(u64::MAX);
        let nanos = u32::try_from(rounded % SECOND).unwrap_or(0); // below a second, so it fits
        fmt::Debug::fmt(&Duration::new(secs, nanos), f)
    }
}

/// Admits at most one line in each interval. Clones share the limit.
#[derive(Debug, Clone)]
pub(crate) struct LineLimit {
    interval: Nanos,
    epoch: Epoch,
    lines: Arc<Mutex<Lines>>,
}

#[derive(Debug, Default)]
struct Lines {
    /// Time of the last line; `None` before the first.
    last: Option<Nanos>,
    /// Number of lines that were left out since the last line.
    left_out: u64,
}

impl LineLimit {
    pub(crate) fn new(interval: Duration) -> Self {
        Self { interval: nanos(interval), epoch: Epoch::new(), lines: Arc::default() }
    }

    /// Returns the number of lines that were left out since the last one; `None` if this line is
    /// left out too.
    pub(crate) fn admit(&self, clock: Clock) -> Option<u64> {
        let mut lines = lock(&self.lines);
        let now = self.epoch.now(clock);
        if lines.last.is_some_and(|last| now < last.saturating_add(self.interval)) {
            lines.left_out += 1;
            return None;
        }
        lines.last = Some(now);
        Some(std::mem::take(&mut lines.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_shows_three_digits_and_a_unit() {
        let shown = |nanos: u64| Readable(Duration::from_nanos(nanos)).to_string();
        assert_eq!([0, 999, 1_234, 45_678].map(shown), ["0ns", "999ns", "1.23µs", "45.7µs"]);
        assert_eq!([3_200_000, 123_449_999, 999_600_000].map(shown), ["3.2ms", "123ms", "1s"]);
        assert_eq!([1_004_894_614, 1_054_894_614, 75_349_000_000].map(shown), ["1s", "1.05s", "75.3s"]);
        assert_eq!([999_900_000_000, 3_725_400_000_000].map(shown), ["1000s", "3725s"]);
        assert_eq!(Readable(Duration::MAX).to_string(), "18446744073709551615s");
    }
}
