//! The handle of a memo.

use super::{cacheable::Value, key::Key, state::Core, stats::MemoStats};
use crate::sync::Arc;
use std::{borrow::Borrow, fmt, hash::Hash};

/// A shared cache that fills itself: values that were loaded, remembered by key until their TTL is
/// over.
///
/// A clone is the same memo. Keep one in the state of the program, and give it to functions with
/// [`.memoized(&memo)`](crate::FnExt::memoized), or use it by hand. On a thread, by hand means
/// [`.blocking().memoized(&memo)`](crate::blocking::FnExt::memoized) on a closure. A memo is always
/// bounded, to 10,000 values by [default](crate::MemoBuilder::capacity). A full memo drops values
/// that have expired, and then evicts the [least recently used](crate::Eviction::Lru) one.
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
///     "CacheInfo(hits=1, misses=1, maxsize=10000, currsize=1, coalesced=0, loads=1)",
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
///             .retry_with(RetryPolicy::default())
///             .memoized(&memo)
///             .named("users")
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
/// [`negative`](crate::MemoBuilder::negative) gives those a shorter TTL. Values are cloned for each
/// call: an `Arc` in the memo makes that cheap.
///
/// # One load at a time
///
/// If many calls ask for a key without a good value, one of them loads it, and the others wait for
/// its value. This is single flight: a stampede, or thundering herd, cannot form. If the load
/// fails, the loading call gets the error, and the waiters get its text at once, in an
/// [`Error::LoadFailed`](crate::Error::LoadFailed). With
/// [`.sharing_errors()`](crate::Memoized::sharing_errors) they get the error itself. With
/// [`.isolating_errors()`](crate::Memoized::isolating_errors) each tries again by itself, one after
/// the other. If the loading call is dropped or panics, a waiter takes over.
///
/// A load runs in the call that began it. If every caller times out before a load finishes (by a
/// `.timeout(..)` behind the memo), the memo stays empty;
/// [`.detached()`](crate::Memoized::detached) runs loads in tasks of their own. A thread's load
/// cannot be cancelled: left by a timeout, it fills the memo when it ends. A loading call that is
/// neither polled nor dropped blocks its waiters.
///
/// # Freshness
///
/// A value can be refreshed before its expiry, and used after it. Both are off until
/// [set](Self::builder).
///
/// ```text
///  loaded           refresh_ahead            expires      + stale_while_revalidate        + stale_on_error
///    ├─────────────────────┼────────────────────┼───────────────────────┼─────────────────────────┤
///    │  served             │ served, and one    │ served, and one call  │ all wait for one load,  │ all wait for one load,
///    │                     │ call refreshes it  │ refreshes it          │ and if it fails, served │ and have its error
/// ```
///
/// Both windows begin at the expiry. The one call that refreshes a value waits for its load. With
/// [`.detached()`](crate::Memoized::detached) that call does not wait, because the load goes on in
/// a task. If a refresh fails, the value that is there is served, and no call tries again before a
/// delay has passed: 1 s at first, up to 1 min, or by
/// [`refresh_backoff`](crate::MemoBuilder::refresh_backoff). During the delay, the value is served
/// at once in all windows.
///
/// [`jitter`](crate::MemoBuilder::jitter) keeps values that were loaded together from expiring
/// together. [`negative`](crate::MemoBuilder::negative) gives an `Err` or a `None` a shorter time,
/// and those are never served stale.
///
/// # A clear wins
///
#[doc = include_str!("../../docs/flight.svg")]
///
/// A load that began before a [`clear`](Self::clear), an [`invalidate`](Self::invalidate) or an
/// [`insert`](Self::insert) answers only the calls that waited for it already. Its value is not
/// kept. A call that begins later loads anew. The same holds for a [`refresh`](Self::refresh), and
/// for an [`invalidate_if`](Self::invalidate_if) that removes a value. An
/// [`invalidate_where`](Self::invalidate_where) and an [`invalidate_tag`](Self::invalidate_tag) win
/// over the loads with values that match.
///
/// # Time and memory
///
/// A TTL counts from the end of the load, by tokio's clock, so a paused clock controls it. A value
/// that is not used may expire earlier: see [`time_to_idle`](crate::MemoBuilder::time_to_idle).
///
/// The call that makes a value leave the memo drops the value before it returns. Such calls are a
/// clear, an invalidation, a store that replaces or evicts the value, and a call that finds the
/// value past its expiry and all its windows.
///
/// Calls for other keys free the memory of values that no call asks for. A value is of no use when
/// the longer of the two windows after its expiry is over. Each [`get`](Self::get), each
/// [`insert`](Self::insert) of a value that is kept and each memoized call drops up to two such
/// values, the earliest first. A value of no use is therefore dropped at the latest by the n-th
/// call after that moment, where n is the largest number of values that the memo has held, or 32 if
/// that is more. A store that needs room drops as many expired values as it needs.
///
/// Two kinds of calls count less. A hit on a value that never expires reads no clock, and only one
/// in 64 such hits of a thread drops values. If several threads could drop values at the same time,
/// only one does. In a memo that is not called, no code runs and all values stay. The next call
/// that needs the time begins to drop them; [`stats`](Self::stats) needs no time. Where that is too
/// late, call [`purge_expired`](Self::purge_expired) from a timer of your own.
///
/// `Hash`, `Eq` and `Clone` of keys and values run while a part of the memo is locked. Code of
/// these traits must not use the same memo. `Drop` and all closures that the memo is given may use
/// it.
pub struct Memo<K, V> {
    pub(super) core: Arc<Core<K, V>>,
}

impl<K: Key, V: Value> Memo<K, V> {
    /// Returns the value of this key, if there is one that has not expired. Counts as a hit or a
    /// miss.
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

    /// Keeps a value as if it had just been loaded, in place of the key's earlier one.
    ///
    /// Wins over a load of the same key that is under way. The load answers the calls that waited
    /// for it already, and its value is not kept.
    ///
    /// ```
    /// let squares = decor::Memo::builder().build();
    /// squares.insert(7, 49);
    /// assert_eq!(squares.get(&7), Some(49));
    /// ```
    pub fn insert(&self, key: K, value: V) {
        self.core.insert(key, value);
    }

    /// Removes a value, and drops it. Wins over a load of the same key that is under way.
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

    /// Removes all values and resets all counts, as Python's `cache_clear()` does. Read the
    /// [`stats`](Self::stats) before, if you need them. Wins over all loads that are under way.
    ///
    /// The values are dropped before `clear` returns, at about a microsecond each.
    ///
    /// ```
    /// let squares = decor::Memo::builder().build();
    /// squares.insert(7, 49);
    /// squares.clear();
    /// assert_eq!(squares.get(&7), None);
    /// assert_eq!(
    ///     squares.stats().to_string(),
    ///     "CacheInfo(hits=0, misses=1, maxsize=10000, currsize=0, coalesced=0, loads=0)",
    /// );
    /// ```
    pub fn clear(&self) {
        self.core.clear();
    }

    /// Returns the counts since the memo was made or cleared: Python's `cache_info()`.
    ///
    /// While other threads use the memo, the counts may differ by the calls in progress.
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
    /// The memo as the decorators show it.
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

/// The memo's limits, as the decorators show them: `ttl 300s`.
impl<K, V> fmt::Debug for Memo<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Memo({})", self.limits())
    }
}
