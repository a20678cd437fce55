//! The settings file, and the handles that are made from it and follow it.

use crate::store::Item;
use anyhow::Context;
use decor::{
    CircuitBreakerConfig, ConcurrencyConfig, ConfigError, KeyedLimiter, MemoConfig, RateLimiterConfig, prelude::*,
};
use serde::Deserialize;
use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};
#[cfg(unix)]
use tokio::signal::unix::{self, SignalKind};
use tokio::sync::watch;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    per_key: RateLimiterConfig,
    exports: ConcurrencyConfig,
    items: MemoConfig,
    weather: CircuitBreakerConfig,
}

impl Settings {
    /// Reads and checks the file. The error has the line of the wrong setting.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
        toml::from_str(&text).with_context(|| path.display().to_string())
    }
}

/// The handles of the server. A clone is the same handles.
#[derive(Clone)]
pub(crate) struct Handles {
    pub(crate) per_key: KeyedLimiter<Arc<str>>,
    pub(crate) exports: ConcurrencyLimiter,
    pub(crate) items: Memo<u64, Option<Item>>,
    pub(crate) weather: CircuitBreaker,
}

impl Handles {
    pub(crate) fn new(settings: &Settings) -> Result<Self, ConfigError> {
        let Settings { per_key, exports, items, weather } = settings;
        Ok(Self {
            per_key: per_key.try_into()?,
            exports: exports.try_into()?,
            items: items.try_into()?,
            weather: weather.try_into()?,
        })
    }

    /// Follows the new settings. Permits, values and states stay. If one of the handles refuses its
    /// settings, all keep the old ones.
    fn reload(&self, new: &Settings, old: &Settings) -> Result<(), ConfigError> {
        let follow = |settings: &Settings| {
            self.per_key.reload(&settings.per_key)?;
            self.exports.reload(&settings.exports)?;
            self.items.reload(&settings.items)?;
            self.weather.reload(&settings.weather)
        };
        follow(new).inspect_err(|_| follow(old).expect("the handles have had these settings"))
    }
}

/// Number of reloads so far, and the error of the last one.
pub(crate) type Reloads = watch::Receiver<(u32, Option<String>)>;

/// Reads the file again on each SIGHUP. Must be called within a runtime.
#[cfg(unix)]
pub(crate) fn reload_on_hangup(path: PathBuf, handles: Handles, mut current: Settings) -> anyhow::Result<Reloads> {
    let mut hangups = unix::signal(SignalKind::hangup())?;
    let (reloaded, reloads) = watch::channel((0, None));
    tokio::spawn(async move {
        while hangups.recv().await.is_some() {
            let followed = Settings::read(&path).and_then(|new| {
                handles.reload(&new, &current)?;
                Ok(new)
            });
            let error = match followed {
                Ok(new) => {
                    eprintln!("the settings of {} are in effect", path.display());
                    current = new;
                    None
                }
                Err(error) => {
                    eprintln!("the settings stay as they are: {error:#}");
                    Some(format!("{error:#}"))
                }
            };
            reloaded.send_modify(|(count, last)| (*count, *last) = (*count + 1, error));
        }
    });
    Ok(reloads)
}

/// There is no such signal.
#[cfg(not(unix))]
pub(crate) fn reload_on_hangup(_: PathBuf, _: Handles, _: Settings) -> anyhow::Result<Reloads> {
    Ok(watch::channel((0, None)).1)
}
