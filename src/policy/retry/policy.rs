//! The retry policy.

use super::{
    backoff::{Backoff, Growth},
    config::{DEFAULT_MAX_HINT, RetryConfig},
    jitter::Jitter,
    log::LogLevel,
};
use crate::{
    ConfigError,
    error::or_panic,
    random::{CallSeeds, entropy},
    sync::Arc,
    trace::LineLimit,
};
use std::{fmt, time::Duration};
use tracing::level_filters::LevelFilter;

/// The number of attempts of a call, and the delays between them.
///
/// A policy is data. Make it once, and give it to any number of
/// [`.retry_with(..)`](crate::FnExt::retry_with) by reference or by value. It displays as one line,
/// and [`schedule`](Self::schedule) lists its delays.
///
#[doc = include_str!("../../../docs/schedule.svg")]
///
/// # Examples
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
/// The default is 3 attempts with delays of 1 s and 2 s, without jitter. For many clients of one
/// server, set a jitter, usually [`Jitter::Full`].
///
/// All arithmetic saturates at [`Duration::MAX`]. Time is measured by a [monotonic
/// clock](crate#clocks). Settings can be given in any order. A setting that can only be a mistake,
/// such as a deadline of zero, panics at its call; its `try_` twin returns an error.
///
/// # Logs
///
/// A retry emits events under the target `decor::retry`:
///
/// | line | level |
/// |---|---|
/// | `fetch failed at attempt 1, retrying in 1s` | [`log_level`](Self::log_level), `debug` by default |
/// | `fetch succeeded at attempt 2` | the same |
/// | `fetch failed: not retryable`, at the first attempt | the same |
/// | `fetch gave up at attempt 3: attempts exhausted` | [`give_up_log_level`](Self::give_up_log_level), `warn` by default |
///
/// With [`.logging_errors()`](crate::Retry::logging_errors), the lines end with the text of the
/// error. With [`give_up_log_interval`](Self::give_up_log_interval), a thousand calls that give up
/// in one outage make a few lines, which count the lines that were left out.
#[derive(Clone)]
#[must_use = "a policy does nothing until it is given to `.retry_with(..)`"]
pub struct RetryPolicy {
    pub(super) plan: Plan,
    /// `None` for most policies, so that a clone only copies the plan.
    shared: Option<Arc<Shared>>,
}

/// The `Copy` part of a policy, in one struct: every call copies it, and one block copies faster
/// than single fields.
#[derive(Clone, Copy)]
pub(super) struct Plan {
    pub(super) growth: Growth,
    /// Longest delay; `Duration::MAX` for no cap.
    pub(super) max_delay: Duration,
    pub(super) deadline: Option<Duration>,
    pub(super) max_attempts: u32,
    pub(super) jitter: Jitter,
    /// `true` if the policy needs the time since the first attempt.
    needs_clock: bool,
    log_level: LogLevel,
    give_up_log_level: LogLevel,
}

/// The settings that a policy shares with its clones.
#[derive(Clone, Default)]
struct Shared {
    /// Replaces the growth if it is set.
    custom: Option<CustomDelay>,
    seeds: Option<CallSeeds>,
    give_up_log: Option<LineLimit>,
    keeps_place: bool,
    /// Longest hint that is followed; `None` for the default.
    max_hint: Option<Duration>,
}

type CustomDelay = Arc<dyn Fn(u32) -> Duration + Send + Sync>;

impl RetryPolicy {
    fn new(growth: Growth) -> Self {
        let plan = Plan {
            growth,
            max_delay: Duration::MAX,
            deadline: None,
            max_attempts: 3,
            jitter: Jitter::None,
            needs_clock: false,
            log_level: LogLevel::of(LevelFilter::DEBUG),
            give_up_log_level: LogLevel::of(LevelFilter::WARN),
        };
        Self { plan, shared: None }
    }

    /// Returns a policy with delays that grow, and therefore cannot begin with zero.
    fn growing(growth: Growth) -> Result<Self, ConfigError> {
        if growth.first().is_zero() {
            return Err(ConfigError::new("delay", "0ns", "longer than zero where delays grow"));
        }
        Ok(Self::new(growth))
    }

    /// Returns a policy with the same delay after each attempt. Zero retries at once.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::RetryPolicy;
    /// use std::time::Duration;
    ///
    /// let policy = RetryPolicy::fixed(Duration::from_secs(1));
    /// assert!(policy.schedule().eq([Duration::from_secs(1); 2]));
    /// ```
    pub fn fixed(delay: Duration) -> Self {
        Self::new(Growth::Fixed(delay))
    }

    /// Returns a policy with a delay of `step * n` after attempt `n`.
    ///
    /// # Panics
    ///
    /// If `step` is zero. Use [`fixed`](Self::fixed) to retry without a delay.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::RetryPolicy;
    /// use std::time::Duration;
    ///
    /// let policy = RetryPolicy::linear(Duration::from_secs(1)).max_attempts(4);
    /// assert!(policy.schedule().eq([1, 2, 3].map(Duration::from_secs)));
    /// ```
    #[track_caller]
    pub fn linear(step: Duration) -> Self {
        or_panic(Self::try_linear(step))
    }

    /// Does the same as [`linear`](Self::linear), with an error in place of a panic.
    ///
    /// # Errors
    ///
    /// If the delay is zero.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::RetryPolicy;
    /// use std::time::Duration;
    ///
    /// let error = RetryPolicy::try_linear(Duration::ZERO).unwrap_err();
    /// assert_eq!(
    ///     error.to_string(),
    ///     "`delay` is 0ns, but must be longer than zero where delays grow",
    /// );
    /// ```
    pub fn try_linear(step: Duration) -> Result<Self, ConfigError> {
        Self::growing(Growth::Linear(step))
    }

    /// Returns a policy with a delay of `first * factor^(n-1)` after attempt `n`. The
    /// [`factor`](Self::factor) is 2 by default.
    ///
    /// # Panics
    ///
    /// If `first` is zero. Use [`fixed`](Self::fixed) to retry without a delay.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::RetryPolicy;
    /// use std::time::Duration;
    ///
    /// let policy = RetryPolicy::exponential(Duration::from_secs(1)).max_attempts(5);
    /// assert!(policy.schedule().eq([1, 2, 4, 8].map(Duration::from_secs)));
    /// ```
    #[track_caller]
    pub fn exponential(first: Duration) -> Self {
        or_panic(Self::try_exponential(first))
    }

    /// Does the same as [`exponential`](Self::exponential), with an error in place of a panic.
    ///
    /// # Errors
    ///
    /// If the delay is zero.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::RetryPolicy;
    /// use std::time::Duration;
    ///
    /// let error = RetryPolicy::try_exponential(Duration::ZERO).unwrap_err();
    /// assert_eq!(
    ///     error.to_string(),
    ///     "`delay` is 0ns, but must be longer than zero where delays grow",
    /// );
    /// ```
    pub fn try_exponential(first: Duration) -> Result<Self, ConfigError> {
        Self::growing(Growth::Exponential(first, Self::DEFAULT_FACTOR))
    }

    /// Returns a policy with a delay of `unit * fib(n)` after attempt `n`: 1, 1, 2, 3, 5 times the
    /// unit.
    ///
    /// # Panics
    ///
    /// If `unit` is zero. Use [`fixed`](Self::fixed) to retry without a delay.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::RetryPolicy;
    /// use std::time::Duration;
    ///
    /// let policy = RetryPolicy::fibonacci(Duration::from_secs(1)).max_attempts(6);
    /// assert!(policy.schedule().eq([1, 1, 2, 3, 5].map(Duration::from_secs)));
    /// ```
    #[track_caller]
    pub fn fibonacci(unit: Duration) -> Self {
        or_panic(Self::try_fibonacci(unit))
    }

    /// Does the same as [`fibonacci`](Self::fibonacci), with an error in place of a panic.
    ///
    /// # Errors
    ///
    /// If the delay is zero.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::RetryPolicy;
    /// use std::time::Duration;
    ///
    /// let error = RetryPolicy::try_fibonacci(Duration::ZERO).unwrap_err();
    /// assert_eq!(
    ///     error.to_string(),
    ///     "`delay` is 0ns, but must be longer than zero where delays grow",
    /// );
    /// ```
    pub fn try_fibonacci(unit: Duration) -> Result<Self, ConfigError> {
        Self::growing(Growth::Fibonacci(unit))
    }

    /// Returns a policy with a delay of `delay(n)` after attempt `n` (1 for the first). Cap and
    /// jitter apply as to any other delay. A delay of zero retries at once.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::RetryPolicy;
    /// use std::time::Duration;
    ///
    /// let delay = |n| Duration::from_secs(if n == 1 { 0 } else { 60 });
    /// let patient = RetryPolicy::custom(delay).max_attempts(4);
    /// assert!(patient.schedule().eq([0, 60, 60].map(Duration::from_secs)));
    /// ```
    pub fn custom(delay: impl Fn(u32) -> Duration + Send + Sync + 'static) -> Self {
        let shared = Shared { custom: Some(Arc::new(delay)), ..Shared::default() };
        Self { shared: Some(Arc::new(shared)), ..Self::fixed(Duration::ZERO) }
    }

    const DEFAULT_FACTOR: f64 = 2.0;

    /// Largest factor, 2^53. A float does not hold every whole number beyond it, and the second
    /// delay would already be useless.
    const MAX_FACTOR: f64 = 9_007_199_254_740_992.0;

    /// Sets the factor by which exponential delays grow from one attempt to the next. With 1 the
    /// delay does not grow.
    ///
    /// # Panics
    ///
    /// If the factor is below 1, above 2^53 or not a number, or the policy is not exponential.
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

    /// Does the same as [`factor`](Self::factor), with an error in place of a panic.
    ///
    /// # Errors
    ///
    /// If the factor is below 1, above 2^53 or not a number, or the policy is not exponential.
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
        if factor > Self::MAX_FACTOR {
            return Err(ConfigError::new("factor", format_args!("{factor:e}"), "at most 2^53"));
        }
        match &mut self.plan.growth {
            Growth::Exponential(_, current) => *current = factor,
            _ => {
                return Err(ConfigError::new("factor", factor, "left out unless the policy is exponential"));
            }
        }
        Ok(self)
    }

    /// Sets the longest delay of the policy (default: no cap). Delays are capped before they are
    /// jittered. A server's hint ([`retry_after`](crate::Retry::retry_after)) is not capped; see
    /// [`max_hint`](Self::max_hint).
    ///
    /// # Panics
    ///
    /// If the cap is below the policy's first delay, which the cap would replace. A cap of zero is
    /// therefore valid only for a [`fixed`](Self::fixed) delay of zero. A [`custom`](Self::custom)
    /// policy accepts any cap, because its first delay is not known.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::RetryPolicy;
    /// use std::time::Duration;
    ///
    /// let policy = RetryPolicy::linear(Duration::from_secs(2)).max_delay(Duration::from_secs(3));
    /// assert!(policy.schedule().eq([2, 3].map(Duration::from_secs)));
    /// ```
    #[track_caller]
    pub fn max_delay(self, max_delay: Duration) -> Self {
        or_panic(self.try_max_delay(max_delay))
    }

    /// Does the same as [`max_delay`](Self::max_delay), with an error in place of a panic.
    ///
    /// # Errors
    ///
    /// If the cap is below the policy's first delay.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::RetryPolicy;
    /// use std::time::Duration;
    ///
    /// let policy = RetryPolicy::exponential(Duration::from_secs(2));
    /// let error = policy.try_max_delay(Duration::from_secs(1)).unwrap_err();
    /// assert_eq!(error.to_string(), "`max_delay` is 1s, but must be at least the first delay");
    /// ```
    pub fn try_max_delay(mut self, max_delay: Duration) -> Result<Self, ConfigError> {
        if self.custom_delay().is_none() && max_delay < self.plan.growth.first() {
            return Err(ConfigError::new("max_delay", format_args!("{max_delay:?}"), "at least the first delay"));
        }
        self.plan.max_delay = max_delay;
        Ok(self)
    }

    /// Sets the longest hint of a server ([`retry_after`](crate::Retry::retry_after)) that is
    /// followed. 1 h by default.
    ///
    /// A longer hint ends the retry at once, with the call's own error or value, and with the
    /// reason [`HintTooLong`](crate::GiveUpReason::HintTooLong). A `Retry-After: 31536000`
    /// therefore does not hold a call for a year. `Duration::MAX` follows every hint. With zero,
    /// every hint except a hint of zero ends the retry.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::{GiveUpReason, prelude::*};
    /// use std::time::Duration;
    ///
    /// let policy = RetryPolicy::default().max_hint(Duration::from_secs(60));
    /// let error = (|| std::future::ready(Err::<(), _>(Duration::from_secs(31_536_000))))
    ///     .retry_with(policy)
    ///     .retry_after(|wait| Some(*wait))
    ///     .explained()
    ///     .await
    ///     .unwrap_err();
    /// assert_eq!((error.attempts(), error.reason()), (1, GiveUpReason::HintTooLong));
    /// # }
    /// ```
    pub fn max_hint(mut self, max_hint: Duration) -> Self {
        self.share().max_hint = Some(max_hint);
        self
    }

    /// Sets the randomness of the delays. [`Jitter::None`] by default.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::{Jitter, RetryPolicy};
    /// use std::time::Duration;
    ///
    /// let policy = RetryPolicy::fixed(Duration::from_secs(1)).jitter(Jitter::Equal);
    /// let range = Duration::from_millis(500)..=Duration::from_secs(1);
    /// assert!(policy.schedule().all(|delay| range.contains(&delay)));
    /// ```
    pub fn jitter(mut self, jitter: Jitter) -> Self {
        self.plan.jitter = jitter;
        self
    }

    /// Sets the maximum number of attempts, the first one included. 3 by default. 1 retries
    /// nothing. `u32::MAX` is for a policy that only its [`deadline`](Self::deadline) ends.
    ///
    /// # Panics
    ///
    /// If `max_attempts` is 0.
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

    /// Does the same as [`max_attempts`](Self::max_attempts), with an error in place of a panic.
    ///
    /// # Errors
    ///
    /// If `max_attempts` is 0.
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

    /// Sets the time limit of all attempts and delays together, from the start of the first
    /// attempt. No deadline by default.
    ///
    /// If a delay would end after the deadline, the retry gives up at once. This holds for a
    /// server's hint as well. Tokio's timer rounds delays up to whole milliseconds.
    ///
    /// A running attempt is not ended. For that, add `.timeout(..)` after the retry. The retry then
    /// gives up by the limit of the timeout as it does by its own deadline.
    ///
    /// # Panics
    ///
    /// If the deadline is zero. Use `max_attempts(1)` to retry nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::RetryPolicy;
    /// use std::time::Duration;
    ///
    /// let second = Duration::from_secs(1);
    /// let policy = RetryPolicy::exponential(second).max_attempts(10).deadline(7 * second);
    /// assert!(policy.schedule().eq([1, 2, 4].map(Duration::from_secs)));
    /// ```
    #[track_caller]
    pub fn deadline(self, deadline: Duration) -> Self {
        or_panic(self.try_deadline(deadline))
    }

    /// Does the same as [`deadline`](Self::deadline), with an error in place of a panic.
    ///
    /// # Errors
    ///
    /// If the deadline is zero.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::RetryPolicy;
    /// use std::time::Duration;
    ///
    /// let error = RetryPolicy::default().try_deadline(Duration::ZERO).unwrap_err();
    /// assert_eq!(error.to_string(), "`deadline` is 0ns, but must be longer than zero");
    /// ```
    pub fn try_deadline(mut self, deadline: Duration) -> Result<Self, ConfigError> {
        if deadline.is_zero() {
            return Err(ConfigError::new("deadline", "0ns", "longer than zero"));
        }
        self.plan.deadline = Some(deadline);
        self.plan.needs_clock = true;
        Ok(self)
    }

    /// Makes the jitter reproducible. The n-th call of the policy that waits has the same delays in
    /// each run of the program. Different calls have different delays. Clones count their calls
    /// together. Zero is a seed like any other. Without jitter, a seed has no effect.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::{Jitter, RetryPolicy};
    /// use std::time::Duration;
    ///
    /// let policy = || RetryPolicy::fixed(Duration::from_secs(1)).jitter(Jitter::Full).seed(7);
    /// assert!(policy().schedule().eq(policy().schedule()));
    /// ```
    pub fn seed(mut self, seed: u64) -> Self {
        self.share().seeds = Some(CallSeeds::new(seed));
        self
    }

    /// Lets a retried call keep its place in the queue of a limiter, in the order in which calls
    /// first came. By default, each attempt joins at the end.
    ///
    /// Applies to the limiters inside of the retry (`.rate_limited(&limiter).retry_with(&policy)`),
    /// including limiters by key, and to permits that the function acquires by hand. From its
    /// second attempt on, the call queues before all calls that came to the limiter after its first
    /// attempt began, and behind those that came earlier. While a call that came earlier waits for
    /// its first turn, a retried call joins at the end. This can happen if a timeout ended the
    /// previous attempt before the limiter admitted it.
    ///
    /// The limit holds for the retried call as for any other, and a full queue refuses it. A call
    /// that may not wait (`try_rate_limited`) has no place to keep. The setting has no effect on a
    /// limiter outside of the retry. Calls that are overtaken wait longer, so a call with a bounded
    /// wait (`rate_limited_within`) may now fail.
    ///
    /// Use this setting if a throttled call should not wait in a long queue twice. If the server is
    /// down, it then receives the same few calls again, and newer calls wait behind them.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::prelude::*;
    /// use futures::future::join_all;
    /// use std::{cell::RefCell, time::Duration};
    ///
    /// let order = async |policy: RetryPolicy| {
    ///     let limiter = RateLimiter::paced(1, Duration::from_secs(10));
    ///     let calls = RefCell::new(Vec::new());
    ///     let fetch = async |id: u64| {
    ///         calls.borrow_mut().push(id);
    ///         if id == 1 && decor::attempt() == 1 { Err("busy") } else { Ok(()) }
    ///     };
    ///     let fetch = fetch.rate_limited(&limiter).retry_with(policy);
    ///     join_all([1, 2, 3].map(|id| fetch.call(id))).await;
    ///     calls.into_inner()
    /// };
    /// let policy = RetryPolicy::fixed(Duration::from_secs(1));
    /// assert_eq!(order(policy.clone()).await, [1, 2, 3, 1]);
    /// assert_eq!(order(policy.keeping_place()).await, [1, 1, 2, 3]);
    /// # }
    /// ```
    pub fn keeping_place(mut self) -> Self {
        self.plan.needs_clock = true;
        self.share().keeps_place = true;
        self
    }

    /// Sets the level of the log lines about attempts. `debug` by default. `LevelFilter::OFF`, or
    /// `None`, turns the lines off. See [Logs](Self#logs).
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use decor::prelude::*;
    /// use tracing::{Level, level_filters::LevelFilter};
    ///
    /// async fn fetch(id: u64) -> Result<u64, String> { Ok(id) }
    ///
    /// let loud = RetryPolicy::default().log_level(Level::INFO);
    /// let off = LevelFilter::OFF;
    /// let silent = RetryPolicy::default().log_level(off).give_up_log_level(off);
    /// assert_eq!(fetch.retry_with(loud).call(42).await, Ok(42));
    /// assert_eq!(fetch.retry_with(silent).call(42).await, Ok(42));
    /// # }
    /// ```
    pub fn log_level(mut self, level: impl Into<LevelFilter>) -> Self {
        self.plan.log_level = LogLevel::of(level.into());
        self
    }

    /// Sets the level of the log line about giving up. `warn` by default. `LevelFilter::OFF`, or
    /// `None`, turns the line off, for a program that counts in
    /// [`.on_give_up(..)`](crate::Retry::on_give_up) instead.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::prelude::*;
    ///
    /// async fn fetch(id: u64) -> Result<u64, String> { Err("down".to_owned()) }
    ///
    /// let policy = RetryPolicy::default().give_up_log_level(None);
    /// let mut gave_up = 0;
    /// let fetch = (|| fetch(42)).retry_with(policy).on_give_up(|_| gave_up += 1);
    /// assert!(fetch.await.is_err());
    /// assert_eq!(gave_up, 1);
    /// # }
    /// ```
    pub fn give_up_log_level(mut self, level: impl Into<LevelFilter>) -> Self {
        self.plan.give_up_log_level = LogLevel::of(level.into());
        self
    }

    /// Sets the minimum time between two log lines about giving up. Zero, the default, logs every
    /// line.
    ///
    /// The interval is shared by all calls of the policy and its clones. Lines within it are left
    /// out, and the next line ends with their number: `(999 more since the last such line)`. The
    /// hook [`on_give_up`](crate::Retry::on_give_up) is called each time.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::RetryPolicy;
    /// use std::time::Duration;
    ///
    /// let policy = RetryPolicy::default().give_up_log_interval(Duration::from_secs(10));
    /// # drop(policy);
    /// ```
    pub fn give_up_log_interval(mut self, interval: Duration) -> Self {
        let limit = (!interval.is_zero()).then(|| LineLimit::new(interval));
        if limit.is_some() || self.shared.is_some() {
            self.share().give_up_log = limit;
        }
        self
    }

    fn share(&mut self) -> &mut Shared {
        Arc::make_mut(self.shared.get_or_insert_default())
    }

    /// Longest hint that is followed.
    pub(super) fn longest_hint(&self) -> Duration {
        self.shared.as_ref().and_then(|shared| shared.max_hint).unwrap_or(DEFAULT_MAX_HINT)
    }

    /// Level of the log lines about attempts.
    pub(crate) fn log_filter(&self) -> LevelFilter {
        self.plan.log_level.filter()
    }

    /// Level of the log line about giving up.
    pub(crate) fn give_up_log_filter(&self) -> LevelFilter {
        self.plan.give_up_log_level.filter()
    }

    /// Limit of the log lines about giving up; `None` if all are logged.
    pub(crate) fn give_up_log(&self) -> Option<&LineLimit> {
        self.shared.as_ref()?.give_up_log.as_ref()
    }

    /// Returns the policy without its maximum number of attempts and its deadline.
    pub(crate) fn endless(mut self) -> Self {
        (self.plan.max_attempts, self.plan.deadline) = (u32::MAX, None);
        self
    }

    /// Returns the delay after attempt `attempt` (1 for the first), before cap and jitter.
    pub(super) fn delay(&self, attempt: u32) -> Duration {
        self.custom_delay().map_or_else(|| self.plan.growth.delay(attempt), |delay| delay(attempt))
    }

    pub(super) fn is_custom(&self) -> bool {
        self.custom_delay().is_some()
    }

    fn custom_delay(&self) -> Option<&CustomDelay> {
        self.shared.as_ref()?.custom.as_ref()
    }

    pub(super) fn seeds(&self) -> Option<&CallSeeds> {
        self.shared.as_ref()?.seeds.as_ref()
    }

    /// Returns the random seed of a call that is about to wait for the first time; 0 without
    /// jitter.
    pub(crate) fn seed_of_next_call(&self) -> u64 {
        match (&self.plan.jitter, self.seeds()) {
            (Jitter::None, _) => 0,
            (_, Some(seeds)) => seeds.take(),
            (_, None) => entropy(),
        }
    }

    /// Returns `true` if the policy needs the time since the first attempt.
    pub(crate) fn needs_clock(&self) -> bool {
        self.plan.needs_clock
    }

    /// Returns the start of the first attempt if calls keep their place in queues, otherwise
    /// `None`.
    pub(crate) fn keeps_place_since<I>(&self, began: Option<I>) -> Option<I> {
        began.filter(|_| self.shared.as_ref().is_some_and(|shared| shared.keeps_place))
    }

    /// Returns `true` if `max_attempts` allows an attempt after this one.
    pub(crate) fn may_follow(&self, attempt: u32) -> bool {
        attempt < self.plan.max_attempts
    }
}

/// Returns a policy of 3 attempts with delays of 1 s and 2 s, without jitter.
impl Default for RetryPolicy {
    fn default() -> Self {
        Self::exponential(Duration::from_secs(1))
    }
}

/// Clones the policy. Clones share their count of seeded calls.
impl From<&Self> for RetryPolicy {
    fn from(policy: &Self) -> Self {
        policy.clone()
    }
}

/// Checks all fields of the config.
///
/// # Examples
///
/// ```
/// use decor::{Backoff, RetryConfig, RetryPolicy};
///
/// let backoff = Backoff::Linear;
/// let config = RetryConfig { backoff, factor: Some(2.0), ..RetryConfig::default() };
/// assert_eq!(RetryPolicy::try_from(config).unwrap_err().to_string(),
///     "`factor` is 2, but must be left out unless the policy is exponential");
/// ```
impl TryFrom<RetryConfig> for RetryPolicy {
    type Error = ConfigError;

    fn try_from(config: RetryConfig) -> Result<Self, ConfigError> {
        Self::try_from(&config)
    }
}

/// Checks all fields of the config.
///
/// # Examples
///
/// See [`RetryConfig`].
impl TryFrom<&RetryConfig> for RetryPolicy {
    type Error = ConfigError;

    fn try_from(config: &RetryConfig) -> Result<Self, ConfigError> {
        let mut policy = match config.backoff {
            Backoff::Fixed => Self::fixed(config.delay),
            Backoff::Linear => Self::try_linear(config.delay)?,
            Backoff::Exponential => Self::try_exponential(config.delay)?,
            Backoff::Fibonacci => Self::try_fibonacci(config.delay)?,
        };
        if let Some(factor) = config.factor {
            policy = policy.try_factor(factor)?;
        }
        if let Some(max_delay) = config.max_delay {
            policy = policy.try_max_delay(max_delay)?;
        }
        if let Some(deadline) = config.deadline {
            policy = policy.try_deadline(deadline)?;
        }
        if let Some(seed) = config.seed {
            policy = policy.seed(seed);
        }
        if config.keeps_place {
            policy = policy.keeping_place();
        }
        if config.max_hint != DEFAULT_MAX_HINT {
            policy = policy.max_hint(config.max_hint);
        }
        policy
            .jitter(config.jitter)
            .log_level(config.log_level)
            .give_up_log_level(config.give_up_log_level)
            .give_up_log_interval(config.give_up_log_interval)
            .try_max_attempts(config.max_attempts)
    }
}

impl fmt::Display for RetryPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Plan { growth, max_delay, deadline, max_attempts, jitter, .. } = &self.plan;
        match self.custom_delay() {
            Some(_) => f.write_str("custom")?,
            None => write!(f, "{growth}")?,
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
        match self.longest_hint() {
            DEFAULT_MAX_HINT => {}
            Duration::MAX => f.write_str(", any hint")?,
            hint => write!(f, ", hints up to {hint:?}")?,
        }
        if self.keeps_place_since(Some(())).is_some() {
            f.write_str(", keeping its place")?;
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
