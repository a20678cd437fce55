//! A virtual clock for threads, for exact tests of blocking code that never really wait, and a
//! store for limits that processes share. Requires the feature `test-util`.
//!
//! For tasks, use tokio's paused clock (`start_paused = true`). The two clocks are independent. A
//! future follows tokio's clock, on any thread that polls it. The thread's own operations follow
//! the thread's virtual clock: `acquire_blocking`, `try_acquire`, a memo's `get` and `insert`, and
//! blocking decorated calls. In a test with a paused clock, start a virtual clock in the closure
//! given to `spawn_blocking`.
//!
//! [`FakeStore`] is a store for limits that processes share. It follows both clocks.
//!
//! # Waits that the clock does not see
//!
//! Virtual time advances when every thread of the clock waits *in decor*: for a delay, a permit, a
//! load, a call with a time limit, or by [`sleep`]. A thread that runs, or waits outside of decor,
//! stops the clock.
//!
//! - A channel's `recv()`, a lock, or a `join()` of std that waits for another thread of the clock
//!   hangs, because time stands still. Use [`VirtualThread::join`].
//! - A function under a `.timeout(..)` that waits in the operating system hangs, because time never
//!   reaches the limit. In a test, let the function [`sleep`] for longer than the limit.
//! - `std::thread::sleep` takes real time and no virtual time, so no time limit passes during it.
//! - Only threads that [`clock.spawn(..)`](VirtualClock::spawn) starts are the clock's. A thread of
//!   `std::thread::spawn`, of rayon or of a runtime waits in real time. If such a thread has to
//!   wait for a limiter that the clock's threads use, it panics with a message that says so. Other
//!   waits of such a thread, as for a retry's delay or in [`sleep`], take real time.

mod fake_store;
mod server;

pub use fake_store::{FakeQuota, FakeStore};

use crate::{
    clock::virtual_clock::{Shared, current},
    sync::Arc,
    thread::{self, RemoteCall},
};
use std::{fmt, marker::PhantomData, time::Duration};

/// Virtual time for the thread that starts it, and for threads that are started by
/// [`clock.spawn(..)`](Self::spawn).
///
/// Time stands still while any of these threads runs. When all of them wait in decor, time jumps to
/// the earliest deadline.
///
/// All decor operations of these threads follow the clock: delays, limits, timeouts, TTLs.
/// `std::thread::sleep` does not; call [`advance`](Self::advance) or [`sleep`] to let time pass.
///
/// A handle that is also used by tasks, or by threads without this clock, sees several clocks.
/// Tasks follow tokio's clock even on these threads. See [clocks](crate#clocks).
///
/// # Examples
///
/// ```
/// use decor::{prelude::*, test_util::VirtualClock};
/// use std::time::Duration;
///
/// let clock = VirtualClock::start();
/// let policy = RetryPolicy::exponential(Duration::from_secs(10));
/// let refused = (|| Err::<(), _>("refused")).blocking().retry_with(policy).run();
/// assert_eq!(refused, Err("refused"));
/// assert_eq!(clock.elapsed(), Duration::from_secs(10 + 20)); // without really waiting
///
/// ```
pub struct VirtualClock {
    shared: Arc<Shared>,
    /// Keeps the clock on its thread.
    not_send: PhantomData<*const ()>,
}

impl VirtualClock {
    /// Starts a clock at zero. This thread's time is virtual until the clock is dropped.
    ///
    /// # Examples
    ///
    /// ```
    /// let clock = decor::test_util::VirtualClock::start();
    /// assert!(clock.elapsed().is_zero());
    /// ```
    pub fn start() -> Self {
        Self { shared: Shared::start(), not_send: PhantomData }
    }

    /// Returns the virtual time since the start of the clock.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::{prelude::*, test_util::VirtualClock};
    /// use std::time::Duration;
    ///
    /// let clock = VirtualClock::start();
    /// let limiter = RateLimiter::new(3, Duration::from_secs(1));
    /// (0..5).for_each(|_| limiter.acquire_blocking());
    /// assert_eq!(clock.elapsed(), Duration::from_secs(1));
    /// ```
    pub fn elapsed(&self) -> Duration {
        self.shared.elapsed()
    }

    /// Advances the clock by `by`.
    ///
    /// # Panics
    ///
    /// If the clock cannot represent the new time.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::{prelude::*, test_util::VirtualClock};
    /// use std::time::Duration;
    ///
    /// let clock = VirtualClock::start();
    /// let limiter = RateLimiter::new(1, Duration::from_secs(60));
    /// limiter.acquire_blocking();
    /// clock.advance(Duration::from_secs(60));
    /// assert_eq!(limiter.try_acquire(), Ok(()));
    /// ```
    pub fn advance(&self, by: Duration) {
        self.shared.advance(by);
    }

    /// Runs `work` on a new thread under the same clock. Time stands still until that thread waits
    /// as well.
    ///
    /// # Examples
    ///
    /// No other thread is under the clock: not those of `std::thread::spawn`, and not those that
    /// were there before.
    ///
    /// ```
    /// use decor::{prelude::*, test_util::VirtualClock};
    /// use std::time::Duration;
    ///
    /// let clock = VirtualClock::start();
    /// let limiter = RateLimiter::new(1, Duration::from_secs(1));
    /// let threads = [0; 4].map(|_| {
    ///     let limiter = limiter.clone();
    ///     clock.spawn(move || limiter.acquire_blocking())
    /// });
    /// threads.into_iter().for_each(|thread| thread.join());
    /// assert_eq!(clock.elapsed(), Duration::from_secs(3));
    /// ```
    pub fn spawn<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> VirtualThread<T> {
        VirtualThread(RemoteCall::begin_unpooled(work))
    }
}

impl Drop for VirtualClock {
    fn drop(&mut self) {
        self.shared.end();
    }
}

/// A thread under a [`VirtualClock`]. Returned by [`VirtualClock::spawn`].
#[must_use = "a thread that is not joined may still be running when the test ends"]
pub struct VirtualThread<T>(RemoteCall<T>);

impl<T: Send + 'static> VirtualThread<T> {
    /// Waits until the thread ends, and returns its value. The clock can advance meanwhile.
    ///
    /// # Panics
    ///
    /// If the thread panicked, with the same payload.
    ///
    /// # Examples
    ///
    /// ```
    /// let clock = decor::test_util::VirtualClock::start();
    /// assert_eq!(clock.spawn(|| 42).join(), 42);
    /// ```
    #[track_caller]
    pub fn join(self) -> T {
        self.0.wait()
    }
}

/// Sleeps in this thread's virtual time, or in real time if the thread has no virtual clock.
///
/// Stands in for slow work in tests of blocking functions. A cancelled call is unwound here, as at
/// every wait in decor.
///
/// # Examples
///
/// ```
/// use decor::{prelude::*, test_util};
/// use std::time::Duration;
///
/// let clock = test_util::VirtualClock::start();
/// let slow = || {
///     test_util::sleep(Duration::from_secs(5));
///     Ok::<_, decor::Error>(42)
/// };
/// assert!(slow.blocking().timeout(Duration::from_secs(2)).call().is_err());
/// assert_eq!(clock.elapsed(), Duration::from_secs(2));
/// ```
#[track_caller]
pub fn sleep(delay: Duration) {
    thread::sleep(delay);
}

/// Returns the time of this thread's virtual clock since its start; `None` if the thread has no
/// virtual clock.
///
/// # Examples
///
/// ```
/// use decor::test_util::{VirtualClock, elapsed};
///
/// assert_eq!(elapsed(), None);
/// let clock = VirtualClock::start();
/// assert_eq!(elapsed(), Some(clock.elapsed()));
/// ```
pub fn elapsed() -> Option<Duration> {
    current().map(|shared| shared.elapsed())
}

impl fmt::Debug for VirtualClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VirtualClock").field("elapsed", &self.elapsed()).finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for VirtualThread<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("VirtualThread")
    }
}
