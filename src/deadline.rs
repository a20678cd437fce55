//! The time that the call in progress has left.

use crate::clock::{Clock, Instant, Nanos};
use std::{cell::Cell, fmt, time::Duration};

thread_local! {
    /// End of the limits around the call that this thread runs now; `None` without a limit that has
    /// begun to count.
    static END: Cell<Option<End>> = const { Cell::new(None) };
    /// The shortest limit around that call that has not begun to count, in nanoseconds;
    /// [`Nanos::MAX`] if there is none.
    static NOT_BEGUN: Cell<Nanos> = const { Cell::new(Nanos::MAX) };
}

/// The end of a limit that has begun to count, on its clock.
type End = (Instant, Clock);

/// The moment at which the first [`timeout`](crate::FnExt::timeout) around the call in progress
/// passes.
///
/// Decorators within a limit know the deadline. A retry begins no wait that ends after it, and
/// returns its own last error at once, for the reason
/// [`DeadlineReached`](crate::GiveUpReason::DeadlineReached). A limiter that may refuse a call, as
/// in [`rate_limited_within`](crate::FnExt::rate_limited_within), refuses a wait that is known to
/// end after the deadline. A concurrency limiter does not know how long the calls in progress take.
/// If it may refuse a call, as in
/// [`concurrency_limited_within`](crate::FnExt::concurrency_limited_within), the wait ends at the
/// deadline, with the limiter's own error. A function can read the deadline, to tell a server how
/// long its answer matters, or to leave out work that would come too late.
///
/// If limits are nested, the one that ends first counts, whichever is inside. The deadline belongs
/// to the call. Each task sees that of its own call, even if the calls of several tasks take turns
/// on one thread. A sync call that runs on another thread because of its limit sees the deadline
/// there. A task or a thread that the call spawns has none. Neither has a load that is
/// [`detached`](crate::Memoized::detached). Any other load of a memo has the deadline of the call
/// that loads, and not those of the calls that wait for it.
///
/// The limit of an async call begins to count when the call is first pending. Before, the deadline
/// is the whole limit from now.
///
/// # Examples
///
/// A request with a header that tells the server how much time is left:
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
/// use decor::{Deadline, Error, prelude::*};
/// use std::time::Duration;
///
/// async fn fetch(_id: u64) -> Result<String, Error> {
///     tokio::time::sleep(Duration::from_millis(500)).await;
///     let left = Deadline::current().map(Deadline::remaining);
///     Ok(format!("x-timeout-ms: {}", left.map_or(0, |left| left.as_millis())))
/// }
///
/// let second = Duration::from_secs(1);
/// let header = fetch.timeout(2 * second).timeout(10 * second).call(42).await;
/// assert_eq!(header.unwrap(), "x-timeout-ms: 1500");
/// assert!(Deadline::current().is_none());
/// # }
/// ```
///
/// A retry that returns the server's error after 3 s, in place of a timeout's after 3.5 s:
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
/// use decor::prelude::*;
/// use std::time::Duration;
///
/// async fn fetch(_id: u64) -> Result<u64, String> { Err("busy".into()) }
///
/// let begun = tokio::time::Instant::now();
/// let policy = RetryPolicy::fixed(Duration::from_secs(1)).max_attempts(100);
/// let fetch = fetch.retry_with(policy).timeout(Duration::from_millis(3_500));
/// assert_eq!(fetch.call(42).await.unwrap_err(), "busy");
/// assert_eq!(begun.elapsed(), Duration::from_secs(3));
/// # }
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Deadline {
    end: Instant,
    clock: Clock,
}

impl Deadline {
    /// Returns the deadline of the call in progress; `None` if no limit bounds the call.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::{Deadline, Error, prelude::*};
    /// use std::time::Duration;
    ///
    /// async fn is_bounded() -> Result<bool, Error> { Ok(Deadline::current().is_some()) }
    ///
    /// assert_eq!(is_bounded().timeout(Duration::from_secs(1)).await, Ok(true));
    /// assert_eq!(is_bounded().await, Ok(false));
    /// # }
    /// ```
    #[must_use]
    pub fn current() -> Option<Self> {
        let end = END.get();
        let clock = end.map_or(Clock::Task, |(_, clock)| clock);
        let not_begun = match NOT_BEGUN.get() {
            Nanos::MAX => None,
            limit => clock.now().checked_add(Duration::from_nanos(limit)),
        };
        let end = end.into_iter().map(|(end, _)| end).chain(not_begun).min()?;
        Some(Self { end, clock })
    }

    /// Returns the time until the deadline; zero once it has passed.
    ///
    /// # Examples
    ///
    /// See [`Deadline`].
    #[must_use]
    pub fn remaining(self) -> Duration {
        self.end.saturating_duration_since(self.clock.now())
    }

    /// Returns the moment of the deadline, for a function with a limit of its own such as
    /// `tokio::time::timeout_at`. The moment is on decor's clock, as [`now`](crate::layer::now) is.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::{Deadline, Error, prelude::*};
    /// use std::{future::pending, time::Duration};
    /// use tokio::time::{Instant, timeout_at};
    ///
    /// async fn partial_answer() -> Result<String, Error> {
    ///     let deadline = Deadline::current().expect("the call has a limit").instant();
    ///     let a_little_earlier = deadline - Duration::from_millis(100);
    ///     let whole = timeout_at(a_little_earlier, pending::<String>()).await;
    ///     Ok(whole.unwrap_or("the first half".into()))
    /// }
    ///
    /// let begun = Instant::now();
    /// let answer = partial_answer().timeout(Duration::from_secs(2)).await;
    /// assert_eq!(answer.unwrap(), "the first half");
    /// assert_eq!(begun.elapsed(), Duration::from_millis(1_900));
    /// # }
    /// ```
    #[must_use]
    pub fn instant(self) -> Instant {
        self.end
    }
}

impl fmt::Debug for Deadline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deadline").field("remaining", &self.remaining()).finish_non_exhaustive()
    }
}

/// Returns the time that the call in progress has left; `None` if no limit bounds the call. Reads
/// no clock for a limit that has not begun to count.
pub(crate) fn left() -> Option<Duration> {
    let counting = END.get().map(left_until);
    let not_begun = Some(NOT_BEGUN.get()).filter(|limit| *limit != Nanos::MAX).map(Duration::from_nanos);
    counting.into_iter().chain(not_begun).min()
}

/// Returns the longest wait that a call which may be refused should begin; `None` for any wait. A
/// limit that has already passed ends the call by itself, with an error that says so.
pub(crate) fn longest_wait() -> Option<Duration> {
    left().filter(|left| !left.is_zero())
}

/// Returns `true` if a wait of this time is known to end after the deadline.
pub(crate) fn is_exceeded_by(wait: Duration) -> bool {
    left().is_some_and(|left| wait > left)
}

fn left_until((end, clock): End) -> Duration {
    end.saturating_duration_since(clock.now())
}

/// The limit of an async call, during one poll of the call. Restores the previous limits on drop,
/// and so during unwinding too.
///
/// A guard, and no function that takes the poll as a closure, so that the caller polls in one place
/// for all kinds of limit.
#[must_use = "the limit ends when the guard is dropped"]
pub(crate) enum Limit {
    /// A limit that has not begun to count, with the previous one.
    NotBegun(Nanos),
    /// A limit that counts, with the previous end.
    Counts(Option<End>),
    /// A limit that never passes.
    Never,
}

impl Limit {
    #[inline]
    pub(crate) fn not_begun(limit: Nanos) -> Self {
        let before = NOT_BEGUN.get();
        NOT_BEGUN.set(limit.min(before));
        Self::NotBegun(before)
    }

    /// The limit passes at `end`, on the clock of tasks.
    #[inline]
    pub(crate) fn until(end: Instant) -> Self {
        let before = END.get();
        END.set(Some(nearest(before, (end, Clock::Task))));
        Self::Counts(before)
    }
}

impl Drop for Limit {
    #[inline]
    fn drop(&mut self) {
        match *self {
            Self::NotBegun(before) => NOT_BEGUN.set(before),
            Self::Counts(before) => END.set(before),
            Self::Never => {}
        }
    }
}

/// The nearer of two ends, on the clock of the second.
#[inline]
fn nearest(outer: Option<End>, (end, clock): End) -> End {
    match outer {
        Some((outer, its)) if its == clock => (outer.min(end), clock),
        Some(outer) => (on_clock(outer, clock).min(end), clock),
        None => (end, clock),
    }
}

/// The same end on another clock. In a test, the clocks of tasks and of threads have times that
/// cannot be compared.
#[cold]
fn on_clock(end: End, clock: Clock) -> Instant {
    let now = clock.now();
    now.checked_add(left_until(end)).unwrap_or(now)
}

/// The deadline of this thread's call, for another thread that runs a part of that call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scope {
    end: Option<End>,
    not_begun: Nanos,
}

impl Scope {
    /// The deadline outside of all limits, for a call that goes on without its caller.
    #[cfg(feature = "memo")]
    pub(crate) const NONE: Self = Self { end: None, not_begun: Nanos::MAX };

    /// The deadline of a call on another thread with a limit of its own, which passes at `end`;
    /// `None` for a limit beyond the range of the clock.
    pub(crate) fn of_thread(end: Option<Instant>) -> Self {
        let outer = END.get();
        let end = match end {
            Some(end) => Some(nearest(outer, (end, Clock::Thread))),
            None => outer.map(|outer| (on_clock(outer, Clock::Thread), Clock::Thread)),
        };
        Self { end, not_begun: NOT_BEGUN.get() }
    }

    /// Runs a call with this deadline in place of the thread's.
    pub(crate) fn run<T>(self, call: impl FnOnce() -> T) -> T {
        let before = (Limit::Counts(END.get()), Limit::NotBegun(NOT_BEGUN.get()));
        END.set(self.end);
        NOT_BEGUN.set(self.not_begun);
        let result = call();
        drop(before);
        result
    }
}
