//! The fault of a call, from a script or from a seed.

use crate::{ConfigError, random::SplitMix64};
use std::{fmt, time::Duration};

/// A fault that [`Chaos`](crate::Chaos) puts in the place of a call, or before it.
///
/// # Examples
///
/// ```
/// use decor::{Chaos, Fault};
///
/// // The second call fails, and all others are made as they are.
/// let chaos = Chaos::script([Fault::Pass, Fault::Fail]);
/// assert_eq!(chaos.to_string(), "a script of 2 calls");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// No fault: the call is made as it is.
    Pass,
    /// The call fails at once. The function is not called.
    Fail,
    /// The call waits until it is dropped, or until its thread is abandoned. The function is not
    /// called.
    Hang,
    /// The function is called after this wait.
    Slow(Duration),
}

/// The settings of seeded [`Chaos`](crate::Chaos) as plain values, from a file or a user.
///
/// # Examples
///
/// ```
/// use decor::{Chaos, ChaosConfig};
///
/// let chaos = Chaos::try_from(ChaosConfig { seed: 7, failing: 0.1, ..ChaosConfig::default() })?;
/// assert_eq!(chaos.to_string(), "seed 7, failing 0.1");
///
/// let wrong = ChaosConfig { failing: 0.6, hanging: 0.5, ..ChaosConfig::default() };
/// assert_eq!(Chaos::try_from(wrong).unwrap_err().to_string(),
///     "`hanging` is 0.5, but must be at most 1 together with the other faults");
/// # Ok::<(), decor::ConfigError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct ChaosConfig {
    /// Seed of the random numbers.
    pub seed: u64,
    /// Share of the calls that fail, from 0 to 1.
    pub failing: f64,
    /// Share of the calls that are slow, from 0 to 1.
    pub slowing: f64,
    /// Wait of a slow call.
    pub slow_by: Duration,
    /// Share of the calls that hang, from 0 to 1.
    pub hanging: f64,
}

/// The faults of all calls.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum ChaosPlan {
    /// A fault for each call. No fault follows.
    Script(Box<[Fault]>),
    Seeded(ChaosConfig),
}

impl ChaosPlan {
    /// The fault of a call; 0 is the number of the first call.
    pub(crate) fn fault_of(&self, call: u64) -> Fault {
        match self {
            Self::Script(faults) => {
                let fault = usize::try_from(call).ok().and_then(|call| faults.get(call));
                fault.copied().unwrap_or(Fault::Pass)
            }
            Self::Seeded(config) => config.fault_at(share(config.seed, call)),
        }
    }

    /// Changes the settings of seeded faults.
    pub(crate) fn with(
        &self,
        setting: &'static str,
        value: f64,
        change: impl FnOnce(&mut ChaosConfig),
    ) -> Result<Self, ConfigError> {
        let Self::Seeded(mut config) = *self else {
            return Err(ConfigError::new(setting, value, "left out of a script"));
        };
        change(&mut config);
        config.checked(setting, value)
    }
}

impl ChaosConfig {
    /// Checks a share that was set last, together with the others.
    fn checked(self, setting: &'static str, value: f64) -> Result<ChaosPlan, ConfigError> {
        if !(0.0..=1.0).contains(&value) {
            return Err(ConfigError::new(setting, value, "between 0 and 1"));
        }
        // Room for the rounding of shares such as 0.1 + 0.2 + 0.7.
        if self.failing + self.slowing + self.hanging > 1.0 + 1e-9 {
            return Err(ConfigError::new(setting, value, "at most 1 together with the other faults"));
        }
        Ok(ChaosPlan::Seeded(self))
    }

    fn fault_at(&self, share: f64) -> Fault {
        let Self { failing, slowing, slow_by, hanging, .. } = *self;
        if share < failing {
            Fault::Fail
        } else if share < failing + slowing {
            Fault::Slow(slow_by)
        } else if share < failing + slowing + hanging {
            Fault::Hang
        } else {
            Fault::Pass
        }
    }
}

/// A random number of a call, at least 0 and below 1.
#[allow(clippy::cast_precision_loss)] // 53 bits
fn share(seed: u64, call: u64) -> f64 {
    let random = SplitMix64::new(seed ^ SplitMix64::new(call).next()).next();
    (random >> 11) as f64 / (1_u64 << 53) as f64
}

impl TryFrom<ChaosConfig> for ChaosPlan {
    type Error = ConfigError;

    fn try_from(config: ChaosConfig) -> Result<Self, ConfigError> {
        let ChaosConfig { failing, slowing, hanging, .. } = config;
        let alone = ChaosConfig { slowing: 0.0, hanging: 0.0, ..config };
        alone.checked("failing", failing)?;
        ChaosConfig { slowing, ..alone }.checked("slowing", slowing)?;
        config.checked("hanging", hanging)
    }
}

impl fmt::Display for ChaosPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Script(faults) => {
                let plural = if faults.len() == 1 { "" } else { "s" };
                write!(f, "a script of {} call{plural}", faults.len())
            }
            Self::Seeded(ChaosConfig { seed, failing, slowing, slow_by, hanging }) => {
                write!(f, "seed {seed}")?;
                if *failing > 0.0 {
                    write!(f, ", failing {failing}")?;
                }
                if *slowing > 0.0 {
                    write!(f, ", slowing {slowing} by {slow_by:?}")?;
                }
                if *hanging > 0.0 {
                    write!(f, ", hanging {hanging}")?;
                }
                Ok(())
            }
        }
    }
}

#[cfg(feature = "serde")]
crate::serde::settings! {
    ChaosConfig { seed, failing, slowing, slow_by, hanging }
    check: |config| ChaosPlan::try_from(*config).map(drop),
}

#[cfg(all(test, not(shuttle)))]
mod tests {
    use super::*;

    #[test]
    fn a_seed_always_makes_the_same_faults() {
        let slow_by = Duration::from_secs(1);
        let config = ChaosConfig { seed: 7, failing: 0.25, slowing: 0.25, slow_by, hanging: 0.25 };
        let plan = ChaosPlan::try_from(config).unwrap();
        let faults: Vec<_> = (0..12).map(|call| plan.fault_of(call)).collect();
        let (pass, fail, hang, slow) = (Fault::Pass, Fault::Fail, Fault::Hang, Fault::Slow(slow_by));
        assert_eq!(faults, [slow, slow, fail, pass, slow, hang, fail, fail, pass, hang, pass, fail]);
    }

    #[test]
    fn the_shares_hold() {
        let slow_by = Duration::from_secs(1);
        let config = ChaosConfig { seed: 1, failing: 0.1, slowing: 0.05, slow_by, hanging: 0.01 };
        let plan = ChaosPlan::try_from(config).unwrap();
        let count = |fault| (0..100_000).filter(|call| plan.fault_of(*call) == fault).count();
        assert!((9_700..=10_300).contains(&count(Fault::Fail)), "{}", count(Fault::Fail));
        assert!((4_800..=5_200).contains(&count(Fault::Slow(slow_by))), "{}", count(Fault::Slow(slow_by)));
        assert!((900..=1_100).contains(&count(Fault::Hang)), "{}", count(Fault::Hang));
    }

    #[test]
    fn all_calls_or_none() {
        let all =
            ChaosPlan::try_from(ChaosConfig { failing: 0.1, slowing: 0.2, hanging: 0.7, ..ChaosConfig::default() });
        assert!((0..10_000).all(|call| all.as_ref().unwrap().fault_of(call) != Fault::Pass));
        let none = ChaosPlan::try_from(ChaosConfig::default()).unwrap();
        assert!((0..10_000).all(|call| none.fault_of(call) == Fault::Pass));
    }
}
