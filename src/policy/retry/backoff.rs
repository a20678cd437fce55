//! Growth of the delays between attempts.

use crate::ConfigError;
use std::{fmt, str::FromStr, time::Duration};

/// The name of a growth of delays, for a [`RetryConfig`](crate::RetryConfig).
///
/// # Examples
///
/// ```
/// use decor::Backoff;
///
/// assert_eq!("exponential".parse(), Ok(Backoff::Exponential));
/// assert_eq!("cubic".parse::<Backoff>().unwrap_err().to_string(),
///     "`backoff` is \"cubic\", but must be one of fixed, linear, exponential, fibonacci");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Backoff {
    /// [`RetryPolicy::fixed`](crate::RetryPolicy::fixed).
    Fixed,
    /// [`RetryPolicy::linear`](crate::RetryPolicy::linear).
    Linear,
    /// [`RetryPolicy::exponential`](crate::RetryPolicy::exponential).
    #[default]
    Exponential,
    /// [`RetryPolicy::fibonacci`](crate::RetryPolicy::fibonacci).
    Fibonacci,
}

impl fmt::Display for Backoff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fixed => "fixed",
            Self::Linear => "linear",
            Self::Exponential => "exponential",
            Self::Fibonacci => "fibonacci",
        })
    }
}

/// Parses the names that [`Display`](fmt::Display) writes.
impl FromStr for Backoff {
    type Err = ConfigError;

    fn from_str(name: &str) -> Result<Self, ConfigError> {
        [Self::Fixed, Self::Linear, Self::Exponential, Self::Fibonacci]
            .into_iter()
            .find(|backoff| backoff.to_string() == name)
            .ok_or_else(|| ConfigError::new("backoff", format_args!("{name:?}"), NAMES))
    }
}

/// Description of valid names.
const NAMES: &str = "one of fixed, linear, exponential, fibonacci";

#[cfg(feature = "serde")]
crate::serde::texts!(Backoff, "backoff", NAMES);

/// A growth of delays, with its parameters.
#[derive(Clone, Copy)]
pub(super) enum Growth {
    Fixed(Duration),
    Linear(Duration),
    Exponential(Duration, f64),
    Fibonacci(Duration),
}

impl Growth {
    /// Returns the delay after the first attempt, before cap and jitter.
    pub(super) fn first(self) -> Duration {
        let (Self::Fixed(first) | Self::Linear(first) | Self::Exponential(first, _) | Self::Fibonacci(first)) = self;
        first
    }

    /// Returns the delay after attempt `attempt` (1 for the first), before cap and jitter.
    /// Saturates at [`Duration::MAX`].
    pub(super) fn delay(self, attempt: u32) -> Duration {
        match self {
            Self::Fixed(delay) => delay,
            Self::Linear(step) => step.saturating_mul(attempt),
            Self::Exponential(first, factor) => exponential(first, factor, attempt - 1),
            Self::Fibonacci(unit) => from_nanos(unit.as_nanos().saturating_mul(fibonacci(attempt))),
        }
    }
}

/// Returns `first * factor^exponent`. Exact for whole factors, otherwise rounded to the nanosecond.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::float_cmp)]
fn exponential(first: Duration, factor: f64, exponent: u32) -> Duration {
    let whole = factor as u128;
    if whole as f64 == factor {
        let nanos = whole.checked_pow(exponent).and_then(|growth| growth.checked_mul(first.as_nanos()));
        return nanos.map_or(Duration::MAX, from_nanos);
    }
    // The cast of the float below saturates, and an exponent beyond i32 overflows in any case.
    let growth = factor.powi(i32::try_from(exponent).unwrap_or(i32::MAX));
    from_nanos((first.as_nanos() as f64 * growth).round() as u128)
}

/// Returns the n-th Fibonacci number: 1, 1, 2, 3, 5, ..
fn fibonacci(n: u32) -> u128 {
    let (mut current, mut next) = (1_u128, 1_u128);
    for _ in 1..n {
        if current == u128::MAX {
            break;
        }
        (current, next) = (next, current.saturating_add(next));
    }
    current
}

pub(super) fn from_nanos(nanos: u128) -> Duration {
    const NANOS_PER_SEC: u128 = 1_000_000_000;
    #[allow(clippy::cast_possible_truncation)] // a remainder below 10^9
    u64::try_from(nanos / NANOS_PER_SEC)
        .map_or(Duration::MAX, |secs| Duration::new(secs, (nanos % NANOS_PER_SEC) as u32))
}

impl fmt::Display for Growth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(delay) => write!(f, "fixed {delay:?}"),
            Self::Linear(step) => write!(f, "linear from {step:?}"),
            Self::Exponential(first, factor) => write!(f, "exponential from {first:?} by {factor}"),
            Self::Fibonacci(unit) => write!(f, "fibonacci from {unit:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_saturates_instead_of_overflowing() {
        let most = u32::MAX;
        assert_eq!(Growth::Linear(Duration::MAX).delay(most), Duration::MAX);
        assert_eq!(Growth::Exponential(Duration::from_nanos(1), 2.0).delay(most), Duration::MAX);
        assert_eq!(Growth::Exponential(Duration::from_nanos(1), 1.5).delay(most), Duration::MAX);
        assert_eq!(Growth::Exponential(Duration::MAX, f64::MAX).delay(most), Duration::MAX);
        assert_eq!(Growth::Exponential(Duration::MAX, 1.0).delay(most), Duration::MAX);
        assert_eq!(Growth::Fibonacci(Duration::from_nanos(1)).delay(most), Duration::MAX);
        assert_eq!(Growth::Fibonacci(Duration::MAX).delay(3), Duration::MAX);
    }

    #[test]
    fn factors_that_are_not_whole_are_rounded_to_the_nanosecond() {
        let delay = |attempt| Growth::Exponential(Duration::from_millis(100), 1.5).delay(attempt);
        assert_eq!([1, 2, 3, 4].map(delay).map(|d| d.as_micros()), [100_000, 150_000, 225_000, 337_500]);
        assert_eq!(Growth::Exponential(Duration::from_nanos(3), 1.5).delay(2), Duration::from_nanos(5)); // 4.5
    }
}
