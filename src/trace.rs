//! Events whose level is chosen at run time. `tracing` wants it at compile time, so there is one callsite per level.

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

/// Whether anybody listens under [`CALL`], at a level that is only known at run time.
macro_rules! enabled {
    ($level:expr) => {
        $level <= tracing::level_filters::LevelFilter::current() && $crate::trace::at_level!($level, enabled)
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

pub(crate) use {at_level, enabled, event};
