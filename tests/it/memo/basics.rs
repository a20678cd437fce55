//! TTLs, kept values, capacity, settings and counts of a memo.

use crate::support::{just_before, millis, ms, secs};
use decor::{Cacheable, Eviction, Memo, MemoBuilder, MemoStats, prelude::*};
use std::{
    cell::Cell,
    fmt::{Debug, Display},
    future::{Ready, ready},
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};
use tokio::time::{Instant, advance, sleep};

const NANO: Duration = Duration::from_nanos(1);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Returns hits, misses, coalesced calls and loads.
fn calls(stats: &MemoStats) -> [u64; 4] {
    assert_eq!(stats.calls(), stats.hits + stats.misses + stats.coalesced);
    [stats.hits, stats.misses, stats.coalesced, stats.loads]
}

// ---- TTLs ----

#[tokio::test(start_paused = true)]
async fn a_value_expires_to_the_nanosecond_at_the_end_of_its_ttl() {
    let memo = Memo::ttl(secs(300));
    let square = (|n: u64| ready(n * n)).memoized(&memo);
    assert_eq!(square.call(7).await, 49);
    advance(just_before(secs(300))).await;
    assert_eq!(square.call(7).await, 49);
    assert_eq!(memo.get(&7), Some(49));
    assert_eq!(calls(&memo.stats()), [2, 1, 0, 1]);
    advance(NANO).await;
    assert_eq!(memo.get(&7), None);
    assert_eq!(square.call(7).await, 49);
    assert_eq!(calls(&memo.stats()), [2, 3, 0, 2]);
    assert_eq!(memo.stats().expirations, 1);
    // The next value has a whole TTL again.
    advance(just_before(secs(300))).await;
    assert_eq!(memo.get(&7), Some(49));
    advance(NANO).await;
    assert_eq!(memo.get(&7), None);
}

#[tokio::test(start_paused = true)]
async fn the_ttl_counts_from_the_end_of_the_load() {
    let memo = Memo::ttl(secs(10));
    let slow = |n: u64| async move {
        sleep(secs(60)).await;
        n * n
    };
    let slow = slow.memoized(&memo);
    assert_eq!(slow.call(7).await, 49);
    advance(just_before(secs(10))).await;
    assert_eq!(memo.get(&7), Some(49));
    advance(NANO).await;
    assert_eq!(memo.get(&7), None);
    assert_eq!(memo.stats().total_load_time, secs(60));
    assert_eq!(memo.stats().mean_load_time(), secs(60));
}

#[tokio::test(start_paused = true)]
async fn values_expire_after_years() {
    let decade = 3_652 * DAY;
    let (decades, always) = (Memo::ttl(decade), Memo::ttl(Duration::MAX));
    let without_end = Memo::builder().build();
    for memo in [&decades, &always, &without_end] {
        memo.insert(7, 49);
    }
    advance(just_before(decade)).await;
    assert_eq!(decades.get(&7), Some(49));
    advance(NANO).await;
    assert_eq!(decades.get(&7), None);
    advance(20 * decade).await;
    assert_eq!([always.get(&7), without_end.get(&7)], [Some(49), Some(49)]);
}

#[tokio::test(start_paused = true)]
async fn ttl_by_sets_the_ttl_of_each_value() {
    // The value is its own TTL in seconds.
    let memo = Memo::builder().ttl(secs(1)).ttl_by(|key: &&str, ttl: &u64| secs(*ttl + key.len() as u64)).build();
    for (key, seconds) in [("ab", 8), ("abc", 17), ("", 0)] {
        memo.get_or_load(key, || ready(seconds)).await;
    }
    assert_eq!(memo.stats().entries, 2, "a value with a TTL of zero is not kept");
    assert_eq!(memo.get(""), None);
    advance(just_before(secs(10))).await;
    assert_eq!([memo.get("ab"), memo.get("abc")], [Some(8), Some(17)]);
    advance(NANO).await;
    assert_eq!([memo.get("ab"), memo.get("abc")], [None, Some(17)]);
    advance(secs(10)).await;
    assert_eq!(memo.get("abc"), None);
}

#[tokio::test(start_paused = true)]
async fn a_value_without_a_ttl_of_its_own_has_the_default() {
    let says = |_: &u8, ttl: &Option<Duration>| *ttl;
    let memo = Memo::builder().ttl(secs(10)).ttl_by(says).build();
    let without = Memo::builder().ttl_by(says).build();
    for memo in [&memo, &without] {
        memo.insert(1, Some(secs(5)));
        memo.insert(2, None);
    }
    advance(secs(5)).await;
    assert_eq!([memo.get(&1), memo.get(&2)], [None, Some(None)]);
    advance(secs(5)).await;
    assert_eq!(memo.get(&2), None);
    assert_eq!([without.get(&1), without.get(&2)], [None, Some(None)]);
}

#[tokio::test(start_paused = true)]
async fn a_value_that_is_not_kept_removes_the_earlier_one() {
    let memo = Memo::builder().ttl_by(|_: &u8, ttl: &u64| secs(*ttl)).refresh_ahead(0.5).build();
    memo.get_or_load(7, || ready(10)).await;
    advance(secs(5)).await;
    assert_eq!(memo.get_or_load(7, || ready(0)).await, 0);
    assert_eq!(memo.get(&7), None);
    memo.insert(8, 10);
    memo.insert(8, 0);
    assert_eq!(memo.get(&8), None);
}

#[tokio::test(start_paused = true)]
async fn negative_values_have_their_own_ttl() {
    let memo: Memo<u8, Option<u8>> = Memo::builder().ttl(secs(300)).negative(secs(5)).build();
    memo.get_or_load(1, || ready(Some(1))).await;
    memo.get_or_load(2, || ready(None::<u8>)).await;
    advance(just_before(secs(5))).await;
    assert_eq!([memo.get(&1), memo.get(&2)], [Some(Some(1)), Some(None)]);
    advance(NANO).await;
    assert_eq!([memo.get(&1), memo.get(&2)], [Some(Some(1)), None]);

    let memo: Memo<u8, Result<u8, &str>> = Memo::builder().ttl_by(|_, _| secs(300)).negative(secs(5)).build();
    memo.get_or_load(1, || ready(Ok::<u8, &str>(1))).await.unwrap();
    memo.get_or_load(2, || ready(Err::<u8, _>("refused"))).await.unwrap_err();
    advance(secs(5)).await;
    assert_eq!([memo.get(&1), memo.get(&2)], [Some(Ok(1)), None]);
    advance(secs(295)).await;
    assert_eq!(memo.get(&1), None);
}

/// Loads a number of values together. Returns their TTLs in milliseconds.
async fn lifetimes(memo: &Memo<u64, u64>, values: u64) -> Vec<u64> {
    (0..values).for_each(|key| memo.insert(key, key));
    let begun = Instant::now();
    let mut lifetimes = vec![0; usize::try_from(values).unwrap()];
    while begun.elapsed() < secs(101) {
        advance(ms(100)).await;
        for (key, lifetime) in lifetimes.iter_mut().enumerate() {
            if *lifetime == 0 && memo.get(&(key as u64)).is_none() {
                *lifetime = millis(begun.elapsed());
            }
        }
    }
    lifetimes
}

#[tokio::test(start_paused = true)]
async fn jitter_spreads_values_that_were_loaded_together() {
    let memo = |seed| Memo::builder().ttl(secs(100)).jitter(0.2).seed(seed).build();
    let spread = lifetimes(&memo(7), 100).await;
    assert!(spread.iter().all(|lifetime| (80_000..=100_000).contains(lifetime)), "{spread:?}");
    let quarters = [80_000..85_000, 85_000..90_000, 90_000..95_000, 95_000..100_001];
    for quarter in quarters {
        let in_it = spread.iter().filter(|lifetime| quarter.contains(*lifetime)).count();
        assert!((12..=40).contains(&in_it), "{in_it} of 100 in {quarter:?}");
    }
    assert_eq!(lifetimes(&memo(7), 100).await, spread, "each run has the same jitter");
    assert_ne!(lifetimes(&memo(8), 100).await, spread);
    let without = Memo::builder().ttl(secs(100)).build();
    assert_eq!(lifetimes(&without, 3).await, [100_000; 3]);
}

// ---- kept values ----

async fn called_twice<O, V>(memo: &Memo<u8, V>, output: O) -> (O, O, u64)
where
    O: Cacheable<V, Error: From<decor::Error> + Display> + Clone,
    V: Clone + Send + Sync + 'static,
{
    let first = memo.get_or_load(1, || ready(output.clone())).await;
    let second = memo.get_or_load(1, || ready(output.clone())).await;
    (first, second, memo.stats().loads)
}

#[tokio::test]
async fn the_value_type_of_the_memo_decides_what_is_kept() {
    type Answer = Result<u8, String>;
    fn no() -> Answer {
        Err("no".to_owned())
    }
    fn plain() -> Memo<u8, u8> {
        Memo::ttl(secs(1))
    }
    assert_eq!(called_twice(&plain(), 7).await, (7, 7, 1));
    assert_eq!(called_twice(&plain(), Answer::Ok(7)).await, (Ok(7), Ok(7), 1));
    assert_eq!(called_twice(&plain(), no()).await, (no(), no(), 2));
    assert_eq!(called_twice(&plain(), Some(7)).await, (Some(7), Some(7), 1));
    assert_eq!(called_twice(&plain(), None).await, (None, None, 2));
    assert_eq!(called_twice::<Answer, Answer>(&Memo::ttl(secs(1)), Ok(7)).await, (Ok(7), Ok(7), 1));
    assert_eq!(called_twice::<Answer, Answer>(&Memo::ttl(secs(1)), no()).await, (no(), no(), 1));
    assert_eq!(called_twice::<Option<u8>, Option<u8>>(&Memo::ttl(secs(1)), None).await, (None, None, 1));
    let of_options: Memo<u8, Option<u8>> = Memo::ttl(secs(1));
    assert_eq!(called_twice(&of_options, Result::<Option<u8>, String>::Ok(None)).await, (Ok(None), Ok(None), 1));
}

#[tokio::test]
async fn functions_with_different_outputs_share_one_memo() {
    let memo: Memo<u64, String> = Memo::ttl(secs(300));
    let there = (|id: u64| ready(format!("user {id}"))).memoized(&memo);
    let fails = (|_: u64| ready(Err::<String, _>("refused".to_owned()))).memoized(&memo);
    let finds = (|_: u64, _: u8| ready(None::<String>)).memoized_by(&memo.clone(), |id: &u64, _: &u8| *id);
    let parses = |_: u64| ready("x".parse::<u8>().map(|n| n.to_string()));
    assert_eq!(fails.call(1).await, Err("refused".to_owned()));
    assert_eq!(finds.call(1, 0).await, None);
    assert_eq!(there.call(1).await, "user 1");
    assert_eq!(fails.call(1).await.unwrap(), "user 1");
    assert_eq!(finds.call(1, 0).await.unwrap(), "user 1");
    assert_eq!(parses.lifted().memoized(&memo).call(1).await.unwrap(), "user 1");
    assert_eq!(ready("another".to_owned()).memoized_by(&memo, 1).await, "user 1");
    assert_eq!(memo.get_or_load(1, || ready("another".to_owned())).await, "user 1");
    assert_eq!(calls(&memo.stats()), [5, 3, 0, 3]);
    assert_eq!(memo.stats().load_failures, 2);
}

#[tokio::test]
async fn a_hit_neither_calls_the_function_nor_polls_the_future() {
    let memo = Memo::ttl(secs(300));
    memo.insert(7, 49);
    let called = Cell::new(0);
    let square = (|n: u64| {
        called.set(called.get() + 1);
        ready(n * n)
    })
    .memoized(&memo);
    assert_eq!(square.call(7).await, 49);
    assert_eq!(futures::future::lazy(|_| -> u64 { panic!("polled") }).memoized_by(&memo, 7).await, 49);
    assert_eq!(called.get(), 0);
    assert_eq!(square.call(8).await, 64);
    assert_eq!(called.get(), 1);
}

#[tokio::test]
async fn insert_and_invalidate_change_what_get_returns() {
    let memo: Memo<String, u64> = Memo::ttl(secs(300));
    memo.insert("one".to_owned(), 1);
    assert_eq!(memo.get("one"), Some(1));
    assert_eq!(memo.get_or_load("one", || ready(2)).await, 1);
    memo.insert("one".to_owned(), 3);
    assert_eq!(memo.get("one"), Some(3));
    memo.invalidate("one");
    memo.invalidate("two");
    assert_eq!(memo.get("one"), None);
    assert_eq!(memo.get_or_load("one", || ready(4)).await, 4);
    let stats = memo.stats();
    assert_eq!(calls(&stats), [3, 2, 0, 1]);
    assert_eq!((stats.expirations, stats.evictions, stats.entries), (0, 0, 1));
}

// ---- capacity ----

#[tokio::test]
async fn the_least_recently_used_value_is_evicted() {
    let memo = Memo::builder().capacity(3).build();
    let square = (|n: u64| ready(n * n)).memoized(&memo);
    for n in [1, 2, 3, 1, 4, 3, 5] {
        square.call(n).await;
    }
    // 4 evicted 2, and 5 evicted 1.
    assert_eq!([1, 2, 3, 4, 5].map(|n| memo.get(&n)), [None, None, Some(9), Some(16), Some(25)]);
    let stats = memo.stats();
    assert_eq!((stats.evictions, stats.entries, stats.capacity), (2, 3, 3));
    assert_eq!(stats.loads, 5);
}

/// With `TinyLFU`, 64 of the values would stay.
#[tokio::test]
async fn a_value_that_was_just_loaded_stays() {
    let memo = Memo::builder().capacity(100).build();
    for key in 0..1_000_u64 {
        memo.get_or_load(key, || ready(key)).await;
        assert_eq!(memo.get(&key), Some(key));
    }
    for key in 1_000..1_100 {
        memo.get_or_load(key, || ready(key)).await;
    }
    assert!((1_000..1_100).all(|key| memo.get(&key).is_some()));
    assert_eq!((memo.stats().evictions, memo.stats().entries), (1_000, 100));
}

#[tokio::test]
async fn tiny_lfu_keeps_the_most_used_values() {
    let memo = Memo::builder().capacity(100).eviction(Eviction::TinyLfu).build();
    for _ in 0..20 {
        for key in 0..90_u64 {
            memo.get_or_load(key, || ready(key)).await;
        }
    }
    for key in 1_000..2_000 {
        memo.get_or_load(key, || ready(key)).await;
    }
    let kept = (0..90).filter(|key| memo.get(key).is_some()).count();
    assert!(kept >= 80, "kept {kept} used values, of which `Lru` would have kept none");
    assert!(memo.stats().entries <= 100);
}

#[tokio::test]
async fn a_million_keys_stay_within_the_bound() {
    let memo = Memo::builder().capacity(1_000).build();
    let mut most = 0;
    for key in 0..1_000_000_u64 {
        memo.get_or_load(key, || ready(key)).await;
        if key % 1_000 == 500 {
            most = memo.stats().entries.max(most);
        }
    }
    let stats = memo.stats();
    assert_eq!((most, stats.entries, stats.evictions), (1_000, 1_000, 999_000));
    assert_eq!(calls(&stats), [0, 1_000_000, 0, 1_000_000]);
}

#[tokio::test]
async fn the_default_capacity_is_ten_thousand_values() {
    let memo = Memo::ttl(secs(300));
    (0..10_100).for_each(|key| memo.insert(key, ()));
    assert_eq!((memo.stats().entries, memo.stats().capacity), (10_000, 10_000));
}

#[tokio::test]
async fn the_weigher_sets_the_weight_of_values() {
    let memo = Memo::builder()
        .capacity(10)
        .weigher(|key: &u8, text: &&str| u32::from(*key) + text.chars().map(|_| 1).sum::<u32>())
        .build();
    memo.insert(0, "aaaa");
    memo.insert(1, "bbbbb"); // total weight 10
    assert_eq!([memo.get(&0), memo.get(&1)], [Some("aaaa"), Some("bbbbb")]);
    memo.insert(2, "c"); // total weight 13 before an eviction
    assert_eq!([memo.get(&0), memo.get(&1), memo.get(&2)], [None, Some("bbbbb"), Some("c")]);
    memo.insert(3, "too much"); // weight 11, more than the capacity
    assert_eq!([memo.get(&1), memo.get(&2), memo.get(&3)], [Some("bbbbb"), Some("c"), None]);
    assert_eq!((memo.stats().entries, memo.stats().evictions), (2, 2));
}

// ---- settings ----

type Builder = MemoBuilder<u8, Option<u8>>;
type Set = fn(Builder) -> Builder;

#[test]
fn invalid_settings_are_refused_by_name() {
    let nothing_has_one = "must be left out unless values have a TTL";
    let refused: [(Set, String); 16] = [
        (|b| b.ttl(Duration::ZERO), "`ttl` is 0ns, but must be longer than zero".into()),
        (|b| b.negative(Duration::ZERO), "`negative` is 0ns, but must be longer than zero".into()),
        (|b| b.time_to_idle(Duration::ZERO), "`time_to_idle` is 0ns, but must be longer than zero".into()),
        (|b| b.time_to_idle(secs(1)).jitter(0.5), format!("`jitter` is 0.5, but {nothing_has_one}")),
        (|b| b.time_to_idle(secs(1)).refresh_ahead(0.5), format!("`refresh_ahead` is 0.5, but {nothing_has_one}")),
        (|b| b.capacity(0), "`capacity` is 0, but must be at least 1".into()),
        (|b| b.ttl(secs(1)).jitter(1.01), "`jitter` is 1.01, but must be 0 to 1".into()),
        (|b| b.ttl(secs(1)).jitter(-0.1), "`jitter` is -0.1, but must be 0 to 1".into()),
        (|b| b.ttl(secs(1)).jitter(f64::NAN), "`jitter` is NaN, but must be 0 to 1".into()),
        (|b| b.ttl(secs(1)).refresh_ahead(0.0), "`refresh_ahead` is 0, but must be above 0 and below 1".into()),
        (|b| b.ttl(secs(1)).refresh_ahead(1.0), "`refresh_ahead` is 1, but must be above 0 and below 1".into()),
        (|b| b.ttl(secs(1)).refresh_ahead(f64::NAN), "`refresh_ahead` is NaN, but must be above 0 and below 1".into()),
        (|b| b.jitter(0.5), format!("`jitter` is 0.5, but {nothing_has_one}")),
        (|b| b.refresh_ahead(0.5), format!("`refresh_ahead` is 0.5, but {nothing_has_one}")),
        (|b| b.stale_while_revalidate(secs(1)), format!("`stale_while_revalidate` is 1s, but {nothing_has_one}")),
        (|b| b.stale_on_error(secs(1)), format!("`stale_on_error` is 1s, but {nothing_has_one}")),
    ];
    for (set, message) in refused {
        let error = set(Memo::builder()).try_build().unwrap_err();
        assert_eq!(error.to_string(), message);
        let panic = catch_unwind(AssertUnwindSafe(|| set(Memo::builder()).build())).unwrap_err();
        assert_eq!(*panic.downcast::<String>().unwrap(), message);
    }
    assert_eq!(
        Memo::<u8, u8>::try_ttl(Duration::ZERO).unwrap_err().to_string(),
        "`ttl` is 0ns, but must be longer than zero"
    );
    assert!(catch_unwind(|| Memo::<u8, u8>::ttl(Duration::ZERO)).is_err());
}

#[test]
fn settings_at_their_limits_are_accepted() {
    let taken: [Set; 7] = [
        |b| b,
        |b| b.ttl(NANO).jitter(1.0).refresh_ahead(0.001),
        |b| b.ttl(Duration::MAX).jitter(0.5).refresh_ahead(0.999).stale_on_error(Duration::MAX),
        |b| b.ttl(secs(1)).stale_while_revalidate(Duration::MAX).stale_on_error(Duration::ZERO),
        |b| b.capacity(1).jitter(0.0).stale_while_revalidate(Duration::ZERO),
        |b| b.capacity(u64::MAX).weigher(|_, _| u32::MAX),
        |b| b.ttl_by(|_, _| Duration::MAX).negative(Duration::MAX).jitter(0.1),
    ];
    for set in taken {
        let memo = set(Memo::builder()).build();
        memo.insert(1, Some(1));
        memo.get(&1);
        memo.clear();
    }
}

// ---- counts ----

#[tokio::test(start_paused = true)]
async fn stats_display_their_fields_and_python_s_line() {
    let memo: Memo<u8, u8> = Memo::builder().ttl(secs(10)).capacity(2).stale_on_error(secs(10)).build();
    assert_eq!(memo.stats().to_string(), "MemoStats(hits=0, misses=0, coalesced=0, loads=0, entries=0, capacity=2)");
    for key in [1, 2, 3, 3] {
        memo.get_or_load(key, || ready(Ok::<_, String>(key))).await.unwrap();
    }
    assert_eq!(
        memo.stats().to_string(),
        "MemoStats(hits=1, misses=3, coalesced=0, loads=3, entries=2, capacity=2, evictions=1)"
    );
    advance(secs(10)).await;
    memo.get_or_load(3, || ready(Err::<u8, _>("down".to_owned()))).await.unwrap();
    assert_eq!(
        memo.stats().to_string(),
        "MemoStats(hits=1, misses=4, coalesced=0, loads=4, entries=2, capacity=2, load_failures=1, \
         stale_on_error=1, evictions=1)"
    );
    let cache_info = memo.stats().cache_info(); // borrows nothing
    assert_eq!(cache_info.to_string(), "CacheInfo(hits=1, misses=4, maxsize=2, currsize=2)");
    assert!((memo.stats().hit_rate() - 0.2).abs() < f64::EPSILON);
    memo.clear();
    assert_eq!(memo.stats(), Memo::<u8, u8>::builder().capacity(2).build().stats());
}

#[tokio::test(start_paused = true)]
async fn mean_load_time_and_hit_rate_count_ended_loads_and_hits() {
    let memo: Memo<u8, u8> = Memo::ttl(secs(300));
    for (key, millis) in [(1, 100), (2, 300)] {
        let slow = async {
            sleep(ms(millis)).await;
            1_u8
        };
        slow.memoized_by(&memo, key).await;
    }
    let mut leads = tokio_test::task::spawn(memo.get_or_load(3, std::future::pending::<u8>));
    tokio_test::assert_pending!(leads.poll());
    let mut joins = tokio_test::task::spawn(memo.get_or_load(3, std::future::pending::<u8>));
    tokio_test::assert_pending!(joins.poll());
    tokio_test::assert_pending!(tokio_test::task::spawn(memo.get_or_load(4, std::future::pending::<u8>)).poll());
    memo.get(&1);
    let stats = memo.stats();
    assert_eq!((stats.loads, stats.loading, stats.loads_abandoned), (4, 1, 1));
    assert_eq!(stats.mean_load_time(), ms(200), "the mean of the two loads that have ended");
    assert_eq!((stats.calls(), stats.hits), (6, 1));
    assert!((stats.hit_rate() - 1.0 / 6.0).abs() < 1e-9, "the waiting call does not count as a hit");
}

#[tokio::test]
async fn a_clear_frees_all_values() {
    let memo = Memo::builder().capacity(100_000).build();
    (0..100_000).for_each(|key| memo.insert(key, key));
    assert_eq!(memo.stats().entries, 100_000);
    memo.clear();
    assert_eq!(memo.stats().entries, 0);
    assert_eq!(memo.stats().evictions, 0, "a clear is no eviction");
    memo.insert(1, 1);
    assert_eq!((memo.get(&1), memo.stats().entries), (Some(1), 1));
}

#[test]
fn debug_shows_the_settings_that_are_not_defaults() {
    fn shown<V: Debug>(memo: &Memo<u8, V>) -> String {
        format!("{memo:?}")
    }
    assert_eq!(shown(&Memo::<u8, u8>::ttl(secs(300))), "Memo(ttl 300s)");
    assert_eq!(shown(&Memo::<u8, u8>::builder().build()), "Memo(no ttl)");
    assert_eq!(shown(&Memo::<u8, u8>::builder().ttl(secs(1)).ttl_by(|_, _| secs(1)).build()), "Memo(ttl by value)");
    let with_all = Memo::<u8, Option<u8>>::builder()
        .ttl(secs(300))
        .negative(secs(5))
        .capacity(50)
        .jitter(0.1)
        .time_to_idle(secs(90))
        .refresh_ahead(0.8)
        .stale_while_revalidate(secs(30))
        .stale_on_error(secs(60))
        .refresh_backoff(RetryPolicy::fixed(secs(7)));
    assert_eq!(
        format!("{with_all:?}"),
        "MemoBuilder { ttl: Some(300s), capacity: 50, eviction: Lru, jitter: 0.1, time_to_idle: Some(90s), refresh_ahead: Some(0.8), \
         stale_while_revalidate: 30s, stale_on_error: 60s, \
         refresh_backoff: Some(RetryPolicy(fixed 7s, no jitter, any number of attempts)), .. }"
    );
    assert_eq!(
        shown(&with_all.build()),
        "Memo(ttl 300s, negative 5s, capacity 50, time_to_idle 90s, jitter 0.1, refresh_ahead 0.8, stale_while_revalidate 30s, \
         stale_on_error 60s, refresh_backoff (fixed 7s, no jitter, any number of attempts))"
    );
}

/// Uses the memo directly and by a function, on a thread without a runtime.
#[test]
fn a_memo_works_without_a_runtime() {
    let memo = Memo::ttl(secs(300));
    let square = (|n: u64| -> Ready<u64> { ready(n * n) }).memoized(&memo);
    assert_eq!(futures::FutureExt::now_or_never(square.call(7)), Some(49));
    assert_eq!(futures::FutureExt::now_or_never(square.call(7)), Some(49));
    assert_eq!(memo.get(&7), Some(49));
    memo.insert(8, 64);
    memo.invalidate(&7);
    assert_eq!((memo.get(&7), memo.get(&8)), (None, Some(64)));
    memo.clear();
    assert_eq!(memo.stats().calls(), 0);
}
