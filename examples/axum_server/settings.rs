//! The settings file, and the handles that are made from it and follow it.

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
use tokio::sync::watch;

use crate::store::Item;

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

    /// Follows the settings. Permits, values and states stay, and a handle that refuses its
    /// settings stays as it is.
    fn reload(&self, settings: &Settings) -> Result<(), ConfigError> {
        self.per_key.reload(&settings.per_key)?;
        self.exports.reload(&settings.exports)?;
        self.items.reload(&settings.items)?;
        self.weather.reload(&settings.weather)
    }
}

/// Number of reloads so far, and the error of the last one.
pub(crate) type Reloads = watch::Receiver<(u32, Option<String>)>;

/// Reads the file again on each SIGHUP.
pub(crate) fn reload_on_hangup(path: PathBuf, handles: Handles) -> anyhow::Result<Reloads> {
    let (reloaded, reloads) = watch::channel((0, None));
    #[cfg(unix)]
    {
        let mut hangups = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup())?;
        tokio::spawn(async move {
            while hangups.recv().await.is_some() {
                let ended = Settings::read(&path).and_then(|settings| Ok(handles.reload(&settings)?));
                let error = ended.err().map(|error| format!("{error:#}"));
                match &error {
                    Some(error) => eprintln!("the settings stay as they are: {error}"),
                    None => eprintln!("the settings of {} are in effect", path.display()),
                }
                reloaded.send_modify(|(count, last)| (*count, *last) = (*count + 1, error));
            }
        });
    }
    Ok(reloads)
}
