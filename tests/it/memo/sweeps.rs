//! The memory of expired values, which calls for other keys free.

use super::room::{Half, Value, Values};
use crate::support::{just_before, secs};
use decor::Memo;
use std::{
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

const NANO: Duration = Duration::from_nanos(1);

/// The key that is called. The values of all other keys expire.
const READ: u32 = 1_000;

type Call = fn(&Half, &Memo<u32, Value>, &Values);

/// A hit and a miss of `get`, a hit of a memoized call, and a store.
const CALLS: [Call; 4] = [
    |half, memo, _| assert!(half.get(memo, READ)),
    |half, memo, _| assert!(!half.get(memo, READ + 1)),
    |half, memo, _| half.load(memo, READ, || unreachable!("a hit")),
    |half, memo, values| half.insert(memo, READ, values.make(1, 500)),
];

#[test]
fn each_call_drops_two_dead_values() {
    Half::both(|half| {
        for call in CALLS {
            let (memo, values) = (half.memo(|builder| builder.stale_on_error(secs(5))), Values::default());
            half.insert(&memo, READ, values.make(1, 500));
            (0..9).for_each(|key| half.insert(&memo, key, values.make(1, 10)));
            half.advance(just_before(secs(15)));
            call(half, &memo, &values);
            assert_eq!(values.alive(), 10, "within the window, all values stay");
            half.advance(NANO);
            assert_eq!(values.alive(), 10, "without a call, all values stay");
            for left in [8, 6, 4, 2, 1, 1] {
                call(half, &memo, &values);
                assert_eq!(values.alive(), left);
                assert_eq!(memo.stats().entries, left);
            }
            assert_eq!((memo.stats().expirations, memo.stats().evictions), (9, 0));
        }
    });
}

/// A use extends the life of a value. The queue learns of the use at the first expiry.
#[test]
fn values_that_are_not_used_are_dropped_and_used_ones_stay() {
    Half::both(|half| {
        let (memo, values) = (half.memo(|builder| builder.time_to_idle(secs(10))), Values::default());
        half.insert(&memo, READ, values.make(1, 500));
        (0..9).for_each(|key| half.insert(&memo, key, values.make(1, 500)));
        half.advance(just_before(secs(10)));
        assert!(half.get(&memo, READ) && half.get(&memo, 0));
        assert_eq!(values.alive(), 10);
        half.advance(NANO);
        // The first two in the queue were used.
        for left in [10, 8, 6, 4, 2, 2] {
            assert!(half.get(&memo, READ));
            assert_eq!(values.alive(), left);
        }
        half.advance(just_before(just_before(secs(10))));
        assert!(half.get(&memo, 0), "a nanosecond before it expires");
        half.advance(just_before(secs(10)));
        assert!(!half.get(&memo, READ), "expired since its latest use");
        assert!(half.get(&memo, 0));
        half.advance(secs(500));
        assert!(!half.get(&memo, 0));
        assert_eq!((values.alive(), memo.stats().expirations, memo.stats().evictions), (0, 10, 0));
    });
}

/// A load sweeps twice, at its start and when its value is stored.
#[test]
fn a_load_drops_four_dead_values() {
    Half::both(|half| {
        let (memo, values) = (half.memo(|builder| builder), Values::default());
        (0..9).for_each(|key| half.insert(&memo, key, values.make(1, 10)));
        half.advance(secs(10));
        half.load(&memo, READ, || values.make(1, 10));
        assert_eq!((values.alive(), memo.stats().expirations), (6, 4));
    });
}

/// A clock read would double the cost of such a hit.
#[test]
fn one_in_64_hits_on_values_that_never_expire_drops_two() {
    Half::both(|half| {
        let (memo, values) = (half.memo(|builder| builder), Values::default());
        half.insert(&memo, READ, values.make(1, u64::MAX));
        (0..5).for_each(|key| half.insert(&memo, key, values.make(1, 10)));
        half.advance(secs(10));
        for [before, after] in [[6, 4], [4, 2], [2, 1], [1, 1]] {
            (0..63).for_each(|_| assert!(half.get(&memo, READ)));
            assert_eq!(values.alive(), before);
            assert!(half.get(&memo, READ));
            assert_eq!(values.alive(), after);
        }
    });
}

/// Replaced and removed values stay in the queue, and are skipped when they come to its front.
#[test]
fn dead_values_are_dropped_within_the_promised_number_of_calls() {
    Half::both(|half| {
        for (held, stores) in [(1, 1), (5, 100), (20, 63), (100, 1_000), (100, 199)] {
            let (memo, values) = (half.memo(|builder| builder), Values::default());
            half.insert(&memo, READ, values.make(1, 500));
            for store in 0..stores {
                half.insert(&memo, store % held, values.make(1, 10));
            }
            half.advance(secs(10));
            let most = 32.max(held + 1);
            (0..most).for_each(|_| assert!(half.get(&memo, READ)));
            assert_eq!(values.alive(), 1, "{held} {stores}");
        }
    });
}

/// The value uses the memo in its `Drop`.
#[test]
fn sweeps_do_not_nest_in_the_drop_of_a_value() {
    #[derive(Clone)]
    struct Asks(Option<Memo<u32, Asks>>, Arc<AtomicUsize>);
    impl Drop for Asks {
        fn drop(&mut self) {
            if let Some(memo) = self.0.take() {
                memo.get(&READ);
                self.1.fetch_add(1, SeqCst);
            }
        }
    }
    tokio_test::block_on(async {
        tokio::time::pause();
        let memo = Memo::builder().capacity(100_000).ttl_by(|key: &u32, _: &Asks| secs(u64::from(*key) + 1)).build();
        let dropped = Arc::<AtomicUsize>::default();
        memo.insert(READ, Asks(None, Arc::default()));
        (0..100).for_each(|key| memo.insert(key, Asks(Some(memo.clone()), Arc::clone(&dropped))));
        tokio::time::advance(secs(100)).await;
        for calls in 1..=50 {
            drop(memo.get_or_load(READ, pending::<Asks>).await);
            assert_eq!(dropped.load(SeqCst), 2 * calls);
        }
    });
}
