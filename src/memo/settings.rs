//! The settings of a memo, and the decision whether a value is kept.

use crate::{
    clock::Nanos,
    policy::{Lifetime, Rest, RetryPolicy, Stamp},
    random::CallSeeds,
    sync::Arc,
};
use std::{fmt, time::Duration};

/// Capacity of a memo until it is set.
pub(super) const DEFAULT_CAPACITY: u64 = 10_000;

/// The policy by which a full memo evicts.
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
    /// Evicts the value that is held the longest without a use. A value that was just stored
    /// stays.
    ///
    /// The order is kept by second chance, because a hit must not cost a queue operation. Values
    /// queue in the order in which they were stored. A store that needs room looks at the front of
    /// the queue. A value that was used since it took its place moves to the back, and the next
    /// one is looked at. A value that was not used is evicted. The new value queues behind all of
    /// them.
    ///
    /// All uses between two stores are therefore one moment. A single store moves at most 32
    /// values. If the next one was used as well, it is evicted, and all uses so far cease to count.
    #[default]
    Lru,
    /// Evicts the value that is used the least ([TinyLFU](https://arxiv.org/abs/1512.00727)),
    /// which may be the one that was just stored. Better where a few keys are asked for all the
    /// time, and many once. One hit in 4 is counted.
    TinyLfu,
}

/// Computes a weight from a key and a value.
pub(super) type Weigher<K, V> = Box<dyn Fn(&K, &V) -> u32 + Send + Sync>;

pub(super) type IsNegative<V> = fn(&V) -> bool;

/// Computes a TTL from a key and a value; `None` leaves it to the default.
pub(super) type TtlBy<K, V> = Box<dyn Fn(&K, &V) -> Option<Duration> + Send + Sync>;

pub(super) type Tag = Arc<str>;

/// Computes the tags of a value.
pub(super) type TagsBy<K, V> = Box<dyn Fn(&K, &V) -> Box<[Tag]> + Send + Sync>;

/// Asks a value whether it is still good.
pub(super) type ValidWhile<K, V> = Box<dyn Fn(&K, &V) -> bool + Send + Sync>;

pub(super) struct Settings<K, V> {
    pub(super) lifetime: Lifetime,
    /// Delays between the refreshes of a value that fail. `None` for the default.
    pub(super) refresh_backoff: Option<RetryPolicy>,
    pub(super) ttl: Ttl<K, V>,
    /// Seeds of the jitter, one for each value.
    pub(super) seeds: CallSeeds,
    /// Number of values, or their weight in all if there is a weigher. At least 1.
    pub(super) capacity: u64,
    /// `None` if each value weighs 1.
    pub(super) weigher: Option<Weigher<K, V>>,
    pub(super) eviction: Eviction,
    /// `None` if values have no tags.
    pub(super) tags_by: Option<TagsBy<K, V>>,
    /// `None` if values are good until they expire.
    pub(super) valid_while: Option<ValidWhile<K, V>>,
}

pub(super) struct Ttl<K, V> {
    /// `None` for values that stay until they are evicted.
    pub(super) default: Option<Duration>,
    pub(super) per_value: Option<TtlBy<K, V>>,
    /// For an `Err` or a `None`. `None` if those are values like any other.
    pub(super) negative: Option<(IsNegative<V>, Duration)>,
}

/// What becomes of a value that was loaded.
pub(super) enum Decision {
    Keep {
        stamp: Stamp,
        weight: u32,
        tags: Box<[Tag]>,
    },
    /// Its TTL is zero.
    NoTtl,
    /// It weighs more than the whole capacity.
    TooHeavy,
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

    /// The rest of a value after a refresh that failed `now`. `before` is the rest from earlier
    /// failures; `None` if there were none. Runs the closure of a custom policy.
    pub(super) fn rest(&self, before: Option<Rest>, now: Nanos) -> Rest {
        // Recovers soon after a restart, and makes 15 loads in an outage of ten minutes.
        let default = || RetryPolicy::exponential(Duration::from_secs(1)).max_delay(Duration::from_secs(60));
        let policy = self.refresh_backoff.clone().unwrap_or_else(default);
        before.unwrap_or_else(|| Rest::new(policy.seed_of_next_call())).after_failure(&policy, now)
    }

    /// Decides about a value whose load was complete `now`. Runs the builder's closures.
    pub(super) fn decide(&self, key: &K, value: &V, now: Nanos) -> Decision {
        let Self { lifetime, ttl, seeds, weigher, .. } = self;
        let negative = ttl.of_negative(value);
        let ttl = negative.unwrap_or_else(|| ttl.of(key, value));
        let random = if lifetime.jitter > 0.0 { seeds.take() } else { 0 };
        if ttl.is_zero() {
            return Decision::NoTtl;
        }
        // Values without weight would be held without bound.
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

/// As the decorators show it, without what is left at its default: `ttl 300s, capacity 50`.
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
