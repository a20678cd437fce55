//! Constructors of a limiter, and the builder for all settings.

use super::{
    limiter::RateLimiter,
    state::{Bounds, Core},
};
use crate::{
    ConfigError, RateLimiterConfig,
    error::or_panic,
    policy::{DEFAULT_LONGEST_PAUSE, MAX_WINDOWS, Quota, checked_pause},
    sync::Arc,
};
use std::time::Duration;

/// Constructors.
impl RateLimiter {
    /// Makes an exact limiter: at most `limit` calls in any stretch of `period`.
    ///
    /// # Panics
    ///
    /// If `limit` or `period` is zero.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::RateLimiter;
    /// use std::time::Duration;
    ///
    /// let limiter = RateLimiter::new(10, Duration::from_secs(1));
    /// assert_eq!(limiter.available(), 10);
    /// ```
    #[track_caller]
    pub fn new(limit: u32, period: Duration) -> Self {
        or_panic(Self::try_new(limit, period))
    }

    /// [`new`](Self::new) for values that are not literals.
    ///
    /// # Errors
    ///
    /// If `limit` or `period` is zero.
    ///
    /// # Examples
    ///
    /// ```
    /// let error = decor::RateLimiter::try_new(10, std::time::Duration::ZERO).unwrap_err();
    /// assert_eq!(error.to_string(), "`period` is 0ns, but must be longer than zero");
    /// ```
    pub fn try_new(limit: u32, period: Duration) -> Result<Self, ConfigError> {
        Self::builder().window(limit, period).try_build()
    }

    /// Makes an exact limiter with several windows and one queue, such as requests and tokens per
    /// minute, or a limit per second and one per day. A call is admitted when every window has room
    /// for it.
    ///
    /// Prefer one limiter with two windows to two limiters in a chain. In a chain, a permit from
    /// the first limiter ages while the call waits for the second.
    ///
    /// # Panics
    ///
    /// If a limit or a period is zero, or there is no window or more than four.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), decor::Error> {
    /// use decor::RateLimiter;
    /// use std::time::Duration;
    ///
    /// let minute = Duration::from_secs(60);
    /// let limiter = RateLimiter::windows([(60, minute), (90_000, minute)]);
    /// limiter.acquire_many([1, 1200]).await?;
    /// assert_eq!(limiter.available_per_window(), [59, 88_800]);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn windows(windows: impl IntoIterator<Item = (u32, Duration)>) -> Self {
        or_panic(Self::try_windows(windows))
    }

    /// [`windows`](Self::windows) for values that are not literals.
    ///
    /// # Errors
    ///
    /// If a limit or a period is zero, or there is no window or more than four.
    ///
    /// # Examples
    ///
    /// ```
    /// let error = decor::RateLimiter::try_windows([]).unwrap_err();
    /// assert_eq!(error.to_string(), "`windows` is 0, but must be 1 to 4");
    /// ```
    pub fn try_windows(windows: impl IntoIterator<Item = (u32, Duration)>) -> Result<Self, ConfigError> {
        RateLimiterBuilder::of_windows(windows).try_build()
    }

    /// Makes a limiter that spaces calls evenly, one every `period / limit`. Waiters that were
    /// woken late follow each other faster until they have caught up, by 3 ms at most: see
    /// [`RateLimiter`].
    ///
    /// A call for more permits than the [burst](RateLimiterBuilder::burst) waits for a full burst.
    /// The calls behind it wait for all of its permits.
    ///
    /// # Panics
    ///
    /// If `limit` or `period` is zero.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::RateLimiter;
    /// use std::time::Duration;
    ///
    /// let limiter = RateLimiter::paced(10, Duration::from_secs(1));
    /// let begun = tokio::time::Instant::now();
    /// for _ in 0..5 {
    ///     limiter.acquire().await;
    /// }
    /// assert_eq!(begun.elapsed(), Duration::from_millis(400));
    /// # }
    /// ```
    #[track_caller]
    pub fn paced(limit: u32, period: Duration) -> Self {
        or_panic(Self::try_paced(limit, period))
    }

    /// [`paced`](Self::paced) for values that are not literals.
    ///
    /// # Errors
    ///
    /// If `limit` or `period` is zero.
    ///
    /// # Examples
    ///
    /// ```
    /// let second = std::time::Duration::from_secs(1);
    /// let error = decor::RateLimiter::try_paced(0, second).unwrap_err();
    /// assert_eq!(error.to_string(), "`limit` is 0, but must be at least 1");
    /// ```
    pub fn try_paced(limit: u32, period: Duration) -> Result<Self, ConfigError> {
        Self::builder().paced(limit, period).try_build()
    }

    /// Returns a builder, for settings other than the limits.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::RateLimiter;
    /// use std::time::Duration;
    ///
    /// let second = Duration::from_secs(1);
    /// let limiter = RateLimiter::builder().window(10, second).max_waiting(100).build();
    /// assert_eq!(limiter.waiting(), 0);
    /// ```
    pub fn builder() -> RateLimiterBuilder {
        RateLimiterBuilder::new()
    }
}

/// Builder of a [`RateLimiter`]: see [`RateLimiter::builder`].
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct RateLimiterBuilder {
    windows: Vec<(u32, Duration)>,
    burst: Option<u32>,
    paced: bool,
    bounds: Bounds,
}

impl RateLimiterBuilder {
    fn new() -> Self {
        let bounds = Bounds { max_waiting: None, longest_pause: DEFAULT_LONGEST_PAUSE };
        Self { windows: Vec::new(), burst: None, paced: false, bounds }
    }

    pub(super) fn of_windows(windows: impl IntoIterator<Item = (u32, Duration)>) -> Self {
        windows.into_iter().fold(Self::new(), |builder, (limit, period)| builder.window(limit, period))
    }

    /// Adds a window: at most `limit` permits in any stretch of `period`. A limiter has up to four
    /// windows, and all of them hold. The build fails if `limit` or `period` is zero.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::RateLimiter;
    /// use std::time::Duration;
    ///
    /// let limiter = RateLimiter::builder()
    ///     .window(10, Duration::from_secs(1))
    ///     .window(300, Duration::from_secs(60))
    ///     .build();
    /// assert_eq!(limiter.available_per_window(), [10, 300]);
    /// ```
    pub fn window(mut self, limit: u32, period: Duration) -> Self {
        self.windows.push((limit, period));
        self
    }

    /// Spaces permits evenly, `limit` per `period`, instead of windows. The build fails if `limit`
    /// or `period` is zero.
    ///
    /// # Examples
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

    /// Sets the number of permits that a paced limiter gives at once after an idle time; 1 by
    /// default. After a stall of the program, the limiter also gives the permits of 3 ms. The build
    /// fails if `burst` is zero.
    ///
    /// A call may ask for more permits than the burst, up to the limit. Such a call waits for a
    /// full burst, and the calls behind it wait for all of its permits at the even pace.
    ///
    /// While [`set_limit`](RateLimiter::set_limit) has lowered the limit below the burst, the limit
    /// is the burst. [`set_burst`](RateLimiter::set_burst) changes the burst later.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), decor::Error> {
    /// use decor::RateLimiter;
    /// use std::time::Duration;
    ///
    /// let second = Duration::from_secs(1);
    /// let limiter = RateLimiter::builder().paced(10, second).burst(5).build();
    /// assert_eq!(limiter.available(), 5);
    ///
    /// let error = RateLimiter::builder().window(9, second).burst(3).try_build();
    /// assert_eq!(
    ///     error.unwrap_err().to_string(),
    ///     "`burst` is 3, but must be left out unless the limiter is paced",
    /// );
    ///
    /// let begun = tokio::time::Instant::now();
    /// limiter.acquire_many(8).await?;
    /// assert_eq!(begun.elapsed(), Duration::ZERO);
    /// limiter.acquire().await; // 9 permits are 5 of the burst, and 4 at 10 a second
    /// assert_eq!(begun.elapsed(), Duration::from_millis(400));
    /// # Ok(())
    /// # }
    /// ```
    pub fn burst(mut self, burst: u32) -> Self {
        self.burst = Some(burst);
        self
    }

    /// Rejects calls with [`Error::QueueFull`](crate::Error::QueueFull) when `waiting` calls are
    /// queued. 0 lets no call wait. `None` lets any number wait, and is the default.
    ///
    /// Waiters at the front of the queue that are due do not count, whether or not they have been
    /// polled since. A call is admitted if its permits are free beside theirs. `acquire` and
    /// `.rate_limited(..)` cannot return an error, so they always queue.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::{Error, RateLimiter};
    /// use std::time::Duration;
    ///
    /// let second = Duration::from_secs(1);
    /// let limiter = RateLimiter::builder().window(1, second).max_waiting(0).build();
    /// assert_eq!(limiter.acquire_many(1).await, Ok(()));
    /// assert_eq!(limiter.acquire_many(1).await, Err(Error::QueueFull { waiting: 0 }));
    /// # }
    /// ```
    pub fn max_waiting(mut self, waiting: impl Into<Option<usize>>) -> Self {
        self.bounds.max_waiting = waiting.into();
        self
    }

    /// Sets the longest pause that [`pause_for`](RateLimiter::pause_for) and
    /// [`.pausing(..)`](crate::FnExt::pausing) can ask for, counted from that moment; 1 h by
    /// default. A longer pause is cut to this length. A `Retry-After: 31536000` therefore does not
    /// stop a program for a year.
    ///
    /// The build fails if `pause` is zero. With `Duration::MAX` no pause is cut.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::RateLimiter;
    /// use std::time::Duration;
    ///
    /// let (second, minute) = (Duration::from_secs(1), Duration::from_secs(60));
    /// let limiter = RateLimiter::builder().window(10, second).longest_pause(minute).build();
    /// limiter.pause_for(Duration::from_secs(31_536_000));
    /// let begun = tokio::time::Instant::now();
    /// limiter.acquire().await;
    /// assert_eq!(begun.elapsed(), minute);
    ///
    /// let never = RateLimiter::builder().window(10, second).longest_pause(Duration::ZERO);
    /// assert_eq!(
    ///     never.try_build().unwrap_err().to_string(),
    ///     "`longest_pause` is 0ns, but must be longer than zero",
    /// );
    /// # }
    /// ```
    pub fn longest_pause(mut self, pause: Duration) -> Self {
        self.bounds.longest_pause = pause;
        self
    }

    /// Builds the limiter.
    ///
    /// # Panics
    ///
    /// If [`try_build`](Self::try_build) would return an error.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::RateLimiter;
    /// use std::time::Duration;
    ///
    /// let limiter = RateLimiter::builder().window(10, Duration::from_secs(1)).build();
    /// assert_eq!(limiter.available(), 10);
    /// ```
    #[track_caller]
    pub fn build(self) -> RateLimiter {
        or_panic(self.try_build())
    }

    /// Builds the limiter from settings that are not literals.
    ///
    /// # Errors
    ///
    /// If a limit, a period or the longest pause is zero, there is no window or more than four, a
    /// paced limiter has more than one limit, or a burst is zero, beyond the limit, or set for
    /// windows.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::RateLimiter;
    /// use std::time::Duration;
    ///
    /// let refused = RateLimiter::builder().window(0, Duration::from_secs(1)).try_build();
    /// assert_eq!(refused.unwrap_err().to_string(), "`limit` is 0, but must be at least 1");
    /// ```
    pub fn try_build(self) -> Result<RateLimiter, ConfigError> {
        Ok(RateLimiter { core: Arc::new(Core::new(self.quota(true)?, self.bounds()?)) })
    }

    pub(super) fn bounds(&self) -> Result<Bounds, ConfigError> {
        let longest_pause = checked_pause(self.bounds.longest_pause)?;
        Ok(Bounds { longest_pause, ..self.bounds })
    }

    pub(super) fn quota(&self, reserve: bool) -> Result<Quota, ConfigError> {
        let Self { windows, burst, paced, .. } = self;
        let most = if *paced { 1 } else { MAX_WINDOWS };
        if windows.is_empty() || windows.len() > most {
            let allowed = if *paced { "1 for a paced limiter" } else { "1 to 4" };
            return Err(ConfigError::new("windows", windows.len(), allowed));
        }
        Quota::try_new(windows, *paced, *burst, reserve)
    }
}

impl Bounds {
    pub(super) fn of(config: &RateLimiterConfig) -> Result<Self, ConfigError> {
        Ok(Self { max_waiting: config.max_waiting, longest_pause: config.longest_pause()? })
    }
}

/// Checks all fields of the config.
///
/// # Examples
///
/// See [`RateLimiterConfig`].
impl TryFrom<&RateLimiterConfig> for RateLimiter {
    type Error = ConfigError;

    fn try_from(config: &RateLimiterConfig) -> Result<Self, ConfigError> {
        Ok(Self { core: Arc::new(Core::new(config.quota(true)?, Bounds::of(config)?)) })
    }
}

/// Checks all fields of the config.
///
/// # Examples
///
/// See [`RateLimiterConfig`].
impl TryFrom<RateLimiterConfig> for RateLimiter {
    type Error = ConfigError;

    fn try_from(config: RateLimiterConfig) -> Result<Self, ConfigError> {
        Self::try_from(&config)
    }
}
