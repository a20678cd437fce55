//! The statistics of a breaker.

use crate::{keys::Sum, striped::Striped};
use std::{
    fmt,
    // Not from `crate::sync`, because no decision depends on a count.
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

/// Counts of a [`CircuitBreaker`](crate::CircuitBreaker) since it was made. Returned by
/// [`CircuitBreaker::stats`](crate::CircuitBreaker::stats).
///
/// # Examples
///
/// ```
/// let breaker = decor::CircuitBreaker::consecutive(5);
/// breaker.enter()?.failed();
/// assert!(breaker.stats().to_string().starts_with("CircuitBreakerStats(succeeded=0, failed=1, "));
/// # Ok::<(), decor::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct CircuitBreakerStats {
    /// Calls that counted as successes.
    pub succeeded: u64,
    /// Calls that counted as failures.
    pub failed: u64,
    /// Calls that counted as failures because of their duration. `failed` includes them.
    pub slow: u64,
    /// Calls that counted as neither: dropped, ignored, or refused before the function was called.
    pub ignored: u64,
    /// Calls that ended after the state had changed, and so did not count.
    pub late: u64,
    /// Calls that were refused. An [observing](crate::CircuitBreakerBuilder::observing) breaker
    /// counts the calls here that it would have refused.
    pub refused: u64,
    /// Number of times that the circuit opened. Isolations are not included.
    pub opened: u64,
}

impl Sum for CircuitBreakerStats {
    fn add(&mut self, other: &Self) {
        let Self { succeeded, failed, slow, ignored, late, refused, opened } = other;
        let add = |sum: &mut u64, count: &u64| *sum = sum.saturating_add(*count);
        add(&mut self.succeeded, succeeded);
        add(&mut self.failed, failed);
        add(&mut self.slow, slow);
        add(&mut self.ignored, ignored);
        add(&mut self.late, late);
        add(&mut self.refused, refused);
        add(&mut self.opened, opened);
    }
}

impl fmt::Display for CircuitBreakerStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { succeeded, failed, slow, ignored, late, refused, opened } = self;
        write!(
            f,
            "CircuitBreakerStats(succeeded={succeeded}, failed={failed}, slow={slow}, ignored={ignored}, late={late}, \
             refused={refused}, opened={opened})"
        )
    }
}

/// Number of successes, which calls count without the lock.
#[derive(Debug)]
pub(super) enum Successes {
    /// For a breaker that many threads use.
    Striped(Box<Striped>),
    /// For the breaker of a key, because the stripes take 4 KiB.
    Single(AtomicU64),
}

impl Successes {
    #[inline]
    pub(super) fn count(&self) {
        match self {
            Self::Striped(stripes) => {
                stripes.count();
            }
            Self::Single(count) => {
                count.fetch_add(1, Relaxed);
            }
        }
    }

    pub(super) fn get(&self) -> u64 {
        match self {
            Self::Striped(stripes) => stripes.get(),
            Self::Single(count) => count.load(Relaxed),
        }
    }
}
