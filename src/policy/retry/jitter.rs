//! Jitter, so that callers that failed together do not retry together.

use super::backoff::from_nanos;
use crate::ConfigError;
use std::{fmt, str::FromStr, time::Duration};

/// The randomness of a delay.
///
/// Jitter is applied after the cap, so no delay exceeds `max_delay`. The kinds are described in
/// [Exponential Backoff and
/// Jitter](https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/).
///
/// # Examples
///
/// ```
/// use decor::Jitter;
///
/// assert_eq!("full".parse(), Ok(Jitter::Full));
/// assert_eq!("half".parse::<Jitter>().unwrap_err().to_string(),
///     "`jitter` is \"half\", but must be one of none, full, equal, decorrelated");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Jitter {
    /// The delay of the policy, unchanged.
    #[default]
    None,
    /// A random delay from zero to the policy's delay. Spreads callers best.
    Full,
    /// A random delay from half the policy's delay to all of it. Keeps a minimum delay.
    Equal,
    /// A random delay from the policy's first delay to three times the previous delay, at most
    /// `max_delay`. Grows by itself, so only the first delay of the policy matters.
    Decorrelated,
}

impl Jitter {
    /// Returns the random delay. `delay` and `first` are capped already. `previous` is the previous
    /// random delay.
    pub(super) fn apply(
        self,
        delay: Duration,
        first: Duration,
        previous: Duration,
        cap: Duration,
        random: u64,
    ) -> Duration {
        match self {
            Self::None => delay,
            Self::Full => fraction(delay, random),
            Self::Equal => delay.saturating_sub(fraction(delay / 2, random)),
            Self::Decorrelated => {
                let most = previous.saturating_mul(3).min(cap).max(first);
                first + fraction(most.saturating_sub(first), random)
            }
        }
    }
}

/// Returns a duration from zero to `whole`, both included.
pub(in crate::policy) fn fraction(whole: Duration, random: u64) -> Duration {
    let steps = whole.as_nanos() + 1;
    // With fewer bits of the random number the product fits into 128 bits.
    let nanos = match u64::try_from(steps) {
        Ok(steps) => (u128::from(steps) * u128::from(random)) >> 64,
        Err(_) => (steps * u128::from(random >> 32)) >> 32,
    };
    from_nanos(nanos)
}

impl fmt::Display for Jitter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Full => "full",
            Self::Equal => "equal",
            Self::Decorrelated => "decorrelated",
        })
    }
}

/// Parses the names that [`Display`](fmt::Display) writes.
impl FromStr for Jitter {
    type Err = ConfigError;

    fn from_str(name: &str) -> Result<Self, ConfigError> {
        [Self::None, Self::Full, Self::Equal, Self::Decorrelated]
            .into_iter()
            .find(|jitter| jitter.to_string() == name)
            .ok_or_else(|| ConfigError::new("jitter", format_args!("{name:?}"), NAMES))
    }
}

/// Description of valid names.
const NAMES: &str = "one of none, full, equal, decorrelated";

#[cfg(feature = "serde")]
crate::serde::texts!(Jitter, "jitter", NAMES);
