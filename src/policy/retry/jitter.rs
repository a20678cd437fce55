//! Jitter: randomness in delays, so that callers that failed together do not come back together.

use super::backoff::from_nanos;
use crate::ConfigError;
use std::{fmt, str::FromStr, time::Duration};

/// How a delay is made random.
///
/// Jitter comes after the cap and only ever shortens, so that `max_delay` holds; what each does is
/// described in [Exponential Backoff and
/// Jitter](https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/).
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
    /// Each delay is exactly what the policy says.
    #[default]
    None,
    /// Anything from zero to the delay. Spreads callers best.
    Full,
    /// Anything from half the delay to the delay. Keeps a minimum of patience.
    Equal,
    /// Anything from the policy's first delay to three times the delay before, at most `max_delay`.
    /// It grows by itself, so the strategy matters only for its first delay.
    Decorrelated,
}

impl Jitter {
    /// `delay` and `first` are capped already; `previous` is the delay that was made before this
    /// one.
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

/// From zero to all of `whole`, both included.
pub(in crate::policy) fn fraction(whole: Duration, random: u64) -> Duration {
    let steps = whole.as_nanos() + 1;
    // A product of more than 128 bits is avoided by using fewer bits of the random number.
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

/// Reads what [`Display`](fmt::Display) writes.
impl FromStr for Jitter {
    type Err = ConfigError;

    fn from_str(name: &str) -> Result<Self, ConfigError> {
        [Self::None, Self::Full, Self::Equal, Self::Decorrelated]
            .into_iter()
            .find(|jitter| jitter.to_string() == name)
            .ok_or_else(|| {
                ConfigError::new("jitter", format_args!("{name:?}"), "one of none, full, equal, decorrelated")
            })
    }
}
