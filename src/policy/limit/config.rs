//! The settings of a rate limiter as plain values.

use super::{MAX_WINDOWS, Quota};
use crate::{
    ConfigError,
    policy::keys::{max_keys_of, without_keys},
};
use std::{fmt, time::Duration};

/// A number of permits per period, for a [`RateLimiterConfig`].
///
/// Displays as a limiter does. With the feature `serde`, the text parses, and the period may have
/// any unit.
///
/// # Examples
///
/// ```
/// use decor::RateLimit;
/// use std::time::Duration;
///
/// let limit = RateLimit { permits: 60, period: Duration::from_secs(60) };
/// assert_eq!(limit.to_string(), "60 per 60s");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RateLimit {
    /// Number of permits in a period. At least 1.
    pub permits: u32,
    /// Length of the period. Longer than zero.
    pub period: Duration,
}

/// Converts a limit as [`RateLimiter::new`](crate::RateLimiter::new) takes it.
///
/// # Examples
///
/// ```
/// let limit = decor::RateLimit::from((10, std::time::Duration::from_secs(1)));
/// assert_eq!(limit.permits, 10);
/// ```
impl From<(u32, Duration)> for RateLimit {
    fn from((permits, period): (u32, Duration)) -> Self {
        Self { permits, period }
    }
}

impl fmt::Display for RateLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} per {:?}", self.permits, self.period)
    }
}

/// The settings of a [`RateLimiter`](crate::RateLimiter) or a
/// [`KeyedLimiter`](crate::KeyedLimiter) as plain values, from a file or a user.
///
/// # Examples
///
/// The conversion into a limiter checks all fields:
///
/// ```
/// use decor::{RateLimiter, RateLimiterConfig};
/// use std::time::Duration;
///
/// let limit = vec![(60, Duration::from_secs(60)).into()];
/// let config = RateLimiterConfig { limit, ..RateLimiterConfig::default() };
/// let limiter = RateLimiter::try_from(&config)?;
/// assert_eq!(limiter.to_string(), "60 per 60s");
///
/// let wrong = RateLimiterConfig { burst: Some(5), ..config };
/// assert_eq!(RateLimiter::try_from(&wrong).unwrap_err().to_string(),
///     "`burst` is 5, but must be left out unless the limiter is paced");
/// # Ok::<(), decor::ConfigError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateLimiterConfig {
    /// Limit of each window, 1 to 4 of them. A single limit if the limiter is paced. There is no
    /// default.
    pub limit: Vec<RateLimit>,
    /// `true` if permits are spaced evenly; `false` for exact windows.
    pub paced: bool,
    /// Number of permits that a paced limiter gives at once, 1 to the limit. `None` for 1, and for
    /// an exact limiter.
    pub burst: Option<u32>,
    /// Maximum number of waiting calls; `None` for any number.
    pub max_waiting: Option<usize>,
    /// Longest pause that one call can ask for (default 1 h), longer than zero; `Duration::MAX` if
    /// no pause is cut.
    pub longest_pause: Duration,
    /// Maximum number of keys of a limiter with keys, at least 1; `None` for 65,536, and for a
    /// limiter without keys.
    pub max_keys: Option<usize>,
}

/// Default of the longest pause.
pub(crate) const DEFAULT_LONGEST_PAUSE: Duration = Duration::from_secs(60 * 60);

impl Default for RateLimiterConfig {
    fn default() -> Self {
        let longest_pause = DEFAULT_LONGEST_PAUSE;
        Self { limit: Vec::new(), paced: false, burst: None, max_waiting: None, longest_pause, max_keys: None }
    }
}

impl RateLimiterConfig {
    /// The quota of a limiter without keys. With `reserve`, memory for the stamps is allocated.
    pub(crate) fn quota(&self, reserve: bool) -> Result<Quota, ConfigError> {
        without_keys(self.max_keys)?;
        self.quota_of_each(reserve)
    }

    /// The quota of each limiter, whether or not there are keys.
    pub(crate) fn quota_of_each(&self, reserve: bool) -> Result<Quota, ConfigError> {
        let limits: Vec<_> = self.limit.iter().map(|limit| (limit.permits, limit.period)).collect();
        let wrong_number = |allowed| ConfigError::new("limit", format_args!("a list of {}", limits.len()), allowed);
        match limits.len() {
            0 => return Err(ConfigError::new("limit", "missing", "set, such as \"60 per 1m\"")),
            2.. if self.paced => return Err(wrong_number("a single limit if the limiter is paced")),
            number if number > MAX_WINDOWS => return Err(wrong_number("a list of 1 to 4")),
            _ => {}
        }
        Quota::try_new(&limits, self.paced, self.burst, reserve)
    }

    pub(crate) fn longest_pause(&self) -> Result<Duration, ConfigError> {
        checked_pause(self.longest_pause)
    }

    pub(crate) fn max_keys(&self) -> Result<usize, ConfigError> {
        max_keys_of(self.max_keys)
    }
}

/// Checks a longest pause.
pub(crate) fn checked_pause(longest: Duration) -> Result<Duration, ConfigError> {
    if longest.is_zero() {
        return Err(ConfigError::new("longest_pause", format_args!("{longest:?}"), "longer than zero"));
    }
    Ok(longest)
}
