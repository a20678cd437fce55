//! Reading and writing of a config, setting by setting.
//!
//! serde's derive checks a struct as a whole, after it is read. An error then has the place of the
//! table, and not of the setting. The reader in here checks the config after each setting.

use super::value::Value;
use crate::ConfigError;
use serde::{
    Deserializer, Serialize, Serializer,
    de::{DeserializeSeed, Error, MapAccess, Visitor},
    ser::SerializeStruct,
};
use std::{fmt, marker::PhantomData};

/// A config: a struct of settings. [`settings!`] implements this trait.
pub(crate) trait Settings: Clone + Default {
    /// The names of all settings, in the order in which they are written.
    const NAMES: &'static [&'static str];

    /// Reads the value of one of the settings.
    fn read<'de, D: Deserializer<'de>>(&mut self, setting: &'static str, value: D) -> Result<(), D::Error>;

    /// Checks all settings together.
    fn check(&self) -> Result<(), ConfigError>;

    /// The config with other values of the settings that are not read yet. If the check refuses all
    /// of these configs, no value of a later setting can make the config valid.
    fn completions(&self, _is_read: &dyn Fn(&str) -> bool) -> Vec<Self> {
        vec![self.clone()]
    }
}

/// Implements `Serialize`, `Deserialize` and [`Settings`] for a config.
macro_rules! settings {
    (
        $config:ident { $($name:ident),* $(,)? }
        check: $check:expr,
        $(completions: $completions:expr,)?
    ) => {
        impl $crate::serde::Settings for $config {
            const NAMES: &'static [&'static str] = &[$(stringify!($name)),*];

            fn read<'de, D: ::serde::Deserializer<'de>>(
                &mut self,
                setting: &'static str,
                value: D,
            ) -> Result<(), D::Error> {
                match setting {
                    $(stringify!($name) => self.$name = $crate::serde::Value::read(setting, value)?,)*
                    _ => unreachable!("a setting that has a name"),
                }
                Ok(())
            }

            fn check(&self) -> Result<(), $crate::ConfigError> {
                let check: fn(&Self) -> Result<(), $crate::ConfigError> = $check;
                check(self)
            }

            $(fn completions(&self, is_read: &dyn Fn(&str) -> bool) -> Vec<Self> {
                let completions: fn(&Self, &dyn Fn(&str) -> bool) -> Vec<Self> = $completions;
                completions(self, is_read)
            })?
        }

        impl<'de> ::serde::Deserialize<'de> for $config {
            fn deserialize<D: ::serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                $crate::serde::read(from)
            }
        }

        impl ::serde::Serialize for $config {
            fn serialize<S: ::serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                use ::serde::ser::SerializeStruct;
                let left_out = [$($crate::serde::Value::is_left_out(&self.$name)),*];
                let written = left_out.iter().filter(|is_left_out| !**is_left_out).count();
                let mut to = to.serialize_struct(stringify!($config), written)?;
                $($crate::serde::write_setting(&mut to, stringify!($name), &self.$name)?;)*
                to.end()
            }
        }
    };
}

/// Implements `Serialize`, `Deserialize` and [`Value`] for a type that is a text in a file. An
/// error names this setting.
macro_rules! texts {
    ($type:ident, $setting:literal, $allowed:expr) => {
        impl $crate::serde::Value for $type {
            const ALLOWED: &'static str = $allowed;

            fn of(scalar: &$crate::serde::Scalar) -> Option<Self> {
                scalar.text()?.parse().ok()
            }

            /// The error of a text is that of its parser.
            fn read<'de, D: ::serde::Deserializer<'de>>(setting: &'static str, value: D) -> Result<Self, D::Error> {
                let scalar = $crate::serde::Scalar::read(setting, $allowed, value)?;
                match scalar.text() {
                    Some(text) => text.parse().map_err(::serde::de::Error::custom),
                    None => Err(scalar.refusal(setting, $allowed)),
                }
            }

            fn write<S: ::serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(self)
            }
        }

        impl<'de> ::serde::Deserialize<'de> for $type {
            fn deserialize<D: ::serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                $crate::serde::Value::read($setting, from)
            }
        }

        impl ::serde::Serialize for $type {
            fn serialize<S: ::serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(self)
            }
        }
    };
}

pub(crate) use {settings, texts};

/// Reads a config.
///
/// A map, not a struct: in a `#[serde(flatten)]`, serde hides the settings that do not exist from a
/// struct, so that they would not be refused (serde#2384).
pub(crate) fn read<'de, C: Settings, D: Deserializer<'de>>(from: D) -> Result<C, D::Error> {
    from.deserialize_map(Reader(PhantomData))
}

/// Writes a setting, unless it is left out.
pub(crate) fn write_setting<W: SerializeStruct>(
    to: &mut W,
    name: &'static str,
    value: &impl Value,
) -> Result<(), W::Error> {
    struct Written<'a, V>(&'a V);

    impl<V: Value> Serialize for Written<'_, V> {
        fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
            self.0.write(to)
        }
    }

    if value.is_left_out() { to.skip_field(name) } else { to.serialize_field(name, &Written(value)) }
}

struct Reader<C>(PhantomData<C>);

impl<'de, C: Settings> Visitor<'de> for Reader<C> {
    type Value = C;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a table of settings ({})", C::NAMES.join(", "))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<C, A::Error> {
        let (mut config, mut read) = (C::default(), Vec::new());
        while let Some(setting) = map.next_key_seed(SettingName { known: C::NAMES, read: &read })? {
            read.push(setting);
            let is_last = map.size_hint() == Some(0);
            map.next_value_seed(SettingValue { config: &mut config, read: &read, is_last })?;
        }
        config.check().map_err(A::Error::custom)?;
        Ok(config)
    }
}

/// The name of a setting that is not read yet.
struct SettingName<'a> {
    known: &'static [&'static str],
    read: &'a [&'static str],
}

impl<'de> DeserializeSeed<'de> for SettingName<'_> {
    type Value = &'static str;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<&'static str, D::Error> {
        from.deserialize_identifier(self)
    }
}

impl Visitor<'_> for SettingName<'_> {
    type Value = &'static str;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a setting")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<&'static str, E> {
        let known = self.known.iter().find(|known| **known == name).copied();
        let known = known.ok_or_else(|| E::unknown_field(name, self.known))?;
        if self.read.contains(&known) { Err(E::duplicate_field(known)) } else { Ok(known) }
    }
}

/// The value of the setting that is the last of those that are read.
struct SettingValue<'a, C> {
    config: &'a mut C,
    read: &'a [&'static str],
    /// `true` if no setting is known to follow.
    is_last: bool,
}

impl<'de, C: Settings> DeserializeSeed<'de> for SettingValue<'_, C> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        let Self { config, read, is_last } = self;
        let setting = read.last().copied().unwrap_or_default();
        config.read(setting, from)?;
        let completions = config.completions(&|name| read.contains(&name));
        let refused = |config: &C| config.check().err();
        let refusals: Vec<_> = completions.iter().map_while(refused).collect();
        if refusals.len() == completions.len() {
            return refusals.into_iter().next().map_or(Ok(()), |refusal| Err(D::Error::custom(refusal)));
        }
        match config.check() {
            Err(refusal) if is_last && refusal.setting() == setting => Err(D::Error::custom(refusal)),
            _ => Ok(()),
        }
    }
}
