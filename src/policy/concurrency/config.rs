//! The settings of a concurrency limiter as plain values.

use super::{adaptive::Adaptive, flow::Flow};
use crate::{ConfigError, Name};
use std::ops::RangeInclusive;

/// The limit at which an adaptive limiter starts, if its range includes it.
const START: u32 = 20;

/// The factor of a decrease, in millionths, unless another one is set.
const SHRINK: Shrink = Shrink(750_000);

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
}

/// A checked limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Fixed { limit: u32 },
    Adaptive { start: u32, min: u32, max: u32, shrink: Shrink },
}

/// A factor below 1, in millionths. As a float, 0.29 of 100 would be 28.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shrink(u32);

const MILLION: u32 = 1_000_000;

impl Shrink {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // between 0 and a million
    fn try_new(factor: f64) -> Option<Self> {
        let is_factor = factor > 0.0 && factor < 1.0;
        let millionths = is_factor.then(|| (factor * f64::from(MILLION)).round() as u32)?;
        (1..MILLION).contains(&millionths).then_some(Self(millionths))
    }

    /// The product, rounded down.
    pub(super) fn of(self, limit: u32) -> u32 {
        let product = u64::from(limit) * u64::from(self.0) / u64::from(MILLION);
        u32::try_from(product).unwrap_or(limit)
    }
}

impl ConcurrencyConfig {
    pub(crate) fn kind(&self) -> Result<Kind, ConfigError> {
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
            None => SHRINK,
            Some(factor) => Shrink::try_new(factor)
                .ok_or_else(|| ConfigError::new("shrink_by", factor, "at least 0.000001 and at most 0.999999"))?,
        };
        Ok(Kind::Adaptive { start, min, max, shrink })
    }
}

impl Kind {
    /// The flow of a new limiter.
    pub(crate) fn flow(self) -> Flow {
        match self {
            Self::Fixed { limit } => Flow::new(limit, None),
            Self::Adaptive { start, min, max, shrink } => Flow::new(start, Some(Adaptive::new(min, max, shrink))),
        }
    }

    /// The limit of a new limiter.
    pub(crate) fn start(self) -> u32 {
        match self {
            Self::Fixed { limit } => limit,
            Self::Adaptive { start, .. } => start,
        }
    }
}

pub(super) fn checked_limit(limit: u32) -> Result<u32, ConfigError> {
    if limit == 0 { Err(ConfigError::new("limit", limit, "at least 1")) } else { Ok(limit) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_factor_of_a_limit_is_exact() {
        let of = |factor, limit| Shrink::try_new(factor).unwrap().of(limit);
        assert_eq!([of(0.75, 20), of(0.75, 15), of(0.75, 11)], [15, 11, 8]);
        assert_eq!([of(0.29, 100), of(0.6, 10), of(0.7, 10), of(0.999_999, 1_000_000)], [29, 6, 7, 999_999]);
        assert_eq!([of(0.000_001, u32::MAX), of(0.999_999, u32::MAX)], [4_294, 4_294_963_000]);
    }

    #[test]
    fn a_factor_is_above_zero_and_below_one() {
        for factor in [0.0, 1.0, -0.5, 1.5, 1e-7, 0.999_999_9, f64::NAN, f64::INFINITY] {
            assert_eq!(Shrink::try_new(factor), None, "{factor}");
        }
    }
}
