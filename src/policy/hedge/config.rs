//! The settings of a hedge.

use super::latencies::Rank;
use crate::ConfigError;
use std::{fmt, time::Duration};

/// The settings of a [`Hedge`](crate::Hedge) as plain values, from a file or a user.
///
/// # Examples
///
/// ```
/// use decor::{Hedge, HedgeConfig};
/// use std::time::Duration;
///
/// let hedge = Hedge::try_from(HedgeConfig { percentile: 0.99, ..HedgeConfig::default() })?;
/// assert_eq!(hedge.to_string(), "after percentile 0.99, at most 2 calls");
///
/// let after = Some(Duration::from_millis(50));
/// let hedge = Hedge::try_from(HedgeConfig { after, ..HedgeConfig::default() })?;
/// assert_eq!(hedge.to_string(), "after 50ms, at most 2 calls");
///
/// let wrong = HedgeConfig { max_calls: 0, ..HedgeConfig::default() };
/// assert_eq!(Hedge::try_from(wrong).unwrap_err().to_string(),
///     "`max_calls` is 0, but must be at least 1");
/// # Ok::<(), decor::ConfigError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct HedgeConfig {
    /// Delay before each further call; `None` for the delay of the percentile.
    pub after: Option<Duration>,
    /// Share of the calls that end before the delay, above 0 and below 1 (default 0.95). Has no
    /// effect if `after` is set.
    pub percentile: f64,
    /// Maximum number of calls that one call makes, the first one included (default 2). At least 1.
    pub max_calls: u32,
}

impl Default for HedgeConfig {
    fn default() -> Self {
        Self { after: None, percentile: 0.95, max_calls: HedgePlan::DEFAULT_MAX_CALLS }
    }
}

/// The delay before a further call.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Trigger {
    After(Duration),
    Percentile(Rank),
}

/// The checked settings of a hedge.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct HedgePlan {
    pub(crate) trigger: Trigger,
    /// Maximum number of calls, the first one included. At least 1.
    pub(crate) max_calls: u32,
}

impl HedgePlan {
    const DEFAULT_MAX_CALLS: u32 = 2;

    pub(crate) fn after(delay: Duration) -> Self {
        Self { trigger: Trigger::After(delay), max_calls: Self::DEFAULT_MAX_CALLS }
    }

    pub(crate) fn percentile(percentile: f64) -> Result<Self, ConfigError> {
        let trigger = Trigger::Percentile(Rank::try_new(percentile)?);
        Ok(Self { trigger, max_calls: Self::DEFAULT_MAX_CALLS })
    }

    pub(crate) fn max_calls(self, max_calls: u32) -> Result<Self, ConfigError> {
        if max_calls == 0 {
            return Err(ConfigError::new("max_calls", max_calls, "at least 1"));
        }
        Ok(Self { max_calls, ..self })
    }
}

impl TryFrom<&HedgeConfig> for HedgePlan {
    type Error = ConfigError;

    fn try_from(config: &HedgeConfig) -> Result<Self, ConfigError> {
        let HedgeConfig { after, percentile, max_calls } = *config;
        after.map_or_else(|| Self::percentile(percentile), |delay| Ok(Self::after(delay)))?.max_calls(max_calls)
    }
}

impl fmt::Display for HedgePlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.trigger {
            Trigger::After(delay) => write!(f, "after {delay:?}")?,
            Trigger::Percentile(rank) => write!(f, "after percentile {rank}")?,
        }
        match self.max_calls {
            1 => f.write_str(", at most 1 call"),
            max_calls => write!(f, ", at most {max_calls} calls"),
        }
    }
}

#[cfg(feature = "serde")]
crate::serde::settings! {
    HedgeConfig { after, percentile, max_calls }
    check: |config| HedgePlan::try_from(config).map(drop),
}
