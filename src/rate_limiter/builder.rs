//! Setting up a limiter with more than its limits.

use super::{RateLimiter, core::Core};
use crate::{
    ConfigError,
    error::or_panic,
    policy::{MAX_WINDOWS, Nanos, Pacer, Quota, SlidingLog, nanos},
    sync::Arc,
};
use std::time::Duration;

/// Puts a [`RateLimiter`] together: see [`RateLimiter::builder`].
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct RateLimiterBuilder {
    windows: Vec<(u32, Duration)>,
    burst: Option<u32>,
    paced: bool,
    pub(super) refuse_above: usize,
}

impl RateLimiterBuilder {
    pub(super) fn new() -> Self {
        Self { windows: Vec::new(), burst: None, paced: false, refuse_above: usize::MAX }
    }

    /// At most `limit` permits in any stretch of `period`. Further windows hold as well, up to four of them.
    ///
    /// ```
    /// use decor::RateLimiter;
    /// use std::time::Duration;
    ///
    /// let limiter = RateLimiter::builder()
    ///     .window(10, Duration::from_secs(1))
    ///     .window(300, Duration::from_secs(60))
    ///     .build();
    /// assert_eq!(limiter.available_each(), [10, 300]);
    /// ```
    pub fn window(mut self, limit: u32, period: Duration) -> Self {
        self.windows.push((limit, period));
        self
    }

    /// Evenly spaced, `limit` permits per `period`, in place of windows.
    ///
    /// ```
    /// use decor::RateLimiter;
    /// use std::time::Duration;
    ///
    /// let limiter = RateLimiter::builder().paced(10, Duration::from_secs(1)).burst(3).build();
    /// assert_eq!(limiter.available(), 3);
    /// ```
    pub fn paced(mut self, limit: u32, period: Duration) -> Self {
        self.windows.push((limit, period));
        self.paced = true;
        self
    }

    /// Permits that a paced limiter gives at once after a pause; 1 until set. See
    /// [`RateLimiter::burst`].
    ///
    /// ```
    /// let error = decor::RateLimiter::builder().window(9, std::time::Duration::from_secs(1)).burst(3).try_build();
    /// assert_eq!(error.unwrap_err().to_string(), "`burst` is 3, but must be left out unless the limiter is paced");
    /// ```
    pub fn burst(mut self, burst: u32) -> Self {
        self.burst = Some(burst);
        self
    }

    /// Rejects calls with [`Error::QueueFull`](crate::Error::QueueFull) when `waiting` calls are
    /// queued. Unbounded by default.
    ///
    /// Calls at the head of the queue whose turn has come do not count, whether or not they have
    /// been polled since. A call whose permits are free beside theirs is admitted. `acquire` and
    /// `.rate_limited(..)` cannot return an error, so they always queue.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::{Error, RateLimiter};
    /// use std::time::Duration;
    ///
    /// let limiter = RateLimiter::builder().window(1, Duration::from_secs(1)).refuse_above(0).build();
    /// assert_eq!(limiter.acquire_many(1).await, Ok(()));
    /// assert_eq!(limiter.acquire_many(1).await, Err(Error::QueueFull { waiting: 0 }));
    /// # }
    /// ```
    pub fn refuse_above(mut self, waiting: usize) -> Self {
        self.refuse_above = waiting;
        self
    }

    /// The limiter.
    ///
    /// # Panics
    ///
    /// Where [`try_build`](Self::try_build) returns an error.
    ///
    /// ```
    /// let limiter = decor::RateLimiter::builder().window(10, std::time::Duration::from_secs(1)).build();
    /// assert_eq!(limiter.available(), 10);
    /// ```
    #[track_caller]
    pub fn build(self) -> RateLimiter {
        or_panic(self.try_build())
    }

    /// The limiter, for settings that are not literals.
    ///
    /// # Errors
    ///
    /// If a limit or a period is zero, there is no window or more than four, a paced limiter has more than one limit, or a
    /// burst is zero, beyond the limit, or set for windows.
    ///
    /// ```
    /// let error = decor::RateLimiter::builder().window(0, std::time::Duration::from_secs(1)).try_build().unwrap_err();
    /// assert_eq!(error.to_string(), "`limit` is 0, but must be at least 1");
    /// ```
    pub fn try_build(self) -> Result<RateLimiter, ConfigError> {
        Ok(RateLimiter { core: Arc::new(Core::new(self.quota(true)?, self.refuse_above)) })
    }

    pub(super) fn longest_period(&self) -> Duration {
        self.windows.iter().map(|(_, period)| *period).max().unwrap_or_default()
    }

    pub(super) fn quota(&self, reserve: bool) -> Result<Quota, ConfigError> {
        let Self { windows, burst, paced, .. } = self;
        let most = if *paced { 1 } else { MAX_WINDOWS };
        if windows.is_empty() || windows.len() > most {
            let allowed = if *paced { "1 for a paced limiter" } else { "1 to 4" };
            return Err(ConfigError::new("windows", windows.len(), allowed));
        }
        let limits = checked(windows)?;
        if !paced {
            return match burst {
                Some(burst) => Err(ConfigError::new("burst", burst, "left out unless the limiter is paced")),
                None => Ok(Quota::Windows(limits.iter().map(|&(n, p)| SlidingLog::new(n, p, reserve)).collect())),
            };
        }
        let (limit, period) = limits[0];
        Ok(Quota::Paced(Pacer::new(limit, period).with_burst(burst.unwrap_or(1))?))
    }
}

/// The limits as the policy counts them. Periods beyond 584 years are that long.
pub(super) fn checked(limits: &[(u32, Duration)]) -> Result<Vec<(u32, Nanos)>, ConfigError> {
    let check = |(window, &(limit, period)): (usize, &(u32, Duration))| {
        let which =
            if limits.len() > 1 { format!(" (window {} of {})", window + 1, limits.len()) } else { String::new() };
        if limit == 0 {
            return Err(ConfigError::new("limit", format_args!("{limit}{which}"), "at least 1"));
        }
        if period.is_zero() {
            return Err(ConfigError::new("period", format_args!("{period:?}{which}"), "longer than zero"));
        }
        Ok((limit, nanos(period)))
    };
    limits.iter().enumerate().map(check).collect()
}
