//! The policy by which a memo evicts.

use crate::ConfigError;
use std::{fmt, str::FromStr};

/// The policy by which a full memo evicts values.
///
/// # Examples
///
/// ```
/// use decor::{Eviction, Memo};
///
/// let words: Memo<String, u64> =
///     Memo::builder().capacity(1_000).eviction(Eviction::TinyLfu).build();
/// # drop(words);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Eviction {
    /// Evicts the least recently used value. A value that was just stored stays.
    ///
    /// The order is approximated by second chance, so that a hit costs no queue operation. Values
    /// queue in the order in which they were stored. A store that needs room looks at the front of
    /// the queue. A value that was used since it entered the queue moves to the back, and the next
    /// value is looked at. A value that was not used is evicted. The new value queues behind all
    /// others.
    ///
    /// The order of uses between two stores is therefore not known. A single store moves at most 32
    /// values. If the next value was used as well, it is evicted, and all earlier uses cease to
    /// count.
    #[default]
    Lru,
    /// Evicts the least frequently used value ([TinyLFU](https://arxiv.org/abs/1512.00727)), which
    /// may be the value that was just stored. Suits memos with a few keys that are called all the
    /// time, and many keys that are called once. Counts one hit in 4.
    TinyLfu,
}

impl fmt::Display for Eviction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lru => "lru",
            Self::TinyLfu => "tiny-lfu",
        })
    }
}

/// Description of valid names.
const NAMES: &str = "one of lru, tiny-lfu";

/// Parses the names that [`Display`](fmt::Display) writes.
///
/// # Examples
///
/// ```
/// use decor::Eviction;
///
/// assert_eq!("tiny-lfu".parse(), Ok(Eviction::TinyLfu));
/// assert_eq!("fifo".parse::<Eviction>().unwrap_err().to_string(),
///     "`eviction` is \"fifo\", but must be one of lru, tiny-lfu");
/// ```
impl FromStr for Eviction {
    type Err = ConfigError;

    fn from_str(name: &str) -> Result<Self, ConfigError> {
        [Self::Lru, Self::TinyLfu]
            .into_iter()
            .find(|eviction| eviction.to_string() == name)
            .ok_or_else(|| ConfigError::new("eviction", format_args!("{name:?}"), NAMES))
    }
}

#[cfg(feature = "serde")]
crate::serde::texts!(Eviction, "eviction", NAMES);
