//! The settings of a memo, and the decision to keep a value.

use super::{
    config::{DEFAULT_CAPACITY, MemoConfig},
    eviction::Eviction,
    tier::{Keep, MemoTier},
};
use crate::{
    ConfigError,
    clock::Nanos,
    policy::{LiveLifetime, Rest, RetryPolicy, Stamp},
    random::{CallSeeds, entropy},
    sync::Arc,
};
use std::{
    fmt,
    // Not from `crate::sync`, because a reload may come at any moment. The lock is held for a copy
    // only.
    sync::{
        PoisonError, RwLock, RwLockReadGuard,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

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
    pub(super) lifetime: LiveLifetime,
    /// Maximum number of values, or their maximum weight if there is a weigher. At least 1.
    capacity: AtomicU64,
    pub(super) eviction: Eviction,
    /// `true` if values can expire, or could before a reload.
    can_expire: AtomicBool,
    changing: RwLock<Changing>,
    pub(super) closures: Closures<K, V>,
}

/// Settings that a reload changes, and that no hit needs.
struct Changing {
    /// TTL of all values; `None` if values stay until they are evicted.
    ttl: Option<Duration>,
    /// Delays after failed refreshes of a value; `None` for the default.
    refresh_backoff: Option<RetryPolicy>,
    /// Seeds of the jitter, one for each stored value.
    seeds: CallSeeds,
}

/// Settings that only a builder sets.
pub(super) struct Closures<K, V> {
    pub(super) ttl_by: Option<TtlBy<K, V>>,
    /// TTL of an `Err` or a `None`, with the function that recognises them; `None` if they are
    /// values like any other.
    pub(super) negative: Option<(IsNegative<V>, Duration)>,
    /// `None` if each value weighs 1.
    pub(super) weigher: Option<Weigher<K, V>>,
    /// `None` if values have no tags.
    pub(super) tags_by: Option<TagsBy<K, V>>,
    /// `None` if values are valid until they expire.
    pub(super) valid_while: Option<ValidWhile<K, V>>,
    /// `None` if the memo is this process's alone.
    pub(super) tier: Option<Arc<dyn MemoTier<K, V>>>,
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

impl<K, V> Settings<K, V> {
    /// Takes over checked settings.
    pub(super) fn new(config: &MemoConfig, refresh_backoff: Option<RetryPolicy>, closures: Closures<K, V>) -> Self {
        let seeds = CallSeeds::new(config.seed.unwrap_or_else(entropy));
        let settings = Self {
            lifetime: LiveLifetime::new(&config.lifetime()),
            capacity: config.capacity.into(),
            eviction: config.eviction,
            can_expire: false.into(),
            changing: RwLock::new(Changing { ttl: config.ttl, refresh_backoff, seeds }),
            closures,
        };
        settings.note_expiry(config);
        settings
    }

    /// Checks that a memo with these settings can take over those of a config.
    pub(super) fn check_reload(&self, config: &MemoConfig) -> Result<(), ConfigError> {
        let Closures { ttl_by, negative, .. } = &self.closures;
        config.check_beside(negative.map(|(_, ttl)| ttl), ttl_by.is_some())?;
        if config.eviction != self.eviction {
            let allowed = "left as it is, because the uses so far say nothing to another eviction";
            return Err(ConfigError::new("eviction", config.eviction, allowed));
        }
        match config.time_to_idle {
            None if self.lifetime.expires_when_idle() => {
                Err(ConfigError::new("time_to_idle", "missing", "set, because the memo was made with one"))
            }
            Some(idle) if !self.lifetime.expires_when_idle() => {
                let allowed = "left out, because the memo was made without one, and does not know the latest uses";
                Err(ConfigError::new("time_to_idle", format_args!("{idle:?}"), allowed))
            }
            _ => Ok(()),
        }
    }

    /// Takes over checked settings, except the capacity.
    pub(super) fn reload(&self, config: &MemoConfig, refresh_backoff: Option<RetryPolicy>) {
        self.note_expiry(config);
        self.lifetime.set(&config.lifetime());
        let mut changing = self.changing.write().unwrap_or_else(PoisonError::into_inner);
        let seeds = config.seed.filter(|seed| *seed != changing.seeds.seed()).map(CallSeeds::new);
        (changing.ttl, changing.refresh_backoff) = (config.ttl, refresh_backoff);
        if let Some(seeds) = seeds {
            changing.seeds = seeds;
        }
    }

    fn note_expiry(&self, config: &MemoConfig) {
        let Closures { ttl_by, negative, .. } = &self.closures;
        if config.ttl.is_some() || config.time_to_idle.is_some() || ttl_by.is_some() || negative.is_some() {
            self.can_expire.store(true, Relaxed);
        }
    }

    pub(super) fn capacity(&self) -> u64 {
        self.capacity.load(Relaxed)
    }

    pub(super) fn set_capacity(&self, capacity: u64) {
        self.capacity.store(capacity, Relaxed);
    }

    fn changing(&self) -> RwLockReadGuard<'_, Changing> {
        self.changing.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn can_expire(&self) -> bool {
        self.can_expire.load(Relaxed)
    }

    /// Returns the rest of a value after a refresh that failed at `now`. `before` is the rest from
    /// earlier failures; `None` if there were none. Runs the closure of a custom policy.
    pub(super) fn rest(&self, before: Option<Rest>, now: Nanos) -> Rest {
        // Short enough to recover soon after a restart. An outage of ten minutes has 15 loads.
        let default = || RetryPolicy::exponential(Duration::from_secs(1)).max_delay(Duration::from_secs(60));
        let policy = self.changing().refresh_backoff.clone();
        let policy = policy.unwrap_or_else(default);
        before.unwrap_or_else(|| Rest::new(policy.seed_of_next_call())).after_failure(&policy, now)
    }

    /// Decides about a value that was loaded at `now`. Runs the builder's closures.
    pub(super) fn decide(&self, key: &K, value: &V, now: Nanos) -> Decision {
        let Closures { ttl_by, negative, weigher, .. } = &self.closures;
        let negative = negative.and_then(|(is_negative, ttl)| is_negative(value).then_some(ttl));
        let of_value = || ttl_by.as_ref().and_then(|ttl_by| ttl_by(key, value));
        let own = negative.or_else(of_value);
        let lifetime = self.lifetime.get();
        let changing = self.changing();
        let ttl = own.or(changing.ttl).unwrap_or(Duration::MAX);
        let random = if lifetime.jitter > 0.0 { changing.seeds.take() } else { 0 };
        drop(changing);
        if ttl.is_zero() {
            return Decision::NoTtl;
        }
        // At least 1, because values without weight would not be bounded.
        let weight = weigher.as_ref().map_or(1, |weigh| weigh(key, value).max(1));
        if u64::from(weight) > self.capacity() {
            return Decision::TooHeavy;
        }
        let stamp = lifetime.stamp(ttl, now, random);
        let stamp = if negative.is_some() { stamp.never_stale() } else { stamp };
        Decision::Keep { stamp, weight, tags: self.tags_of(key, value) }
    }

    pub(super) fn tags_of(&self, key: &K, value: &V) -> Box<[Tag]> {
        self.closures.tags_by.as_ref().map(|tags_by| tags_by(key, value)).unwrap_or_default()
    }

    pub(super) fn is_valid(&self, key: &K, value: &V) -> bool {
        self.closures.valid_while.as_ref().is_none_or(|is_valid| is_valid(key, value))
    }
}

/// Writes the settings that differ from their defaults, such as `ttl 300s, capacity 50`.
impl<K, V> fmt::Display for Settings<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Closures { ttl_by, negative, .. } = &self.closures;
        let changing = self.changing();
        let (default, refresh_backoff) = (changing.ttl, changing.refresh_backoff.clone());
        drop(changing);
        match (ttl_by, default) {
            (Some(_), _) => f.write_str("ttl by value")?,
            (None, Some(ttl)) => write!(f, "ttl {ttl:?}")?,
            (None, None) => f.write_str("no ttl")?,
        }
        if let Some((_, ttl)) = negative {
            write!(f, ", negative {ttl:?}")?;
        }
        let capacity = self.capacity();
        if capacity != DEFAULT_CAPACITY {
            write!(f, ", capacity {capacity}")?;
        }
        self.lifetime.get().fmt(f)?;
        match refresh_backoff {
            Some(policy) => write!(f, ", refresh_backoff ({policy})"),
            None => Ok(()),
        }
    }
}
