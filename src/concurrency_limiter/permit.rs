//! Permits that a caller holds.

use super::state::Core;
use crate::{policy::Ended, sync::Arc};
use std::{fmt, thread};

/// Permits of a [`ConcurrencyLimiter`](crate::ConcurrencyLimiter), which go back when this value is
/// dropped.
///
/// A permit is owned, so it can be kept for longer than a call: in the body of a response, in a
/// task, or in a struct. With an [adaptive](crate::ConcurrencyLimiter::adaptive) limit, a drop is a
/// good end, except while a panic unwinds. [`cancel`](Self::cancel) gives the permits back without
/// one. [`.concurrency_limited(..)`](crate::FnExt::concurrency_limited) knows by itself whether its
/// call was cancelled.
///
/// # Examples
///
/// A response that keeps its permit until its body has been read:
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
/// use decor::{ConcurrencyLimiter, ConcurrencyPermit};
///
/// struct Response {
///     body: Vec<u8>,
///     _permit: ConcurrencyPermit,
/// }
///
/// impl Response {
///     async fn text(self) -> String {
///         String::from_utf8(self.body).unwrap_or_default()
///     }
/// }
///
/// async fn get(limiter: &ConcurrencyLimiter) -> Response {
///     let permit = limiter.acquire().await;
///     Response { body: b"hello".to_vec(), _permit: permit }
/// }
///
/// let limiter = ConcurrencyLimiter::new(8);
/// let response = get(&limiter).await;
/// assert_eq!(limiter.in_use(), 1); // the body has not been read
/// assert_eq!(response.text().await, "hello");
/// assert_eq!(limiter.in_use(), 0);
/// # }
/// ```
#[must_use = "a permit goes back when it is dropped"]
pub struct ConcurrencyPermit {
    core: Arc<Core>,
    permits: u32,
    ended: Ended,
    /// Identifies the call for an adaptive limit.
    number: u64,
}

impl ConcurrencyPermit {
    #[inline]
    pub(super) fn new(core: Arc<Core>, permits: u32, number: u64) -> Self {
        Self { core, permits, ended: Ended::Well, number }
    }

    /// Returns the number of permits that were taken.
    ///
    /// # Examples
    ///
    /// ```
    /// let limiter = decor::ConcurrencyLimiter::new(8);
    /// assert_eq!(limiter.try_acquire_many(3)?.permits(), 3);
    /// # Ok::<(), decor::Error>(())
    /// ```
    pub fn permits(&self) -> u32 {
        self.permits
    }

    /// Gives the permits back as a cancelled call does, which counts for nothing with an
    /// [adaptive](crate::ConcurrencyLimiter::adaptive) limit.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::ConcurrencyLimiter;
    ///
    /// let limiter = ConcurrencyLimiter::builder().adaptive(1..=9).start_at(1).build();
    /// limiter.try_acquire()?.cancel();
    /// assert_eq!(limiter.limit(), 1);
    /// drop(limiter.try_acquire()?);
    /// assert_eq!(limiter.limit(), 2);
    /// # Ok::<(), decor::Error>(())
    /// ```
    pub fn cancel(mut self) {
        self.ended = Ended::Otherwise;
    }

    /// Signals that this call met an overload, as
    /// [`ConcurrencyLimiter::overloaded`](crate::ConcurrencyLimiter::overloaded) does. The signal
    /// has no effect if the limit was decreased since the permit was taken.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::ConcurrencyLimiter;
    ///
    /// let limiter = ConcurrencyLimiter::adaptive(4..=100);
    /// let (first, second) = (limiter.try_acquire()?, limiter.try_acquire()?);
    /// first.overloaded();
    /// second.overloaded(); // was in progress at the first signal
    /// assert_eq!(limiter.limit(), 15);
    /// # Ok::<(), decor::Error>(())
    /// ```
    pub fn overloaded(&self) {
        self.core.signal_of(self.number);
    }
}

impl Drop for ConcurrencyPermit {
    #[inline]
    fn drop(&mut self) {
        let ended = || if thread::panicking() { Ended::Otherwise } else { self.ended };
        self.core.end(self.permits, self.number, ended);
    }
}

impl fmt::Debug for ConcurrencyPermit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ConcurrencyPermit({} of {})", self.permits, self.core)
    }
}
