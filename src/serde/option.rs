//! An `Option<Duration>` as a text with a unit, for fields of your own:
//! `#[serde(default, with = "decor::serde::option")]`.
//!
//! The text is that of [`duration`](super::duration). `None` is null. A format without null, such
//! as TOML, leaves the field out. `default` allows a file to leave the field out.
//!
//! # Examples
//!
//! ```
//! use serde::{Deserialize, Serialize};
//! use std::time::Duration;
//!
//! #[derive(Serialize, Deserialize)]
//! struct Settings {
//!     #[serde(default, with = "decor::serde::option")]
//!     shutdown: Option<Duration>,
//! }
//!
//! let settings: Settings = serde_json::from_str(r#"{"shutdown": "5s"}"#)?;
//! assert_eq!(settings.shutdown, Some(Duration::from_secs(5)));
//! let settings: Settings = serde_json::from_str("{}")?;
//! assert_eq!(settings.shutdown, None);
//! assert_eq!(serde_json::to_string(&settings)?, r#"{"shutdown":null}"#);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use serde::{
    Deserializer, Serialize, Serializer,
    de::{Error, Visitor},
};
use std::{fmt, time::Duration};

/// Writes a duration; null for `None`.
///
/// # Errors
///
/// If the serializer fails.
///
/// # Examples
///
/// See the [module](self).
#[allow(clippy::ref_option)] // serde gives a reference to the field
pub fn serialize<S: Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    struct Text<'a>(&'a Duration);

    impl Serialize for Text<'_> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            super::duration::serialize(self.0, serializer)
        }
    }

    match duration {
        None => serializer.serialize_none(),
        Some(duration) => serializer.serialize_some(&Text(duration)),
    }
}

/// Reads a duration; `None` for null.
///
/// # Errors
///
/// If the value is neither null nor a text, or the text has no unit.
///
/// # Examples
///
/// See the [module](self).
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    deserializer.deserialize_option(Optional)
}

struct Optional;

impl<'de> Visitor<'de> for Optional {
    type Value = Option<Duration>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(super::duration::ALLOWED)
    }

    fn visit_none<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        super::duration::deserialize(deserializer).map(Some)
    }
}
