//! Limiter with a concurrency limiter for each key, such as a user, a host or a tenant.

use super::{
    builder::ConcurrencyLimiterBuilder,
    limiter::ConcurrencyLimiter,
    state::{Core, Settings},
    stats::ConcurrencyStats,
};
use crate::{
    ConcurrencyConfig, ConfigError, Name,
    clock::Nanos,
    error::{or_panic, unchanged_name},
    keys::{CHECKS_PER_LOOKUP, Keys, Template},
    policy::{Kind, checked_keys},
    ring::Wakers,
    sync::{Arc, AtomicBool, AtomicU64, Mutex, Ordering, lock},
};
use std::{borrow::Borrow, fmt, hash::Hash, ops::RangeInclusive, task::Waker};

/// Limits the number of calls that run at once for each key by itself, such as a user, a host or a
/// tenant. All clones are one limiter.
///
/// [`for_key`](Self::for_key) returns the [`ConcurrencyLimiter`] of one key, with all its methods.
/// In a chain, [`.concurrency_limited_by_key(..)`](crate::FnExt::concurrency_limited_by_key) and
/// its variants take the key from the arguments.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
/// use decor::{KeyedConcurrencyLimiter, prelude::*};
/// use futures::future::join_all;
/// use std::time::Duration;
/// use tokio::time::{Instant, sleep};
///
/// async fn fetch(host: String) { sleep(Duration::from_secs(1)).await }
///
/// let per_host = KeyedConcurrencyLimiter::new(1);
/// let fetch = fetch.concurrency_limited_by_key(&per_host, |host: &String| host.clone());
///
/// let begun = Instant::now();
/// let hosts = ["a.example", "b.example", "a.example"];
/// join_all(hosts.map(|host| fetch.call(host.into()))).await;
/// assert_eq!(begun.elapsed(), Duration::from_secs(2));
/// # }
/// ```
///
/// [`adaptive`](Self::adaptive) makes a limiter with an adaptive limit for each key. For every
/// other setting, start from the builder of a limiter:
/// `ConcurrencyLimiter::builder().limit(8).keyed().max_keys(..).build()`. See
/// [`keyed`](ConcurrencyLimiterBuilder::keyed).
///
/// # Memory
///
/// At most [`max_keys`](Self::max_keys) keys are remembered, 65,536 by default. A key takes about
/// 500 bytes. If a new key exceeds the maximum, an idle key is forgotten: a key that no call waits
/// for, runs for or holds. The oldest key is forgotten first, and keys with a limit that has
/// adapted are forgotten last. A forgotten key starts anew if it comes again; its counts stay in
/// [`stats`](Self::stats).
///
/// Keys in use are never forgotten, and neither is a key with a setting of its own, such as a fixed
/// limit that was [set](ConcurrencyLimiter::set_limit). If more than `max_keys` keys cannot be
/// forgotten, all of them are remembered until they are free.
#[doc(alias = "bulkhead")]
#[doc(alias = "semaphore")]
pub struct KeyedConcurrencyLimiter<K> {
    keys: Arc<Keys<K, Common>>,
}

impl<K> KeyedConcurrencyLimiter<K> {
    /// The identity of the limiter in the description of a chain.
    pub(crate) fn id(&self) -> crate::describe::HandleId {
        crate::describe::HandleId::of(&self.keys)
    }
}

/// The settings that the limiters of all keys share.
#[derive(Debug)]
struct Common {
    settings: Mutex<Settings>,
    /// Held during a reload, so that all keys follow reloads in the same order.
    change: Mutex<()>,
    name: Option<Name>,
    is_closed: AtomicBool,
    /// Number of keys that ever came. Takes the place of a clock.
    came: AtomicU64,
}

/// Builder of a [`KeyedConcurrencyLimiter`]: see [`ConcurrencyLimiterBuilder::keyed`].
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct KeyedConcurrencyLimiterBuilder {
    limiter: ConcurrencyLimiterBuilder,
}

impl ConcurrencyLimiterBuilder {
    /// Turns the builder into that of a [`KeyedConcurrencyLimiter`], with these settings for each
    /// key.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::{ConcurrencyLimiter, KeyedConcurrencyLimiter};
    ///
    /// let per_user: KeyedConcurrencyLimiter<u64> =
    ///     ConcurrencyLimiter::builder().limit(3).max_waiting(100).keyed().build();
    /// assert_eq!(per_user.for_key(&7).available(), 3);
    /// ```
    pub fn keyed(self) -> KeyedConcurrencyLimiterBuilder {
        KeyedConcurrencyLimiterBuilder { limiter: self }
    }
}

impl KeyedConcurrencyLimiterBuilder {
    /// Sets the maximum number of keys that are remembered; 65,536 by default. The build fails if
    /// `max_keys` is 0.
    ///
    /// See [`KeyedConcurrencyLimiter`](KeyedConcurrencyLimiter#memory) for the keys that are
    /// forgotten. Keys in use may exceed the maximum.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::{ConcurrencyLimiter, KeyedConcurrencyLimiter};
    ///
    /// let settings = ConcurrencyLimiter::builder().limit(8);
    /// let per_user: KeyedConcurrencyLimiter<u32> = settings.keyed().max_keys(1_000).build();
    /// for user in 0..100_000 {
    ///     drop(per_user.for_key(&user).try_acquire()?);
    /// }
    /// assert_eq!((per_user.len(), per_user.stats().admitted), (1_000, 100_000));
    /// # Ok::<(), decor::Error>(())
    /// ```
    pub fn max_keys(mut self, max_keys: usize) -> Self {
        self.limiter.config.max_keys = Some(max_keys);
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
    pub fn build<K: Eq + Hash + Clone>(self) -> KeyedConcurrencyLimiter<K> {
        or_panic(self.try_build())
    }

    /// Builds the limiter from settings that are not literals.
    ///
    /// # Errors
    ///
    /// If `max_keys` is 0, or if [`ConcurrencyLimiterBuilder::try_build`] would return an error.
    ///
    /// # Examples
    ///
    /// ```
    /// let settings = decor::ConcurrencyLimiter::builder().limit(8);
    /// let refused = settings.keyed().max_keys(0).try_build::<u64>();
    /// assert_eq!(refused.unwrap_err().to_string(), "`max_keys` is 0, but must be at least 1");
    /// ```
    pub fn try_build<K: Eq + Hash + Clone>(self) -> Result<KeyedConcurrencyLimiter<K>, ConfigError> {
        self.limiter.config.try_into()
    }
}

/// Checks all settings.
///
/// # Examples
///
/// ```
/// use decor::{ConcurrencyConfig, KeyedConcurrencyLimiter};
///
/// let config = ConcurrencyConfig {
///     limit: Some(8),
///     max_keys: Some(1_000),
///     ..ConcurrencyConfig::default()
/// };
/// let per_user: KeyedConcurrencyLimiter<u64> = KeyedConcurrencyLimiter::try_from(&config)?;
/// assert_eq!(per_user.max_keys(), 1_000);
/// # Ok::<(), decor::ConfigError>(())
/// ```
impl<K: Eq + Hash + Clone> TryFrom<&ConcurrencyConfig> for KeyedConcurrencyLimiter<K> {
    type Error = ConfigError;

    fn try_from(config: &ConcurrencyConfig) -> Result<Self, ConfigError> {
        let settings = Settings { kind: config.kind_of_each()?, max_waiting: config.max_waiting };
        let common = Common {
            settings: Mutex::new(settings),
            change: Mutex::new(()),
            name: config.name.clone(),
            is_closed: AtomicBool::new(false),
            came: AtomicU64::new(0),
        };
        Ok(Self { keys: Arc::new(Keys::new(common, config.max_keys()?)) })
    }
}

/// Checks all settings.
///
/// # Examples
///
/// See [`ConcurrencyConfig`].
impl<K: Eq + Hash + Clone> TryFrom<ConcurrencyConfig> for KeyedConcurrencyLimiter<K> {
    type Error = ConfigError;

    fn try_from(config: ConcurrencyConfig) -> Result<Self, ConfigError> {
        Self::try_from(&config)
    }
}

/// Constructors.
impl<K: Eq + Hash + Clone> KeyedConcurrencyLimiter<K> {
    /// Makes a limiter with a fixed limit: at most `limit` calls of each key at once.
    ///
    /// # Panics
    ///
    /// If `limit` is zero.
    ///
    /// # Examples
    ///
    /// ```
    /// let per_user = decor::KeyedConcurrencyLimiter::new(8);
    /// assert_eq!(per_user.for_key(&7).available(), 8);
    /// ```
    #[track_caller]
    pub fn new(limit: u32) -> Self {
        or_panic(Self::try_new(limit))
    }

    /// [`new`](Self::new) for values that are not literals.
    ///
    /// # Errors
    ///
    /// If `limit` is zero.
    ///
    /// # Examples
    ///
    /// ```
    /// let refused = decor::KeyedConcurrencyLimiter::<u64>::try_new(0);
    /// assert_eq!(refused.unwrap_err().to_string(), "`limit` is 0, but must be at least 1");
    /// ```
    pub fn try_new(limit: u32) -> Result<Self, ConfigError> {
        ConcurrencyLimiter::builder().limit(limit).keyed().try_build()
    }

    /// Makes a limiter that finds the limit of each key, as [`ConcurrencyLimiter::adaptive`] does.
    ///
    /// # Panics
    ///
    /// If the range is empty, or begins with zero.
    ///
    /// # Examples
    ///
    /// ```
    /// let per_host = decor::KeyedConcurrencyLimiter::adaptive(4..=100);
    /// per_host.for_key(&7).overloaded();
    /// assert_eq!((per_host.for_key(&7).limit(), per_host.for_key(&8).limit()), (15, 20));
    /// ```
    #[track_caller]
    pub fn adaptive(range: RangeInclusive<u32>) -> Self {
        or_panic(Self::try_adaptive(range))
    }

    /// [`adaptive`](Self::adaptive) for values that are not literals.
    ///
    /// # Errors
    ///
    /// If the range is empty, or begins with zero.
    ///
    /// # Examples
    ///
    /// ```
    /// let refused = decor::KeyedConcurrencyLimiter::<u64>::try_adaptive(0..=8);
    /// assert_eq!(
    ///     refused.unwrap_err().to_string(),
    ///     "`range` is 0..=8, but must be ascending from at least 1",
    /// );
    /// ```
    pub fn try_adaptive(range: RangeInclusive<u32>) -> Result<Self, ConfigError> {
        ConcurrencyLimiter::builder().adaptive(range).keyed().try_build()
    }
}

impl<K: Eq + Hash + Clone> KeyedConcurrencyLimiter<K> {
    /// Returns the limiter of a key. The key is not forgotten while the returned handle or a permit
    /// of it lives.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::KeyedConcurrencyLimiter;
    ///
    /// let per_host: KeyedConcurrencyLimiter<String> = KeyedConcurrencyLimiter::new(2);
    /// let permit = per_host.for_key("a.example").try_acquire()?; // a `&str` finds a `String`
    /// assert_eq!(per_host.for_key("a.example").available(), 1);
    /// assert_eq!(per_host.for_key("b.example").available(), 2);
    /// # drop(permit);
    /// # Ok::<(), decor::Error>(())
    /// ```
    pub fn for_key<Q>(&self, key: &Q) -> ConcurrencyLimiter
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ToOwned<Owned = K> + ?Sized,
    {
        ConcurrencyLimiter { core: self.keys.get_or_make(key) }
    }

    /// Forgets a key and its own settings. Returns `true` if the key was remembered.
    ///
    /// Calls that wait or run for the key keep its limiter, and the key starts anew when it comes
    /// again. More calls than the limit may then run at once.
    ///
    /// # Examples
    ///
    /// ```
    /// let per_user = decor::KeyedConcurrencyLimiter::<String>::new(8);
    /// per_user.for_key("ada").set_limit(100);
    /// assert!(per_user.remove("ada"));
    /// assert_eq!(per_user.for_key("ada").limit(), 8);
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
    /// let per_user = decor::KeyedConcurrencyLimiter::new(8);
    /// drop(per_user.for_key(&7).try_acquire()?);
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
    /// assert!(decor::KeyedConcurrencyLimiter::<u64>::new(8).is_empty());
    /// ```
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns a snapshot of the remembered keys, in no order. Keys may come and go meanwhile.
    ///
    /// # Examples
    ///
    /// ```
    /// let per_user = decor::KeyedConcurrencyLimiter::new(8);
    /// drop(per_user.for_key(&7).try_acquire()?);
    /// assert_eq!(per_user.keys(), [7]);
    /// # Ok::<(), decor::Error>(())
    /// ```
    pub fn keys(&self) -> Vec<K> {
        self.keys.keys()
    }

    /// Returns the counts of all keys since the limiter was made. The counts of forgotten and
    /// removed keys are included, so no count of calls ever falls.
    ///
    /// # Examples
    ///
    /// ```
    /// let per_user = decor::KeyedConcurrencyLimiter::new(8);
    /// let permits = (per_user.for_key(&7).try_acquire()?, per_user.for_key(&8).try_acquire()?);
    /// assert_eq!((per_user.stats().admitted, per_user.stats().in_use), (2, 2));
    /// # drop(permits);
    /// # Ok::<(), decor::Error>(())
    /// ```
    pub fn stats(&self) -> ConcurrencyStats {
        self.keys.stats()
    }

    /// Returns the counts of one key since it came; `None` for a key that is not remembered.
    ///
    /// Neither adds the key nor keeps it from being forgotten.
    ///
    /// # Examples
    ///
    /// ```
    /// let per_user = decor::KeyedConcurrencyLimiter::new(8);
    /// drop(per_user.for_key(&7).try_acquire()?);
    /// assert_eq!(per_user.stats_of(&7).unwrap().admitted, 1);
    /// assert_eq!(per_user.stats_of(&8), None);
    /// # Ok::<(), decor::Error>(())
    /// ```
    pub fn stats_of<Q>(&self, key: &Q) -> Option<ConcurrencyStats>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.keys.stats_of(key)
    }

    /// Returns the maximum number of keys that are remembered. See
    /// [`KeyedConcurrencyLimiterBuilder::max_keys`].
    ///
    /// # Examples
    ///
    /// See [`set_max_keys`](Self::set_max_keys).
    pub fn max_keys(&self) -> usize {
        self.keys.bound()
    }

    /// Changes the [maximum number of keys](Self::max_keys). If more keys are remembered, idle ones
    /// are forgotten at once.
    ///
    /// # Panics
    ///
    /// If `max_keys` is zero.
    ///
    /// # Examples
    ///
    /// ```
    /// let per_user = decor::KeyedConcurrencyLimiter::new(8);
    /// for user in 0..100 {
    ///     drop(per_user.for_key(&user).try_acquire()?);
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
    /// let per_user = decor::KeyedConcurrencyLimiter::<u64>::new(8);
    /// let error = per_user.try_set_max_keys(0).unwrap_err();
    /// assert_eq!(error.to_string(), "`max_keys` is 0, but must be at least 1");
    /// ```
    pub fn try_set_max_keys(&self, max_keys: usize) -> Result<(), ConfigError> {
        self.keys.set_bound(checked_keys(max_keys)?);
        Ok(())
    }

    /// Changes all settings of all keys, as [`ConcurrencyLimiter::reload`] does for a limiter. Keys
    /// with settings of their own keep those.
    ///
    /// Takes time in proportion to the number of keys.
    ///
    /// # Errors
    ///
    /// If `KeyedConcurrencyLimiter::try_from(config)` fails, fixed limiters would become adaptive
    /// ones, or the reverse, or the config has another name. All limiters then stay as they are.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::{ConcurrencyConfig, KeyedConcurrencyLimiter};
    ///
    /// let config = |limit| {
    ///     ConcurrencyConfig { limit: Some(limit), ..ConcurrencyConfig::default() }
    /// };
    /// let per_user: KeyedConcurrencyLimiter<u64> = KeyedConcurrencyLimiter::try_from(config(1))?;
    /// let permit = per_user.for_key(&7).try_acquire().unwrap();
    /// per_user.reload(&config(3))?;
    /// assert_eq!(per_user.for_key(&7).available(), 2);
    /// # drop(permit);
    /// # Ok::<(), decor::ConfigError>(())
    /// ```
    pub fn reload(&self, config: &ConcurrencyConfig) -> Result<(), ConfigError> {
        let common = self.keys.template();
        unchanged_name(common.name.as_deref(), config.name.as_deref())?;
        let new = Settings { kind: config.kind_of_each()?, max_waiting: config.max_waiting };
        let max_keys = config.max_keys()?;
        let changing = lock(&common.change);
        let old = common.settings();
        old.kind.flow().reload(new.kind)?;
        *lock(&common.settings) = new;
        let mut wakers = Vec::new();
        self.keys.for_each(|core| wakers.push(core.follow(&old, &new)));
        drop(changing);
        wakers.into_iter().for_each(Wakers::wake);
        self.keys.set_bound(max_keys);
        Ok(())
    }

    /// [Closes](ConcurrencyLimiter::close) the limiters of all keys for good, for a shutdown. The
    /// limiters of keys that come later are closed as well.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::{Error, KeyedConcurrencyLimiter};
    ///
    /// let per_user: KeyedConcurrencyLimiter<u64> = KeyedConcurrencyLimiter::new(8);
    /// per_user.close();
    /// assert!(per_user.is_closed());
    /// let refused = per_user.for_key(&7).try_acquire().unwrap_err();
    /// assert_eq!(refused, Error::Closed { what: "the concurrency limiter" });
    /// ```
    pub fn close(&self) {
        // A key that comes from now on is made closed, or is found by the visit of its shard.
        self.keys.template().is_closed.store(true, Ordering::SeqCst);
        let mut wakers = Vec::new();
        self.keys.for_each(|core| wakers.extend(core.close()));
        self.keys.for_each_removed(|core| wakers.extend(core.close()));
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Returns `true` once the limiter is [closed](Self::close).
    ///
    /// # Examples
    ///
    /// ```
    /// assert!(!decor::KeyedConcurrencyLimiter::<u64>::new(8).is_closed());
    /// ```
    pub fn is_closed(&self) -> bool {
        self.keys.template().is_closed.load(Ordering::SeqCst)
    }
}

impl Common {
    fn settings(&self) -> Settings {
        *lock(&self.settings)
    }
}

/// Time after which a key would be looked at by itself, counted in keys that came. No program lives
/// that long, so keys are forgotten only to make room.
const NEVER: Nanos = 1 << 60;

/// The keys need no clock, because only their order counts: the time is the number of keys that
/// came. The key that was made or looked at first is the next to go. A key with a limit that has
/// adapted goes after all others.
impl Template for Common {
    type Handle = Core;
    type Stats = ConcurrencyStats;

    const MAX_LOOKS: usize = 2 * CHECKS_PER_LOOKUP;

    fn make(&self) -> Core {
        self.came.fetch_add(1, Ordering::Relaxed);
        let Settings { kind, max_waiting } = self.settings();
        let core = Core::new(kind, max_waiting, self.name.clone());
        if self.is_closed.load(Ordering::SeqCst) {
            drop(core.close()); // a new limiter has no waiters
        }
        core
    }

    fn now(&self) -> Nanos {
        self.came.load(Ordering::Relaxed)
    }

    fn idle_after(&self) -> Nanos {
        NEVER
    }

    /// A handle that a call waits or runs for is held by that call, so it is not looked at.
    fn idle_in(&self, core: &Core) -> Option<Nanos> {
        let Settings { kind, max_waiting } = self.settings();
        let has_first_limit = core.limit() == kind.start();
        match kind {
            _ if core.max_waiting() != max_waiting => None,
            Kind::Fixed { .. } => has_first_limit.then_some(0),
            Kind::Adaptive { .. } => Some(if has_first_limit { 0 } else { 2 * NEVER }),
        }
    }

    fn stats(&self, core: &Core) -> ConcurrencyStats {
        core.stats()
    }

    /// The limit of a key that was forgotten no longer counts. Waiters and permits of a limiter
    /// that no caller holds were leaked.
    fn last_stats(&self, core: &Core) -> ConcurrencyStats {
        ConcurrencyStats { waiting: 0, in_use: 0, limit: 0, ..core.stats() }
    }
}

impl fmt::Display for Common {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = &self.name {
            write!(f, "{name}, ")?;
        }
        write!(f, "{} for each key", self.settings().kind.flow())?;
        if self.is_closed.load(Ordering::SeqCst) { f.write_str(", closed") } else { Ok(()) }
    }
}

impl<K> Clone for KeyedConcurrencyLimiter<K> {
    fn clone(&self) -> Self {
        Self { keys: Arc::clone(&self.keys) }
    }
}

/// The name and the first limit of each key, such as `8 at once for each key`.
///
/// # Examples
///
/// ```
/// let per_user = decor::KeyedConcurrencyLimiter::<u64>::new(8);
/// assert_eq!(per_user.to_string(), "8 at once for each key");
/// ```
impl<K> fmt::Display for KeyedConcurrencyLimiter<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.keys.template().fmt(f)
    }
}

impl<K> fmt::Debug for KeyedConcurrencyLimiter<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyedConcurrencyLimiter({})", self.keys.template())
    }
}
