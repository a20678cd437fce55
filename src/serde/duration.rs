//! A [`Duration`] as a text with a unit, for fields of your own:
//! `#[serde(with = "decor::serde::duration")]`.
//!
//! The text is a sum of numbers with units: `"250ms"`, `"1.5s"`, `"1h 30m"`. The units are those of
//! the `humantime` crate, from `ns` to `years`. A number without a unit is refused.
//! [`option`](super::option) is for an `Option<Duration>`.
//!
//! # Examples
//!
//! ```
//! use serde::{Deserialize, Serialize};
//! use std::time::Duration;
//!
//! #[derive(Serialize, Deserialize)]
//! struct Settings {
//!     #[serde(with = "decor::serde::duration")]
//!     shutdown: Duration,
//! }
//!
//! let settings: Settings = toml::from_str(r#"shutdown = "1m 30s""#)?;
//! assert_eq!(settings.shutdown, Duration::from_secs(90));
//! assert_eq!(toml::to_string(&settings)?, "shutdown = \"1m 30s\"\n");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use serde::{
    Deserializer, Serializer,
    de::{Error, Unexpected, Visitor},
};
use std::{fmt, time::Duration};

/// Description of valid durations.
pub(super) const ALLOWED: &str = "a duration with a unit, such as \"250ms\"";

/// Writes a duration.
///
/// # Errors
///
/// If the serializer fails.
///
/// # Examples
///
/// See the [module](self).
pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&humantime::format_duration(*duration))
}

/// Reads a duration.
///
/// # Errors
///
/// If the value is not a text, or has no unit.
///
/// # Examples
///
/// See the [module](self).
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    deserializer.deserialize_str(Text)
}

struct Text;

impl Visitor<'_> for Text {
    type Value = Duration;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(ALLOWED)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Duration, E> {
        parse(text).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
    }
}

/// Parses a sum of numbers with units, and what `Debug` of a duration writes.
pub(crate) fn parse(text: &str) -> Option<Duration> {
    let (mut sum, mut rest) = (0_u128, text.trim_start());
    while !rest.is_empty() {
        let (number, unit);
        (number, rest) = split_off(rest, |c| c.is_ascii_digit() || c == '.');
        (unit, rest) = split_off(rest.trim_start(), char::is_alphabetic);
        sum = sum.checked_add(product(number, unit)?)?;
        rest = rest.trim_start();
    }
    let (secs, nanos) = (u64::try_from(sum / NANOS).ok()?, u32::try_from(sum % NANOS).ok()?);
    (!text.trim().is_empty()).then(|| Duration::new(secs, nanos))
}

/// Nanoseconds of a second.
const NANOS: u128 = 1_000_000_000;

fn split_off(text: &str, is_in: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c| !is_in(c)).unwrap_or(text.len()))
}

/// Number of nanoseconds, such as those of `1.5` and `s`. A part of a nanosecond is refused.
fn product(number: &str, unit: &str) -> Option<u128> {
    if unit.is_empty() {
        return None;
    }
    let unit = humantime::parse_duration(&format!("1{unit}")).ok()?.as_nanos();
    let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
    let (whole, digits) = (u128::from(whole.parse::<u64>().ok()?), u32::try_from(part.len()).ok()?);
    let (part, parts) = (u128::from(part.parse::<u64>().ok()?).checked_mul(unit)?, 10_u128.checked_pow(digits)?);
    (part % parts == 0).then(|| whole.checked_mul(unit)?.checked_add(part / parts))?
}
