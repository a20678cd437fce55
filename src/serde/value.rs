//! Values of settings. An error about a value names the setting.

use super::duration;
use crate::{ConfigError, Name};
use serde::{
    Deserializer, Serialize, Serializer,
    de::{Error, MapAccess, SeqAccess, Visitor},
};
use std::{fmt, marker::PhantomData, ops::RangeInclusive, time::Duration};
use tracing::level_filters::LevelFilter;

/// The type of a setting.
pub(crate) trait Value: Sized {
    /// Description of valid values, as it follows "must be".
    const ALLOWED: &'static str;

    /// The value; `None` if it is not allowed.
    fn of(scalar: &Scalar) -> Option<Self>;

    /// Reads the value of this setting.
    fn read<'de, D: Deserializer<'de>>(setting: &'static str, value: D) -> Result<Self, D::Error> {
        let scalar = Scalar::read(setting, Self::ALLOWED, value)?;
        Self::of(&scalar).ok_or_else(|| scalar.refusal(setting, Self::ALLOWED))
    }

    /// Returns `true` if the setting is left out of what is written.
    fn is_left_out(&self) -> bool {
        false
    }

    fn write<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error>;
}

/// A value as a file has it.
pub(crate) enum Scalar {
    Null,
    Bool(bool),
    Whole(i128),
    Float(f64),
    Text(String),
}

impl Scalar {
    /// Reads the value of a setting. Refuses lists and tables.
    pub(crate) fn read<'de, D: Deserializer<'de>>(
        setting: &'static str,
        allowed: &'static str,
        value: D,
    ) -> Result<Self, D::Error> {
        value.deserialize_any(ScalarVisitor { setting, allowed })
    }

    /// The error about this value of a setting.
    pub(crate) fn refusal<E: Error>(&self, setting: &'static str, allowed: &'static str) -> E {
        E::custom(ConfigError::new(setting, self, allowed))
    }

    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The whole number; `None` if it is none, or does not fit.
    fn whole<T: TryFrom<i128>>(&self) -> Option<T> {
        match self {
            Self::Whole(number) => T::try_from(*number).ok(),
            _ => None,
        }
    }
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(is_true) => is_true.fmt(f),
            Self::Whole(number) => number.fmt(f),
            Self::Float(number) => fmt::Debug::fmt(number, f),
            Self::Text(text) => fmt::Debug::fmt(text, f),
        }
    }
}

struct ScalarVisitor {
    setting: &'static str,
    allowed: &'static str,
}

impl ScalarVisitor {
    fn refuse<E: Error>(self, value: &str) -> E {
        E::custom(ConfigError::new(self.setting, value, self.allowed))
    }
}

impl<'de> Visitor<'de> for ScalarVisitor {
    type Value = Scalar;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.allowed)
    }

    fn visit_bool<E: Error>(self, is_true: bool) -> Result<Scalar, E> {
        Ok(Scalar::Bool(is_true))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Scalar, E> {
        Ok(Scalar::Whole(number.into()))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Scalar, E> {
        Ok(Scalar::Whole(number.into()))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Scalar, E> {
        Ok(Scalar::Float(number))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Scalar, E> {
        Ok(Scalar::Text(text.to_owned()))
    }

    fn visit_unit<E: Error>(self) -> Result<Scalar, E> {
        Ok(Scalar::Null)
    }

    fn visit_none<E: Error>(self) -> Result<Scalar, E> {
        Ok(Scalar::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, value: D) -> Result<Scalar, D::Error> {
        value.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<Scalar, A::Error> {
        Err(self.refuse("a list"))
    }

    fn visit_map<A: MapAccess<'de>>(self, _: A) -> Result<Scalar, A::Error> {
        Err(self.refuse("a table"))
    }
}

impl<T: Value> Value for Option<T> {
    const ALLOWED: &'static str = T::ALLOWED;

    fn of(scalar: &Scalar) -> Option<Self> {
        if matches!(scalar, Scalar::Null) { Some(None) } else { T::of(scalar).map(Some) }
    }

    fn read<'de, D: Deserializer<'de>>(setting: &'static str, value: D) -> Result<Self, D::Error> {
        struct Optional<T>(&'static str, PhantomData<T>);

        impl<'de, T: Value> Visitor<'de> for Optional<T> {
            type Value = Option<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(T::ALLOWED)
            }

            fn visit_none<E: Error>(self) -> Result<Self::Value, E> {
                Ok(None)
            }

            fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
                Ok(None)
            }

            fn visit_some<D: Deserializer<'de>>(self, value: D) -> Result<Self::Value, D::Error> {
                T::read(self.0, value).map(Some)
            }
        }

        value.deserialize_option(Optional(setting, PhantomData))
    }

    fn is_left_out(&self) -> bool {
        self.is_none()
    }

    fn write<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            None => to.serialize_none(),
            Some(value) => value.write(to),
        }
    }
}

impl Value for bool {
    const ALLOWED: &'static str = "true or false";

    fn of(scalar: &Scalar) -> Option<Self> {
        match scalar {
            Scalar::Bool(is_true) => Some(*is_true),
            _ => None,
        }
    }

    fn write<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.serialize(to)
    }
}

impl Value for u32 {
    const ALLOWED: &'static str = "a whole number from 0 to 4294967295";

    fn of(scalar: &Scalar) -> Option<Self> {
        scalar.whole()
    }

    fn write<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.serialize(to)
    }
}

/// A number beyond `i64::MAX` is a text, because TOML has no larger numbers.
impl Value for u64 {
    const ALLOWED: &'static str = "a whole number, at least 0";

    fn of(scalar: &Scalar) -> Option<Self> {
        let is_large = |number: &u64| i64::try_from(*number).is_err();
        scalar.whole().or_else(|| scalar.text()?.parse().ok().filter(is_large))
    }

    fn write<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match i64::try_from(*self) {
            Ok(number) => number.serialize(to),
            Err(_) => to.collect_str(self),
        }
    }
}

impl Value for usize {
    const ALLOWED: &'static str = u64::ALLOWED;

    fn of(scalar: &Scalar) -> Option<Self> {
        u64::of(scalar)?.try_into().ok()
    }

    fn write<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        (*self as u64).write(to)
    }
}

impl Value for f64 {
    const ALLOWED: &'static str = "a number";

    #[allow(clippy::cast_precision_loss)] // a file that says 2 means 2.0
    fn of(scalar: &Scalar) -> Option<Self> {
        match scalar {
            Scalar::Whole(number) => Some(*number as f64),
            Scalar::Float(number) => Some(*number),
            _ => None,
        }
    }

    fn write<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.serialize(to)
    }
}

impl Value for Duration {
    const ALLOWED: &'static str = duration::ALLOWED;

    fn of(scalar: &Scalar) -> Option<Self> {
        duration::parse(scalar.text()?)
    }

    fn write<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        duration::serialize(self, to)
    }
}

impl Value for String {
    const ALLOWED: &'static str = "a text";

    fn of(scalar: &Scalar) -> Option<Self> {
        scalar.text().map(Into::into)
    }

    fn write<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.serialize(to)
    }
}

impl Value for Name {
    const ALLOWED: &'static str = String::ALLOWED;

    fn of(scalar: &Scalar) -> Option<Self> {
        String::of(scalar).map(Into::into)
    }

    fn write<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self)
    }
}

/// A range as `4..=100`, as code writes it.
impl Value for RangeInclusive<u32> {
    const ALLOWED: &'static str = "a range, such as \"4..=100\"";

    fn of(scalar: &Scalar) -> Option<Self> {
        let (start, end) = scalar.text()?.split_once("..=")?;
        Some(start.trim().parse().ok()?..=end.trim().parse().ok()?)
    }

    fn write<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&format_args!("{}..={}", self.start(), self.end()))
    }
}

impl Value for LevelFilter {
    const ALLOWED: &'static str = "one of off, error, warn, info, debug, trace";

    fn of(scalar: &Scalar) -> Option<Self> {
        let text = scalar.text()?;
        let levels = [Self::OFF, Self::ERROR, Self::WARN, Self::INFO, Self::DEBUG, Self::TRACE];
        levels.into_iter().find(|level| level.to_string() == text)
    }

    fn write<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}
