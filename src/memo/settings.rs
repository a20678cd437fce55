//! The settings of a memo, and the decision to keep a value.

use super::tier::{Keep, MemoTier};
use crate::{
    clock::Nanos,
    policy::{Lifetime, Rest, RetryPolicy, Stamp},
    random::CallSeeds,
    sync::Arc,
};
use std::{fmt, time::Duration};

/// Default capacity of a memo.
pub(super) const DEFAULT_CAPACITY: u64 = 10_000;

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

/// Computes a weight from a key and a value.
pub(super) type Weigher<K, V> = Box<dyn Fn(&K, &V) -> u32 + Send + Sync>;

pub(super) type IsNegative<V> = fn(&V) -> bool;

/// Computes a TTL from a key and a value; `None` for the default TTL.
pub(super) type TtlBy<K, V> = Box<dyn Fn(&K, &V) -> Option<Duration> + Send + Sync>;

pub(super) type Tag = Arc<str>;

/// Computes the tags of a value.
pub(super) type TagsBy<K, V> = Box<dyn Fn(&K, &V) -> Box<[Tag]> + Send + Sync>;

/// Returns `true` for a value that is still valid.
pub(super) type ValidWhile<K, V> = Box<dyn Fn(&K, &V) -> bool + Send + Sync>;

pub(super) struct Settings<K, V> {
    pub(super) lifetime: Lifetime,
    /// Delays after failed refreshes of a value; `None` for the default.
    pub(super) refresh_backoff: Option<RetryPolicy>,
    pub(super) ttl: Ttl<K, V>,
    /// Seeds of the jitter, one for each stored value.
    pub(super) seeds: CallSeeds,
    /// Maximum number of values, or their maximum weight if there is a weigher. At least 1.
    pub(super) capacity: u64,
    /// `None` if each value weighs 1.
    pub(super) weigher: Option<Weigher<K, V>>,
    pub(super) eviction: Eviction,
    /// `None` if values have no tags.
    pub(super) tags_by: Option<TagsBy<K, V>>,
    /// `None` if values are valid until they expire.
    pub(super) valid_while: Option<ValidWhile<K, V>>,
    /// `None` if the memo is this process's alone.
    pub(super) tier: Option<Arc<dyn MemoTier<K, V>>>,
}

pub(super) struct Ttl<K, V> {
    /// TTL of all values; `None` if values stay until they are evicted.
    pub(super) default: Option<Duration>,
    pub(super) per_value: Option<TtlBy<K, V>>,
    /// TTL of an `Err` or a `None`, with the function that recognises them; `None` if they are
    /// values like any other.
    pub(super) negative: Option<(IsNegative<V>, Duration)>,
}

/// The decision about a value that was loaded or inserted.
pub(super) enum Decision {
    Keep {
        stamp: Stamp,
        weight: u32,
        tags: Box<[Tag]>,
    },
    /// Not kept, because its TTL is zero.
    NoTtl,
    /// Not kept, because it weighs more than the whole capacity.
    TooHeavy,
}

impl Decision {
    /// Ends the value's time at this moment at the latest.
    pub(super) fn until_at_most(self, moment: Nanos) -> Self {
        match self {
            Self::Keep { stamp, weight, tags } => Self::Keep { stamp: stamp.until_at_most(moment), weight, tags },
            other => other,
        }
    }

    /// The times for which a tier keeps the value; `None` if the value is not kept.
    pub(super) fn in_tier(&self, now: Nanos, stale: Nanos) -> Option<Keep> {
        match self {
            Self::Keep { stamp, .. } => Some(Keep::until(stamp.expires_at(), now, stale)),
            Self::NoTtl | Self::TooHeavy => None,
        }
    }
}

impl<K, V> Ttl<K, V> {
    pub(super) fn is_set(&self) -> bool {
        self.default.is_some() || self.per_value.is_some() || self.negative.is_some()
    }

    fn of(&self, key: &K, value: &V) -> Duration {
        let per_value = self.per_value.as_ref().and_then(|ttl_by| ttl_by(key, value));
        per_value.or(self.default).unwrap_or(Duration::MAX)
    }

    fn of_negative(&self, value: &V) -> Option<Duration> {
        self.negative.and_then(|(is_negative, ttl)| is_negative(value).then_some(ttl))
    }
}

impl<K, V> Settings<K, V> {
    pub(super) fn can_expire(&self) -> bool {
        self.ttl.is_set() || self.lifetime.expires_when_idle()
    }

    /// Returns the rest of a value after a refresh that failed at `now`. `before` is the rest from
    /// earlier failures; `None` if there were none. Runs the closure of a custom policy.
    pub(super) fn rest(&self, before: Option<Rest>, now: Nanos) -> Rest {
        // Short enough to recover soon after a restart. An outage of ten minutes has 15 loads.
        let default = || RetryPolicy::exponential(Duration::from_secs(1)).max_delay(Duration::from_secs(60));
        let policy = self.refresh_backoff.clone().unwrap_or_else(default);
        before.unwrap_or_else(|| Rest::new(policy.seed_of_next_call())).after_failure(&policy, now)
    }

    /// Decides about a value that was loaded at `now`. Runs the builder's closures.
    pub(super) fn decide(&self, key: &K, value: &V, now: Nanos) -> Decision {
        let Self { lifetime, ttl, seeds, weigher, .. } = self;
        let negative = ttl.of_negative(value);
        let ttl = negative.unwrap_or_else(|| ttl.of(key, value));
        let random = if lifetime.jitter > 0.0 { seeds.take() } else { 0 };
        if ttl.is_zero() {
            return Decision::NoTtl;
        }
        // At least 1, because values without weight would not be bounded.
        let weight = weigher.as_ref().map_or(1, |weigh| weigh(key, value).max(1));
        if u64::from(weight) > self.capacity {
            return Decision::TooHeavy;
        }
        let stamp = lifetime.stamp(ttl, now, random);
        let stamp = if negative.is_some() { stamp.never_stale() } else { stamp };
        Decision::Keep { stamp, weight, tags: self.tags_of(key, value) }
    }

    pub(super) fn tags_of(&self, key: &K, value: &V) -> Box<[Tag]> {
        self.tags_by.as_ref().map(|tags_by| tags_by(key, value)).unwrap_or_default()
    }

    pub(super) fn is_valid(&self, key: &K, value: &V) -> bool {
        self.valid_while.as_ref().is_none_or(|is_valid| is_valid(key, value))
    }
}

/// Writes the settings that differ from their defaults, such as `ttl 300s, capacity 50`.
impl<K, V> fmt::Display for Settings<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { lifetime, ttl, capacity, .. } = self;
        match (&ttl.per_value, ttl.default) {
            (Some(_), _) => f.write_str("ttl by value")?,
            (None, Some(ttl)) => write!(f, "ttl {ttl:?}")?,
            (None, None) => f.write_str("no ttl")?,
        }
        if let Some((_, ttl)) = ttl.negative {
            write!(f, ", negative {ttl:?}")?;
        }
        if *capacity != DEFAULT_CAPACITY {
            write!(f, ", capacity {capacity}")?;
        }
        lifetime.fmt(f)?;
        match &self.refresh_backoff {
            Some(policy) => write!(f, ", refresh_backoff ({policy})"),
            None => Ok(()),
        }
    }
}
