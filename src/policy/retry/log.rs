//! The settings of a retry's own log lines.

use tracing::level_filters::LevelFilter;

/// A log level in one byte, to keep policies small, because every call copies its policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LogLevel {
    Off,
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

/// All levels, each at the index of its `LogLevel`.
const LEVELS: [(LogLevel, LevelFilter); 6] = [
    (LogLevel::Off, LevelFilter::OFF),
    (LogLevel::Error, LevelFilter::ERROR),
    (LogLevel::Warn, LevelFilter::WARN),
    (LogLevel::Info, LevelFilter::INFO),
    (LogLevel::Debug, LevelFilter::DEBUG),
    (LogLevel::Trace, LevelFilter::TRACE),
];

impl LogLevel {
    pub(super) fn of(filter: LevelFilter) -> Self {
        LEVELS.iter().find(|(_, other)| *other == filter).map_or(Self::Off, |(level, _)| *level)
    }

    pub(super) fn filter(self) -> LevelFilter {
        LEVELS[self as usize].1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_level_filter_survives_the_conversion() {
        for (level, filter) in LEVELS {
            assert_eq!((LogLevel::of(filter), level.filter()), (level, filter));
        }
    }
}
