//! A second tier of a memo, which several processes share.

use super::{
    cacheable::Value,
    key::Key,
    key_bytes::{KeyBytes, Recorded},
    leader::Leader,
    promise::Promise,
    state::Core,
};
use crate::{Error, clock::nanos, layer::MemoOutcome, sync::Arc};
use std::{
    fmt,
    hash::Hash,
    sync::Weak,
    task::{Context, Poll},
    time::Duration,
};

/// A second tier of a memo: a store that several processes share, such as a Redis.
///
/// [`MemoBuilder::tier`](crate::MemoBuilder::tier) takes one. The memo keeps its values, its
/// flights and all its words. If a call finds no value in the memo, one call of the process for
/// each key asks the tier, and the others wait for it.
///
/// # The protocol
///
/// 1. The memo calls [`find`](Self::find) for the call that would load. The tier answers from a
///    thread of its own. It may take its time while another process loads the value.
///
/// 2. With [`Found::Fresh`] or [`Found::Stale`], all calls have the value. A fresh value is kept in
///    the memo for the time that is left of it, counted from the asking.
///
/// 3. With [`Found::Lead`], the call loads, and the value [lands](Lease::land) in the tier. If the
///    load fails, panics or is dropped, the lease is dropped, and the tier lets another process
///    load.
///
/// 4. With [`Found::Alone`], the tier is down. The call loads, and the value is kept for no longer
///    than [`deaf_ttl`](Self::deaf_ttl), because nothing of other processes is heard.
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

    /// Longest time for which a value is kept while nothing of other processes is heard.
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

/// The line from a tier to a memo.
struct Line<K, V>(Weak<Core<K, V>>);

impl<K: Key, V: Value> TieredMemo for Line<K, V> {
    fn invalidate(&self, key: &KeyBytes) {
        if let Some(core) = self.0.upgrade() {
            core.invalidate_recorded(key);
        }
    }

    fn invalidate_all(&self) {
        if let Some(core) = self.0.upgrade() {
            core.forget_all();
        }
    }
}

impl<K, V> fmt::Debug for Line<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TieredMemo")
    }
}

/// A call that asks the tier, before it loads.
pub(crate) struct Asking<K: Eq + Hash, V> {
    leader: Leader<K, V>,
    promise: Promise<Found<V>>,
}

/// The end of an asking.
pub(crate) enum Asked<K: Eq + Hash, V> {
    Answered(V, MemoOutcome),
    Lead(Leader<K, V>),
}

impl<K: Key, V: Value> Leader<K, V> {
    /// Asks the tier; gives the leader back if there is none.
    pub(crate) fn ask(self) -> Result<Box<Asking<K, V>>, Self> {
        match self.tier() {
            Some(tier) => {
                let promise = tier.find(self.key());
                Ok(Box::new(Asking { leader: self, promise }))
            }
            None => Err(self),
        }
    }
}

impl<K: Key, V: Value> Asking<K, V> {
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Found<V>> {
        let promise = std::pin::Pin::new(&mut self.promise);
        std::future::Future::poll(promise, cx).map(|found| found.unwrap_or(Found::Alone))
    }

    pub(crate) fn take(self, found: Found<V>) -> Asked<K, V> {
        let mut leader = self.leader;
        match found {
            Found::Fresh { value, left } => {
                leader.found(&value, left);
                Asked::Answered(value, MemoOutcome::Hit)
            }
            Found::Stale(value) => {
                leader.found_stale(&value);
                Asked::Answered(value, MemoOutcome::Stale)
            }
            Found::Lead(lease) => {
                leader.holds(lease);
                Asked::Lead(leader)
            }
            Found::Alone => {
                leader.is_alone();
                Asked::Lead(leader)
            }
        }
    }
}

impl<K: Key, V: Value> Core<K, V> {
    pub(super) fn attach_to_tier(self: &Arc<Self>) {
        if let Some(tier) = &self.settings.closures.tier {
            tier.attach(Arc::new(Line(Arc::downgrade(self))));
        }
    }

    /// Removes the value of a key that another process has changed.
    fn invalidate_recorded(&self, key: &KeyBytes) {
        let key = Recorded(key);
        let hash = self.index.hash(&key);
        let mut shard = self.index.write(hash);
        let flight = shard.take_flight_like(hash, &key);
        let entry = shard.take(hash, &key);
        if let Some(entry) = &entry {
            self.forget(entry);
        }
        drop(shard);
        drop((flight, entry));
    }
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
