//! The bound on the number of keys of a handle with keys.

use crate::ConfigError;

/// Default of the maximum number of keys.
pub(crate) const DEFAULT_MAX_KEYS: usize = 1 << 16;

/// Checks a maximum number of keys.
pub(crate) fn checked_keys(max_keys: usize) -> Result<usize, ConfigError> {
    if max_keys == 0 { Err(ConfigError::new("max_keys", max_keys, "at least 1")) } else { Ok(max_keys) }
}

/// The maximum number of keys of a config.
pub(crate) fn max_keys_of(setting: Option<usize>) -> Result<usize, ConfigError> {
    setting.map_or(Ok(DEFAULT_MAX_KEYS), checked_keys)
}

/// Checks that the config of a handle without keys has no maximum number of keys.
pub(crate) fn without_keys(setting: Option<usize>) -> Result<(), ConfigError> {
    match setting {
        None => Ok(()),
        Some(max_keys) => Err(ConfigError::new("max_keys", max_keys, "left out unless there is a handle for each key")),
    }
}
