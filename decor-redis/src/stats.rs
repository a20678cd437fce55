//! The statistics of a store.

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// Counts of a [`Redis`](crate::Redis) since it was made, over all limits. Returned by
/// [`Redis::stats`](crate::Redis::stats).
///
/// # Examples
///
/// ```
/// # fn main() -> Result<(), decor::ConfigError> {
/// let stats = decor_redis::Redis::open("redis://127.0.0.1")?.stats();
/// assert_eq!(
///     stats.to_string(),
///     "RedisStats(is_up=true, requests=0, failed=0, connections=0, losses=0, round_trip=0ns)",
/// );
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct RedisStats {
    /// `false` from the first error on, until the server takes writes again.
    pub is_up: bool,
    /// Requests of limiters that were answered.
    pub requests: u64,
    /// Requests of limiters that got an error instead, at once while the server was down.
    pub failed: u64,
    /// Connections that were made. More than one says that one was lost.
    pub connections: u64,
    /// Times at which the server went down: alert on a rate of this.
    pub losses: u64,
    /// Scripts that were sent as a whole, because the server did not know them. Rises with each
    /// restart of the server, and with `SCRIPT FLUSH`.
    pub scripts: u64,
    /// Time from the last request to its answer.
    pub round_trip: Duration,
}

impl fmt::Display for RedisStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { is_up, requests, failed, connections, losses, round_trip, .. } = self;
        write!(
            f,
            "RedisStats(is_up={is_up}, requests={requests}, failed={failed}, connections={connections}, \
             losses={losses}, round_trip={round_trip:?})",
        )
    }
}

/// The counts behind [`RedisStats`]. Written by the I/O thread alone. No decision depends on them.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) requests: AtomicU64,
    pub(crate) failed: AtomicU64,
    pub(crate) connections: AtomicU64,
    pub(crate) losses: AtomicU64,
    pub(crate) scripts: AtomicU64,
    /// In nanoseconds.
    pub(crate) round_trip: AtomicU64,
}

impl Counters {
    pub(crate) fn add(counter: &AtomicU64) {
        counter.fetch_add(1, Relaxed);
    }

    pub(crate) fn read(&self, is_up: bool) -> RedisStats {
        RedisStats {
            is_up,
            requests: self.requests.load(Relaxed),
            failed: self.failed.load(Relaxed),
            connections: self.connections.load(Relaxed),
            losses: self.losses.load(Relaxed),
            scripts: self.scripts.load(Relaxed),
            round_trip: Duration::from_nanos(self.round_trip.load(Relaxed)),
        }
    }
}
