//! One limiter for each key: a user, a host, a tenant.

use super::{RateLimiter, RateLimiterBuilder, core::Core};
use crate::{
    ConfigError,
    error::or_panic,
    policy::Quota,
    sync::{Arc, Mutex, lock},
    time::{Clock, Instant},
};
use std::{
    borrow::Borrow,
    collections::{HashMap, VecDeque},
    fmt,
    hash::{BuildHasher, Hash, RandomState},
    time::Duration,
};

/// Keys are spread over so many locks.
const SHARDS: usize = 16;

/// Each look-up looks after so many keys that may have become idle: more than it can add, so that they are reclaimed faster
/// than they come, and few enough that nobody waits for it.
const RECLAIMED_AT_ONCE: usize = 16;

/// The same limit for each key by itself: a user, a host, a tenant.
///
/// A clone is the same limiter. [`for_key`](Self::for_key) is the [`RateLimiter`] of one key, with all that it can do;
/// [`.rate_limited_by_key(..)`](crate::FnExt::rate_limited_by_key) takes the key from the arguments.
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
/// use decor::{KeyedLimiter, prelude::*};
/// use std::time::Duration;
/// use tokio::time::Instant;
///
/// async fn fetch(host: String) -> String { format!("the page of {host}") }
///
/// let per_host = KeyedLimiter::new(1, Duration::from_secs(1));
/// let fetch = fetch.rate_limited_by_key(&per_host, |host: &String| host.clone());
///
/// let begun = Instant::now();
/// fetch.call("a.example".into()).await;
/// fetch.call("b.example".into()).await;
/// assert_eq!(begun.elapsed(), Duration::ZERO);
/// fetch.call("a.example".into()).await;
/// assert_eq!(begun.elapsed(), Duration::from_secs(1));
/// # }
/// ```
///
/// # Memory
///
/// A key is forgotten when its limiter is as good as new: nobody waits or holds it, and nothing it admitted still counts.
/// Each look-up looks after a few of those, so keys leave by themselves as others come.
///
/// At most [`max_keys`](Self::max_keys) are remembered, 65,536 until set, of about 600 bytes each and 16 for each admission
/// in the window. When there are more, those that came first are forgotten before their time, and start anew if they come
/// again; a key that somebody waits for or holds is never forgotten.
pub struct KeyedLimiter<K> {
    shared: Arc<Shared<K>>,
}

struct Shared<K> {
    quota: Quota,
    refuse_above: usize,
    period: Duration,
    max_keys_per_shard: usize,
    hasher: RandomState,
    shards: [Mutex<Shard<K>>; SHARDS],
}

struct Shard<K> {
    limiters: HashMap<K, Arc<Core>>,
    /// Every key once, with the moment at which to see whether it is idle.
    rounds: VecDeque<(Instant, K)>,
}

impl<K: Eq + Hash + Clone> KeyedLimiter<K> {
    /// At most `limit` calls of each key in any stretch of `period`.
    ///
    /// # Panics
    ///
    /// If either is zero.
    ///
    /// ```
    /// use decor::KeyedLimiter;
    /// use std::time::Duration;
    ///
    /// let per_user: KeyedLimiter<u64> = KeyedLimiter::new(10, Duration::from_secs(1));
    /// assert_eq!(per_user.for_key(&7).available(), 10);
    /// ```
    #[track_caller]
    pub fn new(limit: u32, period: Duration) -> Self {
        or_panic(Self::try_new(limit, period))
    }

    /// [`new`](Self::new) for values that are not literals.
    ///
    /// # Errors
    ///
    /// If either is zero.
    ///
    /// ```
    /// let refused = decor::KeyedLimiter::<u64>::try_new(0, std::time::Duration::from_secs(1));
    /// assert_eq!(refused.unwrap_err().to_string(), "`limit` is 0, but must be at least 1");
    /// ```
    pub fn try_new(limit: u32, period: Duration) -> Result<Self, ConfigError> {
        Self::try_from(RateLimiter::builder().window(limit, period))
    }

    /// How many keys are remembered; 65,536 until set. This is a new limiter: set it before it is shared.
    ///
    /// # Panics
    ///
    /// If it is zero.
    ///
    /// ```
    /// use decor::KeyedLimiter;
    /// use std::time::Duration;
    ///
    /// let per_user = KeyedLimiter::new(10, Duration::from_secs(1)).max_keys(1_000);
    /// for user in 0..100_000 {
    ///     per_user.for_key(&user).try_acquire()?;
    /// }
    /// assert!(per_user.len() <= 1_000);
    /// # Ok::<(), decor::Error>(())
    /// ```
    #[track_caller]
    #[must_use = "it is a new limiter"]
    pub fn max_keys(self, max_keys: usize) -> Self {
        or_panic(self.try_max_keys(max_keys))
    }

    /// [`max_keys`](Self::max_keys) for values that are not literals.
    ///
    /// # Errors
    ///
    /// If it is zero.
    ///
    /// ```
    /// let per_user = decor::KeyedLimiter::<u64>::new(10, std::time::Duration::from_secs(1));
    /// assert_eq!(per_user.try_max_keys(0).unwrap_err().to_string(), "`max_keys` is 0, but must be at least 1");
    /// ```
    pub fn try_max_keys(self, max_keys: usize) -> Result<Self, ConfigError> {
        if max_keys == 0 {
            return Err(ConfigError::new("max_keys", max_keys, "at least 1"));
        }
        let Shared { quota, refuse_above, period, .. } = &*self.shared;
        Ok(Self::with(quota.clone(), *refuse_above, *period, max_keys))
    }

    fn with(quota: Quota, refuse_above: usize, period: Duration, max_keys: usize) -> Self {
        let empty = |_| Mutex::new(Shard { limiters: HashMap::new(), rounds: VecDeque::new() });
        let shared = Shared {
            quota,
            refuse_above,
            period,
            max_keys_per_shard: (max_keys / SHARDS).max(1),
            hasher: RandomState::new(),
            shards: std::array::from_fn(empty),
        };
        Self { shared: Arc::new(shared) }
    }

    /// The limiter of this key. Holding it keeps the key from being forgotten.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::KeyedLimiter;
    /// use std::time::Duration;
    ///
    /// let per_host: KeyedLimiter<String> = KeyedLimiter::new(2, Duration::from_secs(1));
    /// let host = per_host.for_key("a.example"); // a `&str` finds a `String`
    /// host.acquire().await;
    /// host.pause_for(Duration::from_secs(5));
    /// assert_eq!(host.available(), 0);
    /// assert_eq!(per_host.for_key("b.example").available(), 2);
    /// # }
    /// ```
    pub fn for_key<Q>(&self, key: &Q) -> RateLimiter
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ToOwned<Owned = K> + ?Sized,
    {
        let Shared { quota, refuse_above, period, max_keys_per_shard, hasher, shards } = &*self.shared;
        #[allow(clippy::cast_possible_truncation)] // any bits of the hash will do
        let shard = hasher.hash_one(key) as usize % SHARDS;
        let mut shard = lock(&shards[shard]);
        let now = Clock::here().now();
        shard.reclaim(now);
        if let Some(core) = shard.limiters.get(key) {
            return RateLimiter { core: Arc::clone(core) };
        }
        if shard.limiters.len() >= *max_keys_per_shard {
            shard.forget_the_first(now);
        }
        let core = Arc::new(Core::new(quota.clone(), *refuse_above));
        shard.limiters.insert(key.to_owned(), Arc::clone(&core));
        let see_after = now.checked_add(*period).unwrap_or(now);
        shard.rounds.push_back((see_after, key.to_owned()));
        RateLimiter { core }
    }

    /// The keys that are remembered.
    ///
    /// ```
    /// let per_user = decor::KeyedLimiter::new(10, std::time::Duration::from_secs(1));
    /// per_user.for_key(&7).try_acquire()?;
    /// assert_eq!(per_user.len(), 1);
    /// # Ok::<(), decor::Error>(())
    /// ```
    pub fn len(&self) -> usize {
        self.shared.shards.iter().map(|shard| lock(shard).limiters.len()).sum()
    }

    /// Whether no key is remembered.
    ///
    /// ```
    /// assert!(decor::KeyedLimiter::<u64>::new(10, std::time::Duration::from_secs(1)).is_empty());
    /// ```
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<K: Eq + Hash + Clone> Shard<K> {
    /// Forgets keys that have become idle, a few at a time.
    fn reclaim(&mut self, now: Instant) {
        for _ in 0..RECLAIMED_AT_ONCE {
            let Some((see_after, _)) = self.rounds.front() else { break };
            if *see_after > now {
                break;
            }
            self.see_first(now, |idle_at| idle_at <= now);
        }
        if self.limiters.capacity() > 4 * self.limiters.len() + 64 {
            self.limiters.shrink_to_fit();
            self.rounds.shrink_to_fit();
        }
    }

    /// Makes room: forgets the key that came first, unless somebody needs it, and then the next.
    fn forget_the_first(&mut self, now: Instant) {
        for _ in 0..RECLAIMED_AT_ONCE {
            if self.see_first(now, |_| true) {
                break;
            }
        }
    }

    /// Takes the first key of the round and forgets it, if nobody needs it and its limiter may be forgotten.
    fn see_first(&mut self, now: Instant, may_go: impl Fn(Instant) -> bool) -> bool {
        let Some((_, key)) = self.rounds.pop_front() else { return false };
        let Some(core) = self.limiters.get(&key) else { return false };
        let unneeded = if Arc::strong_count(core) == 1 { core.idle_at() } else { None };
        match unneeded {
            Some(idle_at) if may_go(idle_at) => {
                self.limiters.remove(&key);
                true
            }
            idle_at => {
                self.rounds.push_back((idle_at.unwrap_or(now), key));
                false
            }
        }
    }
}

/// The limits and bounds of a builder, for each key by itself.
///
/// ```
/// use decor::{KeyedLimiter, RateLimiter};
/// use std::time::Duration;
///
/// let settings = RateLimiter::builder().paced(10, Duration::from_secs(1)).burst(3).refuse_above(100);
/// let per_user: KeyedLimiter<u64> = settings.try_into()?;
/// assert_eq!(per_user.for_key(&7).available(), 3);
/// # Ok::<(), decor::ConfigError>(())
/// ```
impl<K: Eq + Hash + Clone> TryFrom<RateLimiterBuilder> for KeyedLimiter<K> {
    type Error = ConfigError;

    fn try_from(builder: RateLimiterBuilder) -> Result<Self, ConfigError> {
        // Nothing is reserved for a key before it comes.
        Ok(Self::with(builder.quota(false)?, builder.refuse_above, builder.longest_period(), 1 << 16))
    }
}

impl<K> Clone for KeyedLimiter<K> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<K> fmt::Debug for KeyedLimiter<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyedLimiter({} for each key)", self.shared.quota)
    }
}
