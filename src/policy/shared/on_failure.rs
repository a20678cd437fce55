//! The behaviour of a shared limiter while its store is down.

/// Behaviour of a [shared](crate::RateLimiterBuilder::shared) limiter while its store does not
/// answer. There is no default, because each choice is wrong for some service.
///
/// Permits that the store granted before stay valid. The first call that meets the failure waits
/// for the time limit of the store, 100 ms. Later calls are decided at once.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
/// use decor::{Error, OnFailure, RateLimiter, test_util::FakeStore};
/// use std::time::Duration;
///
/// let store = FakeStore::new();
/// let limiter = RateLimiter::builder()
///     .window(100, Duration::from_secs(1))
///     .shared(store.quota("github"), OnFailure::Closed)
///     .build();
/// store.refuse();
/// let refused = limiter.acquire_many(1).await;
/// assert_eq!(refused, Err(Error::StoreDown { name: "github".into() }));
/// assert!(!limiter.stats().is_up);
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnFailure {
    /// Admits all calls. For a limit that only spreads load. The store never counts these calls.
    Open,
    /// Admits no call. Calls that can fail get [`Error::StoreDown`](crate::Error::StoreDown) at
    /// once. The others wait until the store is back. The limit is never exceeded. For a limit that
    /// costs money. If the store has lost its state in an outage, it grants nothing for 1.5 s, in
    /// which all processes report what they have used.
    Closed,
    /// Admits calls by this process's own log of its admissions, against its part of the limit. For
    /// a limit that the server enforces anyway. When the store is back, the process reports these
    /// calls, and the store counts them. For 1.5 s the process takes no more than its part, because
    /// other processes may not have found the store yet.
    ///
    /// A call that asks for more permits than the part gets
    /// [`Error::StoreDown`](crate::Error::StoreDown).
    Local {
        /// Number of processes that share the limit, at least 1. The part of each is the limit
        /// divided by this number, rounded down, and at least 1.
        instances: u32,
    },
}

impl OnFailure {
    /// The part of a limit that this process may use alone; `None` if it keeps no log of its own.
    pub(super) fn part_of(self, limit: u32) -> Option<u32> {
        match self {
            Self::Local { instances } => Some((limit / instances.max(1)).max(1)),
            Self::Open | Self::Closed => None,
        }
    }
}
