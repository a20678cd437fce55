//! The settings of a memo as plain values.

use super::eviction::Eviction;
use crate::{
    ConfigError, RetryConfig, RetryPolicy,
    clock::{Nanos, nanos},
    policy::Lifetime,
};
use std::time::Duration;

/// Default capacity of a memo.
pub(super) const DEFAULT_CAPACITY: u64 = 10_000;

/// The settings of a [`Memo`](crate::Memo) as plain values, from a file or a user.
///
/// Settings that are closures are in a [`MemoBuilder`](crate::MemoBuilder), which is made of a
/// config as well: `MemoBuilder::try_from(&config)?.weigher(..).build()`.
///
/// # Examples
///
/// The conversion into a memo checks all fields:
///
/// ```
/// use decor::{Memo, MemoConfig};
/// use std::time::Duration;
///
/// let config = MemoConfig {
///     ttl: Some(Duration::from_secs(300)),
///     capacity: 1_000,
///     ..MemoConfig::default()
/// };
/// let users: Memo<u64, String> = Memo::try_from(&config)?;
/// assert_eq!(users.stats().capacity, 1_000);
///
/// let wrong = MemoConfig { jitter: 2.0, ..config };
/// assert_eq!(Memo::<u64, String>::try_from(&wrong).unwrap_err().to_string(),
///     "`jitter` is 2, but must be 0 to 1");
/// # Ok::<(), decor::ConfigError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct MemoConfig {
    /// Time after which a value expires, longer than zero; `None` if values stay until they are
    /// evicted.
    pub ttl: Option<Duration>,
    /// Time after its latest use at which a value expires, longer than zero; `None` if use has no
    /// effect.
    pub time_to_idle: Option<Duration>,
    /// Largest part by which a TTL is shortened at random, 0 to 1. Above 0 only with a TTL.
    pub jitter: f64,
    /// Seed of a reproducible jitter; `None` for a random one.
    pub seed: Option<u64>,
    /// Maximum number of values, or their maximum weight if there is a
    /// [`weigher`](crate::MemoBuilder::weigher). At least 1.
    pub capacity: u64,
    /// Choice of the value that a full memo evicts.
    pub eviction: Eviction,
    /// Part of a TTL after which a value in use is refreshed, above 0 and below 1. `None` for no
    /// refresh, and without a TTL.
    pub refresh_ahead: Option<f64>,
    /// Time for which an expired value is served while it is refreshed. Longer than zero only if
    /// values expire.
    pub stale_while_revalidate: Duration,
    /// Time for which an expired value is served if loading fails. Longer than zero only if values
    /// expire.
    pub stale_on_error: Duration,
    /// Delays after failed refreshes, the first one after the first failure; `None` for 1 s,
    /// doubled up to 1 min.
    pub refresh_backoff: Option<RetryConfig>,
}

impl Default for MemoConfig {
    fn default() -> Self {
        Self {
            ttl: None,
            time_to_idle: None,
            jitter: 0.0,
            seed: None,
            capacity: DEFAULT_CAPACITY,
            eviction: Eviction::default(),
            refresh_ahead: None,
            stale_while_revalidate: Duration::ZERO,
            stale_on_error: Duration::ZERO,
            refresh_backoff: None,
        }
    }
}

impl MemoConfig {
    /// Checks the settings beside those of a builder: the TTL of negative values, and a closure
    /// that computes TTLs.
    pub(super) fn check_beside(&self, negative: Option<Duration>, has_ttl_by: bool) -> Result<(), ConfigError> {
        let Self { ttl, time_to_idle, jitter, refresh_ahead, stale_while_revalidate, stale_on_error, .. } = self;
        for (setting, duration) in [("ttl", *ttl), ("negative", negative), ("time_to_idle", *time_to_idle)] {
            if duration.is_some_and(|duration| duration.is_zero()) {
                return Err(ConfigError::new(setting, "0ns", "longer than zero"));
            }
        }
        if self.capacity == 0 {
            return Err(ConfigError::new("capacity", 0, "at least 1"));
        }
        if !(0.0..=1.0).contains(jitter) {
            return Err(ConfigError::new("jitter", jitter, "0 to 1"));
        }
        if let Some(part) = refresh_ahead.filter(|part| !(*part > 0.0 && *part < 1.0)) {
            return Err(ConfigError::new("refresh_ahead", part, "above 0 and below 1"));
        }
        if ttl.is_some() || negative.is_some() || has_ttl_by {
            return Ok(());
        }
        let without_effect = [
            ("jitter", (*jitter > 0.0).then(|| jitter.to_string())),
            ("refresh_ahead", refresh_ahead.map(|part| part.to_string())),
            (
                "stale_while_revalidate",
                (!stale_while_revalidate.is_zero()).then(|| format!("{stale_while_revalidate:?}")),
            ),
            ("stale_on_error", (!stale_on_error.is_zero()).then(|| format!("{stale_on_error:?}"))),
        ];
        // With a `time_to_idle` values expire, so the last two settings have an effect.
        let settings = if time_to_idle.is_some() { &without_effect[..2] } else { &without_effect };
        match settings.iter().find_map(|(setting, value)| Some((setting, value.as_ref()?))) {
            Some((setting, value)) => Err(ConfigError::new(setting, value, "left out unless values have a TTL")),
            None => Ok(()),
        }
    }

    pub(super) fn lifetime(&self) -> Lifetime {
        Lifetime {
            jitter: self.jitter,
            refresh_ahead: self.refresh_ahead.unwrap_or(1.0),
            time_to_idle: self.time_to_idle.map_or(Nanos::MAX, nanos),
            stale_while_revalidate: nanos(self.stale_while_revalidate),
            stale_on_error: nanos(self.stale_on_error),
        }
    }

    /// The delays after failed refreshes; `None` for the default.
    pub(super) fn refresh_policy(&self) -> Result<Option<RetryPolicy>, ConfigError> {
        let policy = self.refresh_backoff.as_ref().map(RetryPolicy::try_from).transpose()?;
        Ok(policy.map(RetryPolicy::endless))
    }
}

#[cfg(feature = "serde")]
crate::serde::settings! {
    MemoConfig {
        ttl, time_to_idle, jitter, seed, capacity, eviction, refresh_ahead, stale_while_revalidate, stale_on_error,
        refresh_backoff,
    }
    check: |config| {
        config.refresh_policy()?;
        config.check_beside(None, false)
    },
    completions: |config, is_read| {
        let ttl = if is_read("ttl") { config.ttl } else { Some(Duration::MAX) };
        let time_to_idle = if is_read("time_to_idle") { config.time_to_idle } else { Some(Duration::MAX) };
        vec![Self { ttl, time_to_idle, ..config.clone() }]
    },
}
