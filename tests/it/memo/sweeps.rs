//! The memory of expired values: calls for other keys free it.

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

/// The key that is asked for; the others expire.
const READ: u32 = 1_000;

type Call = fn(&Half, &Memo<u32, Value>, &Values);

/// A hit by hand and a miss, a hit of a memoized call, and a store.
const CALLS: [Call; 4] = [
    |half, memo, _| assert!(half.get(memo, READ)),
    |half, memo, _| assert!(!half.get(memo, READ + 1)),
    |half, memo, _| half.load(memo, READ, || unreachable!("a hit")),
    |half, memo, values| half.insert(memo, READ, values.make(1, 500)),
];

#[test]
fn each_call_drops_two_values_that_are_of_no_use() {
    Half::both(|half| {
        for call in CALLS {
            let (memo, values) = (half.memo(|builder| builder.stale_on_error(secs(5))), Values::default());
            half.insert(&memo, READ, values.make(1, 500));
            (0..9).for_each(|key| half.insert(&memo, key, values.make(1, 10)));
            half.advance(just_before(secs(15)));
            call(half, &memo, &values);
            assert_eq!(values.alive(), 10, "they may still stand in");
            half.advance(NANO);
            assert_eq!(values.alive(), 10, "no call, no drop");
            for left in [8, 6, 4, 2, 1, 1] {
                call(half, &memo, &values);
                assert_eq!(values.alive(), left);
                assert_eq!(memo.stats().entries, left);
            }
            assert_eq!((memo.stats().expirations, memo.stats().evictions), (9, 0));
        }
    });
}

/// A use puts off the expiry of a value, and the queue learns of the use at the first expiry.
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
        // The first two in the queue are those that were used.
        for left in [10, 8, 6, 4, 2, 2] {
            assert!(half.get(&memo, READ));
            assert_eq!(values.alive(), left);
        }
        half.advance(just_before(just_before(secs(10))));
        assert!(half.get(&memo, 0), "just in time");
        half.advance(just_before(secs(10)));
        assert!(!half.get(&memo, READ), "since its latest use");
        assert!(half.get(&memo, 0));
        half.advance(secs(500));
        assert!(!half.get(&memo, 0));
        assert_eq!((values.alive(), memo.stats().expirations, memo.stats().evictions), (0, 10, 0));
    });
}

/// A load looks twice: when it begins, and when its value is stored.
#[test]
fn a_load_drops_four() {
    Half::both(|half| {
        let (memo, values) = (half.memo(|builder| builder), Values::default());
        (0..9).for_each(|key| half.insert(&memo, key, values.make(1, 10)));
        half.advance(secs(10));
        half.load(&memo, READ, || values.make(1, 10));
        assert_eq!((values.alive(), memo.stats().expirations), (6, 4));
    });
}

/// A clock read would double the price of such a hit.
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

/// Replaced and removed values leave the queue later, and are looked for in vain.
#[test]
fn the_bound_holds_whatever_else_was_stored() {
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

/// The sweeps of such drops do not nest.
#[test]
fn a_value_that_uses_the_memo_in_its_drop_is_swept_by_itself() {
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
