//! The handle of a concurrency limiter.

use super::{
    acquire::{AcquireConcurrency, AcquireManyConcurrency, Patience, Slot, Weight},
    permit::ConcurrencyPermit,
    state::{Answer, Core, IfBusy, Settings},
    stats::ConcurrencyStats,
};
use crate::{
    ConcurrencyConfig, ConfigError, Error, Permits,
    error::{or_panic, unchanged_name},
    sync::Arc,
};
use std::{fmt, ops::RangeInclusive, task::Waker, time::Duration};

/// Limits the number of calls that run at once. All clones are one limiter.
///
/// The field also says bulkhead. Keep a limiter in the state of the program, and share it among all
/// functions that call the service, with
/// [`.concurrency_limited(&limiter)`](crate::FnExt::concurrency_limited) or by hand. A
/// [`RateLimiter`](crate::RateLimiter) limits how many calls begin in a period; a concurrency
/// limiter limits how many are in progress, however long each takes.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
/// use decor::prelude::*;
/// use futures::future::join_all;
/// use std::time::Duration;
/// use tokio::time::{Instant, sleep};
///
/// async fn fetch(id: u64) -> u64 {
///     sleep(Duration::from_secs(1)).await;
///     id
/// }
///
/// let limiter = ConcurrencyLimiter::new(2); // at most 2 calls at once
/// let fetch = fetch.concurrency_limited(&limiter);
///
/// let begun = Instant::now();
/// join_all((0..5).map(|id| fetch.call(id))).await;
/// assert_eq!(begun.elapsed(), Duration::from_secs(3));
/// # }
/// ```
///
/// # Fairness
///
/// Calls are admitted in the order in which they came, whether they wait as tasks or as threads. A
/// newcomer never overtakes a call that waits, and light calls do not overtake a heavy one: while
/// the first waiter needs more permits than are free, all calls behind it wait.
///
/// Permits are handed over. A call that ends gives its permits to the first waiter, which holds
/// them from then on, even before it is polled. If the waiter is dropped instead, the permits go to
/// the next one. A waiter is therefore polled twice: when it joins the queue, and when it has its
/// permits.
///
/// # The end of a call
///
/// The permits of a decorated call go back after the call has been dropped, whether it completed,
/// was cancelled, or panicked. Before a [retry](crate::FnExt::retry_with), each attempt gives its
/// permits back before the delay.
///
/// # Adaptive limits
///
/// [`adaptive`](Self::adaptive) makes a limiter that finds the limit of a service by itself:
/// additive increase, multiplicative decrease, as TCP does it. No clock is needed.
///
/// - A *signal* of overload, such as a 429 or a 503, sets the limit to three quarters, rounded
///   down, but no lower than the range. It comes from
///   [`.backing_off(..)`](crate::FnExt::backing_off), [`overloaded`](Self::overloaded) or
///   [`ConcurrencyPermit::overloaded`]. Calls that were in progress at that moment had the old
///   limit, so their signals have no effect.
/// - After a number of *good ends* equal to the limit, the limit increases by one, up to the range.
///   A call ends well if it completes, with an `Ok` or with an `Err`, if the limit was reached
///   while it ran, and if no signal came while it ran. Therefore an idle program does not raise its
///   limit. Cancelled and panicked calls count for nothing.
///
/// An `Err` without a signal is a good end, because most errors say nothing about load, and because
/// [`.concurrency_limited(..)`](crate::FnExt::concurrency_limited) takes any output. Name every
/// error that does, timeouts included, in `.backing_off(..)`.
///
/// # Calls for more than the limit
///
/// A call for more permits than the limit is refused at once with [`Error::InvalidArgument`]. If
/// [`set_limit`](Self::set_limit) lowers the limit below the permits of a call that waits, the call
/// is refused when its turn comes. With an adaptive limit, only a call for more than the largest
/// limit is refused. A call for more than the limit of the moment waits until no other call runs,
/// and then runs alone.
///
/// # Changing settings
///
/// [`set_limit`](Self::set_limit) and [`set_max_waiting`](Self::set_max_waiting) change a limiter
/// that is in use. The other settings stay.
///
/// # Memory
///
/// A waiter takes about 40 bytes in the queue, and the rest in its own future. An admitted call
/// takes no memory.
#[doc(alias = "bulkhead")]
#[doc(alias = "semaphore")]
#[derive(Clone)]
pub struct ConcurrencyLimiter {
    pub(super) core: Arc<Core>,
}

impl ConcurrencyLimiter {
    /// The identity of the limiter in the description of a chain.
    pub(crate) fn id(&self) -> crate::describe::HandleId {
        crate::describe::HandleId::of(&self.core)
    }
}

impl ConcurrencyLimiter {
    /// Waits for one permit.
    ///
    /// Stays pending on a [closed](Self::close) limiter, because this method has no error to
    /// return. [`acquire_many(1)`](Self::acquire_many) waits in the same way, and fails on a closed
    /// limiter. A thread waits with [`acquire().blocking()`](AcquireConcurrency::blocking).
    ///
    /// # Cancel safety
    ///
    /// If dropped while waiting, the call leaves the queue. Permits that it was handed go to the
    /// next waiter.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use decor::ConcurrencyLimiter;
    ///
    /// let limiter = ConcurrencyLimiter::new(8);
    /// let permit = limiter.acquire().await;
    /// assert_eq!(limiter.available(), 7);
    /// drop(permit);
    /// assert_eq!(limiter.available(), 8);
    /// # }
    /// ```
    #[inline]
    pub fn acquire(&self) -> AcquireConcurrency<'_> {
        AcquireConcurrency::new(&self.core)
    }

    /// Waits for several permits, and takes them together.
    ///
    /// A request for 0 permits waits its turn like any other. Cancel safety is as for
    /// [`acquire`](Self::acquire).
    ///
    /// # Errors
    ///
    /// - [`Error::InvalidArgument`] for more permits than the
    ///   [limit](Self#calls-for-more-than-the-limit), for a negative number, and for an array of
    ///   several numbers.
    ///
    /// - [`Error::ConcurrencyLimited`] beyond
    ///   [`max_waiting`](crate::ConcurrencyLimiterBuilder::max_waiting), and when the
    ///   [`Deadline`](crate::Deadline) of the call comes before the permits.
    ///
    /// - [`Error::Closed`] once the limiter is [closed](Self::close), also for a call that already
    ///   waits.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), decor::Error> {
    /// use decor::ConcurrencyLimiter;
    ///
    /// let limiter = ConcurrencyLimiter::new(8);
    /// let permit = limiter.acquire_many(6).await?;
    /// assert_eq!((permit.permits(), limiter.available()), (6, 2));
    ///
    /// let error = limiter.acquire_many(9).await.unwrap_err();
    /// assert_eq!(
    ///     error.to_string(),
    ///     "invalid argument: 9 permits at once, but the limit is 8",
    /// );
    /// # drop(permit);
    /// # Ok(())
    /// # }
    /// ```
    pub fn acquire_many(&self, permits: impl Into<Permits>) -> AcquireManyConcurrency<'_> {
        AcquireManyConcurrency::new(&self.core, permits.into(), Patience::Unbounded)
    }

    /// Waits for one permit, but no longer than `max_wait`. A `max_wait` of zero does not wait.
    ///
    /// For several permits, use [`AcquireManyConcurrency::within`]:
    /// `limiter.acquire_many(8).within(max_wait).await?`. A permit that is handed over at the very
    /// end of the wait is taken.
    ///
    /// # Errors
    ///
    /// - [`Error::ConcurrencyLimited`] when `max_wait` has passed, at once if it is zero, when the
    ///   [`Deadline`](crate::Deadline) of the call comes earlier, and beyond
    ///   [`max_waiting`](crate::ConcurrencyLimiterBuilder::max_waiting).
    ///
    /// - [`Error::Closed`] as for [`acquire_many`](Self::acquire_many).
    ///
    /// # Panics
    ///
    /// If a task has to wait outside of a tokio runtime with its timer enabled.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), decor::Error> {
    /// use decor::ConcurrencyLimiter;
    /// use std::time::Duration;
    ///
    /// let limiter = ConcurrencyLimiter::new(1);
    /// let permit = limiter.acquire_within(Duration::from_secs(5)).await?;
    /// let begun = tokio::time::Instant::now();
    /// let refused = limiter.acquire_within(Duration::from_secs(5)).await.unwrap_err();
    /// assert_eq!(refused.to_string(), "the concurrency limiter is at its limit of 1 (0 waiting)");
    /// assert_eq!(begun.elapsed(), Duration::from_secs(5));
    /// # drop(permit);
    /// # Ok(())
    /// # }
    /// ```
    pub fn acquire_within(&self, max_wait: Duration) -> AcquireManyConcurrency<'_> {
        AcquireManyConcurrency::new(&self.core, 1_u32.into(), Patience::Within(max_wait))
    }

    /// Takes one permit now, or none. Does not overtake calls that wait.
    ///
    /// # Errors
    ///
    /// - [`Error::ConcurrencyLimited`] if no permit is free, or if a call waits.
    /// - [`Error::Closed`] once the limiter is [closed](Self::close).
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::{ConcurrencyLimiter, Error};
    ///
    /// let limiter = ConcurrencyLimiter::new(1);
    /// let permit = limiter.try_acquire()?;
    /// assert!(matches!(limiter.try_acquire(), Err(Error::ConcurrencyLimited { limit: 1, .. })));
    /// drop(permit);
    /// assert!(limiter.try_acquire().is_ok());
    /// # Ok::<(), Error>(())
    /// ```
    #[inline]
    pub fn try_acquire(&self) -> Result<ConcurrencyPermit, Error> {
        self.try_take(1)
    }

    /// Takes several permits now, or none. Does not overtake calls that wait.
    ///
    /// # Errors
    ///
    /// - [`Error::ConcurrencyLimited`] if too few permits are free, or if a call waits.
    /// - [`Error::InvalidArgument`] and [`Error::Closed`] as for
    ///   [`acquire_many`](Self::acquire_many).
    ///
    /// # Examples
    ///
    /// ```
    /// let limiter = decor::ConcurrencyLimiter::new(8);
    /// let permit = limiter.try_acquire_many(5)?;
    /// assert!(limiter.try_acquire_many(4).is_err());
    /// assert_eq!(limiter.available(), 3);
    /// # drop(permit);
    /// # Ok::<(), decor::Error>(())
    /// ```
    pub fn try_acquire_many(&self, permits: impl Into<Permits>) -> Result<ConcurrencyPermit, Error> {
        self.try_take(permits.into().permits()?)
    }

    #[inline]
    fn try_take(&self, permits: u32) -> Result<ConcurrencyPermit, Error> {
        match self.core.admit_or_queue(permits, IfBusy::Fail, Waker::noop()) {
            Answer::Admitted(number) => Ok(ConcurrencyPermit::new(Arc::clone(&self.core), permits, number)),
            Answer::Refused(error) => Err(error),
            Answer::Queued(_) => unreachable!("a call that only tries does not wait"),
        }
    }

    /// Signals an overload of the service to an [adaptive](Self#adaptive-limits) limiter, which
    /// decreases its limit. A limiter with a fixed limit ignores the signal.
    ///
    /// By hand, the limiter does not know which call the signal is from. While a call is in
    /// progress that was in progress at the last decrease, the signal has no effect.
    /// [`ConcurrencyPermit::overloaded`] and [`.backing_off(..)`](crate::FnExt::backing_off) know
    /// their call.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::ConcurrencyLimiter;
    ///
    /// let limiter = ConcurrencyLimiter::adaptive(4..=100);
    /// let permit = limiter.try_acquire()?;
    /// limiter.overloaded();
    /// limiter.overloaded();
    /// assert_eq!(limiter.limit(), 15);
    /// drop(permit);
    /// limiter.overloaded();
    /// assert_eq!(limiter.limit(), 11);
    /// # Ok::<(), decor::Error>(())
    /// ```
    pub fn overloaded(&self) {
        self.core.signal();
    }

    /// Signals an overload from a call that began when there were so many decreases.
    pub(crate) fn overloaded_since(&self, shrinks: u64) {
        self.core.signal_since(shrinks);
    }

    /// Number of decreases so far.
    pub(crate) fn shrinks(&self) -> u64 {
        self.core.shrinks()
    }

    /// Returns the maximum number of permits that are taken at once: the limit of the moment, if
    /// the limiter is adaptive.
    ///
    /// # Examples
    ///
    /// See [`set_limit`](Self::set_limit).
    pub fn limit(&self) -> u32 {
        self.core.limit()
    }

    /// Changes the limit. Calls that run go on, even if they exceed the new limit; calls that wait
    /// are admitted at once as far as a higher limit allows. An adaptive limit goes on from the new
    /// one.
    ///
    /// # Panics
    ///
    /// If `limit` is zero, or outside of the range of an adaptive limiter.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::ConcurrencyLimiter;
    ///
    /// let limiter = ConcurrencyLimiter::new(8);
    /// let permit = limiter.try_acquire_many(5)?;
    /// limiter.set_limit(3);
    /// assert_eq!((limiter.limit(), limiter.in_use(), limiter.available()), (3, 5, 0));
    /// drop(permit);
    /// assert_eq!(limiter.available(), 3);
    /// # Ok::<(), decor::Error>(())
    /// ```
    #[track_caller]
    pub fn set_limit(&self, limit: u32) {
        or_panic(self.try_set_limit(limit));
    }

    /// [`set_limit`](Self::set_limit) for values that are not literals.
    ///
    /// # Errors
    ///
    /// If `limit` is zero, or outside of the range of an adaptive limiter.
    ///
    /// # Examples
    ///
    /// ```
    /// let limiter = decor::ConcurrencyLimiter::adaptive(4..=100);
    /// let error = limiter.try_set_limit(3).unwrap_err();
    /// assert_eq!(
    ///     error.to_string(),
    ///     "`limit` is 3, but must be within the range of the adaptive limiter",
    /// );
    /// ```
    pub fn try_set_limit(&self, limit: u32) -> Result<(), ConfigError> {
        self.core.set_limit(limit)
    }

    /// Changes all settings, such as those of a file that was changed.
    ///
    /// Calls that wait keep their order. Those that the new limit admits are admitted at once.
    /// Calls in progress, waiters and statistics stay. An adaptive limit stays where it is, unless
    /// the new range excludes it; `start_at` has no effect then.
    ///
    /// # Errors
    ///
    /// If `ConcurrencyLimiter::try_from(config)` fails, a fixed limiter would become an adaptive
    /// one, or the reverse, or the config has another name. The limiter then stays as it is.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::{ConcurrencyConfig, ConcurrencyLimiter};
    ///
    /// let config = |limit| {
    ///     ConcurrencyConfig { limit: Some(limit), ..ConcurrencyConfig::default() }
    /// };
    /// let limiter = ConcurrencyLimiter::try_from(config(1))?;
    /// let permit = limiter.try_acquire().unwrap();
    /// limiter.reload(&config(3))?;
    /// assert_eq!((limiter.in_use(), limiter.available()), (1, 2));
    ///
    /// let refused = limiter.reload(&config(0)).unwrap_err();
    /// assert_eq!(refused.to_string(), "`limit` is 0, but must be at least 1");
    /// # drop(permit);
    /// # Ok::<(), decor::ConfigError>(())
    /// ```
    pub fn reload(&self, config: &ConcurrencyConfig) -> Result<(), ConfigError> {
        unchanged_name(self.core.name().map(|name| &**name), config.name.as_deref())?;
        self.core.reload(Settings { kind: config.kind()?, max_waiting: config.max_waiting })
    }

    /// Returns the range of an [adaptive](Self::adaptive) limit; `None` for a fixed one.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::ConcurrencyLimiter;
    ///
    /// assert_eq!(ConcurrencyLimiter::adaptive(4..=100).range(), Some(4..=100));
    /// assert_eq!(ConcurrencyLimiter::new(8).range(), None);
    /// ```
    pub fn range(&self) -> Option<RangeInclusive<u32>> {
        self.core.range().map(|(min, max)| min..=max)
    }

    /// Returns the number of permits that are taken. Permits that were handed to a waiter count,
    /// even before it is polled.
    ///
    /// # Examples
    ///
    /// See [`set_limit`](Self::set_limit).
    pub fn in_use(&self) -> u32 {
        self.core.in_use()
    }

    /// Returns the number of permits that are free. The number is 0 while more are taken than the
    /// limit allows, and once the limiter is closed. While calls wait, free permits are kept for
    /// the first of them.
    ///
    /// # Examples
    ///
    /// See [`set_limit`](Self::set_limit).
    pub fn available(&self) -> u32 {
        self.core.available()
    }

    /// Returns the number of waiting calls.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(decor::ConcurrencyLimiter::new(8).waiting(), 0);
    /// ```
    pub fn waiting(&self) -> usize {
        self.core.waiting()
    }

    /// Returns the maximum number of waiting calls; `None` if any number may wait. Calls beyond the
    /// maximum are refused if they can fail. See
    /// [`ConcurrencyLimiterBuilder::max_waiting`](crate::ConcurrencyLimiterBuilder::max_waiting).
    ///
    /// # Examples
    ///
    /// See [`set_max_waiting`](Self::set_max_waiting).
    pub fn max_waiting(&self) -> Option<usize> {
        self.core.max_waiting()
    }

    /// Changes [`max_waiting`](Self::max_waiting) for calls that come from now on. Calls that wait
    /// already stay, even if they exceed the new maximum. 0 lets no call wait, `None` any number.
    ///
    /// # Examples
    ///
    /// ```
    /// let limiter = decor::ConcurrencyLimiter::new(8);
    /// assert_eq!(limiter.max_waiting(), None);
    /// limiter.set_max_waiting(100);
    /// assert_eq!(limiter.max_waiting(), Some(100));
    /// ```
    pub fn set_max_waiting(&self, waiting: impl Into<Option<usize>>) {
        self.core.set_max_waiting(waiting.into());
    }

    /// Returns the counts since the limiter was made.
    ///
    /// # Examples
    ///
    /// ```
    /// let limiter = decor::ConcurrencyLimiter::new(1);
    /// let permit = limiter.try_acquire()?;
    /// limiter.try_acquire().unwrap_err();
    /// assert_eq!((limiter.stats().admitted, limiter.stats().refused), (1, 1));
    /// # drop(permit);
    /// # Ok::<(), decor::Error>(())
    /// ```
    pub fn stats(&self) -> ConcurrencyStats {
        self.core.stats()
    }

    /// Closes the limiter for good, for a shutdown. Calls that run go on.
    ///
    /// Every waiting call that can fail gets [`Error::Closed`] at once, and so does every later
    /// call. A call of [`acquire`](Self::acquire) or
    /// [`.concurrency_limited(..)`](crate::FnExt::concurrency_limited) cannot fail, and stays
    /// pending. A waiter that was handed its permits before keeps them.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::{ConcurrencyLimiter, Error};
    ///
    /// let limiter = ConcurrencyLimiter::new(8);
    /// let permit = limiter.try_acquire()?;
    /// limiter.close();
    /// let refused = limiter.try_acquire().unwrap_err();
    /// assert_eq!(refused, Error::Closed { what: "the concurrency limiter" });
    /// assert_eq!((limiter.in_use(), limiter.available()), (1, 0));
    /// # drop(permit);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn close(&self) {
        self.core.close().for_each(Waker::wake);
    }

    /// Returns `true` once the limiter is [closed](Self::close).
    ///
    /// # Examples
    ///
    /// ```
    /// let limiter = decor::ConcurrencyLimiter::new(8);
    /// assert!(!limiter.is_closed());
    /// limiter.close();
    /// assert!(limiter.is_closed());
    /// ```
    pub fn is_closed(&self) -> bool {
        self.core.is_closed()
    }

    #[inline]
    pub(crate) fn slot<W: Weight>(self, weight: W, patience: Patience) -> Slot<Arc<Core>, W> {
        Slot::new(self.core, weight, patience)
    }
}

/// The name and the current limit, such as `8 at once` or `20 at once, adaptive from 4 to 100`.
///
/// # Examples
///
/// See [`ConcurrencyLimiter::builder`].
impl fmt::Display for ConcurrencyLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.core.fmt(f)
    }
}

impl fmt::Debug for ConcurrencyLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ConcurrencyLimiter({})", self.core)
    }
}
