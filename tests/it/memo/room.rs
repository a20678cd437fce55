//! The room of a memo. Covers the choice of the values that leave, and the moment of their drop.

use crate::support::{cases, just_before, paused, secs};
use decor::{Eviction, Memo, MemoBuilder, MemoStats, prelude::*, test_util::VirtualClock};
use futures::FutureExt as _;
use proptest::prelude::*;
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    future::ready,
    hash::{Hash, Hasher},
    sync::{
        Arc, Barrier, LazyLock,
        atomic::{AtomicIsize, AtomicUsize, Ordering::SeqCst},
    },
    thread,
    time::Duration,
};
use tokio::runtime::Runtime;

/// A value that counts how many of its clones are alive.
#[derive(Debug)]
pub(super) struct Value {
    weight: u32,
    /// TTL in seconds.
    ttl: u64,
    alive: Arc<AtomicIsize>,
}

impl Clone for Value {
    fn clone(&self) -> Self {
        self.alive.fetch_add(1, SeqCst);
        Self { alive: Arc::clone(&self.alive), ..*self }
    }
}

impl Drop for Value {
    fn drop(&mut self) {
        assert!(self.alive.fetch_sub(1, SeqCst) > 0, "dropped twice");
    }
}

/// Makes values, and counts those that are alive.
#[derive(Default)]
pub(super) struct Values(Arc<AtomicIsize>);

impl Values {
    pub(super) fn make(&self, weight: u32, ttl: u64) -> Value {
        self.0.fetch_add(1, SeqCst);
        Value { weight, ttl, alive: Arc::clone(&self.0) }
    }

    pub(super) fn alive(&self) -> u64 {
        u64::try_from(self.0.load(SeqCst)).unwrap()
    }
}

/// The async or the blocking half, with a clock that the test advances.
pub(super) enum Half {
    Tasks(Runtime),
    Threads(VirtualClock),
}

impl Half {
    pub(super) fn both(test: impl Fn(&Self)) {
        let runtime = paused();
        test(&Self::Tasks(runtime));
        test(&Self::Threads(VirtualClock::start()));
    }

    fn run<T>(&self, act: impl FnOnce() -> T) -> T {
        match self {
            Self::Tasks(runtime) => runtime.block_on(async { act() }),
            Self::Threads(_) => act(),
        }
    }

    pub(super) fn advance(&self, duration: Duration) {
        match self {
            Self::Tasks(runtime) => runtime.block_on(tokio::time::advance(duration)),
            Self::Threads(clock) => clock.advance(duration),
        }
    }

    /// Returns a memo with a time that begins now, by this half's clock.
    pub(super) fn memo(
        &self,
        set: impl FnOnce(MemoBuilder<u32, Value>) -> MemoBuilder<u32, Value>,
    ) -> Memo<u32, Value> {
        self.run(|| set(builder()).build())
    }

    pub(super) fn insert(&self, memo: &Memo<u32, Value>, key: u32, value: Value) {
        self.run(|| memo.insert(key, value));
    }

    pub(super) fn load(&self, memo: &Memo<u32, Value>, key: u32, value: impl FnOnce() -> Value) {
        match self {
            Self::Tasks(runtime) => drop(runtime.block_on(memo.get_or_load(key, || ready(value())))),
            Self::Threads(_) => drop((|_: u32| value()).blocking().memoized(memo).call_once((key,))),
        }
    }

    pub(super) fn get(&self, memo: &Memo<u32, Value>, key: u32) -> bool {
        self.run(|| memo.get(&key)).is_some()
    }
}

fn builder() -> MemoBuilder<u32, Value> {
    Memo::builder().ttl_by(|_: &u32, value: &Value| secs(value.ttl)).weigher(|_: &u32, value: &Value| value.weight)
}

fn left(stats: &MemoStats) -> [u64; 3] {
    [stats.expirations, stats.evictions, stats.entries]
}

// ---- drops ----

type Way = fn(&Half, &Memo<u32, Value>, &Values);

/// The ways in which a value leaves a memo of capacity 2, which begins with one value of weight 1
/// and a TTL of 10 s. The numbers are expirations, evictions and values that are held afterwards.
const WAYS: [(&str, Way, [u64; 3]); 13] = [
    ("clear", |half, memo, _| half.run(|| memo.clear()), [0, 0, 0]),
    ("invalidate", |half, memo, _| half.run(|| memo.invalidate(&1)), [0, 0, 0]),
    ("replaced", |half, memo, values| half.insert(memo, 1, values.make(1, 10)), [0, 0, 1]),
    ("replaced by a value that is not kept", |half, memo, values| half.insert(memo, 1, values.make(1, 0)), [0, 0, 0]),
    ("replaced by a value that is too heavy", |half, memo, values| half.insert(memo, 1, values.make(3, 10)), [0, 1, 0]),
    ("evicted", |half, memo, values| half.insert(memo, 2, values.make(2, 10)), [0, 1, 1]),
    ("evicted by a load", |half, memo, values| half.load(memo, 2, || values.make(2, 10)), [0, 1, 1]),
    (
        "expired and looked up",
        |half, memo, _| {
            half.advance(secs(10));
            assert!(!half.get(memo, 1));
        },
        [1, 0, 0],
    ),
    (
        "expired and loaded in vain",
        |half, memo, _| {
            half.advance(secs(10));
            let failing = || ready(Err::<Value, _>("down".to_owned()));
            match half {
                Half::Tasks(runtime) => drop(runtime.block_on(memo.get_or_load(1, failing))),
                Half::Threads(_) => {
                    drop((|_: u32| Err::<Value, _>("down".to_owned())).blocking().memoized(memo).call(1));
                }
            }
        },
        [1, 0, 0],
    ),
    (
        "expired and loaded",
        |half, memo, values| {
            half.advance(secs(10));
            half.load(memo, 1, || values.make(1, 10));
        },
        [1, 0, 1],
    ),
    (
        "expired and invalidated",
        |half, memo, _| {
            half.advance(secs(10));
            half.run(|| memo.invalidate(&1));
        },
        [1, 0, 0],
    ),
    (
        "expired while another is stored",
        |half, memo, values| {
            half.advance(secs(10));
            half.insert(memo, 2, values.make(1, 10));
        },
        [1, 0, 1],
    ),
    (
        "refreshed",
        |half, memo, values| {
            half.advance(secs(8));
            half.load(memo, 1, || values.make(1, 10));
        },
        [0, 0, 1],
    ),
];

#[test]
fn a_removed_value_is_dropped_before_the_call_returns() {
    Half::both(|half| {
        for (way, act, expected) in WAYS {
            let memo = half.memo(|b| b.capacity(2).refresh_ahead(0.8));
            let values = Values::default();
            half.insert(&memo, 1, values.make(1, 10));
            assert_eq!(values.alive(), 1);
            act(half, &memo, &values);
            assert_eq!(values.alive(), expected[2], "{way}");
            assert_eq!(left(&memo.stats()), expected, "{way}");
            drop(memo);
            assert_eq!(values.alive(), 0, "{way}, then the memo was dropped");
        }
    });
}

#[test]
fn a_replaced_value_is_dropped_before_the_waiters_get_the_next() {
    let (memo, values) = (Memo::<u32, Value>::ttl(secs(10)), Values::default());
    memo.insert(1, values.make(1, 10));
    memo.invalidate(&1);
    let (send, receive) = tokio::sync::oneshot::channel::<Value>();
    let mut leader = tokio_test::task::spawn(memo.get_or_load(1, || receive.map(Result::unwrap)));
    assert!(leader.poll().is_pending());
    let mut waiters: Vec<_> =
        (0..3).map(|_| tokio_test::task::spawn(memo.get_or_load(1, std::future::pending::<Value>))).collect();
    assert!(waiters.iter_mut().all(|waiter| waiter.poll().is_pending()));
    assert!(send.send(values.make(1, 10)).is_ok());
    drop(leader.poll());
    assert_eq!(values.alive(), 2, "the memo holds one, and all waiters share one");
    assert!(waiters.iter_mut().all(|waiter| waiter.poll().is_ready()));
    assert_eq!(values.alive(), 1, "the last waiter drops the shared value");
    memo.invalidate(&1);
    assert_eq!(values.alive(), 0);
}

/// The `Drop` of a value may use the memo, because no lock is held then.
#[test]
fn a_value_is_dropped_outside_of_all_locks() {
    #[derive(Clone)]
    struct Asks(Option<Memo<u32, Asks>>, Arc<AtomicUsize>);
    impl Drop for Asks {
        fn drop(&mut self) {
            if let Some(memo) = self.0.take() {
                memo.stats();
                memo.invalidate(&7);
                self.1.fetch_add(1, SeqCst);
            }
        }
    }
    let (memo, dropped) = (Memo::builder().capacity(1).build(), Arc::<AtomicUsize>::default());
    let insert = |key| memo.insert(key, Asks(Some(memo.clone()), Arc::clone(&dropped)));
    insert(1);
    insert(1); // replaced
    insert(2); // evicted
    memo.invalidate(&2);
    insert(3);
    memo.clear();
    assert_eq!(dropped.load(SeqCst), 4);
}

/// The closures run outside of all locks.
#[test]
fn the_closures_of_the_builder_may_use_the_memo() {
    static MEMO: LazyLock<Memo<u32, u32>> = LazyLock::new(|| {
        Memo::builder()
            .ttl_by(|key: &u32, _: &u32| {
                MEMO.invalidate(key);
                secs(10)
            })
            .weigher(|key: &u32, _: &u32| MEMO.get(key).map_or(1, |_| 2))
            .build()
    });
    MEMO.insert(1, 1);
    MEMO.get_or_load(2, || ready(2)).now_or_never().unwrap();
    assert_eq!([MEMO.get(&1), MEMO.get(&2)], [Some(1), None], "an invalidation wins over the load");
}

#[test]
fn stores_on_four_threads_drop_evicted_values_before_they_return() {
    const VALUES: u32 = 1_000;
    let (memo, values) = (builder().capacity(100).build(), Values::default());
    let threads = 4;
    let barrier = Barrier::new(threads);
    thread::scope(|scope| {
        for thread in 0..threads {
            let (memo, values, barrier) = (&memo, &values, &barrier);
            scope.spawn(move || {
                for n in 0..VALUES {
                    memo.insert(n * 4 + u32::try_from(thread).unwrap(), values.make(1 + n % 3, 10));
                    if n % 100 == 0 {
                        barrier.wait();
                        assert_eq!(values.alive(), memo.stats().entries);
                        assert!(memo.stats().entries <= 100);
                        barrier.wait();
                    }
                }
            });
        }
    });
    let stats = memo.stats();
    assert_eq!(stats.evictions + stats.entries, u64::from(VALUES) * 4);
}

// ---- weights ----

#[test]
fn a_value_that_is_too_heavy_removes_only_its_own_key() {
    Half::both(|half| {
        for by_refresh in [false, true] {
            let memo = half.memo(|b| b.capacity(1_000));
            let values = Values::default();
            // The refreshed value expires a second before the others.
            (0..900).for_each(|key| half.insert(&memo, key, values.make(1, if key == 7 { 10 } else { 11 })));
            if by_refresh {
                half.advance(secs(10));
                half.load(&memo, 7, || values.make(1_001, 10));
            } else {
                half.insert(&memo, 7, values.make(1_001, 10));
            }
            assert_eq!(values.alive(), 899);
            assert_eq!(left(&memo.stats()), [u64::from(by_refresh), 1, 899]);
            assert!((0..900).all(|key| half.get(&memo, key) == (key != 7)));
        }
    });
}

#[test]
fn a_value_of_exactly_the_capacity_is_kept() {
    Half::both(|half| {
        let (memo, values) = (half.memo(|b| b.capacity(10)), Values::default());
        (0..10).for_each(|key| half.insert(&memo, key, values.make(1, 10)));
        half.insert(&memo, 10, values.make(10, 10));
        assert_eq!((values.alive(), left(&memo.stats())), (1, [0, 10, 1]));
        assert!(half.get(&memo, 10));
        half.insert(&memo, 10, values.make(11, 10));
        assert_eq!((values.alive(), left(&memo.stats())), (0, [0, 11, 0]));
    });
}

#[test]
fn a_value_that_grows_evicts_no_more_than_it_needs() {
    Half::both(|half| {
        let (memo, values) = (half.memo(|b| b.capacity(10)), Values::default());
        (0..10).for_each(|key| half.insert(&memo, key, values.make(1, 10)));
        half.insert(&memo, 0, values.make(3, 10));
        assert_eq!((values.alive(), left(&memo.stats())), (8, [0, 2, 8]));
        assert!((0..10).all(|key| half.get(&memo, key) != [1, 2].contains(&key)));
    });
}

#[test]
fn values_without_weight_are_bounded_as_well() {
    Half::both(|half| {
        let (memo, values) = (half.memo(|b| b.capacity(10)), Values::default());
        (0..1_000).for_each(|key| half.insert(&memo, key, values.make(0, 10)));
        assert_eq!((values.alive(), left(&memo.stats())), (10, [0, 990, 10]));
    });
}

// ---- expired values ----

#[test]
fn an_expired_value_is_dropped_before_one_is_evicted() {
    Half::both(|half| {
        let (memo, values) = (half.memo(|b| b.capacity(3).stale_on_error(secs(60))), Values::default());
        for (key, ttl) in [(1, 100), (2, 20), (3, 10)] {
            half.insert(&memo, key, values.make(1, ttl));
        }
        half.advance(secs(20));
        // Both have expired. The first to expire is dropped, although it was stored last.
        half.insert(&memo, 4, values.make(1, 100));
        assert_eq!((values.alive(), left(&memo.stats())), (3, [1, 0, 3]));
        half.insert(&memo, 5, values.make(1, 100));
        assert_eq!((values.alive(), left(&memo.stats())), (3, [2, 0, 3]));
        // Now no value has expired.
        half.insert(&memo, 6, values.make(1, 100));
        assert_eq!((values.alive(), left(&memo.stats())), (3, [2, 1, 3]));
        assert!((1..=6).all(|key| half.get(&memo, key) == [4, 5, 6].contains(&key)));
    });
}

#[test]
fn a_heavy_value_drops_as_many_expired_values_as_it_needs() {
    Half::both(|half| {
        let (memo, values) = (half.memo(|b| b.capacity(10).stale_on_error(secs(60))), Values::default());
        half.insert(&memo, 0, values.make(2, 100));
        (1..=8).for_each(|key| half.insert(&memo, key, values.make(1, 10)));
        half.advance(secs(10));
        half.insert(&memo, 9, values.make(5, 100));
        assert_eq!((values.alive(), left(&memo.stats())), (5, [5, 0, 5]));
        assert!(half.get(&memo, 0) && half.get(&memo, 9));
    });
}

#[test]
fn an_expired_value_stays_while_there_is_room() {
    Half::both(|half| {
        let (memo, values) = (half.memo(|b| b.capacity(3).stale_on_error(secs(60))), Values::default());
        half.insert(&memo, 1, values.make(1, 10));
        half.insert(&memo, 2, values.make(1, 100));
        half.advance(secs(10));
        half.insert(&memo, 3, values.make(1, 100));
        half.insert(&memo, 3, values.make(1, 100)); // replaces a value
        assert_eq!(
            (values.alive(), left(&memo.stats())),
            (3, [0, 0, 3]),
            "the value may still be served after an error"
        );
    });
}

#[test]
fn an_expired_none_is_dropped_before_a_value_is_evicted() {
    let runtime = paused();
    runtime.block_on(async {
        let memo: Memo<u8, Option<u8>> =
            Memo::builder().ttl(secs(300)).negative(secs(5)).stale_on_error(secs(60)).capacity(3).build();
        for value in [Some(1), Some(2), None] {
            memo.insert(value.unwrap_or(3), value);
        }
        tokio::time::advance(secs(5)).await;
        memo.insert(4, Some(4));
        assert_eq!([1, 2, 3, 4].map(|key| memo.get(&key).is_some()), [true, true, false, true]);
        assert_eq!(left(&memo.stats()), [1, 0, 3]);
    });
}

#[test]
fn stores_drop_more_dead_values_than_they_add() {
    Half::both(|half| {
        let (memo, values) = (half.memo(|b| b.stale_on_error(secs(5))), Values::default());
        (0..100).for_each(|key| half.insert(&memo, key, values.make(1, 10)));
        half.advance(just_before(secs(15)));
        half.insert(&memo, 1_000, values.make(1, 100));
        assert_eq!(
            (values.alive(), left(&memo.stats())),
            (101, [0, 0, 101]),
            "the values may still be served after an error"
        );
        half.advance(Duration::from_nanos(1));
        for stored in 1..=50 {
            half.insert(&memo, 1_000, values.make(1, 100));
            assert_eq!((values.alive(), left(&memo.stats())), (101 - 2 * stored, [2 * stored, 0, 101 - 2 * stored]));
        }
    });
}

/// A key that is stored many times leaves no state behind, whether or not its values have expired.
#[test]
fn replaced_values_do_not_accumulate() {
    Half::both(|half| {
        let (memo, values) = (half.memo(|b| b), Values::default());
        for n in 0..10_000 {
            half.insert(&memo, n % 10, values.make(1, 1_000));
        }
        assert_eq!((values.alive(), left(&memo.stats())), (10, [0, 0, 10]));
        half.advance(secs(1_000));
        half.insert(&memo, 10, values.make(1, 10));
        half.insert(&memo, 10, values.make(1, 10));
        assert!(memo.stats().expirations >= 2, "replaced values do not block the queue of expiries");
    });
}

// ---- the order of eviction ----

#[test]
fn a_use_moves_a_value_behind_those_that_were_not_used() {
    Half::both(|half| {
        let (memo, values) = (half.memo(|b| b.capacity(3)), Values::default());
        (1..=3).for_each(|key| half.insert(&memo, key, values.make(1, 10)));
        assert!(half.get(&memo, 1));
        half.insert(&memo, 4, values.make(1, 10));
        assert!((1..=4).all(|key| half.get(&memo, key) == (key != 2)));
        assert_eq!(left(&memo.stats()), [0, 1, 3]);
    });
}

/// For eviction, each answer by a value is a use.
#[test]
fn serving_a_stale_value_counts_as_a_use_for_eviction() {
    Half::both(|half| {
        let (memo, values) = (half.memo(|b| b.capacity(2).stale_on_error(secs(60))), Values::default());
        half.insert(&memo, 1, values.make(1, 10));
        half.insert(&memo, 2, values.make(1, 10));
        half.load(&memo, 1, || unreachable!("a hit"));
        half.insert(&memo, 3, values.make(1, 10));
        assert!((1..=3).all(|key| half.get(&memo, key) == (key != 2)));
    });
}

/// Stored values with their weights, and their order, by the rule in the documentation of
/// `Eviction::Lru`.
#[derive(Default)]
struct SecondChance {
    queue: VecDeque<(u8, u32)>,
    used: BTreeSet<u8>,
}

impl SecondChance {
    fn insert(&mut self, key: u8, weight: u32, capacity: u32) {
        self.remove(key);
        let mut moved = 0;
        while self.queue.iter().map(|(_, weight)| weight).sum::<u32>() + weight > capacity {
            let first = self.queue.pop_front().unwrap();
            if !self.used.remove(&first.0) {
                continue;
            }
            if moved == 32 {
                self.used.clear();
                continue;
            }
            self.queue.push_back(first);
            moved += 1;
        }
        self.queue.push_back((key, weight));
    }

    fn remove(&mut self, key: u8) {
        self.queue.retain(|(other, _)| *other != key);
        self.used.remove(&key);
    }

    fn get(&mut self, key: u8) -> bool {
        let is_held = self.queue.iter().any(|(other, _)| *other == key);
        if is_held {
            self.used.insert(key);
        }
        is_held
    }
}

#[derive(Debug, Clone)]
enum Event {
    Insert(u8, u32),
    Get(u8),
    GetAll,
    Remove(u8),
    Clear,
}

proptest! {
    #![proptest_config(cases(5_000))]

    #[test]
    fn eviction_follows_the_rule_of_the_second_chance(
        capacity in prop_oneof![1_u32..6, 30_u32..60],
        heaviest in prop_oneof![2 => Just(1_u32), 1 => 1_u32..10],
        events in prop::collection::vec(
            prop_oneof![
                12 => (0_u8..80, any::<u32>()).prop_map(|(key, weight)| Event::Insert(key, weight)),
                12 => (0_u8..80).prop_map(Event::Get),
                2 => Just(Event::GetAll),
                2 => (0_u8..80).prop_map(Event::Remove),
                1 => (0..30).prop_map(|n| if n == 0 { Event::Clear } else { Event::GetAll }),
            ],
            1..150,
        ),
    ) {
        let memo = Memo::builder().capacity(capacity.into()).weigher(|_: &u8, weight: &Arc<u32>| **weight).build();
        // The memo and this map each hold a clone.
        let mut values: BTreeMap<u8, Arc<u32>> = BTreeMap::new();
        let mut model = SecondChance::default();
        for event in events {
            match event {
                Event::Insert(key, weight) => {
                    let weight = 1 + weight % heaviest.min(capacity);
                    let value = Arc::new(weight);
                    memo.insert(key, Arc::clone(&value));
                    values.insert(key, value);
                    model.insert(key, weight, capacity);
                }
                Event::Get(key) => prop_assert_eq!(memo.get(&key).is_some(), model.get(key)),
                Event::GetAll => {
                    for (key, _) in model.queue.clone() {
                        prop_assert!(memo.get(&key).is_some() && model.get(key));
                    }
                }
                Event::Remove(key) => {
                    memo.invalidate(&key);
                    model.remove(key);
                }
                Event::Clear => {
                    memo.clear();
                    model = SecondChance::default();
                }
            }
            let held: BTreeSet<_> =
                values.iter().filter(|(_, value)| Arc::strong_count(value) == 2).map(|(key, _)| *key).collect();
            prop_assert_eq!(held, model.queue.iter().map(|(key, _)| *key).collect());
            prop_assert_eq!(memo.stats().entries, model.queue.len() as u64);
        }
    }
}

/// A store must not visit all values.
#[test]
fn a_store_among_values_that_are_all_used_ends_after_32() {
    let memo = Memo::builder().capacity(1_000).build();
    (0..1_000).for_each(|key| memo.insert(key, ()));
    assert!((0..1_000).all(|key| memo.get(&key).is_some()));
    (1_000..2_000).for_each(|key| memo.insert(key, ()));
    assert!((1_000..2_000).all(|key| memo.get(&key).is_some()), "values that were just stored stay");
    assert_eq!((memo.stats().evictions, memo.stats().entries), (1_000, 1_000));
    // The 33rd of the used values was the first to be evicted.
    let memo = Memo::builder().capacity(1_000).build();
    (0..1_000).for_each(|key| memo.insert(key, ()));
    assert!((0..1_000).all(|key| memo.get(&key).is_some()));
    memo.insert(1_000, ());
    assert!((0..=1_000).all(|key| memo.get(&key).is_some() == (key != 32)));
}

// ---- keys ----

/// `Hash` only has to give equal keys equal hashes.
#[test]
fn keys_with_equal_hashes_are_kept_apart() {
    #[derive(Debug, Clone, PartialEq, Eq)]
    struct Poor(u32);
    impl Hash for Poor {
        fn hash<H: Hasher>(&self, _: &mut H) {}
    }
    for policy in [Eviction::Lru, Eviction::TinyLfu] {
        let memo = Memo::builder().capacity(100).eviction(policy).build();
        (0..100).for_each(|key| memo.insert(Poor(key), key));
        assert!((0..100).all(|key| memo.get(&Poor(key)) == Some(key)));
        memo.insert(Poor(7), 700);
        memo.invalidate(&Poor(8));
        assert_eq!([7, 8, 9].map(|key| memo.get(&Poor(key))), [Some(700), None, Some(9)]);
        assert_eq!(left(&memo.stats()), [0, 0, 99]);
    }
}
