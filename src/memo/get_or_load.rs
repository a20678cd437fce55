//! A memoized call by hand.

use super::{FixedKey, GetOrLoad, Key, KeyPart, Memo, Memoizable, MemoizedFuture, Options, Value};
use crate::CallableOnce;

impl<K: Key, V: Value> Memo<K, V> {
    /// Returns the value of this key. If there is none, returns the output of `load`, and keeps its
    /// value.
    ///
    /// Does for one call by hand what [`.memoized(..)`](crate::FnExt::memoized) does for a
    /// function. Types do not change. [`sharing_errors`](MemoizedFuture::sharing_errors),
    /// [`isolating_errors`](MemoizedFuture::isolating_errors) and
    /// [`detached`](MemoizedFuture::detached) may follow. The key may be borrowed, a `&str` for a
    /// `String`, unless it has several parts. Only a miss makes the key owned. `load` is a plain or
    /// a decorated closure, and may borrow: `(|| client.user(id)).retry_with(&policy)`.
    ///
    /// # Cancel safety
    ///
    /// If dropped while loading, the load is dropped, and a waiting call starts a new one.
    ///
    /// # Panics
    ///
    /// If `load` asks for the same key, in the same task and while it is polled, because it would
    /// wait for itself. A load hangs if it waits for another task that asks for the same key.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use decor::{Memo, prelude::*};
    /// use std::{future::ready, time::Duration};
    ///
    /// let numbers: Memo<String, u64> = Memo::ttl(Duration::from_secs(300));
    /// let text = "42";
    /// let number = numbers.get_or_load(text, (|| async { text.parse() }).lifted()).await;
    /// assert_eq!(number, Ok(42));
    /// # }
    /// ```
    pub fn get_or_load<Q, F>(&self, key: Q, load: F) -> GetOrLoad<F, F::Future, K, V, Q>
    where
        Q: KeyPart<K>,
        F: CallableOnce<()>,
        F::Output: Memoizable<V>,
    {
        MemoizedFuture::new(self.clone(), load, (), Options::new(FixedKey::new(key)))
    }
}
