//! A second tier of a memo, which several processes share.

use super::{key_bytes::KeyBytes, promise::Promise};
use crate::{Error, clock::nanos, sync::Arc};
use std::{fmt, time::Duration};

/// A second tier of a memo: a store that several processes share, such as a Redis.
///
/// [`MemoBuilder::tier`](crate::MemoBuilder::tier) takes one. The memo keeps its values, its
/// flights and all its methods. If a call finds no value in the memo, one call of the process for
/// each key asks the tier, and the others wait for it.
///
/// # The protocol
///
/// 1. The memo calls [`find`](Self::find) for the call that would load. The tier answers from a
///    thread of its own. The answer may wait for the load of another process.
///
/// 2. With [`Found::Fresh`] or [`Found::Stale`], all calls have the value. A fresh value is kept in
///    the memo for the time that is left of it, counted from the asking.
///
/// 3. With [`Found::Lead`], the call loads, and the value is [stored](Lease::land) in the tier. If
///    the load fails, panics or is dropped, the lease is dropped, and the tier lets another process
///    load.
///
/// 4. With [`Found::Alone`], the tier is down. The call loads, and the value is kept for no longer
///    than [`deaf_ttl`](Self::deaf_ttl), because invalidations of other processes do not arrive.
///
/// An invalidation, an insertion and a clear take effect in the memo at once, and are passed on to
/// the tier, which tells the memos of the other processes by [`TieredMemo`]. No method blocks.
///
/// # Examples
///
/// A tier that is always down:
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// use decor::{Error, prelude::*, tier::*};
/// use std::{sync::Arc, time::Duration};
///
/// #[derive(Debug)]
/// struct Down;
///
/// impl<K, V: Send + 'static> MemoTier<K, V> for Down {
///     fn attach(&self, _: Arc<dyn TieredMemo>) {}
///     fn find(&self, _: &K) -> Promise<Found<V>> {
///         let (resolver, promise) = promise();
///         resolver.resolve(Found::Alone);
///         promise
///     }
///     fn insert(&self, _: &K, _: &V, _: Keep) {}
///     fn invalidate(&self, _: &KeyBytes) {}
///     fn clear(&self) {}
///     fn settled(&self) -> Promise<Result<(), Error>> {
///         let (resolver, promise) = promise();
///         resolver.resolve(Err(Error::StoreDown { name: "nowhere".into() }));
///         promise
///     }
///     fn deaf_ttl(&self) -> Duration { Duration::from_secs(10) }
///     fn counts(&self) -> TierCounts { TierCounts::default() }
/// }
///
/// async fn square(n: u64) -> u64 { n * n }
///
/// let squares: Memo<u64, u64> = Memo::builder().tier(Down).build();
/// let square = square.memoized(&squares);
/// assert_eq!(square.call(7).await, 49);
/// assert_eq!(square.call(7).await, 49);
/// assert_eq!((squares.stats().loads, squares.stats().tier_is_up), (1, false));
/// assert_eq!(squares.settled().await, Err(Error::StoreDown { name: "nowhere".into() }));
/// # }
/// ```
pub trait MemoTier<K, V>: Send + Sync + fmt::Debug + 'static {
    /// Gives the tier the memo, to tell it of changes by other processes. Called once, before all
    /// other methods.
    fn attach(&self, memo: Arc<dyn TieredMemo>);

    /// Asks for the value of a key. If the promise is dropped, nothing is wanted any more. A
    /// promise that ends without an answer is as [`Found::Alone`].
    fn find(&self, key: &K) -> Promise<Found<V>>;

    /// Stores a value that did not come from a load.
    fn insert(&self, key: &K, value: &V, keep: Keep);

    /// Removes a value, and refuses the landing of a load that is under way in any process.
    fn invalidate(&self, key: &KeyBytes);

    /// Removes all values, and refuses all landings.
    fn clear(&self);

    /// Ends once all changes so far are confirmed by the store.
    fn settled(&self) -> Promise<Result<(), Error>>;

    /// Longest time for which a value is kept while invalidations of other processes do not arrive.
    fn deaf_ttl(&self) -> Duration;

    /// Returns the counts since the tier was made.
    fn counts(&self) -> TierCounts;
}

/// Answer of a tier to a call that would load.
///
/// # Examples
///
/// See [`MemoTier`].
#[derive(Debug)]
#[non_exhaustive]
pub enum Found<V> {
    /// A value.
    Fresh {
        /// The value.
        value: V,
        /// Time for which the value is fresh, from the asking on; `None` if it never expires.
        left: Option<Duration>,
    },
    /// A value that has expired, and that another process refreshes. Served, and not kept.
    Stale(V),
    /// No value. The call that asked loads one.
    Lead(Box<dyn Lease<V>>),
    /// The tier is down.
    Alone,
}

/// The right to load a value for all processes. Given up if it is dropped.
///
/// # Examples
///
/// See [`MemoTier`].
pub trait Lease<V>: Send + Sync + fmt::Debug {
    /// Stores the value that was loaded, unless the lease is lost: by an invalidation, or because
    /// it has expired.
    fn land(self: Box<Self>, value: &V, keep: Keep);
}

/// Times for which a tier keeps a value.
///
/// # Examples
///
/// See [`MemoTier`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// Time for which the value is fresh; `None` if it never expires.
    pub fresh: Option<Duration>,
    /// Time after that for which the value is served while a process refreshes it.
    pub stale: Duration,
}

/// A memo, as its tier sees it. Does not keep the memo in memory.
///
/// # Examples
///
/// See [`MemoTier`].
pub trait TieredMemo: Send + Sync + fmt::Debug + 'static {
    /// Another process has changed this value.
    fn invalidate(&self, key: &KeyBytes);

    /// Another process may have changed any value.
    fn invalidate_all(&self);
}

/// Counts of a tier, which [`MemoStats`](crate::MemoStats) shows.
///
/// # Examples
///
/// See [`MemoTier`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TierCounts {
    /// Calls that waited for the load of another process.
    pub waits: u64,
    /// Values that did not land, because their lease was lost.
    pub refused: u64,
    /// Values that could not be read, and were replaced.
    pub undecodable: u64,
    /// `false` while the tier is down.
    pub is_up: bool,
}

impl Keep {
    /// The times of a value that is fresh until `expires_at`.
    pub(super) fn until(expires_at: Option<u64>, now: u64, stale: u64) -> Self {
        let fresh = expires_at.map(|at| Duration::from_nanos(at.saturating_sub(now)));
        Self { fresh, stale: Duration::from_nanos(stale) }
    }
}

/// The longest moment until which a value that was found is kept.
pub(super) fn end_of(left: Option<Duration>, asked: u64) -> u64 {
    left.map_or(u64::MAX, |left| asked.saturating_add(nanos(left)))
}
