//! Events whose level is chosen at run time. `tracing` wants it at compile time, so there is one callsite per level.

use crate::{
    clock::{Clock, Epoch, Nanos, nanos},
    sync::{Arc, Mutex, lock},
};
use std::time::Duration;
use tracing::{Level, level_filters::LevelFilter};

/// Where the events of `timed`, `logged` and `deprecated` go.
pub(crate) const CALL: &str = "decor::call";
/// Where the events of `retry_with` go.
pub(crate) const RETRY: &str = "decor::retry";

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

/// Whether anybody listens under [`CALL`], at a level that is only known at run time. One comparison where nobody does.
#[inline]
pub(crate) fn enabled(level: Level) -> bool {
    within_filter(level) && enabled_here(level)
}

/// Whether anybody may listen anywhere at this level.
#[inline]
pub(crate) fn within_filter(level: Level) -> bool {
    level <= LevelFilter::current()
}

#[inline(never)]
fn enabled_here(level: Level) -> bool {
    at_level!(CALL, level, enabled)
}

/// At most one line in each interval. Clones count together.
#[derive(Debug, Clone)]
pub(crate) struct LineLimit {
    interval: Nanos,
    epoch: Epoch,
    lines: Arc<Mutex<Lines>>,
}

#[derive(Debug, Default)]
struct Lines {
    /// The moment of the last line; `None` before the first.
    last: Option<Nanos>,
    /// Number of lines that were left out since.
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
