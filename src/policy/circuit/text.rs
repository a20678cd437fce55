//! A circuit breaker in files.

use super::{
    config::{CircuitBreakerConfig, CircuitWindow},
    window::Window,
};
use crate::{
    ConfigError, RetryPolicy,
    policy::keys::max_keys_of,
    serde::{Scalar, Value, settings},
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use std::time::Duration;

settings! {
    CircuitBreakerConfig {
        window, minimum_calls, open_for, open_by, probes, slow_after, observing, name, max_keys,
    }
    check: |config| {
        Self::check_alone(config.open_for, config.slow_after, config.probes)?;
        config.open_by.as_ref().map(RetryPolicy::try_from).transpose()?;
        max_keys_of(config.max_keys)?;
        Window::try_new(config.window, config.minimum_calls).map(drop)
    },
    completions: |config, is_read| {
        if is_read("window") || config.minimum_calls.is_none() {
            return vec![config.clone()];
        }
        vec![Self { window: CircuitWindow::Rate { rate: 1.0, period: Duration::MAX }, ..config.clone() }]
    },
}

/// The settings of a window. Those that are set say which window it is.
#[derive(Clone, Default)]
struct WindowSettings {
    failures: Option<u32>,
    calls: Option<u32>,
    rate: Option<f64>,
    period: Option<Duration>,
}

settings! {
    WindowSettings { failures, calls, rate, period }
    check: |settings| Window::try_new(settings.window()?, None).map(drop),
    completions: |settings, is_read| {
        let mut settings = settings.clone();
        if settings.calls.is_some() && !is_read("failures") {
            settings.failures = Some(1);
        }
        if settings.period.is_some() && !is_read("rate") {
            settings.rate = Some(1.0);
        }
        if settings.rate.is_some() && !is_read("period") {
            settings.period = Some(Duration::MAX);
        }
        vec![settings]
    },
}

impl WindowSettings {
    fn window(&self) -> Result<CircuitWindow, ConfigError> {
        let Self { failures, calls, rate, period } = *self;
        match (failures, calls, rate, period) {
            (Some(failures), None, None, None) => Ok(CircuitWindow::Consecutive { failures }),
            (Some(failures), Some(calls), None, None) => Ok(CircuitWindow::Among { failures, calls }),
            (None, None, Some(rate), Some(period)) => Ok(CircuitWindow::Rate { rate, period }),
            (None, None, Some(_), None) => Err(ConfigError::new("period", "missing", "set beside `rate`")),
            (None, None, None, Some(_)) => Err(ConfigError::new("rate", "missing", "set beside `period`")),
            (None, Some(_), _, _) => Err(ConfigError::new("failures", "missing", "set beside `calls`")),
            (None, None, None, None) => Err(ConfigError::new("failures", "missing", "set, unless there is a `rate`")),
            (Some(_), _, Some(rate), _) => Err(ConfigError::new("rate", rate, NOT_BOTH)),
            (Some(_), _, None, Some(period)) => Err(ConfigError::new("period", format_args!("{period:?}"), NOT_BOTH)),
        }
    }
}

/// The end of an error message: why a window has no rate.
const NOT_BOTH: &str = "left out beside `failures`";

impl Value for CircuitWindow {
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

/// Reads the fields of the window: `{ failures = 5 }`, `{ failures = 10, calls = 20 }` or
/// `{ rate = 0.5, period = "30s" }`.
///
/// # Examples
///
/// ```
/// use decor::CircuitBreakerConfig;
///
/// let file = "window = { failures = 10, calls = 20 }";
/// let config: CircuitBreakerConfig = toml::from_str(file)?;
/// assert_eq!(config.window.to_string(), "10 failures among 20 calls");
/// # Ok::<(), toml::de::Error>(())
/// ```
impl<'de> Deserialize<'de> for CircuitWindow {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        WindowSettings::deserialize(from)?.window().map_err(D::Error::custom)
    }
}

/// Writes the fields of the window as a table.
///
/// # Examples
///
/// ```
/// let window = decor::CircuitWindow::Among { failures: 10, calls: 20 };
/// assert_eq!(serde_json::to_string(&window)?, r#"{"failures":10,"calls":20}"#);
/// # Ok::<(), serde_json::Error>(())
/// ```
impl Serialize for CircuitWindow {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let none = WindowSettings::default();
        let settings = match *self {
            Self::Consecutive { failures } => WindowSettings { failures: Some(failures), ..none },
            Self::Among { failures, calls } => WindowSettings { failures: Some(failures), calls: Some(calls), ..none },
            Self::Rate { rate, period } => WindowSettings { rate: Some(rate), period: Some(period), ..none },
        };
        settings.serialize(to)
    }
}
