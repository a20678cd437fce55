//! The handle of a memo.

use super::{cacheable::Value, key::Key, state::Core, stats::MemoStats};
use crate::{Error, sync::Arc};
use std::{borrow::Borrow, fmt, hash::Hash};

/// A shared cache that fills itself. Keeps the values that were loaded, by key, until their TTL is
/// over.
///
/// A clone is the same memo. Keep one in the state of the program, and give it to functions with
/// [`.memoized(&memo)`](crate::FnExt::memoized), or call [`get_or_load`](Self::get_or_load). On a
/// thread, decorate a closure with
/// [`.blocking().memoized(&memo)`](crate::blocking::FnExt::memoized) instead of `get_or_load`.
///
/// A memo is always bounded, to 10,000 values by [default](crate::MemoBuilder::capacity). A full
/// memo drops values that have expired, and then evicts the [least recently
/// used](crate::Eviction::Lru) value.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), String> {
/// use decor::prelude::*;
/// use std::time::Duration;
///
/// async fn fetch_user(id: u64) -> Result<String, String> { Ok(format!("user {id}")) }
///
/// let users: Memo<u64, String> = Memo::ttl(Duration::from_secs(300));
/// let fetch_user = fetch_user.memoized(&users);
///
/// fetch_user.call(42).await?;
/// fetch_user.call(42).await?; // from the memo
/// assert_eq!(
///     users.stats().to_string(),
///     "MemoStats(hits=1, misses=1, coalesced=0, loads=1, entries=1, capacity=10000)",
/// );
///
/// users.invalidate(&42);
/// assert_eq!(users.get(&42), None);
/// # Ok(())
/// # }
/// ```
///
/// In a service, the memo and the function can be fields side by side:
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), decor::Error> {
/// use decor::{BoxedFn, prelude::*};
/// use std::time::Duration;
///
/// #[derive(Clone)]
/// struct Client;
/// impl Client {
///     async fn user(&self, id: u64) -> Result<String, decor::Error> { Ok(format!("user {id}")) }
/// }
///
/// struct Users {
///     memo: Memo<u64, String>,
///     fetch: BoxedFn<(u64,), Result<String, decor::Error>>,
/// }
///
/// impl Users {
///     fn new(client: Client) -> Self {
///         let ttl = Duration::from_secs(300);
///         let memo = Memo::builder().ttl(ttl).capacity(1_000).jitter(0.1).build();
///         let get = |client: Client, id: u64| async move { client.user(id).await };
///         let fetch = decor::with_context(client, get)
///             .named("users")
///             .retry_with(RetryPolicy::default())
///             .memoized(&memo)
///             .boxed();
///         Self { memo, fetch }
///     }
///
///     async fn get(&self, id: u64) -> Result<String, decor::Error> {
///         self.fetch.call(id).timeout(Duration::from_secs(5)).await
///     }
///
///     async fn rename(&self, id: u64) {
///         // .. in the database, and then:
///         self.memo.invalidate(&id);
///     }
/// }
///
/// let users = Users::new(Client);
/// assert_eq!(users.get(42).await?, "user 42");
/// users.rename(42).await;
/// # Ok(())
/// # }
/// ```
///
/// # What is kept
///
/// The value's type decides (see [`Cacheable`](crate::Cacheable)). A `Memo<K, User>` keeps the `Ok`
/// of a `Result<User, E>`, and the `Some` of an `Option<User>`. A `Memo<K, Result<User, E>>` keeps
/// errors too, and a `Memo<K, Option<User>>` keeps `None`s;
/// [`negative`](crate::MemoBuilder::negative) gives those a shorter TTL. Each call gets a clone of
/// the value, and an `Arc` in the memo makes that cheap.
///
/// # One load at a time
///
/// If many calls ask for a key without a value to serve, one of them loads the value, and the
/// others wait for it. This is single flight, and prevents a stampede (thundering herd). If the
/// load fails, the loading call gets the error, and the waiters get its text at once, in an
/// [`Error::LoadFailed`](crate::Error::LoadFailed). With
/// [`.sharing_errors()`](crate::Memoized::sharing_errors), the waiters get the error itself. With
/// [`.isolating_errors()`](crate::Memoized::isolating_errors), each waiter loads by itself, one
/// after the other. If the loading call is dropped or panics, a waiter takes over.
///
/// A load runs in the call that began it. If a `.timeout(..)` after the memo ends every caller
/// before a load finishes, the memo stays empty. [`.detached()`](crate::Memoized::detached) runs
/// loads in tasks of their own. A load on a thread cannot be cancelled. If its caller times out,
/// the load still fills the memo when it ends. A loading call that is neither polled nor dropped
/// blocks its waiters.
///
/// # Freshness
///
/// A value can be refreshed before its expiry, and served after its expiry. Both are off until
/// [set](Self::builder).
///
/// ```text
///  loaded           refresh_ahead            expires      + stale_while_revalidate        + stale_on_error
///    ├─────────────────────┼────────────────────┼───────────────────────┼─────────────────────────┤
///    │  served             │ served, and one    │ served, and one call  │ all wait for one load,  │ all wait for one load,
///    │                     │ call refreshes it  │ refreshes it          │ and if it fails, served │ and have its error
/// ```
///
/// Both windows begin at the expiry. The call that refreshes a value waits for its load. With
/// [`.detached()`](crate::Memoized::detached) that call does not wait, because the load runs in a
/// task. If a refresh fails, the present value is served, and no call tries again before a delay
/// has passed. The delay is 1 s at first and at most 1 min, unless
/// [`refresh_backoff`](crate::MemoBuilder::refresh_backoff) is set. During the delay, the value is
/// served at once in all windows.
///
/// [`jitter`](crate::MemoBuilder::jitter) keeps values that were loaded together from expiring
/// together. [`negative`](crate::MemoBuilder::negative) gives an `Err` or a `None` a shorter TTL,
/// and those values are never served stale.
///
/// # A clear wins
///
#[doc = include_str!("../../docs/flight.svg")]
///
/// A load that began before a [`clear`](Self::clear), an [`invalidate`](Self::invalidate) or an
/// [`insert`](Self::insert) answers only the calls that already waited for it. The value of that
/// load is not kept. A call that begins later loads anew. The same holds for a
/// [`refresh`](Self::refresh), and for an [`invalidate_if`](Self::invalidate_if) that removes a
/// value. An [`invalidate_where`](Self::invalidate_where) and an
/// [`invalidate_tag`](Self::invalidate_tag) win over the loads with values that match.
///
/// # Time and memory
///
/// A TTL counts from the end of the load, by tokio's clock, so a paused clock controls it. A value
/// that is not used may expire earlier: see [`time_to_idle`](crate::MemoBuilder::time_to_idle).
///
/// The call that removes a value from the memo drops the value before it returns. Such calls are a
/// clear, an invalidation, a store that replaces or evicts the value, and a call that finds the
/// value past its expiry and all its windows.
///
/// Calls for other keys free the memory of values that no call asks for. A value is dead when the
/// longer of the two windows after its expiry is over. Each [`get`](Self::get), each
/// [`insert`](Self::insert) of a value that is kept and each memoized call drops up to two dead
/// values, the earliest first. Let n be the largest number of values that the memo has held, and at
/// least 32. A dead value is then dropped by the n-th of these calls at the latest. A store that
/// needs room drops as many expired values as it needs.
///
/// Two kinds of calls drop less. A hit on a value that never expires reads no clock, and only one
/// in 64 such hits of a thread drops values. If several threads could drop values at the same time,
/// only one does. A memo that is not called runs no code, and keeps all values. The next call that
/// reads the clock begins to drop the dead values. [`stats`](Self::stats) does not read the clock.
/// If that call comes too late, call [`purge_expired`](Self::purge_expired) from a timer of your
/// own.
///
/// `Hash`, `Eq` and `Clone` of keys and values run while a part of the memo is locked. Code of
/// these traits must not use the same memo. `Drop` and all closures that the memo is given may use
/// the memo.
pub struct Memo<K, V> {
    pub(super) core: Arc<Core<K, V>>,
}

impl<K: Key, V: Value> Memo<K, V> {
    /// Returns the value of this key, if there is one that has not expired. Counts as a hit or a
    /// miss.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::Memo;
    ///
    /// let words: Memo<String, u64> = Memo::builder().build();
    /// words.insert("one".to_owned(), 1);
    /// assert_eq!(words.get("one"), Some(1)); // a `&str` finds a `String`
    /// assert_eq!(words.get("two"), None);
    /// ```
    pub fn get<Q>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.core.get(key)
    }

    /// Stores a value as if it had just been loaded. Replaces the key's earlier value.
    ///
    /// Wins over a load of the same key that is under way. That load answers the calls that already
    /// waited for it, and its value is not kept.
    ///
    /// # Examples
    ///
    /// ```
    /// let squares = decor::Memo::builder().build();
    /// squares.insert(7, 49);
    /// assert_eq!(squares.get(&7), Some(49));
    /// ```
    pub fn insert(&self, key: K, value: V) {
        self.core.insert(key, value);
    }

    /// Removes the value of this key, and drops it. Wins over a load of the same key that is under
    /// way.
    ///
    /// # Examples
    ///
    /// ```
    /// let squares = decor::Memo::builder().build();
    /// squares.insert(7, 49);
    /// squares.invalidate(&7);
    /// assert_eq!(squares.get(&7), None);
    /// ```
    pub fn invalidate<Q>(&self, key: &Q)
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.core.invalidate(key);
    }

    /// Removes all values and resets all counts, as Python's `cache_clear()` does. Wins over all
    /// loads that are under way. If you need the counts, read [`stats`](Self::stats) before.
    ///
    /// The values are dropped before `clear` returns, which takes about 1 µs for each.
    ///
    /// # Examples
    ///
    /// ```
    /// let squares = decor::Memo::builder().build();
    /// squares.insert(7, 49);
    /// squares.clear();
    /// assert_eq!(squares.get(&7), None);
    /// assert_eq!(
    ///     squares.stats().to_string(),
    ///     "MemoStats(hits=0, misses=1, coalesced=0, loads=0, entries=0, capacity=10000)",
    /// );
    /// ```
    pub fn clear(&self) {
        self.core.clear();
    }

    /// Waits until the [tier](crate::MemoBuilder::tier) has confirmed all changes that this memo
    /// has made so far: invalidations, insertions, clears, and values of loads. Other processes
    /// have been told by then. Without a tier, there is nothing to wait for.
    ///
    /// # Cancel safety
    ///
    /// If dropped, the changes are confirmed all the same.
    ///
    /// # Errors
    ///
    /// [`Error::StoreDown`] while the tier is down. The changes stay in order and follow once the
    /// tier is back.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let squares = decor::Memo::builder().build();
    /// squares.insert(7, 49);
    /// assert_eq!(squares.settled().await, Ok(()));
    /// # }
    /// ```
    pub async fn settled(&self) -> Result<(), Error> {
        match &self.core.settings.closures.tier {
            Some(tier) => tier.settled().await.unwrap_or(Ok(())),
            None => Ok(()),
        }
    }

    /// Returns the counts since the memo was made or cleared. For the line of Python's
    /// `cache_info()`, see [`MemoStats::cache_info`].
    ///
    /// While other threads use the memo, the counts may differ by the calls in progress.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use decor::prelude::*;
    /// use std::time::Duration;
    ///
    /// async fn square(n: u64) -> u64 { n * n }
    ///
    /// let squares = Memo::ttl(Duration::from_secs(300));
    /// let square = square.memoized(&squares);
    /// square.call(7).await;
    /// square.call(7).await;
    /// let stats = squares.stats();
    /// assert_eq!((stats.hits, stats.misses, stats.coalesced, stats.loads), (1, 1, 0, 1));
    /// # }
    /// ```
    pub fn stats(&self) -> MemoStats {
        self.core.stats()
    }
}

impl<K, V> Memo<K, V> {
    /// Returns the settings as decorators display them.
    pub(crate) fn limits(&self) -> &impl fmt::Display {
        &self.core.settings
    }

    pub(crate) fn core(&self) -> &Arc<Core<K, V>> {
        &self.core
    }
}

impl<K, V> Clone for Memo<K, V> {
    fn clone(&self) -> Self {
        Self { core: Arc::clone(&self.core) }
    }
}

/// Shows the settings as decorators display them, such as `Memo(ttl 300s)`.
impl<K, V> fmt::Debug for Memo<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Memo({})", self.limits())
    }
}
