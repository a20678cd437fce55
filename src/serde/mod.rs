//! Settings from files, and statistics for output, by `serde`.
//!
//! All configs, such as [`RetryConfig`](crate::RetryConfig) and
//! [`RateLimiterConfig`](crate::RateLimiterConfig), are read and written. A
//! [`RetryPolicy`](crate::RetryPolicy) is read. All statistics, such as
//! [`RateLimiterStats`](crate::RateLimiterStats), are written. The page
//! [`guide::config`](crate::guide::config) reads a file and reloads it.
//!
//! - A duration is a text with a unit: `"250ms"`, `"1m 30s"`, `"1.5s"`. A bare number is refused.
//! - A limit is a text: `"60 per 1m"`. Several limits are a list of such texts.
//! - A setting that is left out has its default. A setting that does not exist is refused.
//! - All settings are checked while they are read, so an error has the place of the setting. The
//!   error shows the setting, its value and the allowed values, as a
//!   [`ConfigError`](crate::ConfigError) does. If a setting does not fit to the default of another
//!   setting, the error has the place of the table, because that is known only at its end.
//! - Durations in statistics are numbers of seconds. The names of such fields end in `_seconds`.
//!
//! Configs are read from formats that describe themselves, such as TOML, JSON and YAML. A setting
//! without a value, such as [`max_delay`](crate::RetryConfig::max_delay), is left out of what is
//! written, because TOML has no null.
//!
//! A config may stand in a `#[serde(flatten)]`, and still refuses settings that do not exist. The
//! error then has no place, because serde reads all values of such a table first. Prefer a table
//! for each config.
//!
//! # Examples
//!
//! ```
//! use decor::{RateLimiter, RateLimiterConfig, RetryPolicy};
//!
//! #[derive(serde::Deserialize)]
//! #[serde(deny_unknown_fields)]
//! struct Settings {
//!     retry: RetryPolicy,
//!     api: RateLimiterConfig,
//! }
//!
//! let settings: Settings = toml::from_str(
//!     r#"
//!     [retry]
//!     delay = "250ms"
//!     jitter = "full"
//!     max_attempts = 5
//!
//!     [api]
//!     limit = ["10 per 1s", "300 per 1m"]
//!     max_waiting = 100
//!     "#,
//! )?;
//! assert_eq!(
//!     settings.retry.to_string(),
//!     "exponential from 250ms by 2, full jitter, 5 attempts",
//! );
//! let limiter = RateLimiter::try_from(&settings.api)?;
//! assert_eq!(limiter.to_string(), "10 per 1s, 300 per 60s");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod duration;
pub mod option;
mod settings;
mod value;

use serde::{Serialize, Serializer};
use std::time::Duration;

pub(crate) use settings::{Settings, read, settings, texts, write_setting};
pub(crate) use value::{Scalar, Value};

/// Writes a duration of statistics as a number of seconds.
pub(crate) fn seconds<S: Serializer>(duration: &Duration, to: S) -> Result<S::Ok, S::Error> {
    duration.as_secs_f64().serialize(to)
}

/// Writes a duration of statistics as a number of seconds; null for `None`.
#[allow(clippy::ref_option)] // serde gives a reference to the field
pub(crate) fn optional_seconds<S: Serializer>(duration: &Option<Duration>, to: S) -> Result<S::Ok, S::Error> {
    duration.map(|duration| duration.as_secs_f64()).serialize(to)
}
