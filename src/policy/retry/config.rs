//! A retry policy as it stands in a file.

use super::{backoff::Backoff, jitter::Jitter};
use std::time::Duration;
use tracing::level_filters::LevelFilter;

/// The settings of a [`RetryPolicy`](crate::RetryPolicy) as plain values, from a file or a user.
///
/// Nothing is refused before it becomes a policy, and then all of it is looked at:
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
///
/// The default is [`RetryPolicy::default`](crate::RetryPolicy::default)'s.
#[derive(Debug, Clone, PartialEq)]
pub struct RetryConfig {
    /// How delays grow.
    pub backoff: Backoff,
    /// The first delay. Zero is for [`Backoff::Fixed`] only, and retries at once.
    pub delay: Duration,
    /// What exponential delays are multiplied by; 2 if left out.
    pub factor: Option<f64>,
    /// The longest delay, at least the first; `None` without a cap.
    pub max_delay: Option<Duration>,
    /// The longest hint of a server that is followed; zero for none, `Duration::MAX` for all.
    pub max_hint: Duration,
    /// How delays are made random.
    pub jitter: Jitter,
    /// Calls in all, at least 1.
    pub max_attempts: u32,
    /// Longest time for all attempts together; longer than zero, `None` without a limit.
    pub deadline: Option<Duration>,
    /// The seed of a reproducible jitter, if it is to be.
    pub seed: Option<u64>,
    /// `true` if a retried call keeps its place in the queue of a limiter.
    pub keeps_place: bool,
    /// The level of the lines about attempts.
    pub log_level: LevelFilter,
    /// The level of the line about giving up.
    pub give_up_log_level: LevelFilter,
    /// The least time between two lines about giving up; zero for all of them.
    pub give_up_log_interval: Duration,
}

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
