//! A virtual clock for threads: blocking code is tested to the nanosecond, and without waiting. Feature `test-util`.
//!
//! For tasks there is tokio's own, `start_paused = true`. The two know nothing of each other: a future goes by tokio's clock, on whatever
//! thread it is polled, and what a thread does itself (`acquire_blocking`, `try_acquire`, a memo's `get` and `insert`, a decorated call
//! that blocks) by the thread's. In a test with a paused clock, start one of these in the closure given to `spawn_blocking`.
//!
//! # What hangs, and what does not wait
//!
//! Virtual time moves on when every thread of the clock waits *in decor*: for a delay, a permit, a load, a call with a limit, or by
//! [`sleep`]. A thread that is busy elsewhere keeps it still.
//!
//! - A channel's `recv()`, a lock or a `join()` that waits for another thread of the clock hangs: time stands still for that one. The
//!   [`join`](VirtualThread::join) here does not.
//! - So does a function under a `.timeout(..)` that hangs in the operating system: the limit is never reached. Let it
//!   [`sleep`] for longer than the limit.
//! - `std::thread::sleep` takes real time and no virtual time, so a limit does not see it.
//! - Only threads that [`clock.spawn(..)`](VirtualClock::spawn) starts are the clock's. A thread of
//!   `std::thread::spawn`, of rayon or of a runtime is not, and waits in real time. If such a thread
//!   has to wait for a limiter that the clock's threads use, it panics and says so. In any other wait
//!   (a retry's delay, [`sleep`]) the time is merely real.

use crate::{
    clock::virtual_clock::{Shared, current},
    sync::Arc,
    thread::{self, RemoteCall},
};
use std::{fmt, marker::PhantomData, time::Duration};

/// Time for the thread that made it, and for those that are started by [`clock.spawn(..)`](Self::spawn): it stands still while any of them does something, and
/// when all of them wait in decor, it moves on to the first moment that one of them waits for.
///
/// Everything of decor's that these threads do themselves follows it: delays, limits, timeouts, TTLs. `std::thread::sleep` does not; to let
/// time pass, [`advance`](Self::advance). A handle that is also used by tasks (even of these threads: their timers are tokio's), or by
/// threads without this clock, sees two times.
///
/// ```
/// use decor::{prelude::*, test_util::VirtualClock};
/// use std::time::Duration;
///
/// let clock = VirtualClock::start();
/// let policy = RetryPolicy::exponential(Duration::from_secs(10));
/// let refused = (|| Err::<(), _>("refused")).blocking().retry_with(policy).run();
/// assert_eq!(refused, Err("refused"));
/// assert_eq!(clock.elapsed(), Duration::from_secs(10 + 20)); // at once
/// ```
pub struct VirtualClock {
    shared: Arc<Shared>,
    /// It belongs to its thread.
    not_send: PhantomData<*const ()>,
}

impl VirtualClock {
    /// From now on this thread's time is virtual, until the clock is dropped.
    ///
    /// ```
    /// let clock = decor::test_util::VirtualClock::start();
    /// assert!(clock.elapsed().is_zero());
    /// ```
    pub fn start() -> Self {
        Self { shared: Shared::start(), not_send: PhantomData }
    }

    /// The time that has passed since it was started.
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

    /// Lets time pass.
    ///
    /// # Panics
    ///
    /// If that is beyond what the clock can express.
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

    /// Runs it on another thread under the same clock, which stands still until that one waits, too.
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

/// A thread under a [`VirtualClock`]: see [`spawn`](VirtualClock::spawn).
#[must_use = "a thread that is not joined may not have come to its end"]
pub struct VirtualThread<T>(RemoteCall<T>);

impl<T: Send + 'static> VirtualThread<T> {
    /// Waits for its end, and lets the clock move on meanwhile.
    ///
    /// # Panics
    ///
    /// With the thread's own panic.
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

/// Sleeps as a decorated function would: in this thread's virtual time, or in real time if it has none.
///
/// ```
/// use decor::{prelude::*, test_util};
/// use std::time::Duration;
///
/// let clock = test_util::VirtualClock::start();
/// let slow = (|| { test_util::sleep(Duration::from_secs(5)); Ok::<_, decor::Error>(42) }).blocking();
/// assert!(slow.timeout(Duration::from_secs(2)).call().is_err());
/// assert_eq!(clock.elapsed(), Duration::from_secs(2));
/// ```
#[track_caller]
pub fn sleep(delay: Duration) {
    thread::sleep(delay);
}

/// The time that has passed on this thread's virtual clock, if it has one.
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
