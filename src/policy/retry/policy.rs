//! The retry policy: when, and how often, a call is tried again.

use super::{
    backoff::{Backoff, Strategy},
    config::RetryConfig,
    jitter::Jitter,
};
use crate::{
    ConfigError,
    error::or_panic,
    random::{CallSeeds, entropy},
    sync::Arc,
};
use std::{fmt, time::Duration};

/// When a failed call is tried again, and when no more.
///
/// A policy is data: it is made once, handed to any number of
/// [`.retry_with(..)`](crate::FnExt::retry_with) by reference or by value, and shows itself, as a
/// line ([`Display`](fmt::Display)) or delay by delay ([`schedule`](Self::schedule)).
///
/// ```
/// use decor::{Jitter, RetryPolicy};
/// use std::time::Duration;
///
/// let policy = RetryPolicy::exponential(Duration::from_millis(100))
///     .max_delay(Duration::from_secs(1))
///     .max_attempts(6)
///     .deadline(Duration::from_secs(30));
///
/// let delays: Vec<u128> = policy.schedule().map(|delay| delay.as_millis()).collect();
/// assert_eq!(delays, [100, 200, 400, 800, 1000]);
/// assert_eq!(policy.to_string(),
///     "exponential from 100ms by 2, at most 1s, no jitter, 6 attempts, within 30s");
/// ```
///
/// The default is 3 attempts with 1 s and then 2 s between them, no jitter. For many clients of one
/// server choose a jitter: [`Jitter::Full`] unless you have a reason.
///
/// All arithmetic saturates at [`Duration::MAX`].
#[derive(Clone)]
#[must_use = "a policy does nothing until it is given to `.retry_with(..)`"]
pub struct RetryPolicy {
    pub(super) plan: Plan,
    /// Most policies have none of it, and a clone is no more than a copy of the plan.
    shared: Option<Arc<Shared>>,
}

/// The `Copy` part of a policy, in one struct: every call copies it, and one block copies faster
/// than single fields.
#[derive(Clone, Copy)]
pub(super) struct Plan {
    pub(super) strategy: Strategy,
    /// `Duration::MAX` for no cap.
    pub(super) max_delay: Duration,
    pub(super) deadline: Option<Duration>,
    pub(super) max_attempts: u32,
    pub(super) jitter: Jitter,
}

/// What a policy and its clones have together.
#[derive(Clone, Default)]
struct Shared {
    /// If there is one, the strategy is never asked.
    custom: Option<CustomDelay>,
    seeds: Option<CallSeeds>,
}

type CustomDelay = Arc<dyn Fn(u32) -> Duration + Send + Sync>;

impl RetryPolicy {
    fn new(strategy: Strategy) -> Self {
        let plan = Plan { strategy, max_delay: Duration::MAX, deadline: None, max_attempts: 3, jitter: Jitter::None };
        Self { plan, shared: None }
    }

    /// The same delay before each further attempt.
    ///
    /// ```
    /// use decor::RetryPolicy;
    /// use std::time::Duration;
    ///
    /// let policy = RetryPolicy::fixed(Duration::from_secs(1));
    /// assert!(policy.schedule().eq([Duration::from_secs(1); 2]));
    /// ```
    pub fn fixed(delay: Duration) -> Self {
        Self::new(Strategy::Fixed(delay))
    }

    /// `step * n` after attempt `n`.
    ///
    /// ```
    /// use decor::RetryPolicy;
    /// use std::time::Duration;
    ///
    /// let policy = RetryPolicy::linear(Duration::from_secs(1)).max_attempts(4);
    /// assert!(policy.schedule().eq([1, 2, 3].map(Duration::from_secs)));
    /// ```
    pub fn linear(step: Duration) -> Self {
        Self::new(Strategy::Linear(step))
    }

    /// `first * factor^(n-1)` after attempt `n`. The [`factor`](Self::factor) is 2 until set.
    ///
    /// ```
    /// use decor::RetryPolicy;
    /// use std::time::Duration;
    ///
    /// let policy = RetryPolicy::exponential(Duration::from_secs(1)).max_attempts(5);
    /// assert!(policy.schedule().eq([1, 2, 4, 8].map(Duration::from_secs)));
    /// ```
    pub fn exponential(first: Duration) -> Self {
        Self::new(Strategy::Exponential(first, Self::DEFAULT_FACTOR))
    }

    /// `unit * fib(n)` after attempt `n`: 1, 1, 2, 3, 5 times the unit.
    ///
    /// ```
    /// use decor::RetryPolicy;
    /// use std::time::Duration;
    ///
    /// let policy = RetryPolicy::fibonacci(Duration::from_secs(1)).max_attempts(6);
    /// assert!(policy.schedule().eq([1, 1, 2, 3, 5].map(Duration::from_secs)));
    /// ```
    pub fn fibonacci(unit: Duration) -> Self {
        Self::new(Strategy::Fibonacci(unit))
    }

    /// `delay(n)` after attempt `n`, 1 for the first. Cap and jitter apply to it as to any other.
    ///
    /// ```
    /// use decor::RetryPolicy;
    /// use std::time::Duration;
    ///
    /// let patient = RetryPolicy::custom(|n| Duration::from_secs(if n == 1 { 0 } else { 60 })).max_attempts(4);
    /// assert!(patient.schedule().eq([0, 60, 60].map(Duration::from_secs)));
    /// ```
    pub fn custom(delay: impl Fn(u32) -> Duration + Send + Sync + 'static) -> Self {
        let shared = Shared { custom: Some(Arc::new(delay)), seeds: None };
        Self { shared: Some(Arc::new(shared)), ..Self::fixed(Duration::ZERO) }
    }

    const DEFAULT_FACTOR: f64 = 2.0;

    /// What an exponential delay is multiplied by from one attempt to the next.
    ///
    /// # Panics
    ///
    /// If it is below 1 or not a finite number, or the policy is not exponential.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::RetryPolicy;
    /// use std::time::Duration;
    ///
    /// let policy = RetryPolicy::exponential(Duration::from_secs(1)).factor(3.0);
    /// assert!(policy.schedule().eq([1, 3].map(Duration::from_secs)));
    /// ```
    #[track_caller]
    pub fn factor(self, factor: f64) -> Self {
        or_panic(self.try_factor(factor))
    }

    /// [`factor`](Self::factor) for a value that is not a literal.
    ///
    /// # Errors
    ///
    /// If it is below 1 or not a finite number, or the policy is not exponential.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::RetryPolicy;
    /// use std::time::Duration;
    ///
    /// let error = RetryPolicy::exponential(Duration::from_secs(1)).try_factor(0.5).unwrap_err();
    /// assert_eq!(error.to_string(), "`factor` is 0.5, but must be a finite number of at least 1");
    /// ```
    pub fn try_factor(mut self, factor: f64) -> Result<Self, ConfigError> {
        if !(factor.is_finite() && factor >= 1.0) {
            return Err(ConfigError::new("factor", factor, "a finite number of at least 1"));
        }
        match &mut self.plan.strategy {
            Strategy::Exponential(_, current) => *current = factor,
            _ => {
                return Err(ConfigError::new("factor", factor, "left out unless the policy is exponential"));
            }
        }
        Ok(self)
    }

    /// The longest delay the policy makes. Delays are capped before they are jittered; a server's
    /// hint ([`retry_after`](crate::Retry::retry_after)) is not capped. None until set.
    ///
    /// ```
    /// use decor::RetryPolicy;
    /// use std::time::Duration;
    ///
    /// let policy = RetryPolicy::linear(Duration::from_secs(2)).max_delay(Duration::from_secs(3));
    /// assert!(policy.schedule().eq([2, 3].map(Duration::from_secs)));
    /// ```
    pub fn max_delay(mut self, max_delay: Duration) -> Self {
        self.plan.max_delay = max_delay;
        self
    }

    /// How delays are made random; not at all until set.
    ///
    /// ```
    /// use decor::{Jitter, RetryPolicy};
    /// use std::time::Duration;
    ///
    /// let policy = RetryPolicy::fixed(Duration::from_secs(1)).jitter(Jitter::Equal);
    /// assert!(policy.schedule().all(|d| (Duration::from_millis(500)..=Duration::from_secs(1)).contains(&d)));
    /// ```
    pub fn jitter(mut self, jitter: Jitter) -> Self {
        self.plan.jitter = jitter;
        self
    }

    /// The number of calls in all, the first one included; 3 until set. `u32::MAX` leaves it to the
    /// [`deadline`](Self::deadline).
    ///
    /// # Panics
    ///
    /// If it is 0.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::RetryPolicy;
    /// use std::time::Duration;
    ///
    /// assert_eq!(RetryPolicy::fixed(Duration::ZERO).max_attempts(1).schedule().count(), 0);
    /// ```
    #[track_caller]
    pub fn max_attempts(self, max_attempts: u32) -> Self {
        or_panic(self.try_max_attempts(max_attempts))
    }

    /// [`max_attempts`](Self::max_attempts) for a value that is not a literal.
    ///
    /// # Errors
    ///
    /// If it is 0.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::RetryPolicy;
    ///
    /// let error = RetryPolicy::default().try_max_attempts(0).unwrap_err();
    /// assert_eq!(error.to_string(), "`max_attempts` is 0, but must be at least 1");
    /// ```
    pub fn try_max_attempts(mut self, max_attempts: u32) -> Result<Self, ConfigError> {
        if max_attempts == 0 {
            return Err(ConfigError::new("max_attempts", max_attempts, "at least 1"));
        }
        self.plan.max_attempts = max_attempts;
        Ok(self)
    }

    /// The time limit of all attempts together, the time they run included. A sleep that would end
    /// after the deadline is not begun, whether or not it is a server's hint. Tokio's timer rounds
    /// sleeps up to whole milliseconds. No deadline until set.
    ///
    /// A running attempt is not cut short. For that, add `.timeout(..)` after the retry. The
    /// deadline is the better limit if errors carry hints: a hint beyond the deadline ends the
    /// retry at once with the server's error. A timeout waits until it fires, and returns its own
    /// error.
    ///
    /// ```
    /// use decor::RetryPolicy;
    /// use std::time::Duration;
    ///
    /// let policy = RetryPolicy::exponential(Duration::from_secs(1)).max_attempts(10).deadline(Duration::from_secs(7));
    /// assert!(policy.schedule().eq([1, 2, 4].map(Duration::from_secs)));
    /// ```
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.plan.deadline = Some(deadline);
        self
    }

    /// Makes the jitter reproducible: the policy's first call draws the same delays on every run,
    /// the second others, but again the same on every run. Clones count their calls together.
    ///
    /// ```
    /// use decor::{Jitter, RetryPolicy};
    /// use std::time::Duration;
    ///
    /// let policy = || RetryPolicy::fixed(Duration::from_secs(1)).jitter(Jitter::Full).seed(7);
    /// assert!(policy().schedule().eq(policy().schedule()));
    /// ```
    pub fn seed(mut self, seed: u64) -> Self {
        Arc::make_mut(self.shared.get_or_insert_default()).seeds = Some(CallSeeds::new(seed));
        self
    }

    /// The same delays, without an end.
    #[cfg(feature = "memo")]
    pub(crate) fn endless(mut self) -> Self {
        (self.plan.max_attempts, self.plan.deadline) = (u32::MAX, None);
        self
    }

    /// The delay after attempt `attempt` (1 for the first), before cap and jitter.
    pub(super) fn delay(&self, attempt: u32) -> Duration {
        self.custom_delay().map_or_else(|| self.plan.strategy.delay(attempt), |delay| delay(attempt))
    }

    fn custom_delay(&self) -> Option<&CustomDelay> {
        self.shared.as_ref()?.custom.as_ref()
    }

    pub(super) fn seeds(&self) -> Option<&CallSeeds> {
        self.shared.as_ref()?.seeds.as_ref()
    }

    /// The random seed of a call that is about to wait for the first time; 0 without jitter.
    pub(crate) fn seed_of_next_call(&self) -> u64 {
        match (&self.plan.jitter, self.seeds()) {
            (Jitter::None, _) => 0,
            (_, Some(seeds)) => seeds.take(),
            (_, None) => entropy(),
        }
    }

    /// Whether the time since the first attempt matters to it.
    pub(crate) fn needs_clock(&self) -> bool {
        self.plan.deadline.is_some()
    }

    /// Whether there may be an attempt after this one.
    pub(crate) fn may_follow(&self, attempt: u32) -> bool {
        attempt < self.plan.max_attempts
    }
}

/// 3 attempts, 1 s and then 2 s apart, no jitter.
impl Default for RetryPolicy {
    fn default() -> Self {
        Self::exponential(Duration::from_secs(1))
    }
}

/// Shares the policy, its count of seeded calls included.
impl From<&Self> for RetryPolicy {
    fn from(policy: &Self) -> Self {
        policy.clone()
    }
}

/// ```
/// use decor::{Backoff, RetryConfig, RetryPolicy};
///
/// let config = RetryConfig { backoff: Backoff::Linear, factor: Some(2.0), ..RetryConfig::default() };
/// assert_eq!(RetryPolicy::try_from(config).unwrap_err().to_string(),
///     "`factor` is 2, but must be left out unless the policy is exponential");
/// ```
impl TryFrom<RetryConfig> for RetryPolicy {
    type Error = ConfigError;

    fn try_from(config: RetryConfig) -> Result<Self, ConfigError> {
        let RetryConfig { backoff, delay, factor, max_delay, jitter, max_attempts, deadline, seed } = config;
        let mut policy = match backoff {
            Backoff::Fixed => Self::fixed(delay),
            Backoff::Linear => Self::linear(delay),
            Backoff::Exponential => Self::exponential(delay),
            Backoff::Fibonacci => Self::fibonacci(delay),
        };
        if let Some(factor) = factor {
            policy = policy.try_factor(factor)?;
        }
        policy.plan.max_delay = max_delay.unwrap_or(Duration::MAX);
        policy.plan.deadline = deadline;
        policy.plan.jitter = jitter;
        if let Some(seed) = seed {
            policy = policy.seed(seed);
        }
        policy.try_max_attempts(max_attempts)
    }
}

impl fmt::Display for RetryPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Plan { strategy, max_delay, deadline, max_attempts, jitter } = &self.plan;
        match self.custom_delay() {
            Some(_) => f.write_str("custom")?,
            None => write!(f, "{strategy}")?,
        }
        if *max_delay != Duration::MAX {
            write!(f, ", at most {max_delay:?}")?;
        }
        match jitter {
            Jitter::None => f.write_str(", no jitter")?,
            jitter => write!(f, ", {jitter} jitter")?,
        }
        match *max_attempts {
            1 => f.write_str(", 1 attempt")?,
            u32::MAX => f.write_str(", any number of attempts")?,
            n => write!(f, ", {n} attempts")?,
        }
        if let Some(deadline) = deadline {
            write!(f, ", within {deadline:?}")?;
        }
        if let Some(seeds) = self.seeds() {
            write!(f, ", seed {}", seeds.seed())?;
        }
        Ok(())
    }
}

impl fmt::Debug for RetryPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RetryPolicy({self})")
    }
}
