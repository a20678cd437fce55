//! The constructors of a memo, and the builder for settings beyond the TTL.

use super::{
    cacheable::{Negative, Value},
    config::MemoConfig,
    eviction::Eviction,
    handle::Memo,
    key::Key,
    settings::{Closures, IsNegative, Settings, TagsBy, TtlBy, ValidWhile, Weigher},
    state::Core,
    tier::MemoTier,
};
use crate::{ConfigError, RetryPolicy, error::or_panic, sync::Arc};
use std::{fmt, time::Duration};

/// Constructors.
impl<K: Key, V: Value> Memo<K, V> {
    /// Returns a memo with values that expire after `ttl`. Write the type of the memo out, because
    /// the type decides what is kept of a `Result` or an `Option`.
    ///
    /// # Panics
    ///
    /// If `ttl` is zero.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::Memo;
    /// use std::time::Duration;
    ///
    /// let users: Memo<u64, String> = Memo::ttl(Duration::from_secs(300));
    /// assert_eq!(users.get(&42), None);
    /// ```
    #[track_caller]
    pub fn ttl(ttl: Duration) -> Self {
        or_panic(Self::try_ttl(ttl))
    }

    /// Returns the same as [`ttl`](Self::ttl), with an error in place of a panic, for a `ttl` that
    /// is not a literal.
    ///
    /// # Errors
    ///
    /// If `ttl` is zero.
    ///
    /// # Examples
    ///
    /// ```
    /// let error = decor::Memo::<u64, String>::try_ttl(std::time::Duration::ZERO).unwrap_err();
    /// assert_eq!(error.to_string(), "`ttl` is 0ns, but must be longer than zero");
    /// ```
    pub fn try_ttl(ttl: Duration) -> Result<Self, ConfigError> {
        Self::builder().ttl(ttl).try_build()
    }

    /// Returns a builder for a memo with further settings.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::Memo;
    /// use std::time::Duration;
    ///
    /// let users: Memo<u64, String> = Memo::builder()
    ///     .ttl(Duration::from_secs(300))
    ///     .capacity(1_000)
    ///     .jitter(0.1)
    ///     .stale_on_error(Duration::from_secs(3600))
    ///     .build();
    /// assert_eq!(users.stats().capacity, 1_000);
    /// ```
    pub fn builder() -> MemoBuilder<K, V> {
        MemoBuilder::new()
    }
}

/// Builder of a [`Memo`], from [`Memo::builder`].
///
/// | setting | default | meaning |
/// |---|---|---|
/// | [`ttl`](Self::ttl) | none | time after which a value expires |
/// | [`ttl_by`](Self::ttl_by) | none | a TTL for each value, computed from the value |
/// | [`time_to_idle`](Self::time_to_idle) | off | time after its latest use at which a value expires |
/// | [`negative`](Self::negative) | none | TTL of an `Err` or a `None` |
/// | [`jitter`](Self::jitter), [`seed`](Self::seed) | 0 | largest part by which a TTL is shortened at random |
/// | [`capacity`](Self::capacity) | 10,000 | maximum number of values, or their maximum weight |
/// | [`weigher`](Self::weigher) | 1 each | weight of a value |
/// | [`eviction`](Self::eviction) | least recently used | choice of the value that a full memo evicts |
/// | [`tags_by`](Self::tags_by) | none | tags of a value, by which it can be removed |
/// | [`valid_while`](Self::valid_while) | none | check of each value at each hit |
/// | [`refresh_ahead`](Self::refresh_ahead) | off | part of a TTL after which a value in use is refreshed |
/// | [`stale_while_revalidate`](Self::stale_while_revalidate) | off | time for which an expired value is served while it is refreshed |
/// | [`stale_on_error`](Self::stale_on_error) | off | time for which an expired value is served if loading fails |
/// | [`refresh_backoff`](Self::refresh_backoff) | 1 s, doubled up to 1 min | delay after a failed refresh before the next one |
/// | [`tier`](Self::tier) | none | a store that several processes share |
#[must_use = "a builder does nothing until `build` is called"]
pub struct MemoBuilder<K, V> {
    /// The settings that are plain values. Its `refresh_backoff` has no effect.
    config: MemoConfig,
    ttl_by: Option<TtlBy<K, V>>,
    negative: Option<(IsNegative<V>, Duration)>,
    weigher: Option<Weigher<K, V>>,
    tags_by: Option<TagsBy<K, V>>,
    valid_while: Option<ValidWhile<K, V>>,
    refresh_backoff: Option<RetryPolicy>,
    tier: Option<Arc<dyn MemoTier<K, V>>>,
}

impl<K, V> MemoBuilder<K, V> {
    pub(super) fn new() -> Self {
        Self {
            config: MemoConfig::default(),
            ttl_by: None,
            negative: None,
            weigher: None,
            tags_by: None,
            valid_while: None,
            refresh_backoff: None,
            tier: None,
        }
    }

    /// Sets the time after which a value expires, counted from the end of its load. By default,
    /// values stay until they are evicted. [`build`](Self::build) refuses zero.
    ///
    /// The TTL is exact to the nanosecond. Tokio's timer counts in milliseconds, so a test of the
    /// exact moment uses `advance` and not `sleep`. On a machine that was suspended, a TTL may last
    /// longer: see [clocks](crate#clocks).
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::Memo;
    /// use std::time::Duration;
    ///
    /// let ttl = Duration::from_secs(300);
    /// let users = Memo::builder().ttl(ttl).build();
    /// users.insert(42, "Ada");
    /// tokio::time::advance(ttl - Duration::from_nanos(1)).await;
    /// assert_eq!(users.get(&42), Some("Ada"));
    /// tokio::time::advance(Duration::from_nanos(1)).await;
    /// assert_eq!(users.get(&42), None);
    /// # }
    /// ```
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.config.ttl = Some(ttl);
        self
    }

    /// Sets a closure that computes the TTL of each value, in place of [`ttl`](Self::ttl). A
    /// response may state its TTL in `Cache-Control`, for example.
    ///
    /// The closure returns a [`Duration`] or an `Option<Duration>`, with `None` for the value of
    /// `ttl`. A value with a TTL of zero is not kept, and one with [`Duration::MAX`] never expires.
    /// The closure is called once for each value, at the end of its load. If the closure panics,
    /// the call panics.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::Memo;
    /// use std::time::Duration;
    ///
    /// #[derive(Clone)]
    /// struct Page { max_age: Option<Duration> }
    ///
    /// let second = Duration::from_secs(1);
    /// let builder = Memo::builder().ttl(60 * second).ttl_by(|_url, page: &Page| page.max_age);
    /// let pages: Memo<&str, Page> = builder.build();
    /// pages.insert("/news", Page { max_age: Some(5 * second) });
    /// pages.insert("/terms", Page { max_age: None });
    /// tokio::time::advance(59 * second).await;
    /// assert!(pages.get("/news").is_none() && pages.get("/terms").is_some());
    /// # }
    /// ```
    pub fn ttl_by<T>(mut self, ttl: impl Fn(&K, &V) -> T + Send + Sync + 'static) -> Self
    where
        T: Into<Option<Duration>>,
    {
        self.ttl_by = Some(Box::new(move |key, value| ttl(key, value).into()));
        self
    }

    /// Sets the time after its latest use at which a value expires. Off by default.
    ///
    /// A use is a call or a [`get`](Memo::get) that a value answers before it has expired. The
    /// store counts as the first use. With a [`ttl`](Self::ttl), a value expires at the earlier of
    /// the two moments, and uses do not extend the TTL. A value that expired without use may be
    /// served stale like any other. An answer by a stale value does not count as a use.
    ///
    /// Each hit writes its time into the entry, so threads that ask for the same key contend for
    /// its cache line.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::Memo;
    /// use std::time::Duration;
    ///
    /// let second = Duration::from_secs(1);
    /// let sessions = Memo::builder().time_to_idle(60 * second).build();
    /// sessions.insert(42, "Ada");
    /// for _ in 0..10 {
    ///     tokio::time::advance(59 * second).await;
    ///     assert_eq!(sessions.get(&42), Some("Ada"));
    /// }
    /// tokio::time::advance(60 * second).await;
    /// assert_eq!(sessions.get(&42), None);
    /// # }
    /// ```
    pub fn time_to_idle(mut self, idle: Duration) -> Self {
        self.config.time_to_idle = Some(idle);
        self
    }

    /// Sets the TTL of negative values, which are an `Err` and a `None`. A negative value usually
    /// has a short TTL. This TTL takes precedence over [`ttl`](Self::ttl) and
    /// [`ttl_by`](Self::ttl_by). [`build`](Self::build) refuses zero.
    ///
    /// Only a memo with a matching value type keeps negative values: a `Memo<K, Result<User, E>>`
    /// or a `Memo<K, Option<User>>`. The latter also fits a function that returns
    /// `Result<Option<User>, E>`. Negative values are never served stale.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::{Memo, prelude::*};
    /// use std::time::Duration;
    ///
    /// async fn find(id: u64) -> Option<String> { None }
    ///
    /// let second = Duration::from_secs(1);
    /// let users: Memo<u64, Option<String>> =
    ///     Memo::builder().ttl(300 * second).negative(5 * second).build();
    /// let find = find.memoized(&users);
    /// find.call(42).await;
    /// find.call(42).await; // the `None` comes from the memo
    /// tokio::time::advance(5 * second).await;
    /// find.call(42).await;
    /// assert_eq!(users.stats().loads, 2);
    /// # }
    /// ```
    pub fn negative(mut self, ttl: Duration) -> Self
    where
        V: Negative,
    {
        self.negative = Some((V::is_negative, ttl));
        self
    }

    /// Shortens each TTL at random by up to `part` of it, so that values that were loaded together
    /// do not expire together. `part` is 0 to 1 (default 0, which shortens none).
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::Memo;
    /// use std::time::Duration;
    ///
    /// // Each value expires after 270 to 300 s.
    /// let ttl = Duration::from_secs(300);
    /// let users: Memo<u64, String> = Memo::builder().ttl(ttl).jitter(0.1).build();
    /// # drop(users);
    /// ```
    pub fn jitter(mut self, part: f64) -> Self {
        self.config.jitter = part;
        self
    }

    /// Sets the seed of the [jitter](Self::jitter), so that the n-th value has the same jitter in
    /// every run. Zero is a seed like any other.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::Memo;
    /// use std::time::Duration;
    ///
    /// let ttl = Duration::from_secs(300);
    /// let users: Memo<u64, String> = Memo::builder().ttl(ttl).jitter(0.1).seed(7).build();
    /// # drop(users);
    /// ```
    pub fn seed(mut self, seed: u64) -> Self {
        self.config.seed = Some(seed);
        self
    }

    /// Sets the maximum number of values, or their maximum weight if there is a
    /// [`weigher`](Self::weigher). 10,000 by default. [`build`](Self::build) refuses zero.
    ///
    /// A store that exceeds the capacity first drops values that have expired, the earliest first.
    /// If that is not enough, the store evicts others by the [`eviction`](Self::eviction) policy.
    /// The capacity holds again when the store returns. With several stores at the same time, it
    /// holds again when the last of them returns.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::Memo;
    ///
    /// let squares = Memo::builder().capacity(2).build();
    /// squares.insert(1, 1);
    /// squares.insert(2, 4);
    /// squares.get(&1); // now 2 is the least recently used
    /// squares.insert(3, 9);
    /// assert_eq!([squares.get(&1), squares.get(&2), squares.get(&3)], [Some(1), None, Some(9)]);
    /// ```
    pub fn capacity(mut self, capacity: u64) -> Self {
        self.config.capacity = capacity;
        self
    }

    /// Sets a closure that computes the weight of each value. The [`capacity`](Self::capacity)
    /// bounds the sum of the weights.
    ///
    /// The closure is called once for each value, at the end of its load. A weight of 0 counts as
    /// 1, because values without weight would not be bounded. A value that weighs more than the
    /// whole capacity is not kept. The earlier value of its key is removed, and all other values
    /// stay.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::Memo;
    ///
    /// let megabyte = 1 << 20;
    /// let weigh = |_url: &&str, page: &String| page.len() as u32;
    /// let pages = Memo::builder().capacity(64 * megabyte).weigher(weigh).build();
    /// pages.insert("/news", "..".to_owned());
    /// assert_eq!(pages.stats().entries, 1);
    /// ```
    pub fn weigher(mut self, weigh: impl Fn(&K, &V) -> u32 + Send + Sync + 'static) -> Self {
        self.weigher = Some(Box::new(weigh));
        self
    }

    /// Sets the policy by which a full memo evicts values. [`Eviction::Lru`] by default.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::{Eviction, Memo};
    ///
    /// let words: Memo<String, u64> = Memo::builder().eviction(Eviction::TinyLfu).build();
    /// # drop(words);
    /// ```
    pub fn eviction(mut self, policy: Eviction) -> Self {
        self.config.eviction = policy;
        self
    }

    /// Sets the time after its expiry for which a value is served while one call refreshes it.
    /// Zero, the default, turns this off.
    ///
    /// The first call that finds the value expired loads a new one and waits for it. Meanwhile
    /// other calls are served the expired value, and count as `hits` and `stale_hits`. With
    /// [`.detached()`](crate::Memoized::detached), not even the first caller waits, because the
    /// load runs in a task. If the refresh fails within the window, the call that waited is served
    /// the expired value as well. The next refresh waits for the delay of
    /// [`refresh_backoff`](Self::refresh_backoff).
    ///
    /// The setting is `stale-while-revalidate` of [RFC
    /// 5861](https://www.rfc-editor.org/rfc/rfc5861). [`Memo`](crate::Memo#freshness) shows all
    /// windows together.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::{Memo, prelude::*};
    /// use std::time::Duration;
    ///
    /// async fn fetch(id: u64) -> String {
    ///     tokio::time::sleep(Duration::from_millis(100)).await;
    ///     format!("user {id}")
    /// }
    ///
    /// let second = Duration::from_secs(1);
    /// let users = Memo::builder().ttl(300 * second).stale_while_revalidate(60 * second).build();
    /// let fetch = fetch.memoized(&users).detached();
    /// fetch.call(42).await;
    /// tokio::time::advance(310 * second).await;
    ///
    /// let begun = tokio::time::Instant::now();
    /// fetch.call(42).await;
    /// assert_eq!(begun.elapsed(), Duration::ZERO);
    /// assert_eq!((users.stats().stale_hits, users.stats().loads), (1, 2));
    /// # }
    /// ```
    pub fn stale_while_revalidate(mut self, window: Duration) -> Self {
        self.config.stale_while_revalidate = window;
        self
    }

    /// Sets the part of the TTL after which the next call refreshes the value, so that values in
    /// use do not expire. `part` is above 0 and below 1, and [`build`](Self::build) refuses other
    /// values. Off by default.
    ///
    /// One call refreshes the value and waits for its load. Meanwhile other calls are served the
    /// present value. With [`.detached()`](crate::Memoized::detached), not even the first caller
    /// waits. If a refresh fails, the value is served until it expires, and the next refresh waits
    /// for the delay of [`refresh_backoff`](Self::refresh_backoff).
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::{Memo, prelude::*};
    /// use std::time::Duration;
    ///
    /// async fn fetch(id: u64) -> String { format!("user {id}") }
    ///
    /// let second = Duration::from_secs(1);
    /// let users = Memo::builder().ttl(300 * second).refresh_ahead(0.8).build();
    /// let fetch = fetch.memoized(&users);
    /// fetch.call(42).await;
    /// tokio::time::advance(240 * second).await;
    /// fetch.call(42).await;
    /// tokio::time::advance(239 * second).await;
    /// fetch.call(42).await;
    /// let stats = users.stats();
    /// assert_eq!((stats.loads, stats.refreshes_ahead, stats.hits), (2, 1, 1));
    /// # }
    /// ```
    pub fn refresh_ahead(mut self, part: f64) -> Self {
        self.config.refresh_ahead = Some(part);
        self
    }

    /// Sets the time after its expiry for which a value is served if loading a new one fails. Zero,
    /// the default, turns this off.
    ///
    /// Calls that waited for the same load get the expired value too. Later calls get it at once,
    /// until the delay of [`refresh_backoff`](Self::refresh_backoff) has passed. The next call then
    /// loads again and waits for its load. To avoid that wait, set
    /// [`stale_while_revalidate`](Self::stale_while_revalidate) as well, and use
    /// [`.detached()`](crate::Memoized::detached).
    ///
    /// In a `Memo<K, Result<User, E>>` an error is a value like any other and replaces the earlier
    /// value. The setting is `stale-if-error` of [RFC
    /// 5861](https://www.rfc-editor.org/rfc/rfc5861).
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::{Memo, prelude::*};
    /// use std::{sync::atomic::{AtomicBool, Ordering::Relaxed}, time::Duration};
    ///
    /// static DOWN: AtomicBool = AtomicBool::new(false);
    /// async fn fetch(id: u64) -> Result<String, String> {
    ///     if DOWN.load(Relaxed) { Err("refused".to_owned()) } else { Ok(format!("user {id}")) }
    /// }
    ///
    /// let second = Duration::from_secs(1);
    /// let users: Memo<u64, String> =
    ///     Memo::builder().ttl(300 * second).stale_on_error(3600 * second).build();
    /// let fetch = fetch.memoized(&users);
    /// fetch.call(42).await.unwrap();
    /// DOWN.store(true, Relaxed);
    /// tokio::time::advance(301 * second).await;
    /// assert_eq!(fetch.call(42).await.unwrap(), "user 42");
    /// assert_eq!(users.stats().stale_on_error, 1);
    /// # }
    /// ```
    pub fn stale_on_error(mut self, window: Duration) -> Self {
        self.config.stale_on_error = window;
        self
    }

    /// Sets a closure that gives each value tags, by which [`invalidate_tag`](Memo::invalidate_tag)
    /// finds the value. A tag names a subject that values of several keys have in common.
    ///
    /// The closure returns the tags as an array, a `Vec` or another iterator, of `String`s,
    /// `Arc<str>`s or `&'static str`s. The closure is called at the end of a load, and once more if
    /// values were invalidated by value or tag while the load ran. Both calls must return the same
    /// tags. If the closure panics, the call panics. Each value keeps its tags; an `Arc<str>` is
    /// not copied. Tags do not count as weight.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::Memo;
    ///
    /// let pages: Memo<&str, String> = Memo::builder()
    ///     .tags_by(|page: &&str, _text: &String| {
    ///         [format!("site:{}", page.split('/').next().unwrap_or_default())]
    ///     })
    ///     .build();
    /// pages.insert("shop/cart", "..".to_owned());
    /// pages.insert("shop/help", "..".to_owned());
    /// pages.insert("blog/one", "..".to_owned());
    /// assert_eq!(pages.invalidate_tag("site:shop"), 2);
    /// assert_eq!(pages.stats().entries, 1);
    /// ```
    pub fn tags_by<T>(mut self, tags: impl Fn(&K, &V) -> T + Send + Sync + 'static) -> Self
    where
        T: IntoIterator<Item: Into<Arc<str>>>,
    {
        self.tags_by = Some(Box::new(move |key, value| tags(key, value).into_iter().map(Into::into).collect()));
        self
    }

    /// Sets a closure that checks at each hit whether a value is still valid. An invalid value
    /// counts as expired, and is not served stale. One call loads a new value, and the others wait
    /// for that load.
    ///
    /// Suits values with an expiry by another clock, such as a token with a wall-clock expiry on a
    /// machine that may be suspended. If a TTL by [`ttl_by`](Self::ttl_by) is enough, it costs
    /// less. Calls that load or wait get the new value without a check. [`peek`](Memo::peek),
    /// [`contains`](Memo::contains) and [`for_each`](Memo::for_each) check as well.
    ///
    /// The closure runs outside of all locks, and may use the memo. If the closure panics, the call
    /// panics.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::Memo;
    /// use std::time::{Duration, SystemTime};
    ///
    /// #[derive(Debug, Clone, PartialEq)]
    /// struct Token { expires_at: SystemTime }
    ///
    /// let is_valid = |_realm: &&str, token: &Token| SystemTime::now() < token.expires_at;
    /// let tokens = Memo::builder().valid_while(is_valid).build();
    /// let (now, hour) = (SystemTime::now(), Duration::from_secs(3600));
    /// tokens.insert("good", Token { expires_at: now + hour });
    /// tokens.insert("old", Token { expires_at: now - hour });
    /// assert!(tokens.get(&"good").is_some());
    /// assert_eq!(tokens.get(&"old"), None);
    /// assert_eq!(tokens.stats().expirations, 1);
    /// ```
    pub fn valid_while(mut self, is_valid: impl Fn(&K, &V) -> bool + Send + Sync + 'static) -> Self {
        self.valid_while = Some(Box::new(is_valid));
        self
    }

    /// Sets the delay after a failed refresh of a value. During the delay, the value is served, and
    /// no other refresh begins. The default is 1 s after the first failure, doubled with each
    /// further one, and at most 1 min.
    ///
    /// A failed refresh is a load that ended without a value to keep, while the earlier value could
    /// be served. A refresh follows [`Memo::refresh`], or one of the settings
    /// [`refresh_ahead`](Self::refresh_ahead),
    /// [`stale_while_revalidate`](Self::stale_while_revalidate) and
    /// [`stale_on_error`](Self::stale_on_error). Before the delay has passed, calls of this key are
    /// served that value at once and begin no load. Such calls count as `hits`, and as `stale_hits`
    /// if the value has expired. After a success, the delays start again from the first.
    /// [`Memo::refresh`] ends the present delay. When the windows of the value are over, the next
    /// call loads as if there had been no value.
    ///
    /// The delay after the n-th failure is the policy's delay after the n-th attempt, jitter
    /// included. The delay counts from the end of the load. The policy's `max_attempts` and
    /// `deadline` have no effect. With a delay of zero, the next call tries again. The closure of a
    /// custom policy may use the memo. If the closure panics, the call panics. A load that was
    /// dropped or panicked does not count as failed, and the next call tries again.
    ///
    /// # Examples
    ///
    /// A service is down for ten minutes, while one key is called every 100 ms:
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::{Memo, RetryPolicy, prelude::*};
    /// use std::{future::ready, time::Duration};
    ///
    /// let second = Duration::from_secs(1);
    /// let users: Memo<u64, String> = Memo::builder()
    ///     .ttl(300 * second)
    ///     .stale_while_revalidate(3600 * second)
    ///     .refresh_backoff(RetryPolicy::fixed(30 * second))
    ///     .build();
    /// users.insert(42, "Ada".to_owned());
    /// let fetch = (|_: u64| ready(Err::<String, _>("down".to_owned()))).memoized(&users);
    ///
    /// tokio::time::advance(300 * second).await;
    /// for _ in 0..6_000 {
    ///     assert_eq!(fetch.call(42).await.unwrap(), "Ada");
    ///     tokio::time::advance(second / 10).await;
    /// }
    /// assert_eq!(users.stats().loads, 20); // one every 30 s
    /// # }
    /// ```
    pub fn refresh_backoff(mut self, policy: impl Into<RetryPolicy>) -> Self {
        self.refresh_backoff = Some(policy.into().endless());
        self
    }
}

/// Takes over the settings of a config, so that closures can be added. Checks the delays of
/// `refresh_backoff`. [`try_build`](MemoBuilder::try_build) checks the other fields.
///
/// # Examples
///
/// ```
/// use decor::{Memo, MemoBuilder, MemoConfig};
///
/// let config = MemoConfig { capacity: 1_000_000, ..MemoConfig::default() };
/// let pages: Memo<u64, String> = MemoBuilder::try_from(&config)?
///     .weigher(|_, page: &String| u32::try_from(page.len()).unwrap_or(u32::MAX))
///     .try_build()?;
/// # drop(pages);
/// # Ok::<(), decor::ConfigError>(())
/// ```
impl<K, V> TryFrom<&MemoConfig> for MemoBuilder<K, V> {
    type Error = ConfigError;

    fn try_from(config: &MemoConfig) -> Result<Self, ConfigError> {
        let refresh_backoff = config.refresh_policy()?;
        Ok(Self { config: config.clone(), refresh_backoff, ..Self::new() })
    }
}

/// Takes over the settings of a config.
///
/// # Examples
///
/// See `TryFrom<&MemoConfig>`.
impl<K, V> TryFrom<MemoConfig> for MemoBuilder<K, V> {
    type Error = ConfigError;

    fn try_from(config: MemoConfig) -> Result<Self, ConfigError> {
        Self::try_from(&config)
    }
}

impl<K: Key, V: Value> MemoBuilder<K, V> {
    /// Puts a second tier behind the memo: a store that several processes share, such as a Redis.
    /// For each key, one process loads the value, and the others get it from the tier.
    ///
    /// A load that another process has invalidated, or one that was stopped for too long, does not
    /// reach the tier. An [`invalidate`](Memo::invalidate), an [`insert`](Memo::insert) and a
    /// [`clear`](Memo::clear) reach all processes, by the tier's messages; see
    /// [`settled`](Memo::settled). While the tier is down, each process loads for itself.
    ///
    /// The call that refreshes a value waits for it, also with
    /// [`.detached()`](crate::Memoized::detached), because it asks the tier first.
    /// [`invalidate_where`](Memo::invalidate_where) and
    /// [`invalidate_tag`](Memo::invalidate_tag) know only the values of this process. A
    /// [`refresh`](Memo::refresh) removes the value from the tier.
    ///
    /// # Examples
    ///
    /// See [`MemoTier`].
    pub fn tier(mut self, tier: impl MemoTier<K, V>) -> Self {
        self.tier = Some(Arc::new(tier));
        self
    }

    /// Builds the memo.
    ///
    /// # Panics
    ///
    /// If [`try_build`](Self::try_build) would return an error.
    ///
    /// # Examples
    ///
    /// ```
    /// let memo: decor::Memo<u64, String> = decor::Memo::builder().capacity(100).build();
    /// assert_eq!(memo.stats().capacity, 100);
    /// ```
    #[track_caller]
    pub fn build(self) -> Memo<K, V> {
        or_panic(self.try_build())
    }

    /// Builds the memo, for settings that are not literals.
    ///
    /// # Errors
    ///
    /// - If a TTL, the `time_to_idle` or the capacity is zero.
    /// - If the jitter is not 0 to 1, or the part for `refresh_ahead` not above 0 and below 1.
    /// - If `jitter` or `refresh_ahead` is set, and values have no TTL.
    /// - If `stale_while_revalidate` or `stale_on_error` is set, and values have neither a TTL nor
    ///   a `time_to_idle`.
    ///
    /// # Examples
    ///
    /// ```
    /// let error = decor::Memo::<u64, String>::builder().capacity(0).try_build().unwrap_err();
    /// assert_eq!(error.to_string(), "`capacity` is 0, but must be at least 1");
    /// ```
    pub fn try_build(self) -> Result<Memo<K, V>, ConfigError> {
        let Self { config, ttl_by, negative, weigher, tags_by, valid_while, refresh_backoff, tier } = self;
        config.check_beside(negative.map(|(_, ttl)| ttl), ttl_by.is_some())?;
        let closures = Closures { ttl_by, negative, weigher, tags_by, valid_while, tier };
        let settings = Settings::new(&config, refresh_backoff, closures);
        let core = Arc::new(Core::new(settings));
        core.attach_to_tier();
        Ok(Memo { core })
    }
}

/// Changes of a memo that exists.
impl<K: Key, V: Value> Memo<K, V> {
    /// Changes all settings, such as those of a file that was changed.
    ///
    /// All values stay, and so do loads in progress, counts, and the closures of the builder:
    ///
    /// - The TTL, its jitter and `refresh_ahead` are for values that are stored from now on. A
    ///   value keeps the time at which it expires.
    /// - `time_to_idle`, `stale_while_revalidate`, `stale_on_error` and `refresh_backoff` are for
    ///   all values.
    /// - If the values exceed a smaller capacity, those that have expired are removed, and others
    ///   are evicted, at once. This takes time in proportion to the number of values, and holds up
    ///   all calls meanwhile. With [`Eviction::TinyLfu`], the counts of uses begin anew.
    ///
    /// # Errors
    ///
    /// If `Memo::try_from(config)` fails, [`eviction`](MemoConfig::eviction) is another one, or
    /// [`time_to_idle`](MemoConfig::time_to_idle) is switched on or off. The memo then stays as it
    /// is.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::{Memo, MemoConfig};
    ///
    /// let config = |capacity| MemoConfig { capacity, ..MemoConfig::default() };
    /// let squares: Memo<u64, u64> = Memo::try_from(config(100))?;
    /// (0..10).for_each(|n| squares.insert(n, n * n));
    /// squares.reload(&config(4))?;
    /// assert_eq!((squares.stats().entries, squares.get(&9)), (4, Some(81)));
    ///
    /// let refused = squares.reload(&config(0)).unwrap_err();
    /// assert_eq!(refused.to_string(), "`capacity` is 0, but must be at least 1");
    /// # Ok::<(), decor::ConfigError>(())
    /// ```
    pub fn reload(&self, config: &MemoConfig) -> Result<(), ConfigError> {
        self.core.reload(config)
    }
}

/// Checks all fields of the config.
///
/// # Examples
///
/// See [`MemoConfig`].
impl<K: Key, V: Value> TryFrom<&MemoConfig> for Memo<K, V> {
    type Error = ConfigError;

    fn try_from(config: &MemoConfig) -> Result<Self, ConfigError> {
        MemoBuilder::try_from(config)?.try_build()
    }
}

/// Checks all fields of the config.
///
/// # Examples
///
/// See [`MemoConfig`].
impl<K: Key, V: Value> TryFrom<MemoConfig> for Memo<K, V> {
    type Error = ConfigError;

    fn try_from(config: MemoConfig) -> Result<Self, ConfigError> {
        Self::try_from(&config)
    }
}

impl<K, V> fmt::Debug for MemoBuilder<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let MemoConfig { ttl, capacity, eviction, jitter, time_to_idle, refresh_ahead, .. } = &self.config;
        f.debug_struct("MemoBuilder")
            .field("ttl", ttl)
            .field("capacity", capacity)
            .field("eviction", eviction)
            .field("jitter", jitter)
            .field("time_to_idle", time_to_idle)
            .field("refresh_ahead", refresh_ahead)
            .field("stale_while_revalidate", &self.config.stale_while_revalidate)
            .field("stale_on_error", &self.config.stale_on_error)
            .field("refresh_backoff", &self.refresh_backoff)
            .finish_non_exhaustive()
    }
}
