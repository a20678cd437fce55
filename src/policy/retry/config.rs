//! A retry policy as it stands in a file.

use super::{backoff::Backoff, jitter::Jitter};
use std::time::Duration;

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
    /// The first delay.
    pub delay: Duration,
    /// What exponential delays are multiplied by; 2 if left out.
    pub factor: Option<f64>,
    /// The longest delay, if there is to be one.
    pub max_delay: Option<Duration>,
    /// How delays are made random.
    pub jitter: Jitter,
    /// Calls in all.
    pub max_attempts: u32,
    /// How long all attempts together may go on, if that is to be limited.
    pub deadline: Option<Duration>,
    /// The seed of a reproducible jitter, if it is to be.
    pub seed: Option<u64>,
}

impl Default for RetryConfig {
    fn default() -> Self {
        Self {
            backoff: Backoff::default(),
            delay: Duration::from_secs(1),
            factor: None,
            max_delay: None,
            jitter: Jitter::None,
            max_attempts: 3,
            deadline: None,
            seed: None,
        }
    }
}
