//! A retry policy as plain values.

use super::{backoff::Backoff, jitter::Jitter};
use std::time::Duration;
use tracing::level_filters::LevelFilter;

/// The settings of a [`RetryPolicy`](crate::RetryPolicy) as plain values, from a file or a user.
///
/// # Examples
///
/// The default makes [`RetryPolicy::default`](crate::RetryPolicy::default). The conversion into a
/// policy checks all fields:
///
/// ```
/// use decor::{RetryConfig, RetryPolicy};
/// use std::time::Duration;
///
/// let config = RetryConfig {
///     backoff: "exponential".parse()?,
///     delay: Duration::from_millis(250),
///     jitter: "full".parse()?,
///     max_attempts: 5,
///     ..RetryConfig::default()
/// };
/// let policy = RetryPolicy::try_from(config)?;
/// assert_eq!(policy.to_string(), "exponential from 250ms by 2, full jitter, 5 attempts");
///
/// let wrong = RetryConfig { max_attempts: 0, ..RetryConfig::default() };
/// assert_eq!(RetryPolicy::try_from(wrong).unwrap_err().to_string(),
///     "`max_attempts` is 0, but must be at least 1");
/// # Ok::<(), decor::ConfigError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct RetryConfig {
    /// Growth of the delays.
    pub backoff: Backoff,
    /// First delay. Zero, which retries at once, is valid only for [`Backoff::Fixed`].
    pub delay: Duration,
    /// Factor of exponential delays (default 2). `None` for all other delays.
    pub factor: Option<f64>,
    /// Longest delay, at least the first delay; `None` for no cap.
    pub max_delay: Option<Duration>,
    /// Longest hint of a server that is followed; `Duration::MAX` to follow all hints, zero to
    /// follow none.
    pub max_hint: Duration,
    /// Randomness of the delays.
    pub jitter: Jitter,
    /// Maximum number of calls, the first one included. At least 1.
    pub max_attempts: u32,
    /// Time limit of all attempts together, longer than zero; `None` for no limit.
    pub deadline: Option<Duration>,
    /// Seed of a reproducible jitter; `None` for a random one.
    pub seed: Option<u64>,
    /// `true` if a retried call keeps its place in the queue of a limiter.
    pub keeps_place: bool,
    /// Level of the log lines about attempts.
    pub log_level: LevelFilter,
    /// Level of the log line about giving up.
    pub give_up_log_level: LevelFilter,
    /// Minimum time between two log lines about giving up; zero to log all of them.
    pub give_up_log_interval: Duration,
}

/// Default of the longest hint that is followed.
pub(super) const DEFAULT_MAX_HINT: Duration = Duration::from_secs(3_600);

impl Default for RetryConfig {
    fn default() -> Self {
        Self {
            backoff: Backoff::default(),
            delay: Duration::from_secs(1),
            factor: None,
            max_delay: None,
            max_hint: DEFAULT_MAX_HINT,
            jitter: Jitter::None,
            max_attempts: 3,
            deadline: None,
            seed: None,
            keeps_place: false,
            log_level: LevelFilter::DEBUG,
            give_up_log_level: LevelFilter::WARN,
            give_up_log_interval: Duration::ZERO,
        }
    }
}
