//! The constructors of a memo, and a builder with more to set than a TTL.

use super::{
    cacheable::{Negative, Value},
    handle::Memo,
    key::Key,
    settings::{DEFAULT_CAPACITY, Eviction, Settings, TagsBy, Ttl, ValidWhile, Weigher},
    state::Core,
};
use crate::{
    ConfigError, RetryPolicy,
    clock::{Nanos, nanos},
    error::or_panic,
    policy::Lifetime,
    random::{CallSeeds, entropy},
    sync::Arc,
};
use std::{fmt, time::Duration};

/// Making one.
impl<K: Key, V: Value> Memo<K, V> {
    /// Returns a memo of values that are good for `ttl`. Write the type of the memo out, because it
    /// decides what is kept of a `Result` or an `Option`.
    ///
    /// # Panics
    ///
    /// If it is zero.
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

    /// [`ttl`](Self::ttl) for a value that is not a literal.
    ///
    /// # Errors
    ///
    /// If it is zero.
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

    /// A memo with more to set than its TTL.
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

/// Puts a [`Memo`] together: see [`Memo::builder`].
///
/// | setting | until set | |
/// |---|---|---|
/// | [`ttl`](Self::ttl) | none | how long a value is good |
/// | [`ttl_by`](Self::ttl_by) | | the same for each value, by what it says |
/// | [`time_to_idle`](Self::time_to_idle) | off | how long after its latest use a value expires |
/// | [`negative`](Self::negative) | | the same for an `Err` or a `None` |
/// | [`jitter`](Self::jitter), [`seed`](Self::seed) | 0 | the part of a TTL that chance may take |
/// | [`capacity`](Self::capacity) | 10,000 | how many values, or how much weight |
/// | [`weigher`](Self::weigher) | 1 each | what a value weighs |
/// | [`eviction`](Self::eviction) | least recently used | which value goes when there are too many |
/// | [`tags_by`](Self::tags_by) | none | the tags of a value, by which it can be removed |
/// | [`valid_while`](Self::valid_while) | | check of each value at each hit |
/// | [`refresh_ahead`](Self::refresh_ahead) | off | the part of a TTL after which a value in use is refreshed |
/// | [`stale_while_revalidate`](Self::stale_while_revalidate) | off | how long an expired value is served while it is refreshed |
/// | [`stale_on_error`](Self::stale_on_error) | off | how long an expired value is served where loading fails |
/// | [`refresh_backoff`](Self::refresh_backoff) | 1 s, doubled up to 1 min | delay after a failed refresh before the next one |
#[must_use = "a builder does nothing until `build` is called"]
pub struct MemoBuilder<K, V> {
    ttl: Ttl<K, V>,
    capacity: u64,
    weigher: Option<Weigher<K, V>>,
    eviction: Eviction,
    jitter: f64,
    seed: Option<u64>,
    time_to_idle: Option<Duration>,
    refresh_ahead: Option<f64>,
    stale_while_revalidate: Duration,
    stale_on_error: Duration,
    tags_by: Option<TagsBy<K, V>>,
    valid_while: Option<ValidWhile<K, V>>,
    refresh_backoff: Option<RetryPolicy>,
}

impl<K, V> MemoBuilder<K, V> {
    pub(super) fn new() -> Self {
        Self {
            ttl: Ttl { default: None, per_value: None, negative: None },
            capacity: DEFAULT_CAPACITY,
            weigher: None,
            eviction: Eviction::default(),
            jitter: 0.0,
            seed: None,
            time_to_idle: None,
            refresh_ahead: None,
            stale_while_revalidate: Duration::ZERO,
            stale_on_error: Duration::ZERO,
            tags_by: None,
            valid_while: None,
            refresh_backoff: None,
        }
    }

    /// Sets how long a value is good, from the moment at which its load is complete. Until set,
    /// values stay until they are evicted. Zero is refused when the memo is built. On a machine
    /// that sleeps a TTL may last longer: see [clocks](crate#clocks).
    ///
    /// Exact to the nanosecond. Tokio's timer counts in milliseconds, so tests that go to the edge
    /// use `advance` and not `sleep`.
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
        self.ttl.default = Some(ttl);
        self
    }

    /// A TTL for each value, in place of [`ttl`](Self::ttl): what a response says in its
    /// `Cache-Control`.
    ///
    /// The closure returns a [`Duration`], or an `Option` of one, with `None` for the value of
    /// `ttl`. Zero means that the value is not kept, [`Duration::MAX`] that it never expires. The
    /// closure is called once for each value, when its load is complete. Its panic is the call's
    /// panic.
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
    /// let pages: Memo<&str, Page> = Memo::builder().ttl(60 * second).ttl_by(|_url, page: &Page| page.max_age).build();
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
        self.ttl.per_value = Some(Box::new(move |key, value| ttl(key, value).into()));
        self
    }

    /// Sets how long after its latest use a value expires. Off until set.
    ///
    /// A use is an answer by a value that has not expired, to a call or a [`get`](Memo::get). The
    /// store counts as the first use. With a [`ttl`](Self::ttl), a value expires at the earlier of
    /// the two moments, and uses do not put off the TTL. A value that expired for lack of use may
    /// be served stale like any other. An answer by a stale value does not count as a use.
    ///
    /// Each hit notes its moment, so threads that ask for the same key contend for its cache line.
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
        self.time_to_idle = Some(idle);
        self
    }

    /// A TTL of its own for values that say "there is none": an `Err`, a `None`. Usually a short
    /// one. This TTL goes before [`ttl`](Self::ttl) and [`ttl_by`](Self::ttl_by). Zero is refused
    /// when the memo is built.
    ///
    /// Such values are kept where the memo's value type says so: by a `Memo<K, Result<User, E>>`
    /// or a `Memo<K, Option<User>>` (also of a function that returns a `Result<Option<User>, E>`).
    /// They are never served stale.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::{Memo, prelude::*};
    /// use std::time::Duration;
    ///
    /// async fn find(id: u64) -> Option<String> { None }
    ///
    /// let second = Duration::from_secs(1);
    /// let users: Memo<u64, Option<String>> = Memo::builder().ttl(300 * second).negative(5 * second).build();
    /// let find = find.memoized(&users);
    /// find.call(42).await;
    /// find.call(42).await; // that there is none is remembered, too
    /// tokio::time::advance(5 * second).await;
    /// find.call(42).await;
    /// assert_eq!(users.stats().loads, 2);
    /// # }
    /// ```
    pub fn negative(mut self, ttl: Duration) -> Self
    where
        V: Negative,
    {
        self.ttl.negative = Some((V::is_negative, ttl));
        self
    }

    /// Shortens each TTL by a random part of it, up to `part`, so that values that were loaded
    /// together do not expire together. 0 to 1; 0, which shortens none, until set.
    ///
    /// ```
    /// use decor::Memo;
    /// use std::time::Duration;
    ///
    /// // Each value is good for 270 to 300 s.
    /// let users: Memo<u64, String> = Memo::builder().ttl(Duration::from_secs(300)).jitter(0.1).build();
    /// # drop(users);
    /// ```
    pub fn jitter(mut self, part: f64) -> Self {
        self.jitter = part;
        self
    }

    /// Gives the [jitter](Self::jitter) the same sequence in every run, value by value. Zero is a
    /// seed like any other.
    ///
    /// ```
    /// use decor::Memo;
    /// use std::time::Duration;
    ///
    /// let users: Memo<u64, String> = Memo::builder().ttl(Duration::from_secs(300)).jitter(0.1).seed(7).build();
    /// # drop(users);
    /// ```
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Sets the maximum number of values, or of their weight if there is a
    /// [`weigher`](Self::weigher). 10,000 until set. Zero is refused when the memo is built.
    ///
    /// A store that would exceed it drops values that have expired, the earliest first. If that is
    /// not enough, it evicts others by the [`eviction`](Self::eviction) policy. The bound holds
    /// again when the store returns; of several stores at a time, when the last of them does.
    ///
    /// ```
    /// use decor::Memo;
    ///
    /// let squares = Memo::builder().capacity(2).build();
    /// squares.insert(1, 1);
    /// squares.insert(2, 4);
    /// squares.get(&1); // which makes 2 the one whose last use is the longest ago
    /// squares.insert(3, 9);
    /// assert_eq!([squares.get(&1), squares.get(&2), squares.get(&3)], [Some(1), None, Some(9)]);
    /// ```
    pub fn capacity(mut self, capacity: u64) -> Self {
        self.capacity = capacity;
        self
    }

    /// Sets the weight of each value, of which the [`capacity`](Self::capacity) bounds the sum.
    ///
    /// Called once for each value, when its load is complete. A weight of 0 counts as 1, because
    /// values without weight would be held without bound. A value that weighs more than the whole
    /// capacity is not kept; what its key had before goes, and all others stay.
    ///
    /// ```
    /// use decor::Memo;
    ///
    /// let megabyte = 1 << 20;
    /// let pages = Memo::builder().capacity(64 * megabyte).weigher(|_url, page: &String| page.len() as u32).build();
    /// pages.insert("/news", "..".to_owned());
    /// assert_eq!(pages.stats().entries, 1);
    /// ```
    pub fn weigher(mut self, weigh: impl Fn(&K, &V) -> u32 + Send + Sync + 'static) -> Self {
        self.weigher = Some(Box::new(weigh));
        self
    }

    /// Sets the policy by which a full memo evicts; [`Eviction::Lru`] until set.
    ///
    /// ```
    /// use decor::{Eviction, Memo};
    ///
    /// let words: Memo<String, u64> = Memo::builder().eviction(Eviction::TinyLfu).build();
    /// # drop(words);
    /// ```
    pub fn eviction(mut self, policy: Eviction) -> Self {
        self.eviction = policy;
        self
    }

    /// Sets how long after its expiry a value may be served while one call refreshes it. Off until
    /// set, and by zero.
    ///
    /// The first call that finds the value expired loads a new one and waits for it. Other calls
    /// are served the expired value meanwhile, and count as `hits` and `stale_hits`. With
    /// [`.detached()`](crate::Memoized::detached), not even the first caller waits, because the
    /// load runs in a task. If the refresh fails within the window, the call that waited is served
    /// the expired value as well, and no call tries again before the delay of
    /// [`refresh_backoff`](Self::refresh_backoff) has passed. The setting is
    /// `stale-while-revalidate` of [RFC 5861](https://www.rfc-editor.org/rfc/rfc5861).
    /// [`Memo`](crate::Memo#freshness) shows all windows together.
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
        self.stale_while_revalidate = window;
        self
    }

    /// Sets the part of the TTL after which the next call refreshes the value, so that values in
    /// use do not expire. Between 0 and 1, which are both refused when the memo is built; off until
    /// set.
    ///
    /// One call refreshes the value and waits for its load. Other calls are served the present
    /// value. With [`.detached()`](crate::Memoized::detached), not even the first caller waits. If
    /// a refresh fails, the value stays good until it expires, and the next refresh waits for the
    /// delay of [`refresh_backoff`](Self::refresh_backoff).
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
    /// assert_eq!((users.stats().loads, users.stats().refreshes_ahead, users.stats().hits), (2, 1, 1));
    /// # }
    /// ```
    pub fn refresh_ahead(mut self, part: f64) -> Self {
        self.refresh_ahead = Some(part);
        self
    }

    /// Sets how long after its expiry a value may answer if loading a new one fails. Off until set,
    /// and by zero.
    ///
    /// Calls that waited for the same load get that value too. Later calls get it at once, until
    /// the delay of [`refresh_backoff`](Self::refresh_backoff) has passed. The next call then loads
    /// again and waits for its load. To avoid that wait, set
    /// [`stale_while_revalidate`](Self::stale_while_revalidate) as well, and use
    /// [`.detached()`](crate::Memoized::detached). In a `Memo<K, Result<User, E>>` an error is a
    /// value like any other and replaces the earlier value. The setting is `stale-if-error` of [RFC
    /// 5861](https://www.rfc-editor.org/rfc/rfc5861).
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
    /// let users: Memo<u64, String> = Memo::builder().ttl(300 * second).stale_on_error(3600 * second).build();
    /// let fetch = fetch.memoized(&users);
    /// fetch.call(42).await.unwrap();
    /// DOWN.store(true, Relaxed);
    /// tokio::time::advance(301 * second).await;
    /// assert_eq!(fetch.call(42).await.unwrap(), "user 42");
    /// assert_eq!(users.stats().stale_on_error, 1);
    /// # }
    /// ```
    pub fn stale_on_error(mut self, window: Duration) -> Self {
        self.stale_on_error = window;
        self
    }

    /// Gives each value tags, by which [`invalidate_tag`](Memo::invalidate_tag) finds it. A tag
    /// names a subject that values of several keys have in common.
    ///
    /// The closure returns the tags as an array, a `Vec` or another iterator, of `String`s,
    /// `Arc<str>`s or `&'static str`s. The closure is called when a load is complete, and once more
    /// if values were invalidated by value or tag while the load ran. Both calls must return the
    /// same tags. A panic of the closure is the call's panic. Each value keeps its tags, an
    /// `Arc<str>` without a copy. Tags do not count as weight.
    ///
    /// ```
    /// use decor::Memo;
    ///
    /// let pages: Memo<&str, String> = Memo::builder()
    ///     .tags_by(|page: &&str, _text: &String| [format!("site:{}", page.split('/').next().unwrap_or_default())])
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

    /// Asks a value at each hit whether it is still good. A value that is no longer good counts as
    /// expired, and is not served stale: one call loads a new one, and the others wait for that
    /// load.
    ///
    /// Suits values that carry their own expiry by another clock, such as a token with a wall-clock
    /// expiry on a machine that may be suspended. Where a TTL by [`ttl_by`](Self::ttl_by) is
    /// enough, it costs less. Calls that load or wait get the new value without a question.
    /// [`peek`](Memo::peek), [`contains`](Memo::contains) and [`for_each`](Memo::for_each) ask as
    /// well.
    ///
    /// The closure runs outside of all locks, and may use the memo. A panic of the closure is the
    /// call's panic.
    ///
    /// ```
    /// use decor::Memo;
    /// use std::time::{Duration, SystemTime};
    ///
    /// #[derive(Debug, Clone, PartialEq)]
    /// struct Token { expires_at: SystemTime }
    ///
    /// let tokens = Memo::builder().valid_while(|_realm: &&str, token: &Token| SystemTime::now() < token.expires_at).build();
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
    /// no other refresh begins. Until set, 1 s after the first failure, doubled with each further
    /// one, at most 1 min.
    ///
    /// A failed refresh is a load that ended without a value to keep, while the earlier value could
    /// be served: after [`Memo::refresh`], or by [`refresh_ahead`](Self::refresh_ahead),
    /// [`stale_while_revalidate`](Self::stale_while_revalidate) or
    /// [`stale_on_error`](Self::stale_on_error). Before the delay has passed, calls of this key are
    /// served that value at once and begin no load. Such calls count as `hits`, and as `stale_hits`
    /// if the value has expired. A success begins the delays anew, and [`Memo::refresh`] ends the
    /// present one. When the windows of the value are over, its key is loaded as if there had been
    /// no value.
    ///
    /// The delay after the n-th failure is the policy's delay after the n-th attempt, jitter
    /// included. The delay counts from the end of the load. The policy's `max_attempts` and
    /// `deadline` have no effect. A delay of zero lets the next call try again. The closure of a
    /// custom policy may use the memo, and a panic of the closure is the call's panic. A load that
    /// was dropped or panicked has not failed, and the next call tries again.
    ///
    /// # Examples
    ///
    /// A service is down for ten minutes, while a call each 100 ms asks for one key:
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
    /// assert_eq!(users.stats().loads, 20); // one each 30 s
    /// # }
    /// ```
    pub fn refresh_backoff(mut self, policy: impl Into<RetryPolicy>) -> Self {
        self.refresh_backoff = Some(policy.into().endless());
        self
    }

    fn check(&self) -> Result<(), ConfigError> {
        let Self { ttl, jitter, refresh_ahead, stale_while_revalidate, stale_on_error, .. } = self;
        for (setting, duration) in
            [("ttl", ttl.default), ("negative", ttl.negative.map(|(_, ttl)| ttl)), ("time_to_idle", self.time_to_idle)]
        {
            if duration.is_some_and(|duration| duration.is_zero()) {
                return Err(ConfigError::new(setting, "0ns", "longer than zero"));
            }
        }
        if self.capacity == 0 {
            return Err(ConfigError::new("capacity", 0, "at least 1"));
        }
        if !(0.0..=1.0).contains(jitter) {
            return Err(ConfigError::new("jitter", jitter, "0 to 1"));
        }
        if let Some(part) = refresh_ahead.filter(|part| !(*part > 0.0 && *part < 1.0)) {
            return Err(ConfigError::new("refresh_ahead", part, "between 0 and 1"));
        }
        if ttl.is_set() {
            return Ok(());
        }
        let without_effect = [
            ("jitter", (*jitter > 0.0).then(|| jitter.to_string())),
            ("refresh_ahead", refresh_ahead.map(|part| part.to_string())),
            (
                "stale_while_revalidate",
                (!stale_while_revalidate.is_zero()).then(|| format!("{stale_while_revalidate:?}")),
            ),
            ("stale_on_error", (!stale_on_error.is_zero()).then(|| format!("{stale_on_error:?}"))),
        ];
        // The last two, the windows, have an effect on values that expire for lack of use.
        let settings = if self.time_to_idle.is_some() { &without_effect[..2] } else { &without_effect };
        match settings.iter().find_map(|(setting, value)| Some((setting, value.as_ref()?))) {
            Some((setting, value)) => Err(ConfigError::new(setting, value, "left out where nothing has a TTL")),
            None => Ok(()),
        }
    }
}

impl<K: Key, V: Value> MemoBuilder<K, V> {
    /// The memo.
    ///
    /// # Panics
    ///
    /// Where [`try_build`](Self::try_build) returns an error.
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

    /// The memo, for settings that are not literals.
    ///
    /// # Errors
    ///
    /// If a TTL or the capacity is zero, the jitter not 0 to 1, the part for refreshing ahead not
    /// between 0 and 1. If jitter or freshness is set where nothing has a TTL.
    ///
    /// # Examples
    ///
    /// ```
    /// let error = decor::Memo::<u64, String>::builder().capacity(0).try_build().unwrap_err();
    /// assert_eq!(error.to_string(), "`capacity` is 0, but must be at least 1");
    /// ```
    pub fn try_build(self) -> Result<Memo<K, V>, ConfigError> {
        self.check()?;
        let Self { ttl, capacity, weigher, eviction, jitter, tags_by, valid_while, .. } = self;
        let lifetime = Lifetime {
            jitter,
            refresh_ahead: self.refresh_ahead.unwrap_or(1.0),
            time_to_idle: self.time_to_idle.map_or(Nanos::MAX, nanos),
            stale_while_revalidate: nanos(self.stale_while_revalidate),
            stale_on_error: nanos(self.stale_on_error),
        };
        let seeds = CallSeeds::new(self.seed.unwrap_or_else(entropy));
        let refresh_backoff = self.refresh_backoff;
        let settings =
            Settings { lifetime, refresh_backoff, ttl, seeds, capacity, weigher, eviction, tags_by, valid_while };
        Ok(Memo { core: Arc::new(Core::new(settings)) })
    }
}

impl<K, V> fmt::Debug for MemoBuilder<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { ttl, capacity, eviction, jitter, refresh_ahead, stale_while_revalidate, stale_on_error, .. } = self;
        f.debug_struct("MemoBuilder")
            .field("ttl", &ttl.default)
            .field("capacity", capacity)
            .field("eviction", eviction)
            .field("jitter", jitter)
            .field("time_to_idle", &self.time_to_idle)
            .field("refresh_ahead", refresh_ahead)
            .field("stale_while_revalidate", stale_while_revalidate)
            .field("stale_on_error", stale_on_error)
            .field("refresh_backoff", &self.refresh_backoff)
            .finish_non_exhaustive()
    }
}
