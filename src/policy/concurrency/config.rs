//! The settings of a concurrency limiter as plain values.

use super::{
    flow::{Kind, checked_limit},
    shrink::Shrink,
};
use crate::{
    ConfigError, Name,
    policy::keys::{max_keys_of, without_keys},
};
use std::ops::RangeInclusive;

/// The limit at which an adaptive limiter starts, if its range includes it.
const START: u32 = 20;

/// The settings of a [`ConcurrencyLimiter`](crate::ConcurrencyLimiter) as plain values, from a file
/// or a user.
///
/// # Examples
///
/// The conversion into a limiter checks all fields:
///
/// ```
/// use decor::{ConcurrencyConfig, ConcurrencyLimiter};
///
/// let config = ConcurrencyConfig { range: Some(4..=100), ..ConcurrencyConfig::default() };
/// let limiter = ConcurrencyLimiter::try_from(config)?;
/// assert_eq!(limiter.to_string(), "20 at once, adaptive from 4 to 100");
///
/// let wrong = ConcurrencyConfig { limit: Some(0), ..ConcurrencyConfig::default() };
/// assert_eq!(
///     ConcurrencyLimiter::try_from(wrong).unwrap_err().to_string(),
///     "`limit` is 0, but must be at least 1",
/// );
/// # Ok::<(), decor::ConfigError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ConcurrencyConfig {
    /// Permits of a fixed limiter, at least 1; `None` for an adaptive one.
    pub limit: Option<u32>,
    /// Smallest and largest limit of an adaptive limiter, at least 1; `None` for a fixed one.
    pub range: Option<RangeInclusive<u32>>,
    /// First limit of an adaptive limiter, within its range. `None` for 20, or for the end of the
    /// range that is closest to 20, and for a fixed limiter.
    pub start_at: Option<u32>,
    /// Factor of a decrease, above 0 and below 1, in steps of a millionth. `None` for 0.75, and for
    /// a fixed limiter.
    pub shrink_by: Option<f64>,
    /// Maximum number of waiting calls; `None` for any number.
    pub max_waiting: Option<usize>,
    /// Name in errors and in the text of a chain; `None` for no name.
    pub name: Option<Name>,
    /// Maximum number of keys of a limiter with keys, at least 1; `None` for 65,536, and for a
    /// limiter without keys.
    pub max_keys: Option<usize>,
}

impl ConcurrencyConfig {
    /// The limit of a limiter without keys.
    pub(crate) fn kind(&self) -> Result<Kind, ConfigError> {
        without_keys(self.max_keys)?;
        self.kind_of_each()
    }

    pub(crate) fn max_keys(&self) -> Result<usize, ConfigError> {
        max_keys_of(self.max_keys)
    }

    /// The limit of each limiter, whether or not there are keys.
    pub(crate) fn kind_of_each(&self) -> Result<Kind, ConfigError> {
        let Self { limit, range, start_at, shrink_by, .. } = self;
        let Some(range) = range else {
            if let Some(start) = start_at {
                return Err(ConfigError::new("start_at", start, "left out unless the limiter is adaptive"));
            }
            if let Some(factor) = shrink_by {
                return Err(ConfigError::new("shrink_by", factor, "left out unless the limiter is adaptive"));
            }
            return match *limit {
                Some(limit) => Ok(Kind::Fixed { limit: checked_limit(limit)? }),
                None => Err(ConfigError::new("limit", "missing", "set unless the limiter is adaptive")),
            };
        };
        if let Some(limit) = limit {
            return Err(ConfigError::new("limit", limit, "left out if the limiter is adaptive"));
        }
        let (min, max) = (*range.start(), *range.end());
        if min == 0 || range.is_empty() {
            return Err(ConfigError::new("range", format_args!("{min}..={max}"), "ascending from at least 1"));
        }
        let start = start_at.unwrap_or(START.clamp(min, max));
        if !range.contains(&start) {
            return Err(ConfigError::new("start_at", start, "within the range"));
        }
        let shrink = match *shrink_by {
            None => Shrink::DEFAULT,
            Some(factor) => Shrink::try_new(factor)
                .ok_or_else(|| ConfigError::new("shrink_by", factor, "at least 0.000001 and at most 0.999999"))?,
        };
        Ok(Kind::Adaptive { start, min, max, shrink })
    }
}

#[cfg(feature = "serde")]
crate::serde::settings! {
    ConcurrencyConfig { limit, range, start_at, shrink_by, max_waiting, name, max_keys }
    check: |config| {
        config.kind_of_each()?;
        config.max_keys().map(drop)
    },
    completions: |config, is_read| {
        if config.range.is_some() || is_read("limit") {
            return vec![config.clone()];
        }
        let fixed = Self { limit: Some(1), ..config.clone() };
        let adaptive = Self { range: Some(1..=u32::MAX), ..config.clone() };
        if is_read("range") { vec![fixed] } else { vec![adaptive, fixed] }
    },
}
