//! Constructors of a limiter, and the builder for all settings.

use super::{
    limiter::RateLimiter,
    shared::SharedQuota,
    state::{Bounds, Core},
};
use crate::{
    ConfigError, RateLimiterConfig,
    clock::nanos,
    error::or_panic,
    policy::{DEFAULT_LONGEST_PAUSE, MAX_WINDOWS, OnFailure, Purse, Quota, Sharing, checked_pause},
    sync::Arc,
};
use std::time::Duration;

/// Constructors.
impl RateLimiter {
    /// Makes an exact limiter: at most `limit` calls in any stretch of `period`.
    ///
    /// # Panics
    ///
    /// If `limit` or `period` is zero.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::RateLimiter;
    /// use std::time::Duration;
    ///
    /// let limiter = RateLimiter::new(10, Duration::from_secs(1));
    /// assert_eq!(limiter.available(), 10);
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
    /// let error = decor::RateLimiter::try_new(10, std::time::Duration::ZERO).unwrap_err();
    /// assert_eq!(error.to_string(), "`period` is 0ns, but must be longer than zero");
    /// ```
    pub fn try_new(limit: u32, period: Duration) -> Result<Self, ConfigError> {
        Self::builder().window(limit, period).try_build()
    }

    /// Makes an exact limiter with several windows and one queue, such as requests and tokens per
    /// minute, or a limit per second and one per day. A call is admitted when every window has room
    /// for it.
    ///
    /// Prefer one limiter with two windows to two limiters in a chain. In a chain, a permit from
    /// the first limiter ages while the call waits for the second.
    ///
    /// # Panics
    ///
    /// If a limit or a period is zero, or there is no window or more than four.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), decor::Error> {
    /// use decor::RateLimiter;
    /// use std::time::Duration;
    ///
    /// let minute = Duration::from_secs(60);
    /// let limiter = RateLimiter::windows([(60, minute), (90_000, minute)]);
    /// limiter.acquire_many([1, 1200]).await?;
    /// assert_eq!(limiter.available_per_window(), [59, 88_800]);
    /// # Ok(())
    /// # }
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
    /// let error = decor::RateLimiter::try_windows([]).unwrap_err();
    /// assert_eq!(error.to_string(), "`windows` is 0, but must be 1 to 4");
    /// ```
    pub fn try_windows(windows: impl IntoIterator<Item = (u32, Duration)>) -> Result<Self, ConfigError> {
        RateLimiterBuilder::of_windows(windows).try_build()
    }

    /// Makes a limiter that spaces calls evenly, one every `period / limit`. Waiters that were
    /// woken late follow each other faster until they have caught up, by 3 ms at most: see
    /// [`RateLimiter`].
    ///
    /// A call for more permits than the [burst](RateLimiterBuilder::burst) waits for a full burst.
    /// The calls behind it wait for all of its permits.
    ///
    /// # Panics
    ///
    /// If `limit` or `period` is zero.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::RateLimiter;
    /// use std::time::Duration;
    ///
    /// let limiter = RateLimiter::paced(10, Duration::from_secs(1));
    /// let begun = tokio::time::Instant::now();
    /// for _ in 0..5 {
    ///     limiter.acquire().await;
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
    /// let second = std::time::Duration::from_secs(1);
    /// let error = decor::RateLimiter::try_paced(0, second).unwrap_err();
    /// assert_eq!(error.to_string(), "`limit` is 0, but must be at least 1");
    /// ```
    pub fn try_paced(limit: u32, period: Duration) -> Result<Self, ConfigError> {
        Self::builder().paced(limit, period).try_build()
    }

    /// Returns a builder, for settings other than the limits.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::RateLimiter;
    /// use std::time::Duration;
    ///
    /// let second = Duration::from_secs(1);
    /// let limiter = RateLimiter::builder().window(10, second).max_waiting(100).build();
    /// assert_eq!(limiter.waiting(), 0);
    /// ```
    pub fn builder() -> RateLimiterBuilder {
        RateLimiterBuilder::new()
    }
}

/// Time for which a granted permit may be used, unless set.
const DEFAULT_SLACK: Duration = Duration::from_millis(20);

/// Builder of a [`RateLimiter`]: see [`RateLimiter::builder`].
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct RateLimiterBuilder {
    windows: Vec<(u32, Duration)>,
    burst: Option<u32>,
    paced: bool,
    bounds: Bounds,
    /// `None` for a limit of this process alone.
    shared: Option<(Arc<dyn SharedQuota>, OnFailure)>,
    slack: Option<Duration>,
    lease: Option<u32>,
}

impl RateLimiterBuilder {
    fn new() -> Self {
        let bounds = Bounds { max_waiting: None, longest_pause: DEFAULT_LONGEST_PAUSE };
        let windows = Vec::new();
        Self { windows, burst: None, paced: false, bounds, shared: None, slack: None, lease: None }
    }

    pub(super) fn of_windows(windows: impl IntoIterator<Item = (u32, Duration)>) -> Self {
        windows.into_iter().fold(Self::new(), |builder, (limit, period)| builder.window(limit, period))
    }

    /// Adds a window: at most `limit` permits in any stretch of `period`. A limiter has up to four
    /// windows, and all of them hold. The build fails if `limit` or `period` is zero.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::RateLimiter;
    /// use std::time::Duration;
    ///
    /// let limiter = RateLimiter::builder()
    ///     .window(10, Duration::from_secs(1))
    ///     .window(300, Duration::from_secs(60))
    ///     .build();
    /// assert_eq!(limiter.available_per_window(), [10, 300]);
    /// ```
    pub fn window(mut self, limit: u32, period: Duration) -> Self {
        self.windows.push((limit, period));
        self
    }

    /// Spaces permits evenly, `limit` per `period`, instead of windows. The build fails if `limit`
    /// or `period` is zero.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::RateLimiter;
    /// use std::time::Duration;
    ///
    /// let limiter = RateLimiter::builder().paced(10, Duration::from_secs(1)).burst(3).build();
    /// assert_eq!(limiter.available(), 3);
    /// ```
    pub fn paced(mut self, limit: u32, period: Duration) -> Self {
        self.windows.push((limit, period));
        self.paced = true;
        self
    }

    /// Sets the number of permits that a paced limiter gives at once after an idle time; 1 by
    /// default. After a stall of the program, the limiter also gives the permits of 3 ms. The build
    /// fails if `burst` is zero.
    ///
    /// A call may ask for more permits than the burst, up to the limit. Such a call waits for a
    /// full burst, and the calls behind it wait for all of its permits at the even pace.
    ///
    /// While [`set_limit`](RateLimiter::set_limit) has lowered the limit below the burst, the limit
    /// is the burst. [`set_burst`](RateLimiter::set_burst) changes the burst later.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), decor::Error> {
    /// use decor::RateLimiter;
    /// use std::time::Duration;
    ///
    /// let second = Duration::from_secs(1);
    /// let limiter = RateLimiter::builder().paced(10, second).burst(5).build();
    /// assert_eq!(limiter.available(), 5);
    ///
    /// let error = RateLimiter::builder().window(9, second).burst(3).try_build();
    /// assert_eq!(
    ///     error.unwrap_err().to_string(),
    ///     "`burst` is 3, but must be left out unless the limiter is paced",
    /// );
    ///
    /// let begun = tokio::time::Instant::now();
    /// limiter.acquire_many(8).await?;
    /// assert_eq!(begun.elapsed(), Duration::ZERO);
    /// limiter.acquire().await; // 9 permits are 5 of the burst, and 4 at 10 a second
    /// assert_eq!(begun.elapsed(), Duration::from_millis(400));
    /// # Ok(())
    /// # }
    /// ```
    pub fn burst(mut self, burst: u32) -> Self {
        self.burst = Some(burst);
        self
    }

    /// Rejects calls with [`Error::QueueFull`](crate::Error::QueueFull) when `waiting` calls are
    /// queued. 0 lets no call wait. `None` lets any number wait, and is the default.
    ///
    /// Waiters at the front of the queue that are due do not count, whether or not they have been
    /// polled since. A call is admitted if its permits are free beside theirs. `acquire` and
    /// `.rate_limited(..)` cannot return an error, so they always queue.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::{Error, RateLimiter};
    /// use std::time::Duration;
    ///
    /// let second = Duration::from_secs(1);
    /// let limiter = RateLimiter::builder().window(1, second).max_waiting(0).build();
    /// assert_eq!(limiter.acquire_many(1).await, Ok(()));
    /// assert_eq!(limiter.acquire_many(1).await, Err(Error::QueueFull { waiting: 0 }));
    /// # }
    /// ```
    pub fn max_waiting(mut self, waiting: impl Into<Option<usize>>) -> Self {
        self.bounds.max_waiting = waiting.into();
        self
    }

    /// Sets the longest pause that [`pause_for`](RateLimiter::pause_for) and
    /// [`.pausing(..)`](crate::FnExt::pausing) can ask for, counted from that moment; 1 h by
    /// default. A longer pause is cut to this length. A `Retry-After: 31536000` therefore does not
    /// stop a program for a year.
    ///
    /// The build fails if `pause` is zero. With `Duration::MAX` no pause is cut.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::RateLimiter;
    /// use std::time::Duration;
    ///
    /// let (second, minute) = (Duration::from_secs(1), Duration::from_secs(60));
    /// let limiter = RateLimiter::builder().window(10, second).longest_pause(minute).build();
    /// limiter.pause_for(Duration::from_secs(31_536_000));
    /// let begun = tokio::time::Instant::now();
    /// limiter.acquire().await;
    /// assert_eq!(begun.elapsed(), minute);
    ///
    /// let never = RateLimiter::builder().window(10, second).longest_pause(Duration::ZERO);
    /// assert_eq!(
    ///     never.try_build().unwrap_err().to_string(),
    ///     "`longest_pause` is 0ns, but must be longer than zero",
    /// );
    /// # }
    /// ```
    pub fn longest_pause(mut self, pause: Duration) -> Self {
        self.bounds.longest_pause = pause;
        self
    }

    /// Shares the limit with other processes, through a store such as a Redis. All limiters with
    /// the same limit of the store share one count: together they admit what one limiter would.
    ///
    /// The limiter keeps its queue and all its methods. Each call asks the store, and the store
    /// says when the call may go. One request of a limiter is in flight at a time, and asks for all
    /// calls that wait. Within a process, calls go in the order in which they came. Between
    /// processes, the order is that of the requests. A request gets permits for at most the next 20
    /// ms beyond its first one, and then the next process has its turn.
    ///
    /// # Exactness
    ///
    /// With windows, no stretch of time as long as one period holds more calls than the limit, by
    /// the times at which the calls *run*, in all processes together. A permit may be used for a
    /// short time only, the hold: the [slack](Self::slack), or three round trips to the store if
    /// that is longer. The limit is therefore reached once per `period + hold`. A permit that no
    /// call used in time has lapsed, and counts until it has left its window.
    ///
    /// Three things may exceed the limit: a clock of the server that steps forward, a call that is
    /// suspended between its permit and its work, and `on_failure`.
    ///
    /// # The methods
    ///
    /// - `acquire` and `.rate_limited(..)` never fail. Calls that can fail get
    ///   [`Error::StoreDown`](crate::Error::StoreDown) as well, with [`OnFailure::Closed`], and
    ///   with [`OnFailure::Local`] if they ask for more than the part of this process.
    ///
    /// - `acquire_within(d)` waits for one answer, which takes at most the time limit of the store,
    ///   and then at most `d`. With zero, and with `.try_rate_limited(..)`, the decision is exact,
    ///   and costs one round trip. No permit is reserved for a call beyond its longest wait.
    ///
    /// - `try_acquire` never waits. It takes a permit that is held. Otherwise it refuses, and asks
    ///   for a permit for the next try.
    ///
    /// - A call that finds the queue [full](Self::max_waiting) waits for one answer. It is admitted
    ///   if it is due at once.
    ///
    /// - `available` is the last answer, less what was taken since.
    ///
    /// - `charge` and `refund` reach the store within 50 ms. A refund gives back the oldest permits
    ///   of this process that count.
    ///
    /// - `pause_for` and `resume` hold here at once. Elsewhere a pause holds within 200 ms, for
    ///   processes in which calls wait.
    ///
    /// - `set_limit` and `set_burst` change the limit that this process applies to the shared
    ///   count. Call them in all processes.
    ///
    /// # Time
    ///
    /// A shared limiter follows the clock of its store, which is real time for a server. It uses no
    /// clock and no timer of tokio, and serves threads and several runtimes. With a paused clock,
    /// calls wait in real time. Tests use [`FakeStore`](crate::test_util::FakeStore), which follows
    /// the virtual clocks.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::{OnFailure, RateLimiter, test_util::FakeStore};
    /// use std::time::Duration;
    ///
    /// let store = FakeStore::new();
    /// let limiter = || {
    ///     let limit = RateLimiter::builder().window(10, Duration::from_secs(1));
    ///     limit.shared(store.quota("github"), OnFailure::Closed).build()
    /// };
    /// let (here, elsewhere) = (limiter(), limiter()); // as in two processes
    /// let begun = tokio::time::Instant::now();
    /// for _ in 0..5 {
    ///     here.acquire().await;
    ///     elsewhere.acquire().await;
    /// }
    /// assert_eq!(begun.elapsed(), Duration::ZERO);
    /// here.acquire().await; // a second later, and 20 ms for which permits were held
    /// assert_eq!(begun.elapsed(), Duration::from_millis(1_020));
    /// # }
    /// ```
    pub fn shared(mut self, quota: impl SharedQuota, on_failure: OnFailure) -> Self {
        self.shared = Some((Arc::new(quota), on_failure));
        self
    }

    /// Sets the shortest time for which a permit of a [shared](Self::shared) limit may be used
    /// after it is due; 20 ms by default. A permit that no call has used by then is thrown away.
    ///
    /// A longer slack tolerates longer stalls of this process. If the store is far away, choose a
    /// slack above its round trip: the first request has no measured trip, and its permits lapse
    /// without such a slack. The price is that the limit is reached once per `period + slack`. The
    /// build fails if `least` is zero, if it exceeds half of a period, or if the limiter is not
    /// shared. Without a setting, the slack of a period below 40 ms is half of the period.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::{OnFailure, RateLimiter, test_util::FakeStore};
    /// use std::time::Duration;
    ///
    /// let (ms, store) = (Duration::from_millis, FakeStore::new());
    /// let limit = || {
    ///     let limit = RateLimiter::builder().window(1, ms(1_000));
    ///     limit.shared(store.quota("github"), OnFailure::Closed)
    /// };
    /// let limiter = limit().slack(ms(5)).build();
    /// let begun = tokio::time::Instant::now();
    /// limiter.acquire().await;
    /// limiter.acquire().await;
    /// assert_eq!(begun.elapsed(), ms(1_005));
    ///
    /// let error = limit().slack(ms(501)).try_build().unwrap_err();
    /// assert_eq!(
    ///     error.to_string(),
    ///     "`slack` is 501ms, but must be longer than zero, and at most half of each period",
    /// );
    /// # }
    /// ```
    pub fn slack(mut self, least: Duration) -> Self {
        self.slack = Some(least);
        self
    }

    /// Sets the maximum number of permits of a [shared](Self::shared) limit that one request asks
    /// for ahead of the calls; 0 by default. With a lease, a busy process takes most permits
    /// without a round trip.
    ///
    /// A request asks for as many permits ahead as were taken in the last hold, up to `most`, and
    /// gets those that are free at once. The limit stays exact. Permits that no call uses within
    /// the hold have lapsed, and count until they have left their window. Other processes get less
    /// meanwhile.
    ///
    /// The build fails if there are several windows, if `most` exceeds the limit, or if the limiter
    /// is not shared.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::{OnFailure, RateLimiter, test_util::FakeStore};
    /// use std::time::Duration;
    ///
    /// let store = FakeStore::new();
    /// let limit = RateLimiter::builder().window(100_000, Duration::from_secs(1));
    /// let limit = limit.shared(store.quota("github"), OnFailure::Closed);
    /// let limiter = limit.lease(1_000).build();
    /// for _ in 0..10_000 {
    ///     limiter.acquire().await;
    /// }
    /// assert!(limiter.stats().asks < 30);
    /// # }
    /// ```
    pub fn lease(mut self, most: u32) -> Self {
        self.lease = Some(most);
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
    /// ```
    /// use decor::RateLimiter;
    /// use std::time::Duration;
    ///
    /// let limiter = RateLimiter::builder().window(10, Duration::from_secs(1)).build();
    /// assert_eq!(limiter.available(), 10);
    /// ```
    #[track_caller]
    pub fn build(self) -> RateLimiter {
        or_panic(self.try_build())
    }

    /// Builds the limiter from settings that are not literals.
    ///
    /// # Errors
    ///
    /// If a limit, a period or the longest pause is zero, there is no window or more than four, a
    /// paced limiter has more than one limit, or a burst is zero, beyond the limit, or set for
    /// windows. If the slack, the lease or the number of instances of a shared limiter is not
    /// allowed.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::RateLimiter;
    /// use std::time::Duration;
    ///
    /// let refused = RateLimiter::builder().window(0, Duration::from_secs(1)).try_build();
    /// assert_eq!(refused.unwrap_err().to_string(), "`limit` is 0, but must be at least 1");
    /// ```
    pub fn try_build(self) -> Result<RateLimiter, ConfigError> {
        let (quota, bounds) = (self.quota(true)?, self.bounds()?);
        let core = match self.shared {
            None => Arc::new(Core::new(quota, bounds)),
            Some((store, _)) => Core::shared(store, quota, bounds),
        };
        Ok(RateLimiter { core })
    }

    /// The store of a shared limiter.
    pub(super) fn store(&self) -> Option<&Arc<dyn SharedQuota>> {
        self.shared.as_ref().map(|(store, _)| store)
    }

    pub(super) fn bounds(&self) -> Result<Bounds, ConfigError> {
        let longest_pause = checked_pause(self.bounds.longest_pause)?;
        Ok(Bounds { longest_pause, ..self.bounds })
    }

    pub(super) fn quota(&self, reserve: bool) -> Result<Quota, ConfigError> {
        match &self.shared {
            None => {
                let needless = self.slack.map(|_| "slack").or(self.lease.map(|_| "lease"));
                match needless {
                    Some(setting) => Err(ConfigError::new(setting, "set", "left out unless the limiter is shared")),
                    None => self.local_quota(reserve),
                }
            }
            Some((store, on_failure)) => {
                let quota = self.local_quota(false)?;
                let sharing = self.sharing(&quota, store, *on_failure)?;
                Ok(Quota::Shared(Box::new(Purse::new(sharing, quota.limits(), quota.burst()))))
            }
        }
    }

    fn sharing(
        &self,
        quota: &Quota,
        store: &Arc<dyn SharedQuota>,
        on_failure: OnFailure,
    ) -> Result<Sharing, ConfigError> {
        if let OnFailure::Local { instances: 0 } = on_failure {
            return Err(ConfigError::new("instances", 0, "at least 1"));
        }
        let limits = quota.limits();
        let shortest = limits.iter().map(|(_, period)| *period).min().unwrap_or(0);
        let slack = nanos(self.slack.unwrap_or(DEFAULT_SLACK));
        let slack = if self.slack.is_none() { slack.min(shortest / 2).max(1) } else { slack };
        if slack == 0 || slack > (shortest / 2).max(1) {
            let slack = Duration::from_nanos(slack);
            let allowed = "longer than zero, and at most half of each period";
            return Err(ConfigError::new("slack", format_args!("{slack:?}"), allowed));
        }
        let lease = self.lease.unwrap_or(0);
        if lease > 0 && limits.len() > 1 {
            return Err(ConfigError::new("lease", lease, "0 unless the limiter has one window or is paced"));
        }
        if limits.iter().any(|(limit, _)| lease > *limit) {
            return Err(ConfigError::new("lease", lease, "at most the limit"));
        }
        Ok(Sharing { name: store.name(), on_failure, slack, lease })
    }

    fn local_quota(&self, reserve: bool) -> Result<Quota, ConfigError> {
        let Self { windows, burst, paced, .. } = self;
        let most = if *paced { 1 } else { MAX_WINDOWS };
        if windows.is_empty() || windows.len() > most {
            let allowed = if *paced { "1 for a paced limiter" } else { "1 to 4" };
            return Err(ConfigError::new("windows", windows.len(), allowed));
        }
        Quota::try_new(windows, *paced, *burst, reserve)
    }
}

impl Bounds {
    pub(super) fn of(config: &RateLimiterConfig) -> Result<Self, ConfigError> {
        Ok(Self { max_waiting: config.max_waiting, longest_pause: config.longest_pause()? })
    }
}

/// Checks all fields of the config.
///
/// # Examples
///
/// See [`RateLimiterConfig`].
impl TryFrom<&RateLimiterConfig> for RateLimiter {
    type Error = ConfigError;

    fn try_from(config: &RateLimiterConfig) -> Result<Self, ConfigError> {
        Ok(Self { core: Arc::new(Core::new(config.quota(true)?, Bounds::of(config)?)) })
    }
}

/// Checks all fields of the config.
///
/// # Examples
///
/// See [`RateLimiterConfig`].
impl TryFrom<RateLimiterConfig> for RateLimiter {
    type Error = ConfigError;

    fn try_from(config: RateLimiterConfig) -> Result<Self, ConfigError> {
        Self::try_from(&config)
    }
}

/// Checks all fields of the config. Lets settings from a file be shared between processes.
///
/// # Errors
///
/// As for the conversion of the config into a limiter. The settings of
/// [`shared`](RateLimiterBuilder::shared) limits are checked by the build.
///
/// # Examples
///
/// ```
/// use decor::{OnFailure, RateLimit, RateLimiterBuilder, RateLimiterConfig, test_util::FakeStore};
/// use std::time::Duration;
///
/// let limit = vec![RateLimit { permits: 60, period: Duration::from_secs(60) }];
/// let config = RateLimiterConfig { limit, max_waiting: Some(9), ..RateLimiterConfig::default() };
///
/// let store = FakeStore::new(); // in a service: a `decor_redis::Redis`
/// let limiter = RateLimiterBuilder::try_from(&config)?
///     .shared(store.quota("github"), OnFailure::Local { instances: 4 })
///     .try_build()?;
/// assert_eq!(limiter.to_string(), "60 per 60s, shared as github");
/// # Ok::<(), decor::ConfigError>(())
/// ```
impl TryFrom<&RateLimiterConfig> for RateLimiterBuilder {
    type Error = ConfigError;

    fn try_from(config: &RateLimiterConfig) -> Result<Self, ConfigError> {
        config.quota(false)?;
        let windows = config.limit.iter().map(|limit| (limit.permits, limit.period));
        let (burst, paced, bounds) = (config.burst, config.paced, Bounds::of(config)?);
        Ok(Self { burst, paced, bounds, ..Self::of_windows(windows) })
    }
}

/// Checks all fields of the config.
///
/// # Examples
///
/// See `TryFrom<&RateLimiterConfig>`.
impl TryFrom<RateLimiterConfig> for RateLimiterBuilder {
    type Error = ConfigError;

    fn try_from(config: RateLimiterConfig) -> Result<Self, ConfigError> {
        Self::try_from(&config)
    }
}
