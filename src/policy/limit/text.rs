//! The texts of limits, in files and by hand.

use super::{
    checked_limits,
    config::{RateLimit, RateLimiterConfig},
};
use crate::{
    ConfigError,
    serde::{Scalar, Value, duration, settings, texts},
};
use serde::{
    Deserializer, Serializer,
    de::{Error, MapAccess, SeqAccess, Visitor},
};
use std::{fmt, str::FromStr, time::Duration};

const ALLOWED: &str = "a number per period, such as \"60 per 1m\"";

texts!(RateLimit, "limit", ALLOWED);

settings! {
    RateLimiterConfig { limit, paced, burst, max_waiting, longest_pause, max_keys }
    check: |config| {
        config.quota_of_each(false)?;
        config.longest_pause()?;
        config.max_keys().map(drop)
    },
    completions: |config, is_read| {
        let mut config = config.clone();
        if !is_read("limit") {
            config.limit = vec![RateLimit { permits: u32::MAX, period: Duration::MAX }];
        }
        let paced = Self { paced: true, ..config.clone() };
        match config.burst {
            _ if is_read("paced") => vec![config],
            Some(_) => vec![paced, config],
            None => vec![config, paced],
        }
    },
}

/// Parses `60 per 1m`, and any limit that a limiter displays. The period is a duration as in a
/// [file](crate::serde).
///
/// # Errors
///
/// If the text is no limit, or a limit or a period is zero.
///
/// # Examples
///
/// ```
/// use decor::RateLimit;
/// use std::time::Duration;
///
/// let limit: RateLimit = "60 per 1m".parse()?;
/// assert_eq!(limit, RateLimit { permits: 60, period: Duration::from_secs(60) });
/// assert_eq!(limit.to_string().parse(), Ok(limit));
/// assert_eq!("60 per 1".parse::<RateLimit>().unwrap_err().to_string(),
///     "`limit` is \"60 per 1\", but must be a number per period, such as \"60 per 1m\"");
/// # Ok::<(), decor::ConfigError>(())
/// ```
impl FromStr for RateLimit {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let parse = || {
            let (permits, period) = text.split_once(" per ")?;
            Some(Self { permits: permits.trim().parse().ok()?, period: duration::parse(period)? })
        };
        let limit = parse().ok_or_else(|| ConfigError::new("limit", format_args!("{text:?}"), ALLOWED))?;
        checked_limits(&[(limit.permits, limit.period)])?;
        Ok(limit)
    }
}

/// Parses the text that a limiter displays, such as `10 per 1s, 300 per 60s` or `10 per 1s,
/// paced, burst 3`. All other settings have their defaults.
///
/// # Errors
///
/// If the text is not that of a limiter, or a limiter would refuse the settings.
///
/// # Examples
///
/// ```
/// use decor::{RateLimiter, RateLimiterConfig};
/// use std::time::Duration;
///
/// let second = Duration::from_secs(1);
/// let limiter = RateLimiter::builder().paced(10, second).burst(3).build();
/// let config: RateLimiterConfig = limiter.to_string().parse()?;
/// assert_eq!((config.paced, config.burst), (true, Some(3)));
/// assert_eq!(RateLimiter::try_from(&config)?.to_string(), limiter.to_string());
/// # Ok::<(), decor::ConfigError>(())
/// ```
impl FromStr for RateLimiterConfig {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let mut config = Self::default();
        for part in text.split(',').map(str::trim) {
            let burst = part.strip_prefix("burst ").and_then(|burst| burst.parse().ok());
            match burst {
                Some(burst) => config.burst = Some(burst),
                None if part == "paced" => config.paced = true,
                None => config.limit.push(part.parse()?),
            }
        }
        config.quota_of_each(false)?;
        Ok(config)
    }
}

/// A single limit is a text, several are a list of texts.
impl Value for Vec<RateLimit> {
    const ALLOWED: &'static str = ALLOWED;

    fn of(_: &Scalar) -> Option<Self> {
        None
    }

    fn read<'de, D: Deserializer<'de>>(setting: &'static str, value: D) -> Result<Self, D::Error> {
        value.deserialize_any(OneOrMany(setting))
    }

    fn write<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match &self[..] {
            [limit] => limit.write(to),
            limits => to.collect_seq(limits),
        }
    }
}

/// Reads a single limit, several in one text as a limiter displays them, or a list.
struct OneOrMany(&'static str);

impl<'de> Visitor<'de> for OneOrMany {
    type Value = Vec<RateLimit>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(ALLOWED)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        text.split(',').map(|limit| limit.trim().parse().map_err(E::custom)).collect()
    }

    fn visit_bool<E: Error>(self, is_true: bool) -> Result<Self::Value, E> {
        Err(Scalar::Bool(is_true).refusal(self.0, ALLOWED))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
        Err(Scalar::Whole(number.into()).refusal(self.0, ALLOWED))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
        Err(Scalar::Whole(number.into()).refusal(self.0, ALLOWED))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Self::Value, E> {
        Err(Scalar::Float(number).refusal(self.0, ALLOWED))
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Err(Scalar::Null.refusal(self.0, ALLOWED))
    }

    fn visit_map<A: MapAccess<'de>>(self, _: A) -> Result<Self::Value, A::Error> {
        Err(A::Error::custom(ConfigError::new(self.0, "a table", ALLOWED)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut limits = Vec::new();
        while let Some(limit) = list.next_element()? {
            limits.push(limit);
        }
        Ok(limits)
    }
}
