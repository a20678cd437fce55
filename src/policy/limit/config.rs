//! The settings of a rate limiter as plain values.

use super::{MAX_WINDOWS, Quota};
use crate::{
    ConfigError,
    policy::keys::{max_keys_of, without_keys},
};
use std::{fmt, time::Duration};

/// A number of permits per period, for a [`RateLimiterConfig`].
///
/// Displays as a limiter does. With the feature `serde`, the text parses, and the period may have
/// any unit.
///
/// # Examples
///
/// ```
/// use decor::RateLimit;
/// use std::time::Duration;
///
/// let limit = RateLimit { permits: 60, period: Duration::from_secs(60) };
/// assert_eq!(limit.to_string(), "60 per 60s");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RateLimit {
    /// Number of permits in a period. At least 1.
    pub permits: u32,
    /// Length of the period. Longer than zero.
    pub period: Duration,
}

/// Converts a limit as [`RateLimiter::new`](crate::RateLimiter::new) takes it.
///
/// # Examples
///
/// ```
/// let limit = decor::RateLimit::from((10, std::time::Duration::from_secs(1)));
/// assert_eq!(limit.permits, 10);
/// ```
impl From<(u32, Duration)> for RateLimit {
    fn from((permits, period): (u32, Duration)) -> Self {
        Self { permits, period }
    }
}

impl fmt::Display for RateLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} per {:?}", self.permits, self.period)
    }
}

/// The settings of a [`RateLimiter`](crate::RateLimiter) or a
/// [`KeyedLimiter`](crate::KeyedLimiter) as plain values, from a file or a user.
///
/// # Examples
///
/// The conversion into a limiter checks all fields:
///
/// ```
/// use decor::{RateLimiter, RateLimiterConfig};
/// use std::time::Duration;
///
/// let limit = vec![(60, Duration::from_secs(60)).into()];
/// let config = RateLimiterConfig { limit, ..RateLimiterConfig::default() };
/// let limiter = RateLimiter::try_from(&config)?;
/// assert_eq!(limiter.to_string(), "60 per 60s");
///
/// let wrong = RateLimiterConfig { burst: Some(5), ..config };
/// assert_eq!(RateLimiter::try_from(&wrong).unwrap_err().to_string(),
///     "`burst` is 5, but must be left out unless the limiter is paced");
/// # Ok::<(), decor::ConfigError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateLimiterConfig {
    /// Limit of each window, 1 to 4 of them. A single limit if the limiter is paced. There is no
    /// default.
    pub limit: Vec<RateLimit>,
    /// `true` if permits are spaced evenly; `false` for exact windows.
    pub paced: bool,
    /// Number of permits that a paced limiter gives at once, 1 to the limit. `None` for 1, and for
    /// an exact limiter.
    pub burst: Option<u32>,
    /// Maximum number of waiting calls; `None` for any number.
    pub max_waiting: Option<usize>,
    /// Longest pause that one call can ask for (default 1 h), longer than zero; `Duration::MAX` if
    /// no pause is cut.
    pub longest_pause: Duration,
    /// Maximum number of keys of a limiter with keys, at least 1; `None` for 65,536, and for a
    /// limiter without keys.
    pub max_keys: Option<usize>,
}

/// Default of the longest pause.
pub(crate) const DEFAULT_LONGEST_PAUSE: Duration = Duration::from_secs(60 * 60);

impl Default for RateLimiterConfig {
    fn default() -> Self {
        let longest_pause = DEFAULT_LONGEST_PAUSE;
        Self { limit: Vec::new(), paced: false, burst: None, max_waiting: None, longest_pause, max_keys: None }
    }
}

impl RateLimiterConfig {
    /// The quota of a limiter without keys. With `reserve`, memory for the stamps is allocated.
    pub(crate) fn quota(&self, reserve: bool) -> Result<Quota, ConfigError> {
        without_keys(self.max_keys)?;
        self.quota_of_each(reserve)
    }

    /// The quota of each limiter, whether or not there are keys.
    pub(crate) fn quota_of_each(&self, reserve: bool) -> Result<Quota, ConfigError> {
        let limits: Vec<_> = self.limit.iter().map(|limit| (limit.permits, limit.period)).collect();
        let wrong_number = |allowed| ConfigError::new("limit", format_args!("a list of {}", limits.len()), allowed);
        match limits.len() {
            0 => return Err(ConfigError::new("limit", "missing", "set, such as \"60 per 1m\"")),
            2.. if self.paced => return Err(wrong_number("a single limit if the limiter is paced")),
            number if number > MAX_WINDOWS => return Err(wrong_number("a list of 1 to 4")),
            _ => {}
        }
        Quota::try_new(&limits, self.paced, self.burst, reserve)
    }

    pub(crate) fn longest_pause(&self) -> Result<Duration, ConfigError> {
        checked_pause(self.longest_pause)
    }

    pub(crate) fn max_keys(&self) -> Result<usize, ConfigError> {
        max_keys_of(self.max_keys)
    }
}

/// Checks a longest pause.
pub(crate) fn checked_pause(longest: Duration) -> Result<Duration, ConfigError> {
    if longest.is_zero() {
        return Err(ConfigError::new("longest_pause", format_args!("{longest:?}"), "longer than zero"));
    }
    Ok(longest)
}

/// The texts of limits, in files and by hand.
#[cfg(feature = "serde")]
mod text {
    use super::{super::checked_limits, RateLimit, RateLimiterConfig};
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

        fn of(scalar: &Scalar) -> Option<Self> {
            RateLimit::of(scalar).map(|limit| vec![limit])
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

    /// Reads a single limit, or a list. A wrong limit in a list has a place of its own.
    struct OneOrMany(&'static str);

    impl<'de> Visitor<'de> for OneOrMany {
        type Value = Vec<RateLimit>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(ALLOWED)
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
            text.parse().map(|limit| vec![limit]).map_err(E::custom)
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
}
