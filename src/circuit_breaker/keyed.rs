//! A breaker for each key, such as a host or a tenant.

use super::{
    breaker::CircuitBreaker,
    builder::CircuitBreakerBuilder,
    settings::{Identity, Settings},
    state::Core,
    stats::CircuitBreakerStats,
};
use crate::{
    CircuitBreakerConfig, CircuitState, CircuitWindow, ConfigError,
    clock::{Clock, Epoch, Nanos, nanos},
    describe::HandleId,
    error::{or_panic, unchanged_name},
    keys::{Keys, Template},
    policy::{Circuit, max_keys_of},
    sync::{Arc, Mutex, lock},
};
use std::{borrow::Borrow, fmt, hash::Hash, time::Duration};

/// Guards the calls of each key by itself, such as a host or a tenant. All clones are one breaker.
///
/// [`for_key`](Self::for_key) returns the [`CircuitBreaker`] of one key, with all its methods. In a
/// chain, [`.guarded_by_key(..)`](crate::FnExt::guarded_by_key) takes the key from the arguments.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
/// use decor::{CircuitState, Error, prelude::*};
///
/// async fn fetch(host: String) -> Result<usize, Error> {
///     if host == "a.example" { Err(Error::QueueFull { waiting: 0 }) } else { Ok(host.len()) }
/// }
///
/// let per_host = KeyedBreaker::consecutive(2);
/// let fetch = fetch.guarded_by_key(&per_host, |host: &String| host.clone());
/// for _ in 0..2 {
///     fetch.call("a.example".into()).await.unwrap_err();
/// }
/// assert_eq!(per_host.for_key("a.example").state(), CircuitState::Open);
/// assert_eq!(fetch.call("b.example".into()).await, Ok(9));
/// # }
/// ```
///
/// [`among`](Self::among) and [`rate`](Self::rate) make breakers with other windows. For every
/// other setting, start from the builder of a breaker:
/// `CircuitBreaker::builder().among(10, 20).keyed().max_keys(..).build()`. See
/// [`keyed`](CircuitBreakerBuilder::keyed).
///
/// # Memory
///
/// A key is forgotten when its breaker has nothing to remember: the circuit is closed, nothing in
/// its window has failed, and no call holds it. With a rate, the window must be empty. A key is
/// first checked a minute after it came, or a period of the rate if that is longer. Each lookup
/// checks a few keys in all parts of the map, so clean keys are forgotten as long as any key is
/// used. The counts of forgotten keys stay in [`stats`](Self::stats).
///
/// At most [`max_keys`](Self::max_keys) keys are remembered, 65,536 by default. A key takes about
/// 500 bytes. If a new key exceeds the maximum, a key is forgotten early: a clean one first, then
/// one with failures in its window, and an open or half-open one last. A forgotten key starts anew
/// if it comes again. At most 1,024 keys are looked at to find one.
///
/// A key that a call holds is never forgotten, nor is an isolated one. If more than `max_keys` keys
/// cannot be forgotten, all of them are remembered until they are free.
pub struct KeyedBreaker<K> {
    keys: Arc<Keys<K, Common>>,
}

/// State that the breakers of all keys share.
struct Common {
    identity: Arc<Identity>,
    shared: Mutex<Shared>,
    /// Held during a reload, so that all keys follow reloads in the same order.
    change: Mutex<()>,
    epoch: Epoch,
}

/// The settings of all keys, and what is made of them.
#[derive(Clone)]
struct Shared {
    settings: Arc<Settings>,
    /// A closed circuit with an empty window.
    circuit: Circuit,
}

impl Common {
    fn settings(&self) -> Arc<Settings> {
        Arc::clone(&lock(&self.shared).settings)
    }
}

/// Builder of a [`KeyedBreaker`]: see [`CircuitBreakerBuilder::keyed`].
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct KeyedBreakerBuilder {
    breaker: CircuitBreakerBuilder,
}

impl CircuitBreakerBuilder {
    /// Turns the builder into that of a [`KeyedBreaker`], with these settings for each key.
    ///
    /// All keys share the [name](Self::named) and the [callback](Self::on_change).
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::{CircuitBreaker, KeyedBreaker};
    ///
    /// let per_host: KeyedBreaker<String> =
    ///     CircuitBreaker::builder().among(10, 20).probes(3).named("hosts").keyed().build();
    /// assert_eq!(
    ///     per_host.to_string(),
    ///     "hosts: 10 failures among 20 calls, open for 30s, 3 probes, for each key",
    /// );
    /// ```
    pub fn keyed(self) -> KeyedBreakerBuilder {
        KeyedBreakerBuilder { breaker: self }
    }
}

impl KeyedBreakerBuilder {
    /// Sets the maximum number of keys that are remembered; 65,536 by default. The build fails if
    /// `max_keys` is 0.
    ///
    /// See [`KeyedBreaker`](KeyedBreaker#memory) for the keys that are forgotten.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::{CircuitBreaker, CircuitState, KeyedBreaker};
    ///
    /// let per_host: KeyedBreaker<u32> = CircuitBreaker::builder().keyed().max_keys(100).build();
    /// per_host.for_key(&0).trip();
    /// for host in 1..10_000 {
    ///     per_host.for_key(&host).enter()?.succeeded();
    /// }
    /// assert_eq!(per_host.len(), 100);
    /// assert_eq!(per_host.for_key(&0).state(), CircuitState::Open); // forgotten last
    /// # Ok::<(), decor::Error>(())
    /// ```
    pub fn max_keys(mut self, max_keys: usize) -> Self {
        self.breaker.max_keys = Some(max_keys);
        self
    }

    /// Builds the breaker.
    ///
    /// # Panics
    ///
    /// If [`try_build`](Self::try_build) would return an error.
    ///
    /// # Examples
    ///
    /// See [`max_keys`](Self::max_keys).
    #[track_caller]
    pub fn build<K: Eq + Hash + Clone>(self) -> KeyedBreaker<K> {
        or_panic(self.try_build())
    }

    /// Builds the breaker from settings that are not literals.
    ///
    /// # Errors
    ///
    /// If `max_keys` is 0, or if [`CircuitBreakerBuilder::try_build`] would return an error.
    ///
    /// # Examples
    ///
    /// ```
    /// let refused = decor::CircuitBreaker::builder().keyed().max_keys(0).try_build::<u64>();
    /// assert_eq!(refused.unwrap_err().to_string(), "`max_keys` is 0, but must be at least 1");
    /// ```
    pub fn try_build<K: Eq + Hash + Clone>(self) -> Result<KeyedBreaker<K>, ConfigError> {
        let max_keys = max_keys_of(self.breaker.max_keys)?;
        let (settings, identity) = self.breaker.settings()?;
        let shared = Shared { circuit: settings.circuit()?, settings: Arc::new(settings) };
        let common = Common {
            identity: Arc::new(identity),
            shared: Mutex::new(shared),
            change: Mutex::new(()),
            epoch: Epoch::new(),
        };
        Ok(KeyedBreaker { keys: Arc::new(Keys::new(common, max_keys)) })
    }
}

/// Constructors.
impl<K: Eq + Hash + Clone> KeyedBreaker<K> {
    /// Makes breakers that open with this number of failures in a row, as
    /// [`CircuitBreaker::consecutive`] does.
    ///
    /// # Panics
    ///
    /// If `failures` is 0, or above 1,048,576.
    ///
    /// # Examples
    ///
    /// See [`KeyedBreaker`].
    #[track_caller]
    pub fn consecutive(failures: u32) -> Self {
        or_panic(Self::try_consecutive(failures))
    }

    /// [`consecutive`](Self::consecutive) for values that are not literals.
    ///
    /// # Errors
    ///
    /// If `failures` is 0, or above 1,048,576.
    ///
    /// # Examples
    ///
    /// ```
    /// let error = decor::KeyedBreaker::<u64>::try_consecutive(0).unwrap_err();
    /// assert_eq!(error.to_string(), "`failures` is 0, but must be at least 1");
    /// ```
    pub fn try_consecutive(failures: u32) -> Result<Self, ConfigError> {
        CircuitBreaker::builder().consecutive(failures).keyed().try_build()
    }

    /// Makes breakers that open with this number of failures among the last `calls` calls of a key,
    /// as [`CircuitBreaker::among`] does.
    ///
    /// # Panics
    ///
    /// If `failures` is 0, or if `calls` is below `failures` or above 1,048,576.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::{CircuitState, KeyedBreaker};
    ///
    /// let per_host: KeyedBreaker<String> = KeyedBreaker::among(2, 3);
    /// for _ in 0..2 {
    ///     per_host.for_key("a.example").enter()?.failed();
    ///     per_host.for_key("b.example").enter()?.succeeded();
    /// }
    /// assert_eq!(per_host.state_of("a.example"), Some(CircuitState::Open));
    /// assert_eq!(per_host.state_of("b.example"), Some(CircuitState::Closed));
    /// # Ok::<(), decor::Error>(())
    /// ```
    #[track_caller]
    pub fn among(failures: u32, calls: u32) -> Self {
        or_panic(Self::try_among(failures, calls))
    }

    /// [`among`](Self::among) for values that are not literals.
    ///
    /// # Errors
    ///
    /// If `failures` is 0, or if `calls` is below `failures` or above 1,048,576.
    ///
    /// # Examples
    ///
    /// ```
    /// assert!(decor::KeyedBreaker::<u64>::try_among(10, 5).is_err());
    /// ```
    pub fn try_among(failures: u32, calls: u32) -> Result<Self, ConfigError> {
        CircuitBreaker::builder().among(failures, calls).keyed().try_build()
    }

    /// Makes breakers that open if this share of a key's calls of the last `period` failed, as
    /// [`CircuitBreaker::rate`] does.
    ///
    /// # Panics
    ///
    /// If `rate` is not above 0 and at most 1, or if `period` is below 10 ns.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::KeyedBreaker;
    /// use std::time::Duration;
    ///
    /// let per_host: KeyedBreaker<String> = KeyedBreaker::rate(0.5, Duration::from_secs(30));
    /// assert_eq!(per_host.to_string(), "50% failures in 30s, open for 30s, for each key");
    /// ```
    #[track_caller]
    pub fn rate(rate: f64, period: Duration) -> Self {
        or_panic(Self::try_rate(rate, period))
    }

    /// [`rate`](Self::rate) for values that are not literals.
    ///
    /// # Errors
    ///
    /// If `rate` is not above 0 and at most 1, or if `period` is below 10 ns.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// assert!(decor::KeyedBreaker::<u64>::try_rate(0.0, Duration::from_secs(30)).is_err());
    /// ```
    pub fn try_rate(rate: f64, period: Duration) -> Result<Self, ConfigError> {
        CircuitBreaker::builder().rate(rate, period).keyed().try_build()
    }
}

impl<K: Eq + Hash + Clone> KeyedBreaker<K> {
    /// Returns the breaker of a key. The key is not forgotten while the returned handle lives.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::{CircuitState, KeyedBreaker};
    ///
    /// let per_host: KeyedBreaker<String> = KeyedBreaker::consecutive(5);
    /// per_host.for_key("a.example").trip(); // a `&str` finds a `String`
    /// assert_eq!(per_host.for_key("a.example").state(), CircuitState::Open);
    /// assert_eq!(per_host.for_key("b.example").state(), CircuitState::Closed);
    /// ```
    pub fn for_key<Q>(&self, key: &Q) -> CircuitBreaker
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ToOwned<Owned = K> + ?Sized,
    {
        CircuitBreaker { core: self.keys.get_or_make(key) }
    }

    /// Returns the state of a key; `None` for a key that is not remembered. Such a key is closed.
    ///
    /// Neither adds the key nor keeps it from being forgotten.
    ///
    /// # Examples
    ///
    /// See [`among`](Self::among).
    pub fn state_of<Q>(&self, key: &Q) -> Option<CircuitState>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let core = self.keys.get(key)?;
        Some(core.look(Clock::current()).0)
    }

    /// Forgets a key. Returns `true` if the key was remembered.
    ///
    /// Calls that hold the key keep its breaker. Its counts stay in [`stats`](Self::stats). The key
    /// starts anew, closed, when it comes again.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::{CircuitState, KeyedBreaker};
    ///
    /// let per_host: KeyedBreaker<String> = KeyedBreaker::consecutive(5);
    /// per_host.for_key("a.example").trip();
    /// assert!(per_host.remove("a.example"));
    /// assert_eq!(per_host.for_key("a.example").state(), CircuitState::Closed);
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
    /// let per_host = decor::KeyedBreaker::consecutive(5);
    /// per_host.for_key(&7).enter()?.failed();
    /// assert_eq!(per_host.len(), 1);
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
    /// assert!(decor::KeyedBreaker::<u64>::consecutive(5).is_empty());
    /// ```
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the keys that are remembered, in any order.
    ///
    /// # Examples
    ///
    /// ```
    /// let per_host = decor::KeyedBreaker::consecutive(5);
    /// per_host.for_key(&7).enter()?.failed();
    /// assert_eq!(per_host.keys(), [7]);
    /// # Ok::<(), decor::Error>(())
    /// ```
    pub fn keys(&self) -> Vec<K> {
        self.keys.keys()
    }

    /// Returns the counts of all keys since the breaker was made. The counts of forgotten and
    /// removed keys are included, so no count ever falls.
    ///
    /// Visits every remembered key, and locks one part of them at a time.
    ///
    /// # Examples
    ///
    /// ```
    /// let per_host = decor::KeyedBreaker::consecutive(5);
    /// per_host.for_key(&7).enter()?.failed();
    /// per_host.for_key(&8).enter()?.failed();
    /// per_host.remove(&7);
    /// assert_eq!(per_host.stats().failed, 2);
    /// # Ok::<(), decor::Error>(())
    /// ```
    pub fn stats(&self) -> CircuitBreakerStats {
        self.keys.stats()
    }

    /// Returns the counts of one key since it came; `None` for a key that is not remembered.
    ///
    /// Neither adds the key nor keeps it from being forgotten.
    ///
    /// # Examples
    ///
    /// ```
    /// let per_host = decor::KeyedBreaker::consecutive(5);
    /// per_host.for_key(&7).enter()?.failed();
    /// assert_eq!(per_host.stats_of(&7).unwrap().failed, 1);
    /// assert_eq!(per_host.stats_of(&8), None);
    /// # Ok::<(), decor::Error>(())
    /// ```
    pub fn stats_of<Q>(&self, key: &Q) -> Option<CircuitBreakerStats>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.keys.stats_of(key)
    }

    /// Returns the maximum number of keys that are remembered. See
    /// [`KeyedBreakerBuilder::max_keys`].
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(decor::KeyedBreaker::<u64>::consecutive(5).max_keys(), 65_536);
    /// ```
    pub fn max_keys(&self) -> usize {
        self.keys.bound()
    }
}

/// Checks all fields of the config.
///
/// # Examples
///
/// ```
/// use decor::{CircuitBreakerConfig, KeyedBreaker};
///
/// let per_host = KeyedBreaker::<String>::try_from(CircuitBreakerConfig::default())?;
/// assert_eq!(per_host.to_string(), "5 failures in a row, open for 30s, for each key");
/// # Ok::<(), decor::ConfigError>(())
/// ```
impl<K: Eq + Hash + Clone> TryFrom<CircuitBreakerConfig> for KeyedBreaker<K> {
    type Error = ConfigError;

    fn try_from(config: CircuitBreakerConfig) -> Result<Self, ConfigError> {
        Self::try_from(&config)
    }
}

/// Checks all fields of the config.
///
/// # Examples
///
/// See [`CircuitBreakerConfig`].
impl<K: Eq + Hash + Clone> TryFrom<&CircuitBreakerConfig> for KeyedBreaker<K> {
    type Error = ConfigError;

    fn try_from(config: &CircuitBreakerConfig) -> Result<Self, ConfigError> {
        CircuitBreakerBuilder::try_from(config)?.keyed().try_build()
    }
}

/// Changes of breakers that exist.
impl<K: Eq + Hash + Clone> KeyedBreaker<K> {
    /// Changes all settings of all keys, as [`CircuitBreaker::reload`] does for a breaker. A key
    /// that was reloaded by itself follows as well.
    ///
    /// Takes time in proportion to the number of keys.
    ///
    /// # Errors
    ///
    /// If `KeyedBreaker::try_from(config)` fails, or the config has another name. All breakers then
    /// stay as they are.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::{CircuitBreakerConfig, CircuitState, CircuitWindow, KeyedBreaker};
    ///
    /// let config = |failures| CircuitBreakerConfig {
    ///     window: CircuitWindow::Consecutive { failures },
    ///     ..CircuitBreakerConfig::default()
    /// };
    /// let hosts: KeyedBreaker<String> = KeyedBreaker::try_from(config(9))?;
    /// hosts.for_key("a.example").enter().unwrap().failed();
    /// hosts.reload(&config(2))?;
    /// hosts.for_key("a.example").enter().unwrap().failed();
    /// assert_eq!(hosts.state_of("a.example"), Some(CircuitState::Open));
    /// # Ok::<(), decor::ConfigError>(())
    /// ```
    pub fn reload(&self, config: &CircuitBreakerConfig) -> Result<(), ConfigError> {
        let common = self.keys.template();
        unchanged_name(common.identity.set_name(), config.name.as_deref())?;
        let (settings, _) = CircuitBreakerBuilder::try_from(config)?.settings()?;
        let (circuit, max_keys) = (settings.circuit()?, max_keys_of(config.max_keys)?);
        let new = Shared { settings: Arc::new(settings), circuit };
        let changing = lock(&common.change);
        *lock(&common.shared) = new.clone();
        let mut changes = Vec::new();
        self.keys.for_each(|core| changes.extend(core.reload(&new.settings, &new.circuit)));
        drop(changing);
        let observing = new.settings.is_observing;
        for change in changes {
            common.identity.report(change, observing);
        }
        self.keys.set_bound(max_keys);
        Ok(())
    }
}

/// Time after which a key is first checked.
const FIRST_CHECK: Nanos = 60_000_000_000;
/// Maximum time until a key with failures is checked again, beyond the time of a clean key.
const HOUR: Nanos = 3_600_000_000_000;

impl Template for Common {
    type Handle = Core;
    type Stats = CircuitBreakerStats;

    /// More than for a limiter, because a key is looked at once more each time that it fails. The
    /// next check of a key with failures is late, so that a later search does not come to it first.
    const MAX_LOOKS: usize = 1_024;

    fn make(&self) -> Core {
        let Shared { settings, circuit } = lock(&self.shared).clone();
        Core::of_key(settings, Arc::clone(&self.identity), circuit, self.epoch.clone())
    }

    fn now(&self) -> Nanos {
        self.epoch.now(Clock::current())
    }

    fn idle_after(&self) -> Nanos {
        match self.settings().window {
            CircuitWindow::Rate { period, .. } => nanos(period).max(FIRST_CHECK),
            _ => FIRST_CHECK,
        }
    }

    fn idle_in(&self, core: &Core) -> Option<Nanos> {
        let now = self.now();
        let (state, failures, rest) = core.rest(now);
        match (state, rest) {
            (CircuitState::Closed, _) if failures == 0 => rest,
            (CircuitState::Closed, Some(rest)) => Some(rest.saturating_add(HOUR)),
            (CircuitState::Closed, None) => Some(core.kept_for(now, HOUR / 2, HOUR)),
            (CircuitState::Open | CircuitState::HalfOpen, _) => {
                let after_all_others = self.idle_after().saturating_add(2 * HOUR);
                Some(core.kept_for(now, after_all_others, after_all_others.saturating_add(12 * HOUR)))
            }
            (CircuitState::Isolated, _) => None,
        }
    }

    fn stats(&self, core: &Core) -> CircuitBreakerStats {
        core.stats()
    }
}

impl<K> KeyedBreaker<K> {
    pub(crate) fn id(&self) -> HandleId {
        HandleId::of(&self.keys)
    }

    /// Returns `true` if a call that is dropped after `slow_after` counts as a failure.
    pub(crate) fn counts_slow_calls(&self) -> bool {
        self.keys.template().settings().slow_after.is_some()
    }

    /// The settings of all keys: `5 failures in a row, open for 30s, for each key`.
    pub(crate) fn displayed(&self) -> &dyn fmt::Display {
        self.keys.template()
    }
}

impl<K> Clone for KeyedBreaker<K> {
    fn clone(&self) -> Self {
        Self { keys: Arc::clone(&self.keys) }
    }
}

impl fmt::Display for Common {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.identity.show(&self.settings(), f)?;
        f.write_str(", for each key")
    }
}

/// Writes the settings: `hosts: 5 failures in a row, open for 30s, for each key`.
impl<K> fmt::Display for KeyedBreaker<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.displayed().fmt(f)
    }
}

impl<K> fmt::Debug for KeyedBreaker<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyedBreaker({self})")
    }
}
