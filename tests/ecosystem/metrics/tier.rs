//! A tier that answers each question, and has the counts, that the test says.

use decor::{
    Error,
    tier::{Found, Keep, KeyBytes, MemoTier, Promise, TierCounts, TieredMemo, promise},
};
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

/// A clone is the same tier.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tier(Arc<Mutex<Said>>);

#[derive(Debug, Default)]
struct Said {
    answers: VecDeque<Found<u64>>,
    counts: TierCounts,
}

impl Tier {
    pub(crate) fn answers(&self, answers: impl IntoIterator<Item = Found<u64>>) {
        self.0.lock().unwrap().answers.extend(answers);
    }

    pub(crate) fn has(&self, counts: TierCounts) {
        self.0.lock().unwrap().counts = counts;
    }
}

impl MemoTier<u64, u64> for Tier {
    fn attach(&self, _: Arc<dyn TieredMemo>) {}

    fn find(&self, _: &u64) -> Promise<Found<u64>> {
        let (resolver, found) = promise();
        resolver.resolve(self.0.lock().unwrap().answers.pop_front().expect("an answer"));
        found
    }

    fn insert(&self, _: &u64, _: &u64, _: Keep) {}
    fn invalidate(&self, _: &KeyBytes) {}
    fn clear(&self) {}

    fn settled(&self) -> Promise<Result<(), Error>> {
        let (resolver, settled) = promise();
        resolver.resolve(Ok(()));
        settled
    }

    fn deaf_ttl(&self) -> Duration {
        Duration::from_secs(10)
    }

    fn counts(&self) -> TierCounts {
        self.0.lock().unwrap().counts
    }
}
