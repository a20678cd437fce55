//! A retry policy in files.

use super::{backoff::Backoff, config::RetryConfig, policy::RetryPolicy};
use crate::serde::{Scalar, Value, settings};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use std::time::Duration;

settings! {
    RetryConfig {
        backoff, delay, factor, max_delay, max_hint, jitter, max_attempts, deadline, seed, keeps_place,
        log_level, give_up_log_level, give_up_log_interval,
    }
    check: |config| RetryPolicy::try_from(config).map(drop),
    completions: |config, is_read| {
        let delay = |shortest| if is_read("delay") { config.delay } else { shortest };
        if is_read("backoff") {
            let shortest = if config.backoff == Backoff::Fixed { Duration::ZERO } else { Duration::from_nanos(1) };
            return vec![Self { delay: delay(shortest), ..config.clone() }];
        }
        let growing = Self { backoff: Backoff::Exponential, delay: delay(Duration::from_nanos(1)), ..config.clone() };
        let fixed = Self { backoff: Backoff::Fixed, delay: delay(Duration::ZERO), ..config.clone() };
        vec![growing, fixed]
    },
}

impl Value for RetryConfig {
    const ALLOWED: &'static str = "a table of settings";

    fn of(_: &Scalar) -> Option<Self> {
        None
    }

    fn read<'de, D: Deserializer<'de>>(_: &'static str, value: D) -> Result<Self, D::Error> {
        Self::deserialize(value)
    }

    fn write<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.serialize(to)
    }
}

/// Reads the settings of a [`RetryConfig`], and checks them.
///
/// # Examples
///
/// ```
/// let policy: decor::RetryPolicy = toml::from_str(r#"delay = "250ms""#)?;
/// assert_eq!(policy.to_string(), "exponential from 250ms by 2, no jitter, 3 attempts");
/// # Ok::<(), toml::de::Error>(())
/// ```
impl<'de> Deserialize<'de> for RetryPolicy {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        RetryConfig::deserialize(from)?.try_into().map_err(D::Error::custom)
    }
}
