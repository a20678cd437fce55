//! Removal of values that match a predicate or a tag, and refreshes on demand.

use super::{
    bound::EntryId,
    cacheable::Value,
    doubts::Invalidation,
    handle::Memo,
    index::{Entry, Gone, Shard},
    key::Key,
    state::Core,
};
use crate::{clock::Clock, policy::Freshness, sync::Arc};
use std::{borrow::Borrow, hash::Hash};

/// Removal by value, and refreshes.
impl<K: Key, V: Value> Memo<K, V> {
    /// Removes the value of this key if it matches, in one step. Returns `true` if a value was
    /// removed.
    ///
    /// Suits a value that a call has found to be bad, such as a token that the server refused. If
    /// ten callers hold the bad token, the first of them removes it. The others find no value, or
    /// find its successor, which does not match. One caller loads, and the others wait for that
    /// load.
    ///
    /// A removal wins over a load of the same key that is under way, as
    /// [`invalidate`](Self::invalidate) does, because that load began while the bad value was
    /// present. If there is no value, or one that does not match, a load under way goes on. An
    /// expired value can match as long as it may be served stale.
    ///
    /// The closure runs outside of all locks, and may use the memo. If the value is replaced
    /// meanwhile, the closure is called again with its successor.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::prelude::*;
    /// use std::time::Duration;
    ///
    /// async fn renew(_realm: &str) -> u64 {
    ///     tokio::time::sleep(Duration::from_millis(100)).await;
    ///     2
    /// }
    ///
    /// let tokens: Memo<String, u64> = Memo::ttl(Duration::from_secs(3600));
    /// tokens.insert("api".to_owned(), 1);
    /// let token = renew.memoized(&tokens);
    ///
    /// let bad = token.call("api").await;
    /// assert!(tokens.invalidate_if("api", |token| *token == bad));
    /// let by_the_next_caller = tokens.invalidate_if("api", |token| *token == bad);
    /// assert!(!by_the_next_caller);
    /// assert_eq!(token.call("api").await, 2);
    /// assert!(!tokens.invalidate_if("api", |token| *token == bad));
    /// assert_eq!(tokens.stats().loads, 1);
    /// # }
    /// ```
    pub fn invalidate_if<Q>(&self, key: &Q, is_it: impl FnMut(&V) -> bool) -> bool
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.core.invalidate_if(key, is_it)
    }

    /// Removes all values that match. Returns their number.
    ///
    /// Visits each value that has not expired or may still be served stale.
    /// [Tags](crate::MemoBuilder::tags_by) find values without a visit to all of them.
    ///
    /// A load that is under way has no value to match yet. The closure is `'static`, because it is
    /// called with the load's value when the load ends. A value that matches answers the calls that
    /// already waited for it, and is not kept. Calls that joined later load anew. The value of a
    /// load during which there are more than 1,000 invalidations by value or tag is not kept.
    ///
    /// The closure runs outside of all locks, and may use the memo. A value that is stored during
    /// the removal, by an insertion or by a load that began meanwhile, may stay.
    ///
    /// # Examples
    ///
    /// ```
    /// let pages = decor::Memo::builder().build();
    /// for (page, version) in [("/news", 1), ("/terms", 2), ("/jobs", 1)] {
    ///     pages.insert(page, version);
    /// }
    /// assert_eq!(pages.invalidate_where(|_page, version| *version < 2), 2);
    /// assert_eq!([pages.get("/news"), pages.get("/terms")], [None, Some(2)]);
    /// ```
    pub fn invalidate_where(&self, is_it: impl Fn(&K, &V) -> bool + Send + Sync + 'static) -> usize {
        self.core.invalidate_all(&Invalidation::Where(&(Arc::new(is_it) as _)))
    }

    /// Removes all values that have this [tag](crate::MemoBuilder::tags_by). Returns their number;
    /// 0 if the memo has no tags.
    ///
    /// Costs about as much as an [`invalidate`](Self::invalidate) of each removed value, and of 16
    /// more.
    ///
    /// The tags of a load that is under way are known when the load ends. A load with this tag is
    /// treated as one that matches [`invalidate_where`](Self::invalidate_where).
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use decor::prelude::*;
    ///
    /// #[derive(Debug, Clone)]
    /// struct Order { user: u64 }
    /// async fn fetch(id: u64) -> Order { Order { user: id % 10 } }
    ///
    /// let orders: Memo<u64, Order> = Memo::builder()
    ///     .tags_by(|_id: &u64, order: &Order| [format!("user:{}", order.user)])
    ///     .build();
    /// let fetch = fetch.memoized(&orders);
    /// for id in [12, 22, 33] {
    ///     fetch.call(id).await;
    /// }
    /// assert_eq!(orders.invalidate_tag("user:2"), 2);
    /// assert!(orders.get(&12).is_none() && orders.get(&33).is_some());
    /// # }
    /// ```
    pub fn invalidate_tag(&self, tag: &str) -> usize {
        if self.core.settings.closures.tags_by.is_none() {
            return 0;
        }
        self.core.invalidate_all(&Invalidation::Tag(tag))
    }

    /// Makes the next call refresh the value of this key, while other calls are served the present
    /// value.
    ///
    /// Unlike after an [`invalidate`](Self::invalidate), the value stays until there is a new one.
    /// The call that refreshes the value waits for its load. With
    /// [`.detached()`](crate::Memoized::detached), that call does not wait either. If the load
    /// fails, the present value stays. A later call tries again after the delay of
    /// [`refresh_backoff`](crate::MemoBuilder::refresh_backoff). Another `refresh` ends that delay,
    /// and the next failure then has the next delay. A memo does not know how its values are
    /// loaded, so a key that is not called is not loaded.
    ///
    /// Wins over a load of the same key that is under way. If the value has expired or is missing,
    /// the next call loads it anyway, and `refresh` only ends the delay after a failed refresh.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::prelude::*;
    /// use std::time::Duration;
    ///
    /// async fn read(file: &'static str) -> String {
    ///     tokio::time::sleep(Duration::from_millis(100)).await;
    ///     format!("new {file}")
    /// }
    ///
    /// let settings: Memo<String, String> = Memo::builder().build();
    /// settings.insert("app.toml".to_owned(), "old app.toml".to_owned());
    /// let read = read.memoized(&settings).detached();
    ///
    /// settings.refresh("app.toml"); // the file has changed
    /// assert_eq!(read.call("app.toml").await, "old app.toml");
    /// tokio::time::sleep(Duration::from_millis(200)).await;
    /// assert_eq!(read.call("app.toml").await, "new app.toml");
    /// assert_eq!(settings.stats().loads, 1);
    /// # }
    /// ```
    pub fn refresh<Q>(&self, key: &Q)
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.core.refresh(key);
    }
}

impl<K: Key, V: Value> Core<K, V> {
    fn invalidate_if<Q>(&self, key: &Q, mut is_it: impl FnMut(&V) -> bool) -> bool
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let hash = self.index.hash(key);
        loop {
            let Some(entry) = self.index.read(hash).find(hash, key).cloned() else { return false };
            // A value that `valid_while` rejects now may be valid later, so it can match as well.
            if self.freshness(Clock::current(), &entry) == Freshness::Dead || !is_it(&entry.value) {
                return false;
            }
            let mut shard = self.index.write(hash);
            // `None` if the value was replaced or removed meanwhile.
            if let Some(taken) = self.take_out(&mut shard, entry.id) {
                let flight = shard.take_flight(hash, key);
                drop(shard);
                drop((flight, taken));
                if self.settings.closures.tier.is_some() {
                    // Once more, after the tier was told.
                    self.invalidate(key);
                }
                return true;
            }
        }
    }

    fn invalidate_all(&self, invalidation: &Invalidation<'_, K, V>) -> usize {
        let gone = self.remove_all(invalidation);
        if self.settings.closures.tier.is_some() {
            for entry in &gone {
                // Once more, after the tier was told.
                self.invalidate(&entry.key);
            }
        }
        gone.len()
    }

    /// Removes all values, because other processes may have changed them. Wins over all loads that
    /// are under way. The counts stay.
    pub(super) fn forget_all(&self) {
        drop(self.remove_all(&Invalidation::Where(&(Arc::new(|_: &K, _: &V| true) as _))));
    }

    fn remove_all(&self, invalidation: &Invalidation<'_, K, V>) -> Gone<K, V> {
        let clock = Clock::current();
        let mut gone = Gone::new();
        for mut shard in self.index.write_each() {
            let detached = shard.doubt(invalidation);
            let suspects = shard.suspects(invalidation);
            drop(shard);
            drop(detached);
            for entry in suspects {
                let is_of_use = self.freshness(clock, &entry) != Freshness::Dead;
                if is_of_use && invalidation.concerns(&entry.key, &entry.value, &entry.tags) {
                    gone.extend(self.take_out(&mut self.index.write(entry.id.slot.hash), entry.id));
                }
            }
        }
        gone
    }

    /// Removes an entry from its shard.
    fn take_out(&self, shard: &mut Shard<K, V>, id: EntryId) -> Option<Arc<Entry<K, V>>> {
        let entry = shard.take_by_id(id)?;
        self.forget(&entry);
        self.count_if_expired(&entry, || self.epoch.now(Clock::current()));
        Some(entry)
    }

    fn refresh<Q>(&self, key: &Q)
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.tell_tier(key);
        let now = self.epoch.now(Clock::current());
        let hash = self.index.hash(key);
        let mut shard = self.index.write(hash);
        let flight = shard.take_flight(hash, key);
        let replaced = shard.make_due(hash, key, now);
        drop(shard);
        drop((flight, replaced));
    }
}
