//! Constructors of a concurrency limiter, and the builder for all settings.

use super::{limiter::ConcurrencyLimiter, state::Core};
use crate::{ConcurrencyConfig, ConfigError, Name, error::or_panic, sync::Arc};
use std::ops::RangeInclusive;

/// Constructors.
impl ConcurrencyLimiter {
    /// Makes a limiter with a fixed limit: at most `limit` calls at once.
    ///
    /// # Panics
    ///
    /// If `limit` is zero.
    ///
    /// # Examples
    ///
    /// ```
    /// let limiter = decor::ConcurrencyLimiter::new(8);
    /// assert_eq!((limiter.limit(), limiter.available()), (8, 8));
    /// ```
    #[track_caller]
    pub fn new(limit: u32) -> Self {
        or_panic(Self::try_new(limit))
    }

    /// [`new`](Self::new) for values that are not literals.
    ///
    /// # Errors
    ///
    /// If `limit` is zero.
    ///
    /// # Examples
    ///
    /// ```
    /// let error = decor::ConcurrencyLimiter::try_new(0).unwrap_err();
    /// assert_eq!(error.to_string(), "`limit` is 0, but must be at least 1");
    /// ```
    pub fn try_new(limit: u32) -> Result<Self, ConfigError> {
        Self::builder().limit(limit).try_build()
    }

    /// Makes a limiter that finds its limit within a range, by signals of
    /// [overload](ConcurrencyLimiter#adaptive-limits). It starts at 20, or at the end of the range
    /// that is closest to 20.
    ///
    /// # Panics
    ///
    /// If the range is empty, or begins with zero.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::ConcurrencyLimiter;
    ///
    /// let limiter = ConcurrencyLimiter::adaptive(4..=100);
    /// assert_eq!(limiter.limit(), 20);
    /// limiter.overloaded();
    /// assert_eq!(limiter.limit(), 15);
    /// ```
    #[track_caller]
    pub fn adaptive(range: RangeInclusive<u32>) -> Self {
        or_panic(Self::try_adaptive(range))
    }

    /// [`adaptive`](Self::adaptive) for values that are not literals.
    ///
    /// # Errors
    ///
    /// If the range is empty, or begins with zero.
    ///
    /// # Examples
    ///
    /// ```
    /// let error = decor::ConcurrencyLimiter::try_adaptive(0..=8).unwrap_err();
    /// assert_eq!(error.to_string(), "`range` is 0..=8, but must be ascending from at least 1");
    /// ```
    pub fn try_adaptive(range: RangeInclusive<u32>) -> Result<Self, ConfigError> {
        Self::builder().adaptive(range).try_build()
    }

    /// Returns a builder, for settings other than the limit.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::ConcurrencyLimiter;
    ///
    /// let builder = ConcurrencyLimiter::builder().limit(8).max_waiting(100);
    /// let limiter = builder.named("users").build();
    /// assert_eq!(limiter.to_string(), "users, 8 at once");
    /// ```
    pub fn builder() -> ConcurrencyLimiterBuilder {
        ConcurrencyLimiterBuilder { config: ConcurrencyConfig::default() }
    }
}

/// Builder of a [`ConcurrencyLimiter`]: see [`ConcurrencyLimiter::builder`].
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct ConcurrencyLimiterBuilder {
    pub(super) config: ConcurrencyConfig,
}

impl ConcurrencyLimiterBuilder {
    /// Sets a fixed limit. The build fails if `limit` is zero, or if the limiter is adaptive.
    ///
    /// # Examples
    ///
    /// See [`ConcurrencyLimiter::builder`].
    pub fn limit(mut self, limit: u32) -> Self {
        self.config.limit = Some(limit);
        self
    }

    /// Makes the limit adaptive within this range, instead of fixed. The build fails if the range
    /// is empty, or begins with zero.
    ///
    /// # Examples
    ///
    /// See [`start_at`](Self::start_at).
    pub fn adaptive(mut self, range: RangeInclusive<u32>) -> Self {
        self.config.range = Some(range);
        self
    }

    /// Sets the first limit of an adaptive limiter; 20 by default, or the end of the range that is
    /// closest to 20. The build fails if `limit` is outside of the range, or if the limiter has a
    /// fixed limit.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::ConcurrencyLimiter;
    ///
    /// let limiter = ConcurrencyLimiter::builder().adaptive(4..=100).start_at(50).build();
    /// assert_eq!(limiter.limit(), 50);
    /// let refused = ConcurrencyLimiter::builder().adaptive(4..=100).start_at(3).try_build();
    /// assert_eq!(
    ///     refused.unwrap_err().to_string(),
    ///     "`start_at` is 3, but must be within the range",
    /// );
    /// ```
    pub fn start_at(mut self, limit: u32) -> Self {
        self.config.start_at = Some(limit);
        self
    }

    /// Sets the factor by which a signal of overload decreases the limit; 0.75 by default. The
    /// product is rounded down, and the factor is exact to a millionth. The build fails if the
    /// factor is not above 0 and below 1, or if the limiter has a fixed limit.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::ConcurrencyLimiter;
    ///
    /// let limiter = ConcurrencyLimiter::builder().adaptive(4..=100).shrink_by(0.5).build();
    /// limiter.overloaded();
    /// assert_eq!(limiter.limit(), 10);
    /// ```
    pub fn shrink_by(mut self, factor: f64) -> Self {
        self.config.shrink_by = Some(factor);
        self
    }

    /// Rejects calls with [`Error::ConcurrencyLimited`](crate::Error::ConcurrencyLimited) when
    /// `waiting` calls are queued. 0 lets no call wait. `None` lets any number wait, and is the
    /// default.
    ///
    /// `acquire` and `.concurrency_limited(..)` cannot return an error, so they always queue.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), decor::Error> {
    /// use decor::ConcurrencyLimiter;
    ///
    /// let limiter = ConcurrencyLimiter::builder().limit(1).max_waiting(0).named("users").build();
    /// let permit = limiter.acquire_many(1).await?;
    /// let refused = limiter.acquire_many(1).await;
    /// assert_eq!(refused.unwrap_err().to_string(), "users is at its limit of 1 (0 waiting)");
    /// # drop(permit);
    /// # Ok(())
    /// # }
    /// ```
    pub fn max_waiting(mut self, waiting: impl Into<Option<usize>>) -> Self {
        self.config.max_waiting = waiting.into();
        self
    }

    /// Sets the name in errors and in the text of a chain.
    ///
    /// # Examples
    ///
    /// See [`max_waiting`](Self::max_waiting).
    pub fn named(mut self, name: impl Into<Name>) -> Self {
        self.config.name = Some(name.into());
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
    /// See [`ConcurrencyLimiter::builder`].
    #[track_caller]
    pub fn build(self) -> ConcurrencyLimiter {
        or_panic(self.try_build())
    }

    /// Builds the limiter from settings that are not literals.
    ///
    /// # Errors
    ///
    /// If the limit is zero, the range is empty or begins with zero, the limiter has both or
    /// neither, or another setting does not fit.
    ///
    /// # Examples
    ///
    /// ```
    /// let refused = decor::ConcurrencyLimiter::builder().limit(8).shrink_by(0.5).try_build();
    /// assert_eq!(
    ///     refused.unwrap_err().to_string(),
    ///     "`shrink_by` is 0.5, but must be left out unless the limiter is adaptive",
    /// );
    /// ```
    pub fn try_build(self) -> Result<ConcurrencyLimiter, ConfigError> {
        self.config.try_into()
    }
}

/// Checks all settings.
///
/// # Examples
///
/// See [`ConcurrencyConfig`].
impl TryFrom<ConcurrencyConfig> for ConcurrencyLimiter {
    type Error = ConfigError;

    fn try_from(config: ConcurrencyConfig) -> Result<Self, ConfigError> {
        Self::try_from(&config)
    }
}

/// Checks all settings.
///
/// # Examples
///
/// See [`ConcurrencyConfig`].
impl TryFrom<&ConcurrencyConfig> for ConcurrencyLimiter {
    type Error = ConfigError;

    fn try_from(config: &ConcurrencyConfig) -> Result<Self, ConfigError> {
        let kind = config.kind()?;
        Ok(Self { core: Arc::new(Core::new(kind, config.max_waiting, config.name.clone())) })
    }
}
