//! The handle of a rate limiter.

use super::{
    acquire::{Acquire, AcquireMany, Acquisition},
    state::{Bounds, Core, Request, never_refused},
    stats::RateLimiterStats,
};
use crate::{
    ConfigError, Error, Permits, RateLimiterConfig,
    clock::Nanos,
    describe::HandleId,
    error::or_panic,
    policy::{checked_limits, checked_pause},
    sync::Arc,
};
use std::{fmt, task::Waker, time::Duration};

/// Limits calls per period. All clones are one limiter.
///
/// Keep a limiter in the state of the program, and share it among all functions that call the
/// service, with [`.rate_limited(&limiter)`](crate::FnExt::rate_limited) or by hand.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
/// use decor::prelude::*;
/// use std::time::Duration;
/// use tokio::time::Instant;
///
/// let limiter = RateLimiter::new(3, Duration::from_secs(1)); // at most 3 calls in any second
/// let fetch = (|id: u64| std::future::ready(id)).rate_limited(&limiter);
///
/// let begun = Instant::now();
/// for id in 0..5 {
///     fetch.call(id).await;
/// }
/// assert_eq!(begun.elapsed(), Duration::from_secs(1));
/// # }
/// ```
///
/// # Exact and paced limiters
///
#[doc = include_str!("../../docs/window.svg")]
///
/// [`new`](Self::new) and [`windows`](Self::windows) make **exact** limiters: no stretch of time as
/// long as one period holds more admissions than the limit, however the calls arrive. A token
/// bucket lets nearly twice as many pass. Calls may come in bursts of the whole limit.
///
/// [`paced`](Self::paced) makes a limiter that spaces calls evenly, for services that do not take
/// bursts. A waiter that was woken late counts from its place on the schedule, or from 3 ms ago if
/// that is later. Otherwise the lateness of timers would add up. In any stretch of time that is `t`
/// long, calls of up to the burst take no more than `burst + (t + 3 ms) * limit / period` permits.
/// With a burst of 1, the number of calls that pass together after a stall of the program is 1 at
/// 100 a second, 4 at 1,000 a second, and 31 at 10,000 a second.
///
/// Tokio's timer is never early and at most 1 ms late. A saturated exact window falls behind by up
/// to 1 ms per period, because it would not be exact otherwise. A paced limiter computes from its
/// schedule and does not drift.
///
/// The limit is what this process *sends*. A server counts the calls that arrive, and the network
/// changes the time between them. Leave a margin in the period for that. For machines that sleep
/// and processes that fork, see [clocks](crate#clocks).
///
/// # Fairness
///
/// Calls are admitted in the order in which they came, and light requests do not starve a heavy
/// one. A call takes its permit when it is polled and can use the permit. A waiter that is dropped
/// leaves nothing behind.
///
/// A call never takes a permit that a call before it could take. A call that only tries, or that
/// reaches the end of its `max_wait`, is admitted if its permits are free beside those of all calls
/// before it. Otherwise the call is refused. The order in which the waiters of one moment are
/// polled does not matter.
///
/// A waiter that is never polled again delays the others by its own turn and 10 ms. When the next
/// waiter is due, it wakes the first waiter once more and skips it 10 ms later. Waiters behind the
/// first that are overdue as well are skipped with it. With an exact limiter, the next waiter adds
/// 1 ms for each period that it has waited, because timers may be that late. A waiter behind a
/// thousand others adds 10 ms for each thousand of them.
///
/// A skipped waiter keeps its place: when it is polled after all, it stands before all that came
/// later. A retried call joins the end of the queue with each attempt, unless its policy is
/// [`keeping_place`](crate::RetryPolicy::keeping_place).
///
/// # Changing settings
///
/// Each setting of the [builder](Self::builder) can be read and changed on any handle while the
/// limiter is in use: [`limits`](Self::limits), [`burst`](Self::burst),
/// [`max_waiting`](Self::max_waiting), [`longest_pause`](Self::longest_pause). Two things stay: the
/// number of windows, because a new window would not know of earlier calls, and whether the limiter
/// is exact or paced, because windows have no schedule. To change these, make another limiter.
///
/// # Past one process
///
/// A limit of an API belongs to an account, and not to a process.
/// [`shared`](crate::RateLimiterBuilder::shared) makes a limiter that shares its limit with other
/// processes through a store. Its words and its decorators are the same.
///
/// # Closing
///
/// [`close`](Self::close) ends all waits, for a shutdown: waiting and later calls get
/// [`Error::Closed`]. Calls that cannot fail stay pending.
///
/// # Memory
///
/// A window takes 16 bytes for each admission that it still holds. The memory for limits up to
/// 65,536 is reserved at once; the memory of a larger limit grows when it is needed. While a period
/// is shorter than it once was, a window takes up to twice as much, because the period may grow
/// back. A waiter takes about 80 bytes in the queue, and the rest in its own future.
#[derive(Clone)]
pub struct RateLimiter {
    pub(super) core: Arc<Core>,
}

impl RateLimiter {
    /// Waits for one permit of each window.
    ///
    /// Stays pending on a [closed](Self::close) limiter, because this method has no error to
    /// return. [`acquire_many(1)`](Self::acquire_many) waits in the same way, and fails on a closed
    /// limiter.
    ///
    /// # Cancel safety
    ///
    /// If dropped while waiting, the call leaves the queue, and the next waiter moves up. If
    /// dropped when it is ready, the call has taken its permit.
    ///
    /// # Fairness
    ///
    /// Calls are admitted in the order of their first polls.
    ///
    /// # Panics
    ///
    /// If the call has to wait outside of a tokio runtime with its timer enabled.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::RateLimiter;
    /// use std::time::Duration;
    ///
    /// let limiter = RateLimiter::new(1, Duration::from_secs(1));
    /// limiter.acquire().await;
    /// assert_eq!(limiter.available(), 0);
    /// # }
    /// ```
    pub fn acquire(&self) -> Acquire<'_> {
        Acquire::new(&self.core)
    }

    /// Waits for one permit by blocking the thread. Threads and tasks share one queue.
    ///
    /// For several permits, or a limited wait, use [`AcquireMany::blocking`]:
    /// `limiter.acquire_within(limit).blocking()?`.
    ///
    /// Stays parked on a [closed](Self::close) limiter, because this method has no error to return.
    /// `limiter.acquire_many(1).blocking()` waits in the same way, and fails on a closed limiter. A
    /// [`.timeout(..)`](crate::FnExt::timeout) around the call ends the wait.
    ///
    /// # Panics
    ///
    /// If the call has to wait in a task of a current-thread runtime, because the wait would stop
    /// that runtime. On a multi-thread runtime, the other tasks move to another thread.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::RateLimiter;
    /// use std::time::Duration;
    ///
    /// let limiter = RateLimiter::new(10, Duration::from_secs(1));
    /// limiter.acquire_blocking();
    /// assert_eq!(limiter.available(), 9);
    /// ```
    #[track_caller]
    pub fn acquire_blocking(&self) {
        self.core.acquire_blocking(Request::one()).unwrap_or_else(|error| never_refused(&error));
    }

    /// Waits for several permits, and takes them together: the same number from every window, or an
    /// array with one number for each window.
    ///
    /// A request for 0 permits waits its turn like any other. A request for more than the burst of
    /// a [paced](Self::paced) limiter waits for a full [burst](crate::RateLimiterBuilder::burst).
    /// Cancel safety, fairness and panics are as for [`acquire`](Self::acquire).
    ///
    /// # Errors
    ///
    /// - [`Error::InvalidArgument`], at once, if a number exceeds the limit, or if the length of an
    ///   array is not the number of windows.
    ///
    /// - [`Error::QueueFull`] beyond [`max_waiting`](crate::RateLimiterBuilder::max_waiting).
    ///
    /// - [`Error::RateLimited`], at once, if the wait is known to be longer than the time that is
    ///   left of a `.timeout(..)` around the call ([`Deadline`](crate::Deadline)).
    ///
    /// - [`Error::Closed`] once the limiter is [closed](Self::close), also for a call that already
    ///   waits.
    ///
    /// - [`Error::StoreDown`] from a [shared](crate::RateLimiterBuilder::shared) limiter while its
    ///   store is down, also for a call that already waits.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), decor::Error> {
    /// use decor::RateLimiter;
    /// use std::time::Duration;
    ///
    /// let limiter = RateLimiter::new(10, Duration::from_secs(1));
    /// limiter.acquire_many(8).await?;
    /// assert_eq!(limiter.available(), 2);
    ///
    /// let error = limiter.acquire_many(11).await.unwrap_err();
    /// assert_eq!(
    ///     error.to_string(),
    ///     "invalid argument: 11 permits at once, but the limit is 10 per 1s",
    /// );
    ///
    /// let minute = Duration::from_secs(60);
    /// let limiter = RateLimiter::windows([(60, minute), (90_000, minute)]);
    /// limiter.acquire_many([1, 1200]).await?; // of requests and of tokens
    /// assert_eq!(limiter.available_per_window(), [59, 88_800]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn acquire_many(&self, permits: impl Into<Permits>) -> AcquireMany<'_> {
        AcquireMany::new(&self.core, permits.into(), None)
    }

    /// Waits for one permit of each window, but no longer than `max_wait`.
    ///
    /// For several permits, use [`AcquireMany::within`]:
    /// `limiter.acquire_many(8).within(max_wait).await?`.
    ///
    /// Fails at once, without joining the queue, if the estimated wait is longer. The estimate is
    /// exact for a paced limiter, and for one window if every waiting call takes one permit.
    /// Otherwise the estimate is a lower bound.
    ///
    /// A call that waits is admitted if its turn comes within `max_wait`, the last moment included.
    /// Otherwise the call fails at that moment, or up to 1 ms later because timers are late.
    ///
    /// Late timers also delay the turns before the call. If they alone have delayed a turn that was
    /// estimated exactly, the call waits on for up to 1 ms. With a window, the call waits on for
    /// 1 ms more for each period of its wait. A pause, a charge, new limits, or a skipped waiter
    /// that comes back ends this allowance.
    ///
    /// # Errors
    ///
    /// - [`Error::RateLimited`] with the earliest time until a permit would be free. A retry at
    ///   that moment may have to wait longer behind heavy calls.
    ///
    /// - [`Error::QueueFull`] beyond [`max_waiting`](crate::RateLimiterBuilder::max_waiting).
    ///
    /// - [`Error::Closed`] as for [`acquire_many`](Self::acquire_many).
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::{Error, RateLimiter};
    /// use std::time::Duration;
    ///
    /// let limiter = RateLimiter::new(1, Duration::from_secs(60));
    /// limiter.acquire().await;
    /// let refused = limiter.acquire_within(Duration::from_secs(5)).await;
    /// assert_eq!(refused, Err(Error::RateLimited { retry_after: Duration::from_secs(60) }));
    /// # }
    /// ```
    pub fn acquire_within(&self, max_wait: Duration) -> AcquireMany<'_> {
        AcquireMany::new(&self.core, 1_u32.into(), Some(max_wait))
    }

    /// Takes one permit of each window now, or none. Leaves permits that a waiting call could take
    /// now to that call.
    ///
    /// # Errors
    ///
    /// - [`Error::RateLimited`] with the time until a permit would be free. The time is exact for a
    ///   paced limiter, and for one window if each waiter wants one permit. Otherwise the time is a
    ///   lower bound.
    ///
    /// - [`Error::Closed`] once the limiter is [closed](Self::close).
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::{Error, RateLimiter};
    /// use std::time::Duration;
    ///
    /// let limiter = RateLimiter::new(1, Duration::from_secs(60));
    /// assert_eq!(limiter.try_acquire(), Ok(()));
    /// assert!(matches!(limiter.try_acquire(), Err(Error::RateLimited { .. })));
    /// ```
    pub fn try_acquire(&self) -> Result<(), Error> {
        self.core.try_take(1_u32.into())
    }

    /// Takes several permits now, or none: the same number from every window, or an array with one
    /// number for each window. Leaves permits that a waiting call could take now to that call.
    ///
    /// # Errors
    ///
    /// - [`Error::RateLimited`] with the time until the permits would be free, a lower bound as for
    ///   [`try_acquire`](Self::try_acquire).
    ///
    /// - [`Error::InvalidArgument`] and [`Error::Closed`] as for
    ///   [`acquire_many`](Self::acquire_many).
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::{Error, RateLimiter};
    /// use std::time::Duration;
    ///
    /// let second = Duration::from_secs(1);
    /// let limiter = RateLimiter::windows([(20, second), (1000, second)]);
    /// let prompt = "a long one ".repeat(50);
    /// assert_eq!(limiter.try_acquire_many([1, prompt.len()]), Ok(()));
    /// let refused = limiter.try_acquire_many([1, prompt.len()]);
    /// assert!(matches!(refused, Err(Error::RateLimited { .. })));
    /// assert_eq!(limiter.available_per_window(), [19, 450]);
    /// ```
    pub fn try_acquire_many(&self, permits: impl Into<Permits>) -> Result<(), Error> {
        self.core.try_take(permits.into())
    }

    /// Admits no call for the next `pause`, as a server's "come back in 30 s" asks. If two pauses
    /// overlap, the later end counts. [`resume`](Self::resume) ends all pauses.
    ///
    /// A pause is cut to the [longest pause](Self::longest_pause), 1 h by default. A pause of zero
    /// has no effect.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::RateLimiter;
    /// use std::time::Duration;
    ///
    /// let limiter = RateLimiter::new(10, Duration::from_secs(1));
    /// limiter.pause_for(Duration::from_secs(30));
    /// let begun = tokio::time::Instant::now();
    /// limiter.acquire().await;
    /// assert_eq!(begun.elapsed(), Duration::from_secs(30));
    /// # }
    /// ```
    pub fn pause_for(&self, pause: Duration) {
        self.core.pause_for(pause);
    }

    /// The rest of a pause; zero without one.
    pub(crate) fn pause_left(&self) -> Duration {
        self.core.pause_left()
    }

    /// Ends the pause now, if there is one. The waiting calls go on in their order, each once its
    /// permits are free. The limiter does not make up for the time of the pause.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::RateLimiter;
    /// use std::time::Duration;
    ///
    /// let limiter = RateLimiter::new(10, Duration::from_secs(1));
    /// limiter.pause_for(Duration::from_secs(3600));
    /// assert_eq!(limiter.available(), 0);
    /// limiter.resume(); // the service is back
    /// assert_eq!(limiter.available(), 10);
    /// # }
    /// ```
    pub fn resume(&self) {
        self.core.resume();
    }

    /// Closes the limiter for good, for all its handles: the limiter admits no more calls. A closed
    /// limiter cannot be reopened.
    ///
    /// Every waiting task or thread gets [`Error::Closed`] at once. Each is woken once, and counts
    /// as refused. Later calls get the same error. Calls that were admitted run on.
    ///
    /// Some calls cannot fail: [`acquire`](Self::acquire),
    /// [`acquire_blocking`](Self::acquire_blocking) and
    /// [`.rate_limited(..)`](crate::FnExt::rate_limited). Such calls stay pending on a closed
    /// limiter, and count as refused. A program that closes a limiter should use the methods that
    /// can fail: [`acquire_many`](Self::acquire_many), [`acquire_within`](Self::acquire_within),
    /// [`.rate_limited_by(..)`](crate::FnExt::rate_limited_by),
    /// [`.rate_limited_within(..)`](crate::FnExt::rate_limited_within), and
    /// [`.permits(..)`](crate::Around::permits) after any decorator that takes a limiter.
    ///
    /// `Error::Closed` is not [transient](crate::Transient). A retry with
    /// [`.transient()`](crate::Retry::transient) therefore ends with it, and a retry without a
    /// predicate goes on to its last attempt. A close does not end the delay between two attempts;
    /// the next attempt gets the error.
    ///
    /// A closed limiter has no permits [available](Self::available). [`charge`](Self::charge) and
    /// [`stats`](Self::stats) still work, and settings can still be changed. A second `close` has
    /// no effect.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::{Error, RateLimiter};
    /// use std::time::Duration;
    ///
    /// let limiter = RateLimiter::new(1, Duration::from_secs(3600));
    /// limiter.acquire().await;
    /// let waiting = tokio::spawn({
    ///     let limiter = limiter.clone();
    ///     async move { limiter.acquire_many(1).await }
    /// });
    /// tokio::task::yield_now().await;
    ///
    /// limiter.close();
    /// let closed = Err(Error::Closed { what: "the rate limiter" });
    /// assert_eq!(waiting.await.unwrap(), closed);
    /// assert_eq!(limiter.try_acquire(), closed);
    /// assert_eq!((limiter.available(), limiter.stats().refused), (0, 2));
    /// # }
    /// ```
    pub fn close(&self) {
        self.core.close().for_each(Waker::wake);
    }

    /// Returns `true` once the limiter is [closed](Self::close).
    ///
    /// # Examples
    ///
    /// ```
    /// let limiter = decor::RateLimiter::new(1, std::time::Duration::from_secs(1));
    /// assert!(!limiter.is_closed());
    /// limiter.clone().close();
    /// assert!(limiter.is_closed());
    /// ```
    pub fn is_closed(&self) -> bool {
        self.core.is_closed()
    }

    /// Counts permits that were used without being acquired, as taken at this moment. Never waits.
    /// A charge may overdraw a window. Then no call gets a permit of that window until there is
    /// room again.
    ///
    /// # Panics
    ///
    /// If the length of an array is not the number of windows, or a number is negative.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::RateLimiter;
    /// use std::time::Duration;
    ///
    /// let minute = Duration::from_secs(60);
    /// let limiter = RateLimiter::windows([(60, minute), (90_000, minute)]);
    /// limiter.charge([0, 350]); // the answer's tokens
    /// assert_eq!(limiter.available_per_window(), [60, 89_650]);
    /// ```
    #[track_caller]
    pub fn charge(&self, permits: impl Into<Permits>) {
        if let Err(error) = self.core.charge(permits.into()) {
            panic!("{error}");
        }
    }

    /// Gives back permits that were taken and not used. Calls that wait for them are admitted.
    ///
    /// The oldest permits in each window are given back first, because the limiter does not know
    /// which call they belong to. If the call is younger than the shortest period, no window then
    /// holds more used permits than its limit. Do not give back permits of a call that has left its
    /// window, because the refund would take the permits of other calls.
    ///
    /// [`.settled(..)`](crate::Around::settled) on a decorator knows when the permits were taken,
    /// and gives back exactly those. Do not use both for one call.
    ///
    /// A window gives back no more permits than it holds. A paced limiter moves its schedule back,
    /// to this moment at the earliest, because time that has passed cannot be given back. A refund
    /// takes constant time, unless a period was shortened.
    ///
    /// # Panics
    ///
    /// If the length of an array is not the number of windows, or a number is negative.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::RateLimiter;
    /// use std::time::Duration;
    ///
    /// let minute = Duration::from_secs(60);
    /// let limiter = RateLimiter::windows([(60, minute), (90_000, minute)]);
    /// limiter.try_acquire_many([1, 1000])?;
    /// limiter.refund([0, 350]); // the answer was short
    /// assert_eq!(limiter.available_per_window(), [59, 89_350]);
    /// limiter.refund([0, 1_000_000]);
    /// assert_eq!(limiter.available_per_window(), [59, 90_000]);
    /// # Ok::<(), decor::Error>(())
    /// ```
    #[track_caller]
    pub fn refund(&self, permits: impl Into<Permits>) {
        if let Err(error) = self.core.refund(permits.into()) {
            panic!("{error}");
        }
    }

    /// Changes the limit of a limiter with one window, or of a paced limiter. Waiting calls keep
    /// their order.
    ///
    /// Admissions that are in the window stay in it. If the period is shortened and grows back,
    /// admissions that had left the shorter period count again, up to as many permits as the
    /// largest limit so far. Admissions that are older than the longest period so far have expired.
    /// While the limit of a paced limiter is below its burst, the limit is the burst.
    ///
    /// For several windows, or values that are not literals, use
    /// [`try_set_limits`](Self::try_set_limits).
    ///
    /// # Panics
    ///
    /// If `limit` or `period` is zero, or the limiter has several windows.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::RateLimiter;
    /// use std::time::Duration;
    ///
    /// let limiter = RateLimiter::new(10, Duration::from_secs(1));
    /// limiter.set_limit(20, Duration::from_secs(1));
    /// assert_eq!(limiter.available(), 20);
    /// ```
    #[track_caller]
    pub fn set_limit(&self, limit: u32, period: Duration) {
        or_panic(self.try_set_limits([(limit, period)]));
    }

    /// Changes the limits of all windows, in their order, as [`set_limit`](Self::set_limit) does
    /// for one.
    ///
    /// A waiting call that needs more than the new limit is refused when its turn comes.
    ///
    /// # Errors
    ///
    /// If a limit or a period is zero, or the number of limits is not the number of windows. A
    /// paced limiter has one limit. The number of windows stays, because a new window would not
    /// know of earlier calls.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::RateLimiter;
    /// use std::time::Duration;
    ///
    /// let minute = Duration::from_secs(60);
    /// let limiter = RateLimiter::windows([(60, minute), (90_000, minute)]);
    /// limiter.try_set_limits([(120, minute), (180_000, minute)])?;
    /// assert_eq!(limiter.available_per_window(), [120, 180_000]);
    /// # Ok::<(), decor::ConfigError>(())
    /// ```
    pub fn try_set_limits(&self, limits: impl IntoIterator<Item = (u32, Duration)>) -> Result<(), ConfigError> {
        let limits: Vec<_> = limits.into_iter().collect();
        self.core.set_limits(&checked_limits(&limits)?)
    }

    /// Changes all settings, such as those of a file that was changed. A limiter that came from the
    /// same config is as if made by the new one, and knows of earlier calls.
    ///
    /// Calls that wait keep their order. Those that the new limits admit now are admitted at once.
    /// Admissions, pauses, waiters and statistics stay, as with [`set_limit`](Self::set_limit),
    /// [`set_burst`](Self::set_burst), [`set_max_waiting`](Self::set_max_waiting) and
    /// [`set_longest_pause`](Self::set_longest_pause). All settings change together, so no call
    /// sees a part of them. The permits of a paced limiter that are not free yet become free at the
    /// new pace, unlike with [`set_limit`](Self::set_limit).
    ///
    /// # Errors
    ///
    /// If `RateLimiter::try_from(config)` fails, the number of limits is not the number of windows,
    /// or an exact limiter would become a paced one, or the reverse. The limiter then stays as it
    /// is.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::{RateLimiter, RateLimiterConfig};
    /// use std::time::Duration;
    ///
    /// let minute = Duration::from_secs(60);
    /// let config = |limit| {
    ///     let limit = vec![(limit, minute).into()];
    ///     RateLimiterConfig { limit, ..RateLimiterConfig::default() }
    /// };
    /// let limiter = RateLimiter::try_from(config(60))?;
    /// limiter.try_acquire().unwrap();
    /// limiter.reload(&config(100))?;
    /// assert_eq!(limiter.available(), 99);
    ///
    /// let refused = limiter.reload(&config(0)).unwrap_err();
    /// assert_eq!(refused.to_string(), "`limit` is 0, but must be at least 1");
    /// assert_eq!(limiter.available(), 99);
    /// # Ok::<(), decor::ConfigError>(())
    /// ```
    pub fn reload(&self, config: &RateLimiterConfig) -> Result<(), ConfigError> {
        self.core.reload(&config.quota(false)?, Bounds::of(config)?)
    }

    /// Returns the limit and the period of each window, or of the pace, as
    /// [`try_set_limits`](Self::try_set_limits) takes them.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::RateLimiter;
    /// use std::time::Duration;
    ///
    /// let limiter = RateLimiter::new(10, Duration::from_secs(1));
    /// let before = limiter.limits();
    /// limiter.set_limit(2, Duration::from_secs(60));
    /// assert_eq!(limiter.limits(), [(2, Duration::from_secs(60))]);
    /// limiter.try_set_limits(before)?;
    /// assert_eq!(limiter.limits(), [(10, Duration::from_secs(1))]);
    /// # Ok::<(), decor::ConfigError>(())
    /// ```
    pub fn limits(&self) -> Vec<(u32, Duration)> {
        durations(self.core.limits())
    }

    /// Returns `true` if the limiter is [paced](Self::paced), and `false` if it is exact. This
    /// never changes.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::RateLimiter;
    /// use std::time::Duration;
    ///
    /// assert!(RateLimiter::paced(10, Duration::from_secs(1)).is_paced());
    /// assert!(!RateLimiter::new(10, Duration::from_secs(1)).is_paced());
    /// ```
    pub fn is_paced(&self) -> bool {
        self.burst().is_some()
    }

    /// Returns the [burst](crate::RateLimiterBuilder::burst) of a paced limiter as it was set;
    /// `None` for an exact limiter. While the burst exceeds the limit, the limit is the burst.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::RateLimiter;
    /// use std::time::Duration;
    ///
    /// let second = Duration::from_secs(1);
    /// let limiter = RateLimiter::builder().paced(100, second).burst(50).build();
    /// limiter.set_limit(10, second);
    /// assert_eq!((limiter.burst(), limiter.available()), (Some(50), 10));
    /// assert_eq!(RateLimiter::new(100, second).burst(), None);
    /// ```
    pub fn burst(&self) -> Option<u32> {
        self.core.burst()
    }

    /// Changes the [burst](crate::RateLimiterBuilder::burst) of a paced limiter. Waiting calls keep
    /// their order.
    ///
    /// Permits that were taken stay taken. With a smaller burst, the next calls wait until the
    /// schedule has room again. In any stretch of time, no more permits are taken than the largest
    /// burst of that time allows. While a burst exceeds the limit, the limit is the burst. Burst
    /// and limit can therefore be changed in either order.
    ///
    /// # Panics
    ///
    /// If `burst` is zero, or the limiter is exact.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::RateLimiter;
    /// use std::time::Duration;
    ///
    /// let limiter = RateLimiter::paced(10, Duration::from_secs(1));
    /// limiter.set_burst(5);
    /// assert_eq!(limiter.available(), 5);
    /// ```
    #[track_caller]
    pub fn set_burst(&self, burst: u32) {
        or_panic(self.try_set_burst(burst));
    }

    /// [`set_burst`](Self::set_burst) for values that are not literals.
    ///
    /// # Errors
    ///
    /// If `burst` is zero, or the limiter is exact. An exact limiter cannot become a paced one.
    ///
    /// # Examples
    ///
    /// ```
    /// let limiter = decor::RateLimiter::new(10, std::time::Duration::from_secs(1));
    /// assert_eq!(
    ///     limiter.try_set_burst(3).unwrap_err().to_string(),
    ///     "`burst` is 3, but must be left out: an exact limiter cannot become a paced one, \
    ///      because its windows have no schedule",
    /// );
    /// ```
    pub fn try_set_burst(&self, burst: u32) -> Result<(), ConfigError> {
        self.core.set_burst(burst)
    }

    /// Returns the maximum number of waiting calls; `None` if any number may wait. Calls beyond the
    /// maximum are refused if they can fail. See
    /// [`RateLimiterBuilder::max_waiting`](crate::RateLimiterBuilder::max_waiting).
    ///
    /// # Examples
    ///
    /// See [`set_max_waiting`](Self::set_max_waiting).
    pub fn max_waiting(&self) -> Option<usize> {
        self.core.bounds().max_waiting
    }

    /// Changes [`max_waiting`](Self::max_waiting) for calls that come from now on. Calls that wait
    /// already stay, even if they exceed the new maximum. 0 lets no call wait, `None` any number.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::RateLimiter;
    /// use std::time::Duration;
    ///
    /// let second = Duration::from_secs(1);
    /// let limiter = RateLimiter::builder().window(10, second).max_waiting(100).build();
    /// let before = limiter.max_waiting();
    /// limiter.set_max_waiting(0);
    /// assert_eq!(limiter.max_waiting(), Some(0));
    /// limiter.set_max_waiting(None);
    /// assert_eq!(limiter.max_waiting(), None);
    /// limiter.set_max_waiting(before);
    /// assert_eq!(limiter.max_waiting(), Some(100));
    /// ```
    pub fn set_max_waiting(&self, waiting: impl Into<Option<usize>>) {
        self.core.set_max_waiting(waiting.into());
    }

    /// Returns the longest pause that one [`pause_for`](Self::pause_for) can ask for. See
    /// [`RateLimiterBuilder::longest_pause`](crate::RateLimiterBuilder::longest_pause).
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::RateLimiter;
    /// use std::time::Duration;
    ///
    /// let limiter = RateLimiter::new(10, Duration::from_secs(1));
    /// assert_eq!(limiter.longest_pause(), Duration::from_secs(3600));
    /// ```
    pub fn longest_pause(&self) -> Duration {
        self.core.bounds().longest_pause
    }

    /// Changes the [longest pause](Self::longest_pause) for pauses that begin from now on. A pause
    /// that has begun keeps its end; [`resume`](Self::resume) ends it.
    ///
    /// # Panics
    ///
    /// If `pause` is zero.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::RateLimiter;
    /// use std::time::Duration;
    ///
    /// let limiter = RateLimiter::new(10, Duration::from_secs(1));
    /// limiter.set_longest_pause(Duration::from_secs(60));
    /// assert_eq!(limiter.longest_pause(), Duration::from_secs(60));
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
    /// let limiter = decor::RateLimiter::new(10, Duration::from_secs(1));
    /// let error = limiter.try_set_longest_pause(Duration::ZERO).unwrap_err();
    /// assert_eq!(error.to_string(), "`longest_pause` is 0ns, but must be longer than zero");
    /// ```
    pub fn try_set_longest_pause(&self, pause: Duration) -> Result<(), ConfigError> {
        self.core.set_longest_pause(checked_pause(pause)?);
        Ok(())
    }

    /// Returns the number of permits that could be taken now, the minimum of all windows. The
    /// number is 0 during a pause, and once the limiter is closed.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::RateLimiter;
    /// use std::time::Duration;
    ///
    /// let limiter = RateLimiter::new(10, Duration::from_secs(60));
    /// limiter.try_acquire()?;
    /// assert_eq!(limiter.available(), 9);
    /// # Ok::<(), decor::Error>(())
    /// ```
    pub fn available(&self) -> u32 {
        self.core.available().into_iter().min().unwrap_or(0)
    }

    /// Returns the number of permits that could be taken now, for each window.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::RateLimiter;
    /// use std::time::Duration;
    ///
    /// let minute = Duration::from_secs(60);
    /// let limiter = RateLimiter::windows([(60, minute), (90_000, minute)]);
    /// assert_eq!(limiter.available_per_window(), [60, 90_000]);
    /// ```
    pub fn available_per_window(&self) -> Vec<u32> {
        self.core.available()
    }

    /// Returns the number of waiting calls.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(decor::RateLimiter::new(1, std::time::Duration::from_secs(1)).waiting(), 0);
    /// ```
    pub fn waiting(&self) -> usize {
        self.core.waiting()
    }

    /// Returns the counts since the limiter was made.
    ///
    /// # Examples
    ///
    /// ```
    /// let limiter = decor::RateLimiter::new(1, std::time::Duration::from_secs(60));
    /// limiter.try_acquire()?;
    /// limiter.try_acquire().unwrap_err();
    /// assert_eq!((limiter.stats().admitted, limiter.stats().refused), (1, 1));
    /// # Ok::<(), decor::Error>(())
    /// ```
    pub fn stats(&self) -> RateLimiterStats {
        self.core.stats()
    }

    /// Returns whether the limit is that of a store.
    #[cfg(feature = "metrics")]
    pub(crate) fn is_shared(&self) -> bool {
        self.core.is_shared()
    }

    /// The identity of the limiter in the description of a chain.
    pub(crate) fn id(&self) -> HandleId {
        HandleId::of(&self.core)
    }

    pub(crate) fn displayed(&self) -> &dyn fmt::Display {
        &*self.core
    }

    pub(crate) fn request(self, request: Request) -> Acquisition<Arc<Core>> {
        Acquisition::new(self.core, request)
    }

    /// Number of handles of this limiter, those in chains and calls included.
    #[cfg(all(test, not(shuttle)))]
    pub(crate) fn handles(&self) -> usize {
        Arc::strong_count(&self.core)
    }
}

/// Turns the policy's limits back into durations: the inverse of [`checked_limits`].
pub(super) fn durations(limits: Vec<(u32, Nanos)>) -> Vec<(u32, Duration)> {
    limits.into_iter().map(|(limit, period)| (limit, Duration::from_nanos(period))).collect()
}

/// The current limits, such as `10 per 1s, 300 per 60s`, or `10 per 1s, paced, burst 3`.
///
/// # Examples
///
/// ```
/// let limiter = decor::RateLimiter::new(10, std::time::Duration::from_secs(1));
/// assert_eq!(limiter.to_string(), "10 per 1s");
/// ```
impl fmt::Display for RateLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.core.fmt(f)
    }
}

impl fmt::Debug for RateLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RateLimiter({})", self.core)
    }
}
