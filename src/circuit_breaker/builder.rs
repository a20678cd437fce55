//! Constructors of a circuit breaker, and the builder for all settings.

use super::{
    breaker::CircuitBreaker,
    change::CircuitChange,
    settings::{Identity, OnChange, Settings},
    state::Core,
};
use crate::{
    CircuitBreakerConfig, CircuitWindow, ConfigError, Name, RetryPolicy,
    error::{or_panic, unchanged_name},
    policy::{DEFAULT_OPEN_FOR, without_keys},
    sync::Arc,
};
use std::{fmt, time::Duration};

/// Name of a breaker without one. Messages read `circuit breaker is open`.
const UNNAMED: &str = "breaker";

/// Constructors.
impl CircuitBreaker {
    /// Makes a breaker that opens with this number of failures in a row.
    ///
    /// The same as [`among(failures, failures)`](Self::among).
    ///
    /// # Panics
    ///
    /// If `failures` is 0, or above 1,048,576.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::{CircuitBreaker, CircuitState};
    ///
    /// let breaker = CircuitBreaker::consecutive(2);
    /// breaker.enter()?.failed();
    /// breaker.enter()?.succeeded();
    /// breaker.enter()?.failed();
    /// assert_eq!(breaker.state(), CircuitState::Closed);
    /// breaker.enter()?.failed();
    /// assert_eq!(breaker.state(), CircuitState::Open);
    /// # Ok::<(), decor::Error>(())
    /// ```
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
    /// let error = decor::CircuitBreaker::try_consecutive(0).unwrap_err();
    /// assert_eq!(error.to_string(), "`failures` is 0, but must be at least 1");
    /// ```
    pub fn try_consecutive(failures: u32) -> Result<Self, ConfigError> {
        Self::builder().consecutive(failures).try_build()
    }

    /// Makes a breaker that opens with this number of failures among the last `calls` calls.
    ///
    /// Calls that have not happened count as good, so the window needs no minimum of calls.
    ///
    /// # Panics
    ///
    /// If `failures` is 0, or if `calls` is below `failures` or above 1,048,576.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::{CircuitBreaker, CircuitState};
    ///
    /// let breaker = CircuitBreaker::among(2, 3);
    /// breaker.enter()?.failed();
    /// breaker.enter()?.succeeded();
    /// breaker.enter()?.failed();
    /// assert_eq!(breaker.state(), CircuitState::Open);
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
    /// let error = decor::CircuitBreaker::try_among(10, 5).unwrap_err();
    /// assert_eq!(error.to_string(), "`calls` is 5, but must be at least the number of failures");
    /// ```
    pub fn try_among(failures: u32, calls: u32) -> Result<Self, ConfigError> {
        Self::builder().among(failures, calls).try_build()
    }

    /// Makes a breaker that opens with a failure, if at least this share of the calls of the last
    /// `period` have failed.
    ///
    /// The window must have at least 20 calls;
    /// [`minimum_calls`](CircuitBreakerBuilder::minimum_calls) changes this number. Calls count in
    /// ten buckets, so a call leaves the window after 0.9 to 1.0 periods. A success opens no
    /// circuit, even if it completes the minimum.
    ///
    /// # Panics
    ///
    /// If `rate` is not above 0 and at most 1, or if `period` is below 10 ns.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), decor::Error> {
    /// use decor::{CircuitBreaker, CircuitState};
    /// use std::time::Duration;
    ///
    /// let breaker = CircuitBreaker::rate(0.5, Duration::from_secs(30));
    /// for _ in 0..10 {
    ///     breaker.enter()?.succeeded();
    /// }
    /// for _ in 0..9 {
    ///     breaker.enter()?.failed();
    /// }
    /// assert_eq!(breaker.state(), CircuitState::Closed);
    /// breaker.enter()?.failed(); // 10 of 20
    /// assert_eq!(breaker.state(), CircuitState::Open);
    /// # Ok(())
    /// # }
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
    /// let error = decor::CircuitBreaker::try_rate(50.0, Duration::from_secs(30)).unwrap_err();
    /// assert_eq!(error.to_string(), "`rate` is 50, but must be above 0 and at most 1");
    /// ```
    pub fn try_rate(rate: f64, period: Duration) -> Result<Self, ConfigError> {
        Self::builder().rate(rate, period).try_build()
    }

    /// Returns a builder, for all settings.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::CircuitBreaker;
    /// use std::time::Duration;
    ///
    /// let breaker = CircuitBreaker::builder()
    ///     .among(10, 20)
    ///     .open_for(Duration::from_secs(5))
    ///     .probes(3)
    ///     .named("users")
    ///     .build();
    /// assert_eq!(breaker.to_string(), "users: 10 failures among 20 calls, open for 5s, 3 probes");
    /// ```
    pub fn builder() -> CircuitBreakerBuilder {
        CircuitBreakerBuilder::new()
    }
}

/// Builder of a [`CircuitBreaker`]: see [`CircuitBreaker::builder`].
///
/// The default opens the circuit with the fifth failure in a row, for 30 s.
#[derive(Clone)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct CircuitBreakerBuilder {
    window: CircuitWindow,
    minimum_calls: Option<u32>,
    open_for: Duration,
    open_by: Option<RetryPolicy>,
    probes: u32,
    slow_after: Option<Duration>,
    is_observing: bool,
    name: Option<Name>,
    on_change: Option<OnChange>,
    /// Maximum number of keys; `None` for the default, and without keys.
    pub(super) max_keys: Option<usize>,
}

impl CircuitBreakerBuilder {
    pub(super) fn new() -> Self {
        Self {
            window: CircuitWindow::Consecutive { failures: 5 },
            minimum_calls: None,
            open_for: DEFAULT_OPEN_FOR,
            open_by: None,
            probes: 1,
            slow_after: None,
            is_observing: false,
            name: None,
            on_change: None,
            max_keys: None,
        }
    }

    /// Opens with this number of failures in a row, as [`CircuitBreaker::consecutive`] does.
    /// Replaces an earlier window.
    ///
    /// # Examples
    ///
    /// ```
    /// let breaker = decor::CircuitBreaker::builder().consecutive(3).build();
    /// assert_eq!(breaker.to_string(), "3 failures in a row, open for 30s");
    /// ```
    pub fn consecutive(self, failures: u32) -> Self {
        self.window(CircuitWindow::Consecutive { failures })
    }

    /// Opens with this number of failures among the last calls, as [`CircuitBreaker::among`] does.
    /// Replaces an earlier window.
    ///
    /// # Examples
    ///
    /// ```
    /// let breaker = decor::CircuitBreaker::builder().among(10, 20).build();
    /// assert_eq!(breaker.to_string(), "10 failures among 20 calls, open for 30s");
    /// ```
    pub fn among(self, failures: u32, calls: u32) -> Self {
        self.window(CircuitWindow::Among { failures, calls })
    }

    /// Opens with this share of failures in the last period, as [`CircuitBreaker::rate`] does.
    /// Replaces an earlier window.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let breaker = decor::CircuitBreaker::builder().rate(0.5, Duration::from_secs(60)).build();
    /// assert_eq!(breaker.to_string(), "50% failures in 60s, open for 30s");
    /// ```
    pub fn rate(self, rate: f64, period: Duration) -> Self {
        self.window(CircuitWindow::Rate { rate, period })
    }

    fn window(mut self, window: CircuitWindow) -> Self {
        self.window = window;
        self
    }

    /// Sets the number of calls in the window from which a [`rate`](Self::rate) can open the
    /// circuit; 20 by default. The failure itself is included.
    ///
    /// The build fails if the number is 0, or if the window is not a rate. The other windows need
    /// no minimum, because calls that have not happened count as good there.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), decor::Error> {
    /// use decor::{CircuitBreaker, CircuitState};
    /// use std::time::Duration;
    ///
    /// let settings = CircuitBreaker::builder().rate(0.5, Duration::from_secs(30));
    /// let breaker = settings.minimum_calls(2).build();
    /// breaker.enter()?.failed();
    /// assert_eq!(breaker.state(), CircuitState::Closed);
    /// breaker.enter()?.failed();
    /// assert_eq!(breaker.state(), CircuitState::Open);
    /// # Ok(())
    /// # }
    /// ```
    pub fn minimum_calls(mut self, calls: u32) -> Self {
        self.minimum_calls = Some(calls);
        self
    }

    /// Sets the time for which the circuit is open; 30 s by default. The build fails if it is zero.
    ///
    /// A probe that runs for this time loses its place.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::{CircuitBreaker, CircuitState};
    /// use std::time::Duration;
    ///
    /// let five = Duration::from_secs(5);
    /// let breaker = CircuitBreaker::builder().open_for(five).build();
    /// breaker.trip();
    /// tokio::time::sleep(five).await;
    /// assert_eq!(breaker.state(), CircuitState::HalfOpen);
    /// # }
    /// ```
    pub fn open_for(mut self, open_for: Duration) -> Self {
        self.open_for = open_for;
        self
    }

    /// Sets the times for which the circuit is open, as the delays of a policy: the first one for
    /// the first opening, the next one each time that a probe fails. When the circuit closes, the
    /// delays begin anew.
    ///
    /// The policy's jitter keeps many clients from probing a service at the same moment. Its
    /// attempts and its deadline do not apply. [`open_for`](Self::open_for) then only bounds
    /// the probes.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::{CircuitBreaker, CircuitState, RetryPolicy};
    /// use std::time::Duration;
    ///
    /// let second = Duration::from_secs(1);
    /// let delays = RetryPolicy::exponential(second).max_delay(60 * second);
    /// let breaker = CircuitBreaker::builder().open_by(delays).build();
    /// breaker.trip();
    /// tokio::time::sleep(second).await;
    /// breaker.enter().unwrap().failed(); // the probe
    /// tokio::time::sleep(second).await;
    /// assert_eq!(breaker.state(), CircuitState::Open);
    /// tokio::time::sleep(second).await;
    /// assert_eq!(breaker.state(), CircuitState::HalfOpen);
    /// # }
    /// ```
    pub fn open_by(mut self, delays: impl Into<RetryPolicy>) -> Self {
        self.open_by = Some(delays.into().endless());
        self
    }

    /// Sets the number of successes that close a half-open circuit; 1 by default. The build fails
    /// if the number is 0.
    ///
    /// Each of these successes has a place for a call. With 3 probes, three calls may run at once,
    /// and two after the first success.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), decor::Error> {
    /// use decor::{CircuitBreaker, CircuitState};
    /// use std::time::Duration;
    ///
    /// let breaker = CircuitBreaker::builder().probes(2).build();
    /// breaker.trip();
    /// tokio::time::sleep(Duration::from_secs(30)).await;
    /// let (first, second) = (breaker.enter()?, breaker.enter()?);
    /// assert!(breaker.enter().is_err());
    /// first.succeeded();
    /// assert_eq!(breaker.state(), CircuitState::HalfOpen);
    /// second.succeeded();
    /// assert_eq!(breaker.state(), CircuitState::Closed);
    /// # Ok(())
    /// # }
    /// ```
    pub fn probes(mut self, probes: u32) -> Self {
        self.probes = probes;
        self
    }

    /// Counts a call that takes this long or longer as a failure, whatever its result. The result
    /// is passed on. The build fails if the duration is zero.
    ///
    /// The duration of an async call runs from the first poll at which the call is pending, so a
    /// call that is ready at once reads no clock. The durations of a sync call and of a
    /// [`Passage`](crate::Passage) run from their beginning. A wait for a limiter before the
    /// breaker is included. Put the breaker before the limiter, as
    /// [`guarded_by`](crate::FnExt::guarded_by) says.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::{CircuitState, Error, prelude::*};
    /// use std::time::Duration;
    ///
    /// async fn fetch(seconds: u64) -> Result<u64, Error> {
    ///     tokio::time::sleep(Duration::from_secs(seconds)).await;
    ///     Ok(seconds)
    /// }
    ///
    /// let settings = CircuitBreaker::builder().consecutive(1);
    /// let breaker = settings.slow_after(Duration::from_secs(2)).build();
    /// let fetch = fetch.guarded_by(&breaker);
    /// assert_eq!(fetch.call(1).await, Ok(1));
    /// assert_eq!(breaker.state(), CircuitState::Closed);
    /// assert_eq!(fetch.call(2).await, Ok(2));
    /// assert_eq!(breaker.state(), CircuitState::Open);
    /// # }
    /// ```
    pub fn slow_after(mut self, duration: Duration) -> Self {
        self.slow_after = Some(duration);
        self
    }

    /// Refuses no call. The breaker counts, changes its state and reports each change as usual, so
    /// that settings can be tried in production.
    ///
    /// Calls that would have been refused are let through and are not counted, apart from
    /// [`refused`](crate::CircuitBreakerStats::refused). An [isolated](CircuitBreaker::isolate)
    /// breaker refuses nothing either.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::{CircuitBreaker, CircuitState};
    ///
    /// let breaker = CircuitBreaker::builder().consecutive(1).observing().build();
    /// breaker.enter()?.failed();
    /// assert_eq!(breaker.state(), CircuitState::Open);
    /// breaker.enter()?.succeeded();
    /// assert_eq!(breaker.stats().refused, 1);
    /// # Ok::<(), decor::Error>(())
    /// ```
    pub fn observing(mut self) -> Self {
        self.is_observing = true;
        self
    }

    /// Names the breaker in its errors and events; `breaker` by default.
    ///
    /// # Examples
    ///
    /// ```
    /// let breaker = decor::CircuitBreaker::builder().named("users").build();
    /// breaker.isolate();
    /// let refused = breaker.enter().map(drop).unwrap_err();
    /// assert_eq!(refused.to_string(), "circuit users is open");
    /// ```
    pub fn named(mut self, name: impl Into<Name>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Calls the closure after each change of state, such as for a metric or an alert.
    ///
    /// The closure runs in the call that has changed the state, outside of the breaker's lock, so
    /// the closure may use the breaker. If several threads change the state, their closures may run
    /// in another order. A panic of the closure is caught.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::CircuitBreaker;
    /// use std::sync::{Arc, Mutex};
    ///
    /// let seen = Arc::new(Mutex::new(Vec::new()));
    /// let sink = Arc::clone(&seen);
    /// let breaker = CircuitBreaker::builder()
    ///     .named("users")
    ///     .on_change(move |change| sink.lock().unwrap().push(change.to_string()))
    ///     .build();
    /// breaker.trip();
    /// assert_eq!(*seen.lock().unwrap(), ["circuit users opened for 30s: tripped by hand"]);
    /// ```
    pub fn on_change(mut self, on_change: impl Fn(&CircuitChange) + Send + Sync + 'static) -> Self {
        self.on_change = Some(Arc::new(on_change));
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
    /// ```
    /// let breaker = decor::CircuitBreaker::builder().build();
    /// assert_eq!(breaker.to_string(), "5 failures in a row, open for 30s");
    /// ```
    #[track_caller]
    pub fn build(self) -> CircuitBreaker {
        or_panic(self.try_build())
    }

    /// Builds the breaker from settings that are not literals.
    ///
    /// # Errors
    ///
    /// If the constructor of the window would return an error, if the minimum number of calls is 0
    /// or set without a rate, if `open_for` or `slow_after` is zero, or if there are no probes.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::CircuitBreaker;
    ///
    /// let refused = CircuitBreaker::builder().consecutive(5).minimum_calls(20).try_build();
    /// assert_eq!(
    ///     refused.unwrap_err().to_string(),
    ///     "`minimum_calls` is 20, but must be left out unless the breaker has a rate",
    /// );
    /// ```
    pub fn try_build(self) -> Result<CircuitBreaker, ConfigError> {
        without_keys(self.max_keys)?;
        let (settings, identity) = self.settings()?;
        Ok(CircuitBreaker { core: Arc::new(Core::new(settings, identity)?) })
    }

    pub(super) fn settings(self) -> Result<(Settings, Identity), ConfigError> {
        let Self {
            window, minimum_calls, open_for, open_by, probes, slow_after, is_observing, name, on_change, ..
        } = self;
        CircuitBreakerConfig::check_alone(open_for, slow_after, probes)?;
        let (has_policy, is_named) = (open_by.is_some(), name.is_some());
        let policy = open_by.unwrap_or_else(|| RetryPolicy::fixed(open_for));
        let name = name.unwrap_or_else(|| UNNAMED.into());
        let settings =
            Settings { window, minimum_calls, open_for, policy, has_policy, probes, slow_after, is_observing };
        Ok((settings, Identity { name, is_named, on_change }))
    }
}

/// Checks the delays of the config. The build checks all other fields.
///
/// # Examples
///
/// ```
/// use decor::{CircuitBreaker, CircuitBreakerBuilder, CircuitBreakerConfig};
///
/// let settings = CircuitBreakerBuilder::try_from(CircuitBreakerConfig::default())?;
/// let breaker = settings.on_change(|change| println!("{change}")).try_build()?;
/// assert_eq!(breaker.to_string(), "5 failures in a row, open for 30s");
/// # Ok::<(), decor::ConfigError>(())
/// ```
impl TryFrom<CircuitBreakerConfig> for CircuitBreakerBuilder {
    type Error = ConfigError;

    fn try_from(config: CircuitBreakerConfig) -> Result<Self, ConfigError> {
        Self::try_from(&config)
    }
}

/// Checks the delays. [`try_build`](CircuitBreakerBuilder::try_build) checks the other fields.
///
/// # Examples
///
/// See [`CircuitBreakerConfig`].
impl TryFrom<&CircuitBreakerConfig> for CircuitBreakerBuilder {
    type Error = ConfigError;

    fn try_from(config: &CircuitBreakerConfig) -> Result<Self, ConfigError> {
        let CircuitBreakerConfig { window, minimum_calls, open_for, open_by, probes, slow_after, .. } = config;
        Ok(Self {
            window: *window,
            minimum_calls: *minimum_calls,
            open_for: *open_for,
            open_by: open_by.as_ref().map(RetryPolicy::try_from).transpose()?.map(RetryPolicy::endless),
            probes: *probes,
            slow_after: *slow_after,
            is_observing: config.observing,
            name: config.name.clone().map(Name::from),
            on_change: None,
            max_keys: config.max_keys,
        })
    }
}

/// Checks all fields of the config.
///
/// # Examples
///
/// See [`CircuitBreakerConfig`].
impl TryFrom<CircuitBreakerConfig> for CircuitBreaker {
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
impl TryFrom<&CircuitBreakerConfig> for CircuitBreaker {
    type Error = ConfigError;

    fn try_from(config: &CircuitBreakerConfig) -> Result<Self, ConfigError> {
        CircuitBreakerBuilder::try_from(config)?.try_build()
    }
}

/// Changes of a breaker that exists.
impl CircuitBreaker {
    /// Changes all settings, such as those of a file that was changed.
    ///
    /// The state of the circuit, its window and its counts stay:
    ///
    /// - A circuit that is open stays open until its delay has passed. [`close`](Self::close) ends
    ///   the delay.
    /// - A half-open circuit with enough successes for a smaller number of probes closes.
    /// - The calls in the window count with the new limits at the next failure. A window with
    ///   another number of calls keeps the latest ones. A rate with another period keeps the calls
    ///   of its period, to a tenth of the longer period. A rate in place of a number of failures,
    ///   or the reverse, begins with an empty window.
    /// - The callback stays, and so does the name.
    ///
    /// # Errors
    ///
    /// If `CircuitBreaker::try_from(config)` fails, or the config has another name. The breaker
    /// then stays as it is.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::{CircuitBreaker, CircuitBreakerConfig, CircuitState, CircuitWindow};
    ///
    /// let config = |failures| CircuitBreakerConfig {
    ///     window: CircuitWindow::Consecutive { failures },
    ///     ..CircuitBreakerConfig::default()
    /// };
    /// let breaker = CircuitBreaker::try_from(config(9))?;
    /// breaker.enter().unwrap().failed();
    /// breaker.reload(&config(2))?;
    /// breaker.enter().unwrap().failed();
    /// assert_eq!(breaker.state(), CircuitState::Open);
    ///
    /// let refused = breaker.reload(&config(0)).unwrap_err();
    /// assert_eq!(refused.to_string(), "`failures` is 0, but must be at least 1");
    /// # Ok::<(), decor::ConfigError>(())
    /// ```
    pub fn reload(&self, config: &CircuitBreakerConfig) -> Result<(), ConfigError> {
        without_keys(config.max_keys)?;
        unchanged_name(self.core.identity().set_name(), config.name.as_deref())?;
        let (settings, _) = CircuitBreakerBuilder::try_from(config)?.settings()?;
        let circuit = settings.circuit()?;
        self.core.report(self.core.reload(&Arc::new(settings), &circuit));
        Ok(())
    }
}

impl fmt::Debug for CircuitBreakerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CircuitBreakerBuilder")
            .field("window", &self.window)
            .field("minimum_calls", &self.minimum_calls)
            .field("open_for", &self.open_for)
            .field("open_by", &self.open_by)
            .field("probes", &self.probes)
            .field("slow_after", &self.slow_after)
            .field("observing", &self.is_observing)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
