//! A memoized call by hand.

use super::{FixedKey, GetOrLoad, Key, KeyPart, Memo, Memoizable, MemoizedFuture, Options, Value};
use crate::CallableOnce;

impl<K: Key, V: Value> Memo<K, V> {
    /// Returns the value of this key if it is there, and otherwise the output of `load`, which is
    /// then kept.
    ///
    /// Does for one call by hand what [`.memoized(..)`](crate::FnExt::memoized) does for a
    /// function: types do not change, and [`sharing_errors`](MemoizedFuture::sharing_errors),
    /// [`isolating_errors`](MemoizedFuture::isolating_errors) and
    /// [`detached`](MemoizedFuture::detached) may follow. The key may be a borrowed one, a `&str`
    /// for a `String` (one of several parts may not); it is made an owned one only on a miss.
    /// `load` is a closure or a decorated one, and may borrow: `(||
    /// client.user(id)).retry_with(&policy)`.
    ///
    /// # Cancel safety
    ///
    /// Dropped while it loads, it drops the load, and a call that waits for it takes over.
    ///
    /// # Panics
    ///
    /// If `load` asks for the same key, in the same task and while it is polled: it would wait for
    /// itself. A load that waits for another task, which asks for the same key, hangs.
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
