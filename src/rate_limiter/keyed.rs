//! One limiter for each key: a user, a host, a tenant.

use super::{
    builder::RateLimiterBuilder,
    keys::{Keys, Template},
    limiter::{RateLimiter, checked, checked_pause, durations},
    state::{Core, Settings},
    stats::RateLimiterStats,
};
use crate::{
    ConfigError,
    clock::{Clock, Epoch, Nanos},
    error::or_panic,
    sync::{Arc, Mutex, lock},
};
use std::{borrow::Borrow, convert::Infallible, fmt, hash::Hash, task::Waker, time::Duration};

/// The same limit for each key by itself: a user, a host, a tenant.
///
/// A clone is the same limiter. [`for_key`](Self::for_key) is the [`RateLimiter`] of one key, with
/// all that it can do. In a chain, [`.rate_limited_by_key(..)`](crate::FnExt::rate_limited_by_key)
/// and its kin take the key from the arguments.
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
/// For several windows there is [`windows`](Self::windows), for even spacing
/// [`paced`](Self::paced). Every other setting comes from the builder of a limiter:
/// `RateLimiter::builder().window(..).keyed().max_keys(..).build()`
/// ([`keyed`](crate::RateLimiterBuilder::keyed)).
///
/// # Memory
///
/// A key is forgotten when its limiter is as good as new: no call waits for it or holds it, and no
/// permit of it counts any more. A key is first checked a period after it came. Each lookup checks
/// a few keys, wherever they are, so idle keys go as long as any key is used. The counts of
/// forgotten keys stay in [`stats`](Self::stats).
///
/// At most [`max_keys`](Self::max_keys) are remembered, 65,536 until set, of about 800 bytes each
/// and 16 for each admission in the window. One key more, and the key whose limiter would be idle
/// next is forgotten before its time. A forgotten key starts anew if it comes again.
///
/// Some keys are never forgotten: a key that a call waits for or holds, a key with a setting of its
/// own, and a key that was closed by itself. Such keys count as well, so `max_keys` has to leave
/// room for the others: without room, each new key takes the place of another, and neither is
/// limited. If there are more than `max_keys` such keys, all of them are remembered until they are
/// free.
///
/// # Changed while it is used
///
/// Each setting can be read and changed on any handle, as that of a
/// [`RateLimiter`](RateLimiter#changed-while-it-is-used): [`limits`](Self::limits),
/// [`burst`](Self::burst), [`max_waiting`](Self::max_waiting),
/// [`longest_pause`](Self::longest_pause), [`max_keys`](Self::max_keys). A change holds for keys
/// that come later, and at once for all that are remembered. A change takes time in proportion to
/// the remembered keys. A key that was idle by a shorter period may be forgotten, and starts anew
/// when the period grows back.
///
/// # A setting of its own
///
/// A setter on the limiter of one key, such as [`set_limit`](RateLimiter::set_limit), changes the
/// setting of that key. The key is remembered, and its setting stays until it is changed again or
/// [removed](Self::remove) with the key. Later changes for all keys leave that setting as it is,
/// and reach the key's other settings. A setting that is set back to that of all keys follows it
/// again, and the key can be forgotten.
pub struct KeyedLimiter<K> {
    keys: Arc<Keys<K, Common>>,
}

/// State that the limiters of all keys share.
#[derive(Debug)]
struct Common {
    /// Nothing is ever taken of its quota.
    settings: Mutex<Settings>,
    /// Held during a change. The next change waits until all keys have taken over this one.
    change: Mutex<()>,
    epoch: Epoch,
}

/// Puts a [`KeyedLimiter`] together: see [`RateLimiterBuilder::keyed`].
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct KeyedLimiterBuilder {
    limiter: RateLimiterBuilder,
    max_keys: usize,
}

impl RateLimiterBuilder {
    /// A limiter with these settings for each key: a user, a host, a tenant.
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
        KeyedLimiterBuilder { limiter: self, max_keys: 1 << 16 }
    }
}

impl KeyedLimiterBuilder {
    /// Maximum number of keys that are remembered; 65,536 until set. 0 is refused.
    ///
    /// The documentation of [`KeyedLimiter`] says which keys are forgotten. A key that must stay
    /// may exceed the number.
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

    /// The limiter.
    ///
    /// # Panics
    ///
    /// Where [`try_build`](Self::try_build) returns an error.
    ///
    /// # Examples
    ///
    /// See [`max_keys`](Self::max_keys).
    #[track_caller]
    pub fn build<K: Eq + Hash + Clone>(self) -> KeyedLimiter<K> {
        or_panic(self.try_build())
    }

    /// The limiter, for settings that are not literals.
    ///
    /// # Errors
    ///
    /// If `max_keys` is 0, or where [`RateLimiterBuilder::try_build`] returns an error.
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
        // Nothing is reserved for a key before it comes.
        let settings =
            Mutex::new(Settings { quota: limiter.quota(false)?, bounds: limiter.bounds()?, is_closed: false });
        let common = Common { settings, change: Mutex::new(()), epoch: Epoch::new() };
        Ok(KeyedLimiter { keys: Arc::new(Keys::new(common, checked_keys(max_keys)?)) })
    }
}

fn checked_keys(max_keys: usize) -> Result<usize, ConfigError> {
    if max_keys == 0 { Err(ConfigError::new("max_keys", max_keys, "at least 1")) } else { Ok(max_keys) }
}

/// Making one.
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
        RateLimiter::builder().window(limit, period).keyed().try_build()
    }

    /// Several windows at once for each key, as [`RateLimiter::windows`] has them.
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

    /// Evenly spaced calls of each key, as [`RateLimiter::paced`] has them.
    ///
    /// # Panics
    ///
    /// If either is zero.
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
    /// If either is zero.
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

    /// Forgets a key, and the settings of its own if it has any. Returns whether it was
    /// remembered.
    ///
    /// Calls that wait for the key go on with the limiter that they have. Later changes for all
    /// keys no longer reach that limiter; its counts stay in [`stats`](Self::stats). The key starts
    /// anew when it comes again.
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

    /// A snapshot of the keys that are remembered, in no order. Keys may come and go meanwhile.
    ///
    /// Clones all keys, part by part, and holds up the lookups of a part meanwhile.
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

    /// The counts of all keys since the limiter was made. The counts of keys that were forgotten or
    /// removed are included, so no count ever falls.
    ///
    /// Looks at every key that is remembered, part by part, and holds up the lookups of a part
    /// meanwhile: some milliseconds for 65,536 keys.
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
        self.keys.stats()
    }

    /// The counts of one key since it came; `None` for a key that is not remembered.
    ///
    /// Neither adds a key nor keeps it from being forgotten. Costs a lookup. For a `K` of `String`,
    /// the key may be a `&str`.
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
    /// The limit and the period of each window, or of the pace, for keys without a limit of their
    /// own.
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
    /// A key with a [limit of its own](Self#a-setting-of-its-own) keeps that. Permits that were
    /// taken of other keys stay taken, as with [`RateLimiter::set_limit`].
    ///
    /// # Panics
    ///
    /// If either is zero, or there are several windows.
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
    /// If a limit or a period is zero, or there are not as many limits as windows. A pace has one.
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
        let limits = checked(&limits.into_iter().collect::<Vec<_>>())?;
        self.change(|settings| {
            settings.quota.set_limits(&limits)?;
            settings.quota = settings.quota.as_new();
            Ok(())
        })
    }

    /// The [burst](RateLimiterBuilder::burst) of keys without one of their own; `None` unless they
    /// are paced.
    ///
    /// # Examples
    ///
    /// See [`set_burst`](Self::set_burst).
    pub fn burst(&self) -> Option<u32> {
        self.settings().quota.burst()
    }

    /// Changes the [burst](RateLimiterBuilder::burst) of all paced keys, apart from keys with one
    /// of their own. See [`RateLimiter::set_burst`].
    ///
    /// # Panics
    ///
    /// If the burst is zero, or the limiter is exact.
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
    /// If the burst is zero, or the limiter is exact.
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

    /// Number of waiting calls of one key beyond which calls of the key that can fail are refused;
    /// `None` if any number may wait. See [`RateLimiterBuilder::max_waiting`].
    ///
    /// # Examples
    ///
    /// See [`set_max_waiting`](Self::set_max_waiting).
    pub fn max_waiting(&self) -> Option<usize> {
        self.settings().bounds.max_waiting
    }

    /// Changes [`max_waiting`](Self::max_waiting) of all keys, apart from keys with one of their
    /// own. See [`RateLimiter::set_max_waiting`].
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

    /// Longest pause of keys without one of their own. See [`RateLimiterBuilder::longest_pause`].
    ///
    /// # Examples
    ///
    /// See [`set_longest_pause`](Self::set_longest_pause).
    pub fn longest_pause(&self) -> Duration {
        self.settings().bounds.longest_pause
    }

    /// Changes the [longest pause](Self::longest_pause) of all keys, apart from keys with one of
    /// their own. See [`RateLimiter::set_longest_pause`].
    ///
    /// # Panics
    ///
    /// If the longest pause is zero.
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
    /// If the longest pause is zero.
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

    /// Maximum number of keys that are remembered. See [`KeyedLimiterBuilder::max_keys`].
    ///
    /// # Examples
    ///
    /// See [`set_max_keys`](Self::set_max_keys).
    pub fn max_keys(&self) -> usize {
        self.keys.bound()
    }

    /// Changes the [maximum number of keys](Self::max_keys).
    ///
    /// If more are remembered, the keys that would be idle next are forgotten at once, in time in
    /// proportion to their number. Keys that must stay are forgotten when they are free.
    ///
    /// # Panics
    ///
    /// If the number is zero.
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
    /// If the number is zero.
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

    /// [Closes](RateLimiter::close) the limiters of all keys for good, also those of keys that come
    /// later, for a shutdown.
    ///
    /// Every waiting call that can fail gets [`Error::Closed`](crate::Error::Closed) at once, and
    /// so does every later one. A call of
    /// [`.rate_limited_by_key(..)`](crate::FnExt::rate_limited_by_key) without
    /// [`.permits(..)`](crate::Around::permits) stays pending. Takes time in proportion to the
    /// keys. `for_key(&key).close()` closes the limiter of one key.
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

    /// Returns whether all keys are [closed](Self::close).
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

    /// Changes the settings of all keys: first for keys that come later, then for those that are
    /// remembered. A key that comes in between is changed twice, to the same.
    fn change<E>(&self, change: impl FnOnce(&mut Settings) -> Result<(), E>) -> Result<(), E> {
        let common = self.keys.template();
        let changing = lock(&common.change);
        let old = self.settings();
        let mut new = old.clone();
        change(&mut new)?;
        lock(&common.settings).clone_from(&new);
        let mut wakers = Vec::new();
        self.keys.for_each(|core| wakers.extend(core.follow(&old, &new)));
        drop(changing);
        wakers.into_iter().for_each(Waker::wake);
        Ok(())
    }
}

impl Template for Common {
    type Handle = Core;

    fn make(&self) -> Core {
        let Settings { quota, bounds, is_closed } = lock(&self.settings).clone();
        let core = Core::new(quota, bounds, self.epoch.clone());
        if is_closed {
            drop(core.close()); // no call waits yet
        }
        core
    }

    fn now(&self) -> Nanos {
        self.epoch.now(Clock::here())
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
