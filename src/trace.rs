//! Events whose level is chosen at run time. `tracing` wants it at compile time, so there is one callsite per level.

use tracing::{Level, level_filters::LevelFilter};

/// Where the events of `timed`, `logged` and `deprecated` go.
pub(crate) const CALL: &str = "decor::call";
/// Where the events of `retry_with` go.
pub(crate) const RETRY: &str = "decor::retry";

/// `tracing::event!` under [`CALL`] with a level that is only known at run time.
macro_rules! event {
    ($level:expr, $($event:tt)*) => {
        $crate::trace::at_level!($level, event, $($event)*)
    };
}

macro_rules! at_level {
    ($level:expr, $what:ident $(, $($event:tt)*)?) => {
        match $level {
            tracing::Level::ERROR => tracing::$what!(target: $crate::trace::CALL, tracing::Level::ERROR $(, $($event)*)?),
            tracing::Level::WARN => tracing::$what!(target: $crate::trace::CALL, tracing::Level::WARN $(, $($event)*)?),
            tracing::Level::INFO => tracing::$what!(target: $crate::trace::CALL, tracing::Level::INFO $(, $($event)*)?),
            tracing::Level::DEBUG => tracing::$what!(target: $crate::trace::CALL, tracing::Level::DEBUG $(, $($event)*)?),
            tracing::Level::TRACE => tracing::$what!(target: $crate::trace::CALL, tracing::Level::TRACE $(, $($event)*)?),
        }
    };
}

pub(crate) use {at_level, event};

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
    at_level!(level, enabled)
}
