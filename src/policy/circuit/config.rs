//! The settings of a circuit breaker as plain values.

use crate::{ConfigError, policy::RetryConfig};
use std::{fmt, time::Duration};

/// The failures that open a circuit breaker.
///
/// # Examples
///
/// ```
/// use decor::CircuitWindow;
/// use std::time::Duration;
///
/// let shown = |window: CircuitWindow| window.to_string();
/// assert_eq!(shown(CircuitWindow::Consecutive { failures: 5 }), "5 failures in a row");
/// assert_eq!(shown(CircuitWindow::Among { failures: 3, calls: 9 }), "3 failures among 9 calls");
/// let (rate, period) = (0.5, Duration::from_secs(30));
/// assert_eq!(shown(CircuitWindow::Rate { rate, period }), "50% failures in 30s");
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum CircuitWindow {
    /// See [`CircuitBreaker::consecutive`](crate::CircuitBreaker::consecutive).
    Consecutive {
        /// Number of failures in a row that opens the circuit. At least 1.
        failures: u32,
    },
    /// See [`CircuitBreaker::among`](crate::CircuitBreaker::among).
    Among {
        /// Number of failures that opens the circuit. At least 1.
        failures: u32,
        /// Number of the last calls that count. At least `failures`, at most 1,048,576.
        calls: u32,
    },
    /// See [`CircuitBreaker::rate`](crate::CircuitBreaker::rate).
    Rate {
        /// Share of failures that opens the circuit. Above 0, at most 1.
        rate: f64,
        /// Length of the window. At least 10 ns.
        period: Duration,
    },
}

impl fmt::Display for CircuitWindow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Consecutive { failures: 1 } => f.write_str("1 failure"),
            Self::Consecutive { failures } => write!(f, "{failures} failures in a row"),
            Self::Among { failures, calls } => {
                let plural = if *failures == 1 { "" } else { "s" };
                write!(f, "{failures} failure{plural} among {calls} calls")
            }
            Self::Rate { rate, period } => write!(f, "{}% failures in {period:?}", rate * 100.0),
        }
    }
}

/// The settings of a [`CircuitBreaker`](crate::CircuitBreaker) as plain values, from a file or a
/// user.
///
/// # Examples
///
/// The default makes the breaker of `CircuitBreaker::builder().build()`. The conversion into a
/// breaker checks all fields:
///
/// ```
/// use decor::{CircuitBreaker, CircuitBreakerConfig, CircuitWindow};
/// use std::time::Duration;
///
/// let config = CircuitBreakerConfig {
///     window: CircuitWindow::Among { failures: 10, calls: 20 },
///     open_for: Duration::from_secs(5),
///     name: Some("users".to_owned()),
///     ..CircuitBreakerConfig::default()
/// };
/// let breaker = CircuitBreaker::try_from(config)?;
/// assert_eq!(breaker.to_string(), "users: 10 failures among 20 calls, open for 5s");
///
/// let wrong = CircuitBreakerConfig { probes: 0, ..CircuitBreakerConfig::default() };
/// assert_eq!(CircuitBreaker::try_from(wrong).unwrap_err().to_string(),
///     "`probes` is 0, but must be at least 1");
/// # Ok::<(), decor::ConfigError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct CircuitBreakerConfig {
    /// The failures that open the circuit.
    pub window: CircuitWindow,
    /// Minimum number of calls in the window of a rate, at least 1; `None` for 20. `None` for all
    /// other windows.
    pub minimum_calls: Option<u32>,
    /// Time for which the circuit is open, unless `open_by` is set. A probe that runs for this time
    /// loses its place. Longer than zero.
    pub open_for: Duration,
    /// Delays for which the circuit is open, the first one after the first failure; `None` for
    /// `open_for` each time.
    pub open_by: Option<RetryConfig>,
    /// Number of successes that close a half-open circuit. At least 1.
    pub probes: u32,
    /// Duration from which a call is a failure, longer than zero; `None` if no duration is one.
    pub slow_after: Option<Duration>,
    /// `true` if the breaker counts calls as usual, but refuses none.
    pub observing: bool,
    /// Name in errors and events; `None` for `breaker`.
    pub name: Option<String>,
    /// Maximum number of keys of a breaker with keys, at least 1; `None` for 65,536, and for a
    /// breaker without keys.
    pub max_keys: Option<usize>,
}

impl CircuitBreakerConfig {
    /// Checks the settings that stand alone.
    pub(crate) fn check_alone(
        open_for: Duration,
        slow_after: Option<Duration>,
        probes: u32,
    ) -> Result<(), ConfigError> {
        for (setting, duration) in [("open_for", Some(open_for)), ("slow_after", slow_after)] {
            if duration.is_some_and(|duration| duration.is_zero()) {
                return Err(ConfigError::new(setting, "0ns", "longer than zero"));
            }
        }
        if probes == 0 {
            return Err(ConfigError::new("probes", probes, "at least 1"));
        }
        Ok(())
    }
}

/// Default of the time for which a circuit is open.
pub(crate) const DEFAULT_OPEN_FOR: Duration = Duration::from_secs(30);

impl Default for CircuitBreakerConfig {
    fn default() -> Self {
        Self {
            window: CircuitWindow::Consecutive { failures: 5 },
            minimum_calls: None,
            open_for: DEFAULT_OPEN_FOR,
            open_by: None,
            probes: 1,
            slow_after: None,
            observing: false,
            name: None,
            max_keys: None,
        }
    }
}
