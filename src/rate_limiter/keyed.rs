//! One limiter for each key: a user, a host, a tenant.

use super::{
    builder::RateLimiterBuilder,
    keys::{Keys, Template},
    limiter::RateLimiter,
    state::{Bounds, Core},
};
use crate::{
    ConfigError,
    clock::{Clock, Epoch, Nanos, nanos},
    error::or_panic,
    policy::Quota,
    sync::Arc,
};
use std::{borrow::Borrow, fmt, hash::Hash, time::Duration};

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
/// A key is forgotten when its limiter is as good as new: no call waits for it or holds it, and no
/// permit of it counts any more. A key is first checked a period after it came. Each lookup checks
/// a few keys, wherever they are, so idle keys go as long as any key is used.
///
/// At most [`max_keys`](Self::max_keys) are remembered, 65,536 until set, of about 700 bytes each
/// and 16 for each admission in the window. One key more, and the key whose limiter would be idle
/// next is forgotten before its time. A forgotten key starts anew if it comes again.
///
/// Some keys are never forgotten: a key that a call waits for or holds, and a key with a limit of
/// its own. They count as well, so `max_keys` has to leave room for the others: without room each
/// new key takes the place of another, and neither is limited. More than `max_keys` such keys are
/// remembered until they are free.
///
/// # A limit of its own
///
/// [`set_limit`](RateLimiter::set_limit) on the limiter of one key changes the limit of that key.
/// The limit stays until it is changed again, set back, or [removed](Self::remove) with the key.
pub struct KeyedLimiter<K> {
    keys: Arc<Keys<K, Limits>>,
}

/// What the limiter of every key begins with.
#[derive(Debug, Clone)]
struct Limits {
    quota: Quota,
    bounds: Bounds,
    /// The longest period of the quota.
    period: Nanos,
    epoch: Epoch,
}

impl<K: Eq + Hash + Clone> KeyedLimiter<K> {
    /// At most `limit` calls of each key in any stretch of `period`.
    ///
    /// # Panics
    ///
    /// If either is zero.
    ///
    /// # Examples
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
    /// # Examples
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
    /// # Examples
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
    /// # Examples
    ///
    /// ```
    /// let per_user = decor::KeyedLimiter::<u64>::new(10, std::time::Duration::from_secs(1));
    /// assert_eq!(per_user.try_max_keys(0).unwrap_err().to_string(), "`max_keys` is 0, but must be at least 1");
    /// ```
    pub fn try_max_keys(self, max_keys: usize) -> Result<Self, ConfigError> {
        if max_keys == 0 {
            return Err(ConfigError::new("max_keys", max_keys, "at least 1"));
        }
        Ok(Self::with(self.keys.template().clone(), max_keys))
    }

    fn with(limits: Limits, max_keys: usize) -> Self {
        Self { keys: Arc::new(Keys::new(limits, max_keys)) }
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
        RateLimiter { core: self.keys.get_or_make(key) }
    }

    /// Forgets a key, and its own limit if it has one. Returns whether it was remembered.
    ///
    /// Calls that wait for the key go on with the limiter that they have. The key starts anew when
    /// it comes again.
    ///
    /// ```
    /// use decor::KeyedLimiter;
    /// use std::time::Duration;
    ///
    /// let second = Duration::from_secs(1);
    /// let per_user: KeyedLimiter<String> = KeyedLimiter::new(10, second);
    /// per_user.for_key("ada").set_limit(100, second);
    /// assert_eq!(per_user.for_key("ada").available(), 100);
    /// assert!(per_user.remove("ada"));
    /// assert_eq!(per_user.for_key("ada").available(), 10);
    /// ```
    pub fn remove<Q>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.keys.remove(key)
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
        self.keys.len()
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

impl Template for Limits {
    type Handle = Core;

    fn make(&self) -> Core {
        Core::new(self.quota.clone(), self.bounds, self.epoch.clone())
    }

    fn now(&self) -> Nanos {
        self.epoch.now(Clock::here())
    }

    fn idle_after(&self) -> Nanos {
        self.period
    }

    fn idle_in(&self, core: &Core) -> Option<Nanos> {
        core.idle_in(&self.quota, &self.bounds)
    }
}

/// The limits and bounds of a builder, for each key by itself.
///
/// ```
/// use decor::{KeyedLimiter, RateLimiter};
/// use std::time::Duration;
///
/// let settings = RateLimiter::builder().paced(10, Duration::from_secs(1)).burst(3).max_waiting(100);
/// let per_user: KeyedLimiter<u64> = settings.try_into()?;
/// assert_eq!(per_user.for_key(&7).available(), 3);
/// # Ok::<(), decor::ConfigError>(())
/// ```
impl<K: Eq + Hash + Clone> TryFrom<RateLimiterBuilder> for KeyedLimiter<K> {
    type Error = ConfigError;

    fn try_from(builder: RateLimiterBuilder) -> Result<Self, ConfigError> {
        // Nothing is reserved for a key before it comes.
        let (quota, period) = (builder.quota(false)?, nanos(builder.longest_period()));
        let limits = Limits { quota, bounds: builder.bounds()?, period, epoch: Epoch::new() };
        Ok(Self::with(limits, 1 << 16))
    }
}

impl<K> Clone for KeyedLimiter<K> {
    fn clone(&self) -> Self {
        Self { keys: Arc::clone(&self.keys) }
    }
}

impl<K> KeyedLimiter<K> {
    /// The limits of all keys: `10 per 1s for each key`.
    pub(crate) fn limits_of_each(&self) -> &dyn fmt::Display {
        self.keys.template()
    }
}

impl fmt::Display for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} for each key", self.quota)
    }
}

impl<K> fmt::Debug for KeyedLimiter<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyedLimiter({})", self.keys.template())
    }
}
