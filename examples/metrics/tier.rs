//! A tier of the memo in the memory of this process. It stands for a Redis that several processes
//! share, which `decor-redis` has.

use decor::{
    Error,
    tier::{Found, Keep, KeyBytes, Lease, MemoTier, Promise, TierCounts, TieredMemo, promise},
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, Instant},
};

/// A clone is the same tier.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tier(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// By the bytes of the key: a value, and the moment at which it expires; `None` if it never
    /// does.
    values: BTreeMap<Box<[u8]>, (u64, Option<Instant>)>,
    /// Number of invalidations and clears. A value lands if there was none since its lease.
    changes: u64,
    refused: u64,
}

impl Tier {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("nothing panics under the lock")
    }
}

impl State {
    fn keep(&mut self, key: &KeyBytes, value: u64, keep: Keep) {
        let now = Instant::now();
        self.values.retain(|_, (_, until)| until.is_none_or(|until| now < until));
        self.values.insert(key.as_bytes().into(), (value, keep.fresh.map(|fresh| now + fresh)));
    }
}

impl MemoTier<u64, u64> for Tier {
    fn attach(&self, _: Arc<dyn TieredMemo>) {} // no other process changes a value

    fn find(&self, key: &u64) -> Promise<Found<u64>> {
        let (resolver, found) = promise();
        let (state, key, now) = (self.state(), KeyBytes::of(key), Instant::now());
        let kept = state.values.get(key.as_bytes()).filter(|(_, until)| until.is_none_or(|until| now < until));
        resolver.resolve(match kept {
            Some((value, until)) => Found::Fresh { value: *value, left: until.map(|until| until - now) },
            None => Found::Lead(Box::new(Right { tier: self.clone(), key, changes: state.changes })),
        });
        found
    }

    fn insert(&self, key: &u64, value: &u64, keep: Keep) {
        self.state().keep(&KeyBytes::of(key), *value, keep);
    }

    fn invalidate(&self, key: &KeyBytes) {
        let mut state = self.state();
        state.changes += 1;
        state.values.remove(key.as_bytes());
    }

    fn clear(&self) {
        let mut state = self.state();
        state.changes += 1;
        state.values.clear();
    }

    fn settled(&self) -> Promise<Result<(), Error>> {
        let (resolver, settled) = promise();
        resolver.resolve(Ok(()));
        settled
    }

    fn deaf_ttl(&self) -> Duration {
        Duration::from_secs(10)
    }

    fn counts(&self) -> TierCounts {
        TierCounts { refused: self.state().refused, is_up: true, ..TierCounts::default() }
    }
}

/// The right to load the value of a key.
#[derive(Debug)]
struct Right {
    tier: Tier,
    key: KeyBytes,
    changes: u64,
}

impl Lease<u64> for Right {
    fn land(self: Box<Self>, value: &u64, keep: Keep) {
        let Self { tier, key, changes } = *self;
        let mut state = tier.state();
        if state.changes == changes {
            state.keep(&key, *value, keep);
        } else {
            state.refused += 1;
        }
    }
}
