//! Limiter with a rate limiter for each key, such as a user, a host or a tenant.

use super::{
    builder::RateLimiterBuilder,
    limiter::{RateLimiter, durations},
    shared::SharedQuota,
    state::{Bounds, Core, Settings},
    stats::RateLimiterStats,
};
use crate::{
    ConfigError, RateLimiterConfig,
    clock::{Clock, Epoch, Nanos},
    describe::HandleId,
    error::or_panic,
    keys::{CHECKS_PER_LOOKUP, Keys, Template},
    policy::{DEFAULT_MAX_KEYS, Quota, checked_keys, checked_limits, checked_pause},
    sync::{Arc, Mutex, lock},
};
use std::{borrow::Borrow, convert::Infallible, fmt, hash::Hash, panic::AssertUnwindSafe, task::Waker, time::Duration};

/// Limits calls per period for each key by itself, such as a user, a host or a tenant. All clones
/// are one limiter.
///
/// [`for_key`](Self::for_key) returns the [`RateLimiter`] of one key, with all its methods. In a
/// chain, [`.rate_limited_by_key(..)`](crate::FnExt::rate_limited_by_key) and its variants take the
/// key from the arguments.
///
/// # Examples
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
/// [`windows`](Self::windows) makes a limiter with several windows, and [`paced`](Self::paced) one
/// with even spacing. For every other setting, start from the builder of a limiter:
/// `RateLimiter::builder().window(..).keyed().max_keys(..).build()`. See
/// [`keyed`](crate::RateLimiterBuilder::keyed).
///
/// # Memory
///
/// A key is forgotten when its limiter is idle: no call waits for it or holds it, and no permit of
/// it counts any more. A key is first checked a period after it came. Each lookup checks a few keys
/// in all parts of the map, so idle keys are forgotten as long as any key is used. The counts of
/// forgotten keys stay in [`stats`](Self::stats).
///
/// At most [`max_keys`](Self::max_keys) keys are remembered, 65,536 by default. A key takes about
/// 800 bytes, and 16 bytes for each admission in the window. If a new key exceeds the maximum, the
/// key that would be idle next is forgotten early. A forgotten key starts anew if it comes again.
///
/// Some keys are never forgotten: a key that a call waits for or holds, a key with a setting of its
/// own, and a key that was closed by itself. These keys count as well, so `max_keys` has to leave
/// room for the others. Without room, each new key replaces another one, and neither is limited. If
/// more than `max_keys` keys cannot be forgotten, all of them are remembered until they are free.
///
/// # Changing settings
///
/// Each setting can be read and changed on any handle, as with a
/// [`RateLimiter`](RateLimiter#changing-settings): [`limits`](Self::limits),
/// [`burst`](Self::burst), [`max_waiting`](Self::max_waiting),
/// [`longest_pause`](Self::longest_pause), [`max_keys`](Self::max_keys). A change holds at once for
/// all remembered keys, and for keys that come later. A change takes time in proportion to the
/// number of remembered keys. With a shorter period, a key may be idle earlier and be forgotten;
/// the key starts anew when the period grows back.
///
/// # Settings of one key
///
/// A setter on the limiter of one key, such as [`set_limit`](RateLimiter::set_limit), changes the
/// setting of that key only. The key is remembered, and keeps its own setting until the setting is
/// changed again or the key is [removed](Self::remove). Later changes for all keys do not affect
/// that setting. They reach the key's other settings. A setting that is set back to the common
/// value follows it again, and the key can be forgotten.
pub struct KeyedLimiter<K> {
    keys: Arc<Keys<K, Common>>,
    /// The limits of the keys in a store; `None` for limits of this process alone.
    shared: Option<Arc<AssertUnwindSafe<SharedKeys<K>>>>,
}

/// The limits of keys that processes share through a store.
struct SharedKeys<K> {
    store: Arc<dyn SharedQuota>,
    /// The name of a key in the store.
    name: Box<dyn Fn(&K) -> String + Send + Sync>,
}

/// State that the limiters of all keys share.
#[derive(Debug)]
struct Common {
    /// The quota only holds the limits and the burst. No permit is ever taken from it.
    settings: Mutex<Settings>,
    /// Held during a change. The next change waits until all keys have adopted this one.
    change: Mutex<()>,
    epoch: Epoch,
}

/// Builder of a [`KeyedLimiter`]: see [`RateLimiterBuilder::keyed`].
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct KeyedLimiterBuilder {
    limiter: RateLimiterBuilder,
    max_keys: usize,
}

impl RateLimiterBuilder {
    /// Turns the builder into that of a [`KeyedLimiter`], with these settings for each key.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::{KeyedLimiter, RateLimiter};
    /// use std::time::Duration;
    ///
    /// let second = Duration::from_secs(1);
    /// let per_user: KeyedLimiter<u64> =
    ///     RateLimiter::builder().paced(10, second).burst(3).max_waiting(100).keyed().build();
    /// assert_eq!(per_user.for_key(&7).available(), 3);
    /// ```
    pub fn keyed(self) -> KeyedLimiterBuilder {
        KeyedLimiterBuilder { limiter: self, max_keys: DEFAULT_MAX_KEYS }
    }
}

impl KeyedLimiterBuilder {
    /// Sets the maximum number of keys that are remembered; 65,536 by default. The build fails if
    /// `max_keys` is 0.
    ///
    /// See [`KeyedLimiter`](KeyedLimiter#memory) for the keys that are forgotten. Keys that cannot
    /// be forgotten may exceed the maximum.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::{KeyedLimiter, RateLimiter};
    /// use std::time::Duration;
    ///
    /// let settings = RateLimiter::builder().window(10, Duration::from_secs(1));
    /// let per_user: KeyedLimiter<u32> = settings.keyed().max_keys(1_000).build();
    /// for user in 0..100_000 {
    ///     per_user.for_key(&user).try_acquire()?;
    /// }
    /// assert_eq!(per_user.len(), 1_000);
    /// # Ok::<(), decor::Error>(())
    /// ```
    pub fn max_keys(mut self, max_keys: usize) -> Self {
        self.max_keys = max_keys;
        self
    }

    /// Builds the limiter.
    ///
    /// # Panics
    ///
    /// If [`try_build`](Self::try_build) would return an error.
    ///
    /// # Examples
    ///
    /// See [`max_keys`](Self::max_keys).
    #[track_caller]
    pub fn build<K: Eq + Hash + Clone>(self) -> KeyedLimiter<K> {
        or_panic(self.try_build())
    }

    /// Builds the limiter from settings that are not literals.
    ///
    /// # Errors
    ///
    /// If `max_keys` is 0, if the limits are [shared](RateLimiterBuilder::shared), because the keys
    /// need names in the store ([`KeyedLimiter::shared`]), or if [`RateLimiterBuilder::try_build`]
    /// would return an error.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::RateLimiter;
    /// use std::time::Duration;
    ///
    /// let settings = RateLimiter::builder().window(10, Duration::from_secs(1));
    /// let refused = settings.keyed().max_keys(0).try_build::<u64>();
    /// assert_eq!(refused.unwrap_err().to_string(), "`max_keys` is 0, but must be at least 1");
    /// ```
    pub fn try_build<K: Eq + Hash + Clone>(self) -> Result<KeyedLimiter<K>, ConfigError> {
        let Self { limiter, max_keys } = self;
        if let Some(store) = limiter.store() {
            return Err(ConfigError::new(
                "shared",
                store.name(),
                "set by `KeyedLimiter::shared`, which names the keys",
            ));
        }
        // Memory for a key is allocated when the key comes.
        Ok(KeyedLimiter::with(limiter.quota(false)?, limiter.bounds()?, checked_keys(max_keys)?, None))
    }
}

impl<K: Eq + Hash + Clone> KeyedLimiter<K> {
    fn with(quota: Quota, bounds: Bounds, max_keys: usize, shared: Option<SharedKeys<K>>) -> Self {
        let settings = Mutex::new(Settings { quota, bounds, is_closed: false });
        let common = Common { settings, change: Mutex::new(()), epoch: Epoch::new() };
        let shared = shared.map(|shared| Arc::new(AssertUnwindSafe(shared)));
        Self { keys: Arc::new(Keys::new(common, max_keys)), shared }
    }
}

/// Checks all fields of the config.
///
/// # Examples
///
/// ```
/// use decor::{KeyedLimiter, RateLimiterConfig};
/// use std::time::Duration;
///
/// let limit = vec![(5, Duration::from_secs(60)).into()];
/// let config =
///     RateLimiterConfig { limit, max_keys: Some(1_000), ..RateLimiterConfig::default() };
/// let per_user: KeyedLimiter<u64> = KeyedLimiter::try_from(&config)?;
/// assert_eq!(per_user.max_keys(), 1_000);
/// # Ok::<(), decor::ConfigError>(())
/// ```
impl<K: Eq + Hash + Clone> TryFrom<&RateLimiterConfig> for KeyedLimiter<K> {
    type Error = ConfigError;

    fn try_from(config: &RateLimiterConfig) -> Result<Self, ConfigError> {
        Ok(Self::with(config.quota_of_each(false)?, Bounds::of(config)?, config.max_keys()?, None))
    }
}

/// Checks all fields of the config.
///
/// # Examples
///
/// See [`RateLimiterConfig`].
impl<K: Eq + Hash + Clone> TryFrom<RateLimiterConfig> for KeyedLimiter<K> {
    type Error = ConfigError;

    fn try_from(config: RateLimiterConfig) -> Result<Self, ConfigError> {
        Self::try_from(&config)
    }
}

/// Constructors.
impl<K: Eq + Hash + Clone> KeyedLimiter<K> {
    /// Makes a limiter with keys that share their limits with other processes, each under a name of
    /// its own in the store. `builder` has the limits, and the store by
    /// [`shared`](RateLimiterBuilder::shared). `name` makes the name of a key, such as the id of a
    /// user. Keys with the same name have one limit in the store, and two queues in this process.
    ///
    /// `name` runs once for each key that comes, under a lock, and must not use this limiter. At
    /// most 65,536 keys are remembered; see [`set_max_keys`](Self::set_max_keys). A key is
    /// forgotten when it is idle and the store has learned of all of its permits.
    ///
    /// # Panics
    ///
    /// If [`try_shared`](Self::try_shared) would return an error.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::{KeyedLimiter, OnFailure, RateLimiter, test_util::FakeStore};
    /// use std::time::Duration;
    ///
    /// let store = FakeStore::new();
    /// let second = Duration::from_secs(1);
    /// let per_user = || {
    ///     let limits = RateLimiter::builder().window(10, second);
    ///     let limits = limits.shared(store.quota("users"), OnFailure::Closed);
    ///     KeyedLimiter::shared(limits, |user: &u64| user.to_string())
    /// };
    /// let (here, elsewhere) = (per_user(), per_user()); // as in two processes
    /// for _ in 0..5 {
    ///     here.for_key(&7).acquire().await;
    ///     elsewhere.for_key(&7).acquire().await;
    /// }
    /// let begun = tokio::time::Instant::now();
    /// here.for_key(&8).acquire().await; // another user
    /// assert_eq!(begun.elapsed(), Duration::ZERO);
    /// elsewhere.for_key(&7).acquire().await;
    /// assert_eq!(begun.elapsed(), Duration::from_millis(1_020));
    /// # }
    /// ```
    #[track_caller]
    pub fn shared(builder: RateLimiterBuilder, name: impl Fn(&K) -> String + Send + Sync + 'static) -> Self {
        or_panic(Self::try_shared(builder, name))
    }

    /// [`shared`](Self::shared) for settings that are not literals.
    ///
    /// # Errors
    ///
    /// If the builder has no store, or if [`RateLimiterBuilder::try_build`] would return an error.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::{KeyedLimiter, RateLimiter};
    /// use std::time::Duration;
    ///
    /// let builder = RateLimiter::builder().window(10, Duration::from_secs(1));
    /// let error = KeyedLimiter::try_shared(builder, |user: &u64| user.to_string()).unwrap_err();
    /// let text = "`shared` is not set, but must be set by `.shared(store, on_failure)`";
    /// assert_eq!(error.to_string(), text);
    /// ```
    #[allow(clippy::needless_pass_by_value)] // as the other constructors that take a builder
    pub fn try_shared(
        builder: RateLimiterBuilder,
        name: impl Fn(&K) -> String + Send + Sync + 'static,
    ) -> Result<Self, ConfigError> {
        let Some(store) = builder.store().map(Arc::clone) else {
            return Err(ConfigError::new("shared", "not set", "set by `.shared(store, on_failure)`"));
        };
        let shared = SharedKeys { store, name: Box::new(name) };
        Ok(Self::with(builder.quota(false)?, builder.bounds()?, DEFAULT_MAX_KEYS, Some(shared)))
    }

    /// Makes an exact limiter: at most `limit` calls of each key in any stretch of `period`.
    ///
    /// # Panics
    ///
    /// If `limit` or `period` is zero.
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
    /// If `limit` or `period` is zero.
    ///
    /// # Examples
    ///
    /// ```
    /// let refused = decor::KeyedLimiter::<u64>::try_new(0, std::time::Duration::from_secs(1));
    /// assert_eq!(refused.unwrap_err().to_string(), "`limit` is 0, but must be at least 1");
    /// ```
    pub fn try_new(limit: u32, period: Duration) -> Result<Self, ConfigError> {
        RateLimiter::builder().window(limit, period).keyed().try_build()
    }

    /// Makes an exact limiter with several windows for each key, as [`RateLimiter::windows`] does.
    ///
    /// # Panics
    ///
    /// If a limit or a period is zero, or there is no window or more than four.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::KeyedLimiter;
    /// use std::time::Duration;
    ///
    /// let minute = Duration::from_secs(60);
    /// let per_user: KeyedLimiter<u64> = KeyedLimiter::windows([(60, minute), (90_000, minute)]);
    /// per_user.for_key(&7).try_acquire_many([1, 1200])?;
    /// assert_eq!(per_user.for_key(&7).available_per_window(), [59, 88_800]);
    /// # Ok::<(), decor::Error>(())
    /// ```
    #[track_caller]
    pub fn windows(windows: impl IntoIterator<Item = (u32, Duration)>) -> Self {
        or_panic(Self::try_windows(windows))
    }

    /// [`windows`](Self::windows) for values that are not literals.
    ///
    /// # Errors
    ///
    /// If a limit or a period is zero, or there is no window or more than four.
    ///
    /// # Examples
    ///
    /// ```
    /// let refused = decor::KeyedLimiter::<u64>::try_windows([]);
    /// assert_eq!(refused.unwrap_err().to_string(), "`windows` is 0, but must be 1 to 4");
    /// ```
    pub fn try_windows(windows: impl IntoIterator<Item = (u32, Duration)>) -> Result<Self, ConfigError> {
        RateLimiterBuilder::of_windows(windows).keyed().try_build()
    }

    /// Makes a limiter that spaces the calls of each key evenly, as [`RateLimiter::paced`] does.
    ///
    /// # Panics
    ///
    /// If `limit` or `period` is zero.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::KeyedLimiter;
    /// use std::time::Duration;
    ///
    /// let per_user: KeyedLimiter<u64> = KeyedLimiter::paced(10, Duration::from_secs(1));
    /// let begun = tokio::time::Instant::now();
    /// for _ in 0..5 {
    ///     per_user.for_key(&7).acquire().await;
    /// }
    /// assert_eq!(begun.elapsed(), Duration::from_millis(400));
    /// # }
    /// ```
    #[track_caller]
    pub fn paced(limit: u32, period: Duration) -> Self {
        or_panic(Self::try_paced(limit, period))
    }

    /// [`paced`](Self::paced) for values that are not literals.
    ///
    /// # Errors
    ///
    /// If `limit` or `period` is zero.
    ///
    /// # Examples
    ///
    /// ```
    /// let refused = decor::KeyedLimiter::<u64>::try_paced(10, std::time::Duration::ZERO);
    /// let error = refused.unwrap_err().to_string();
    /// assert_eq!(error, "`period` is 0ns, but must be longer than zero");
    /// ```
    pub fn try_paced(limit: u32, period: Duration) -> Result<Self, ConfigError> {
        RateLimiter::builder().paced(limit, period).keyed().try_build()
    }
}

impl<K: Eq + Hash + Clone> KeyedLimiter<K> {
    /// Returns the limiter of a key. The key is not forgotten while the returned handle lives.
    ///
    /// # Examples
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
        let core = match self.shared.as_deref() {
            None => self.keys.get_or_make(key),
            Some(shared) => self.keys.get_or_make_by(key, |key| self.keys.template().make_shared(shared, key)),
        };
        RateLimiter { core }
    }

    /// Forgets a key and its own settings. Returns `true` if the key was remembered.
    ///
    /// Calls that wait for the key keep its limiter. Later changes for all keys no longer affect
    /// that limiter; its counts stay in [`stats`](Self::stats). The key starts anew when it comes
    /// again.
    ///
    /// # Examples
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

    /// Returns the number of keys that are remembered.
    ///
    /// # Examples
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

    /// Returns `true` if no key is remembered.
    ///
    /// # Examples
    ///
    /// ```
    /// assert!(decor::KeyedLimiter::<u64>::new(10, std::time::Duration::from_secs(1)).is_empty());
    /// ```
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns a snapshot of the remembered keys, in no order. Keys may come and go meanwhile.
    ///
    /// Locks and clones one part of the keys at a time. Lookups in that part wait.
    ///
    /// # Examples
    ///
    /// ```
    /// let per_user = decor::KeyedLimiter::new(10, std::time::Duration::from_secs(1));
    /// per_user.for_key(&7).try_acquire()?;
    /// assert_eq!(per_user.keys(), [7]);
    /// # Ok::<(), decor::Error>(())
    /// ```
    pub fn keys(&self) -> Vec<K> {
        self.keys.keys()
    }

    /// Returns the counts of all keys since the limiter was made. The counts of forgotten and
    /// removed keys are included, so no count ever falls.
    ///
    /// Visits every remembered key, and locks one part of them at a time. Lookups in that part
    /// wait. 65,536 keys take some milliseconds.
    ///
    /// # Examples
    ///
    /// ```
    /// let per_user = decor::KeyedLimiter::new(10, std::time::Duration::from_secs(1));
    /// per_user.for_key(&7).try_acquire()?;
    /// per_user.for_key(&8).try_acquire()?;
    /// per_user.remove(&7);
    /// assert_eq!(per_user.stats().admitted, 2);
    /// # Ok::<(), decor::Error>(())
    /// ```
    pub fn stats(&self) -> RateLimiterStats {
        // The store itself is asked. A key that was forgotten while the store was down would say
        // for ever that it is down.
        let is_up = self.shared.as_deref().is_none_or(|shared| shared.store.is_up());
        RateLimiterStats { is_up, ..self.keys.stats() }
    }

    /// Returns whether the limits are those of a store.
    #[cfg(feature = "metrics")]
    pub(crate) fn is_shared(&self) -> bool {
        self.shared.is_some()
    }

    /// Returns the counts of one key since it came; `None` for a key that is not remembered.
    ///
    /// Neither adds the key nor keeps it from being forgotten. Takes one lookup. For a `K` of
    /// `String`, the key may be a `&str`.
    ///
    /// # Examples
    ///
    /// ```
    /// let per_user = decor::KeyedLimiter::new(10, std::time::Duration::from_secs(1));
    /// per_user.for_key(&7).try_acquire()?;
    /// assert_eq!(per_user.stats_of(&7).unwrap().admitted, 1);
    /// assert_eq!(per_user.stats_of(&8), None);
    /// # Ok::<(), decor::Error>(())
    /// ```
    pub fn stats_of<Q>(&self, key: &Q) -> Option<RateLimiterStats>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.keys.stats_of(key)
    }
}

/// Settings of all keys.
impl<K: Eq + Hash + Clone> KeyedLimiter<K> {
    /// Returns the limit and the period of each window, or of the pace, for keys without a limit of
    /// their own.
    ///
    /// # Examples
    ///
    /// See [`try_set_limits`](Self::try_set_limits).
    pub fn limits(&self) -> Vec<(u32, Duration)> {
        durations(self.settings().quota.limits())
    }

    /// Changes the limit of all keys, if there is one window or a pace. Waiting calls keep their
    /// order.
    ///
    /// A key with a [limit of its own](Self#settings-of-one-key) keeps its limit. Permits that were
    /// taken stay taken, as with [`RateLimiter::set_limit`].
    ///
    /// # Panics
    ///
    /// If `limit` or `period` is zero, or there are several windows.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::KeyedLimiter;
    /// use std::time::Duration;
    ///
    /// let second = Duration::from_secs(1);
    /// let per_user = KeyedLimiter::new(10, second);
    /// let known = per_user.for_key(&7);
    /// per_user.for_key(&8).set_limit(100, second);
    /// per_user.set_limit(20, second);
    /// assert_eq!(known.available(), 20);
    /// assert_eq!(per_user.for_key(&8).available(), 100); // its own
    /// assert_eq!(per_user.for_key(&9).available(), 20);
    /// ```
    #[track_caller]
    pub fn set_limit(&self, limit: u32, period: Duration) {
        or_panic(self.try_set_limits([(limit, period)]));
    }

    /// Changes the limits of all windows of all keys, in their order, as
    /// [`set_limit`](Self::set_limit) does for one.
    ///
    /// # Errors
    ///
    /// If a limit or a period is zero, or the number of limits is not the number of windows. A
    /// paced limiter has one limit.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::KeyedLimiter;
    /// use std::time::Duration;
    ///
    /// let minute = Duration::from_secs(60);
    /// let per_user: KeyedLimiter<u64> = KeyedLimiter::windows([(60, minute), (90_000, minute)]);
    /// let before = per_user.limits();
    /// per_user.try_set_limits([(120, minute), (180_000, minute)])?;
    /// assert_eq!(per_user.for_key(&7).available_per_window(), [120, 180_000]);
    /// per_user.try_set_limits(before)?;
    /// assert_eq!(per_user.for_key(&7).available_per_window(), [60, 90_000]);
    /// # Ok::<(), decor::ConfigError>(())
    /// ```
    pub fn try_set_limits(&self, limits: impl IntoIterator<Item = (u32, Duration)>) -> Result<(), ConfigError> {
        let limits = checked_limits(&limits.into_iter().collect::<Vec<_>>())?;
        self.change(|settings| {
            settings.quota.set_limits(&limits)?;
            settings.quota = settings.quota.as_new();
            Ok(())
        })
    }

    /// Returns the [burst](RateLimiterBuilder::burst) of keys without a burst of their own; `None`
    /// if the limiter is exact.
    ///
    /// # Examples
    ///
    /// See [`set_burst`](Self::set_burst).
    pub fn burst(&self) -> Option<u32> {
        self.settings().quota.burst()
    }

    /// Changes the [burst](RateLimiterBuilder::burst) of all keys of a paced limiter, apart from
    /// keys with a burst of their own. See [`RateLimiter::set_burst`].
    ///
    /// # Panics
    ///
    /// If `burst` is zero, or the limiter is exact.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::KeyedLimiter;
    /// use std::time::Duration;
    ///
    /// let per_user = KeyedLimiter::paced(10, Duration::from_secs(1));
    /// let known = per_user.for_key(&7);
    /// per_user.set_burst(5);
    /// assert_eq!((per_user.burst(), known.available()), (Some(5), 5));
    /// ```
    #[track_caller]
    pub fn set_burst(&self, burst: u32) {
        or_panic(self.try_set_burst(burst));
    }

    /// [`set_burst`](Self::set_burst) for values that are not literals.
    ///
    /// # Errors
    ///
    /// If `burst` is zero, or the limiter is exact.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::KeyedLimiter;
    /// use std::time::Duration;
    ///
    /// let per_user: KeyedLimiter<u64> = KeyedLimiter::paced(10, Duration::from_secs(1));
    /// let error = per_user.try_set_burst(0).unwrap_err();
    /// assert_eq!(error.to_string(), "`burst` is 0, but must be at least 1");
    /// ```
    pub fn try_set_burst(&self, burst: u32) -> Result<(), ConfigError> {
        self.change(|settings| settings.quota.set_burst(burst))
    }

    /// Returns the maximum number of waiting calls of one key; `None` if any number may wait. See
    /// [`RateLimiterBuilder::max_waiting`].
    ///
    /// # Examples
    ///
    /// See [`set_max_waiting`](Self::set_max_waiting).
    pub fn max_waiting(&self) -> Option<usize> {
        self.settings().bounds.max_waiting
    }

    /// Changes [`max_waiting`](Self::max_waiting) of all keys, apart from keys with a maximum of
    /// their own. See [`RateLimiter::set_max_waiting`].
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::KeyedLimiter;
    /// use std::time::Duration;
    ///
    /// let per_user = KeyedLimiter::new(10, Duration::from_secs(1));
    /// let known = per_user.for_key(&7);
    /// per_user.set_max_waiting(100);
    /// assert_eq!((per_user.max_waiting(), known.max_waiting()), (Some(100), Some(100)));
    /// ```
    pub fn set_max_waiting(&self, waiting: impl Into<Option<usize>>) {
        let waiting = waiting.into();
        let Ok(()) = self.change(|settings| {
            settings.bounds.max_waiting = waiting;
            Ok::<(), Infallible>(())
        });
    }

    /// Returns the longest pause of keys without a longest pause of their own. See
    /// [`RateLimiterBuilder::longest_pause`].
    ///
    /// # Examples
    ///
    /// See [`set_longest_pause`](Self::set_longest_pause).
    pub fn longest_pause(&self) -> Duration {
        self.settings().bounds.longest_pause
    }

    /// Changes the [longest pause](Self::longest_pause) of all keys, apart from keys with a longest
    /// pause of their own. See [`RateLimiter::set_longest_pause`].
    ///
    /// # Panics
    ///
    /// If `pause` is zero.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::KeyedLimiter;
    /// use std::time::Duration;
    ///
    /// let minute = Duration::from_secs(60);
    /// let per_user = KeyedLimiter::new(10, Duration::from_secs(1));
    /// let known = per_user.for_key(&7);
    /// per_user.set_longest_pause(minute);
    /// assert_eq!((per_user.longest_pause(), known.longest_pause()), (minute, minute));
    /// ```
    #[track_caller]
    pub fn set_longest_pause(&self, pause: Duration) {
        or_panic(self.try_set_longest_pause(pause));
    }

    /// [`set_longest_pause`](Self::set_longest_pause) for values that are not literals.
    ///
    /// # Errors
    ///
    /// If `pause` is zero.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let per_user = decor::KeyedLimiter::<u64>::new(10, Duration::from_secs(1));
    /// let error = per_user.try_set_longest_pause(Duration::ZERO).unwrap_err();
    /// assert_eq!(error.to_string(), "`longest_pause` is 0ns, but must be longer than zero");
    /// ```
    pub fn try_set_longest_pause(&self, pause: Duration) -> Result<(), ConfigError> {
        let pause = checked_pause(pause)?;
        self.change(|settings| {
            settings.bounds.longest_pause = pause;
            Ok(())
        })
    }

    /// Returns the maximum number of keys that are remembered. See
    /// [`KeyedLimiterBuilder::max_keys`].
    ///
    /// # Examples
    ///
    /// See [`set_max_keys`](Self::set_max_keys).
    pub fn max_keys(&self) -> usize {
        self.keys.bound()
    }

    /// Changes the [maximum number of keys](Self::max_keys).
    ///
    /// If more keys are remembered, those that would be idle next are forgotten at once, in time in
    /// proportion to their number. Keys that cannot be forgotten now are forgotten when they are
    /// free.
    ///
    /// # Panics
    ///
    /// If `max_keys` is zero.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::KeyedLimiter;
    /// use std::time::Duration;
    ///
    /// let per_user = KeyedLimiter::new(10, Duration::from_secs(1));
    /// assert_eq!(per_user.max_keys(), 65_536);
    /// for user in 0..100 {
    ///     per_user.for_key(&user).try_acquire()?;
    /// }
    /// per_user.set_max_keys(10);
    /// assert_eq!((per_user.len(), per_user.max_keys()), (10, 10));
    /// # Ok::<(), decor::Error>(())
    /// ```
    #[track_caller]
    pub fn set_max_keys(&self, max_keys: usize) {
        or_panic(self.try_set_max_keys(max_keys));
    }

    /// [`set_max_keys`](Self::set_max_keys) for values that are not literals.
    ///
    /// # Errors
    ///
    /// If `max_keys` is zero.
    ///
    /// # Examples
    ///
    /// ```
    /// let per_user = decor::KeyedLimiter::<u64>::new(10, std::time::Duration::from_secs(1));
    /// let error = per_user.try_set_max_keys(0).unwrap_err();
    /// assert_eq!(error.to_string(), "`max_keys` is 0, but must be at least 1");
    /// ```
    pub fn try_set_max_keys(&self, max_keys: usize) -> Result<(), ConfigError> {
        self.keys.set_bound(checked_keys(max_keys)?);
        Ok(())
    }

    /// Changes all settings of all keys, as [`RateLimiter::reload`] does for a limiter. Keys with
    /// settings of their own keep those.
    ///
    /// Takes time in proportion to the number of keys.
    ///
    /// # Errors
    ///
    /// If `KeyedLimiter::try_from(config)` fails, the number of limits is not the number of
    /// windows, or an exact limiter would become a paced one, or the reverse. All limiters then
    /// stay as they are.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::{KeyedLimiter, RateLimiterConfig};
    /// use std::time::Duration;
    ///
    /// let minute = Duration::from_secs(60);
    /// let config = |limit| {
    ///     let limit = vec![(limit, minute).into()];
    ///     RateLimiterConfig { limit, ..RateLimiterConfig::default() }
    /// };
    /// let per_user: KeyedLimiter<u64> = KeyedLimiter::try_from(config(5))?;
    /// per_user.for_key(&7).try_acquire().unwrap();
    /// per_user.reload(&config(10))?;
    /// assert_eq!(per_user.for_key(&7).available(), 9);
    /// # Ok::<(), decor::ConfigError>(())
    /// ```
    pub fn reload(&self, config: &RateLimiterConfig) -> Result<(), ConfigError> {
        let (quota, bounds, max_keys) = (config.quota_of_each(false)?, Bounds::of(config)?, config.max_keys()?);
        self.change_as(true, |settings| {
            settings.quota.reload(0, &quota)?;
            settings.quota = settings.quota.as_new();
            settings.bounds = bounds;
            Ok::<(), ConfigError>(())
        })?;
        self.keys.set_bound(max_keys);
        Ok(())
    }

    /// [Closes](RateLimiter::close) the limiters of all keys for good, for a shutdown. The limiters
    /// of keys that come later are closed as well.
    ///
    /// Every waiting call that can fail gets [`Error::Closed`](crate::Error::Closed) at once, and
    /// so does every later call. A call of
    /// [`.rate_limited_by_key(..)`](crate::FnExt::rate_limited_by_key) without
    /// [`.permits(..)`](crate::Around::permits) cannot fail, and stays pending. Takes time in
    /// proportion to the number of keys. `for_key(&key).close()` closes the limiter of one key.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::{Error, KeyedLimiter};
    /// use std::time::Duration;
    ///
    /// let per_user: KeyedLimiter<u64> = KeyedLimiter::new(10, Duration::from_secs(1));
    /// per_user.close();
    /// assert!(per_user.is_closed());
    /// let refused = per_user.for_key(&7).try_acquire();
    /// assert_eq!(refused, Err(Error::Closed { what: "the rate limiter" }));
    /// ```
    pub fn close(&self) {
        let common = self.keys.template();
        let changing = lock(&common.change);
        lock(&common.settings).is_closed = true;
        let mut wakers = Vec::new();
        self.keys.for_each(|core| wakers.extend(core.close()));
        self.keys.for_each_removed(|core| wakers.extend(core.close()));
        drop(changing);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Returns `true` once the limiter is [closed](Self::close).
    ///
    /// # Examples
    ///
    /// ```
    /// let second = std::time::Duration::from_secs(1);
    /// let per_user = decor::KeyedLimiter::<u64>::new(10, second);
    /// assert!(!per_user.is_closed());
    /// ```
    pub fn is_closed(&self) -> bool {
        lock(&self.keys.template().settings).is_closed
    }

    fn settings(&self) -> Settings {
        lock(&self.keys.template().settings).clone()
    }

    /// Changes the settings of all keys, first for keys that come later, then for the remembered
    /// keys. A key that comes in between is changed twice, to the same value.
    fn change<E>(&self, change: impl FnOnce(&mut Settings) -> Result<(), E>) -> Result<(), E> {
        self.change_as(false, change)
    }

    fn change_as<E>(&self, is_reload: bool, change: impl FnOnce(&mut Settings) -> Result<(), E>) -> Result<(), E> {
        let common = self.keys.template();
        let changing = lock(&common.change);
        let old = self.settings();
        let mut new = old.clone();
        change(&mut new)?;
        lock(&common.settings).clone_from(&new);
        let mut wakers = Vec::new();
        self.keys.for_each(|core| wakers.extend(core.follow(&old, &new, is_reload)));
        drop(changing);
        wakers.into_iter().for_each(Waker::wake);
        Ok(())
    }
}

impl Common {
    /// The limiter of one key in the store.
    fn make_shared<K>(&self, shared: &SharedKeys<K>, key: &K) -> Arc<Core> {
        let Settings { mut quota, bounds, is_closed } = lock(&self.settings).clone();
        let store = shared.store.of_key(&(shared.name)(key));
        if let Some(purse) = quota.purse_mut() {
            purse.rename(store.name());
        }
        let core = Core::shared(store, quota, bounds);
        if is_closed {
            drop(core.close()); // a new limiter has no waiters
        }
        core
    }
}

impl Template for Common {
    type Handle = Core;
    type Stats = RateLimiterStats;

    const MAX_LOOKS: usize = 2 * CHECKS_PER_LOOKUP;

    fn make(&self) -> Core {
        let Settings { quota, bounds, is_closed } = lock(&self.settings).clone();
        let core = Core::of_key(quota, bounds, self.epoch.clone());
        if is_closed {
            drop(core.close()); // a new limiter has no waiters
        }
        core
    }

    fn now(&self) -> Nanos {
        self.epoch.now(Clock::current())
    }

    fn idle_after(&self) -> Nanos {
        lock(&self.settings).quota.longest_period()
    }

    fn idle_in(&self, core: &Core) -> Option<Nanos> {
        core.idle_in(&lock(&self.settings))
    }

    fn stats(&self, core: &Core) -> RateLimiterStats {
        core.stats()
    }

    /// A waiter of a limiter that no caller holds was leaked. It no longer counts as waiting.
    fn last_stats(&self, core: &Core) -> RateLimiterStats {
        RateLimiterStats { waiting: 0, ..core.stats() }
    }
}

impl<K> Clone for KeyedLimiter<K> {
    fn clone(&self) -> Self {
        Self { keys: Arc::clone(&self.keys), shared: self.shared.clone() }
    }
}

impl<K> KeyedLimiter<K> {
    /// The identity of the limiter in the description of a chain.
    pub(crate) fn id(&self) -> HandleId {
        HandleId::of(&self.keys)
    }

    /// The limits of all keys: `10 per 1s for each key`.
    pub(crate) fn limits_of_each(&self) -> &dyn fmt::Display {
        self.keys.template()
    }
}

impl fmt::Display for Common {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} for each key", lock(&self.settings).quota)
    }
}

impl<K> fmt::Debug for KeyedLimiter<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let closed = if lock(&self.keys.template().settings).is_closed { ", closed" } else { "" };
        write!(f, "KeyedLimiter({}{closed})", self.keys.template())
    }
}
