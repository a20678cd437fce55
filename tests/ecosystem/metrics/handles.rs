//! The `Observer`: exported values are the statistics of the handles, and counters never fall.

use super::{
    ms, paused,
    recorder::{Kept, Value},
    tier::Tier,
};
use decor::{
    CircuitBreaker, ConcurrencyLimiter, Error, Hedge, KeyedBreaker, KeyedConcurrencyLimiter, KeyedLimiter, OnFailure,
    RateLimiter, RateLimiterBuilder, RetryBudget,
    metrics::Observer,
    prelude::*,
    test_util::FakeStore,
    tier::{Found, TierCounts},
};
use futures::future::join;
use metrics::Unit;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    future::{Future, ready},
    task::{Context, Poll, Waker},
};
use tokio::time::{advance, sleep};

fn collected(observer: &Observer) -> Kept {
    let kept = Kept::default();
    metrics::with_local_recorder(&kept, || observer.collect());
    kept
}

/// The series with another value than 0, without the label of the name.
fn counts(kept: &Kept) -> BTreeMap<String, f64> {
    let number = |value| match value {
        #[allow(clippy::cast_precision_loss)] // small counts
        Value::Counter(count) => count as f64,
        Value::Gauge(value) => value,
        Value::Histogram(_) => panic!("a handle has no histogram"),
    };
    let named = |series: String| series.replace("name=x,", "").replace("{name=x}", "").replace("decor.", "");
    let all = kept.all().into_iter().map(|(series, value)| (named(series), number(value)));
    all.filter(|(_, value)| *value != 0.0).collect()
}

fn expected<const N: usize>(values: [(&str, f64); N]) -> BTreeMap<String, f64> {
    values.into_iter().map(|(series, value)| (series.to_owned(), value)).collect()
}

fn start<T>(future: impl Future<Output = T>) -> std::pin::Pin<Box<impl Future<Output = T>>> {
    let mut future = Box::pin(future);
    assert!(matches!(future.as_mut().poll(&mut Context::from_waker(Waker::noop())), Poll::Pending));
    future
}

#[test]
fn a_rate_limiter_exports_its_calls_its_queue_and_its_permits() {
    paused().block_on(async {
        let limiter = RateLimiter::windows([(2, ms(1_000)), (10, ms(60_000))]);
        let observer = Observer::new().observe("x", &limiter);
        limiter.try_acquire().unwrap();
        limiter.try_acquire().unwrap();
        limiter.try_acquire().unwrap_err();
        drop(start(limiter.acquire()));
        let delayed = start(limiter.acquire());
        assert_eq!(
            counts(&collected(&observer)),
            expected([
                ("rate_limiter.calls{outcome=admitted}", 2.0),
                ("rate_limiter.calls{outcome=refused}", 1.0),
                ("rate_limiter.calls{outcome=cancelled}", 1.0),
                ("rate_limiter.waiting", 1.0),
                ("rate_limiter.available{window=2}", 8.0),
            ])
        );
        delayed.await;
        let kept = collected(&observer);
        assert_eq!(kept.counter("decor.rate_limiter.calls{name=x,outcome=admitted}"), 2);
        assert_eq!(kept.counter("decor.rate_limiter.calls{name=x,outcome=delayed}"), 1);
        assert_eq!(kept.gauge("decor.rate_limiter.waiting{name=x}"), 0.0);
        let stats = limiter.stats();
        assert_eq!((stats.admitted, stats.delayed), (3, 1));
        let available = limiter.available_per_window();
        assert_eq!(kept.gauge("decor.rate_limiter.available{name=x,window=1}"), f64::from(available[0]));
    });
}

#[test]
fn a_keyed_limiter_exports_the_number_of_its_keys_and_never_a_key() {
    paused().block_on(async {
        let keyed: KeyedLimiter<String> = KeyedLimiter::new(1, ms(1_000));
        let observer = Observer::new().observe("x", &keyed);
        for _ in 0..2 {
            let _ = keyed.for_key("secret-key").try_acquire();
            let _ = keyed.for_key("another-key").try_acquire();
        }
        let exported = counts(&collected(&observer));
        assert_eq!(
            exported,
            expected([
                ("rate_limiter.calls{outcome=admitted}", 2.0),
                ("rate_limiter.calls{outcome=refused}", 2.0),
                ("rate_limiter.keys", 2.0),
            ])
        );
        keyed.remove("secret-key");
        let after = counts(&collected(&observer));
        assert_eq!(after["rate_limiter.keys"], 1.0);
        assert_eq!(after["rate_limiter.calls{outcome=admitted}"], 2.0, "a counter fell");
    });
}

/// A limit of one call a minute, for all processes.
fn shared(store: &FakeStore) -> RateLimiterBuilder {
    let alone = OnFailure::Local { instances: 1 };
    RateLimiter::builder().window(1, ms(60_000)).shared(store.quota("account"), alone)
}

#[test]
fn a_shared_limiter_exports_its_requests_and_the_state_of_its_store() {
    paused().block_on(async {
        let store = FakeStore::new();
        let limiter = shared(&store).build();
        let observer = Observer::new().observe("x", &limiter);
        limiter.acquire().await;
        assert_eq!(
            counts(&collected(&observer)),
            expected([
                ("rate_limiter.calls{outcome=delayed}", 1.0),
                ("rate_limiter.asks", 1.0),
                ("rate_limiter.store_up", 1.0),
            ])
        );

        store.hang();
        advance(ms(60_000)).await;
        limiter.acquire().await; // after the time limit of the store
        let exported = collected(&observer);
        assert_eq!(exported.gauge("decor.rate_limiter.store_up{name=x}"), 0.0);
        assert_eq!(exported.counter("decor.rate_limiter.admitted_alone{name=x}"), 1);
        assert_eq!(exported.counter("decor.rate_limiter.asks{name=x}"), limiter.stats().asks);
        store.come_back();
        sleep(ms(1_000)).await; // for the next probe
        assert_eq!(collected(&observer).gauge("decor.rate_limiter.store_up{name=x}"), 1.0);
    });
}

/// A permit that comes after its caller has left, and that no other call takes.
#[test]
fn a_permit_that_no_call_used_is_exported() {
    paused().block_on(async {
        let store = FakeStore::new();
        store.set_trip(ms(50));
        let limiter = shared(&store).build();
        let observer = Observer::new().observe("x", &limiter);
        let call = start(limiter.acquire());
        sleep(ms(10)).await;
        drop(call);
        sleep(ms(70_000)).await;
        let _ = limiter.try_acquire(); // throws away what is too old
        assert_eq!(limiter.stats().lapsed, 1);
        assert_eq!(collected(&observer).counter("decor.rate_limiter.lapsed{name=x}"), 1);
    });
}

#[test]
fn shared_keys_export_the_state_of_their_store_even_if_they_are_forgotten() {
    paused().block_on(async {
        let store = FakeStore::new();
        let keyed = KeyedLimiter::shared(shared(&store), |key: &u64| key.to_string());
        let observer = Observer::new().observe("x", &keyed);
        let is_up = || collected(&observer).gauge("decor.rate_limiter.store_up{name=x}");
        assert_eq!(is_up(), 1.0);
        keyed.for_key(&7).acquire().await;
        store.hang();
        keyed.for_key(&8).acquire().await;
        let exported = counts(&collected(&observer));
        assert_eq!((exported["rate_limiter.keys"], exported["rate_limiter.admitted_alone"]), (2.0, 1.0));
        assert_eq!(is_up(), 0.0);
        keyed.remove(&7);
        keyed.remove(&8);
        assert_eq!((keyed.len(), is_up()), (0, 0.0));
        store.come_back();
        sleep(ms(1_000)).await; // for the next probe
        assert!(keyed.stats().is_up, "a key that was forgotten while the store was down");
        assert_eq!(is_up(), 1.0);
    });
}

#[test]
fn a_concurrency_limiter_exports_its_calls_its_permits_and_its_limit() {
    paused().block_on(async {
        let limiter = ConcurrencyLimiter::adaptive(1..=4);
        let keyed: KeyedConcurrencyLimiter<u64> = KeyedConcurrencyLimiter::new(3);
        let observer = Observer::new().observe("x", &limiter);
        let permit = limiter.try_acquire().unwrap();
        while limiter.try_acquire().map(std::mem::forget).is_ok() {}
        drop(start(limiter.acquire()));
        let waiting = start(limiter.acquire());
        let exported = counts(&collected(&observer));
        let stats = limiter.stats();
        assert_eq!((stats.waiting, stats.cancelled, stats.refused), (1, 1, 1));
        assert_eq!(exported["concurrency_limiter.in_use"], f64::from(stats.in_use));
        assert_eq!(exported["concurrency_limiter.limit"], f64::from(stats.limit));
        assert_eq!(exported["concurrency_limiter.waiting"], 1.0);
        assert_eq!(exported["concurrency_limiter.calls{outcome=cancelled}"], 1.0);
        assert_eq!(exported["concurrency_limiter.calls{outcome=refused}"], 1.0);
        drop(permit);
        drop(waiting.await);
        limiter.overloaded();
        let exported = counts(&collected(&observer));
        assert_eq!(exported["concurrency_limiter.calls{outcome=delayed}"], 1.0);
        assert_eq!(exported["concurrency_limiter.changes{direction=shrunk}"], 1.0);

        let observer = Observer::new().observe("x", &keyed);
        let permit = keyed.for_key(&7).try_acquire().unwrap();
        drop(keyed.for_key(&8).try_acquire().unwrap());
        assert_eq!(
            counts(&collected(&observer)),
            expected([
                ("concurrency_limiter.calls{outcome=admitted}", 2.0),
                ("concurrency_limiter.in_use", 1.0),
                ("concurrency_limiter.limit", 6.0),
                ("concurrency_limiter.keys", 2.0),
            ])
        );
        drop(permit);
    });
}

#[test]
fn a_breaker_exports_its_calls_and_its_state() {
    paused().block_on(async {
        let breaker = CircuitBreaker::consecutive(2);
        let observer = Observer::new().observe("x", &breaker);
        breaker.enter().unwrap().succeeded();
        drop(breaker.enter().unwrap());
        for _ in 0..2 {
            breaker.enter().unwrap().failed();
        }
        breaker.enter().unwrap_err();
        let open = [
            ("circuit_breaker.calls{outcome=succeeded}", 1.0),
            ("circuit_breaker.calls{outcome=failed}", 2.0),
            ("circuit_breaker.calls{outcome=ignored}", 1.0),
            ("circuit_breaker.calls{outcome=refused}", 1.0),
            ("circuit_breaker.opened", 1.0),
            ("circuit_breaker.state{state=open}", 1.0),
        ];
        assert_eq!(counts(&collected(&observer)), expected(open));

        // An observer reads the state, as any other reader does.
        advance(ms(30_000)).await;
        let mut half_open = expected(open);
        half_open.remove("circuit_breaker.state{state=open}");
        half_open.insert("circuit_breaker.state{state=half-open}".to_owned(), 1.0);
        assert_eq!(counts(&collected(&observer)), half_open);
    });
}

#[test]
fn a_keyed_breaker_exports_the_number_of_keys_in_each_state() {
    paused().block_on(async {
        let keyed: KeyedBreaker<u64> = KeyedBreaker::consecutive(1);
        for key in 0..3 {
            keyed.for_key(&key).enter().unwrap().failed();
        }
        keyed.for_key(&3).enter().unwrap().succeeded();
        keyed.for_key(&4).isolate();
        let observer = Observer::new().observe("x", &keyed);
        assert_eq!(
            counts(&collected(&observer)),
            expected([
                ("circuit_breaker.calls{outcome=failed}", 3.0),
                ("circuit_breaker.calls{outcome=succeeded}", 1.0),
                ("circuit_breaker.opened", 3.0),
                ("circuit_breaker.state{state=open}", 3.0),
                ("circuit_breaker.state{state=closed}", 1.0),
                ("circuit_breaker.state{state=isolated}", 1.0),
                ("circuit_breaker.keys", 5.0),
            ])
        );
    });
}

/// A callback of a breaker may use the breaker of another key while the observer reads the states.
#[test]
fn a_change_of_state_that_the_observer_sees_may_call_the_breaker() {
    use std::sync::OnceLock;

    static KEYED: OnceLock<KeyedBreaker<u64>> = OnceLock::new();
    paused().block_on(async {
        let builder = CircuitBreaker::builder().on_change(|_| {
            if let Some(keyed) = KEYED.get() {
                assert!(!keyed.is_empty());
                keyed.for_key(&7).state();
            }
        });
        let keyed = KEYED.get_or_init(|| builder.keyed().build());
        keyed.for_key(&7).trip();
        advance(ms(30_000)).await;
        let exported = counts(&collected(&Observer::new().observe("x", keyed)));
        assert_eq!(exported["circuit_breaker.state{state=half-open}"], 1.0);
    });
}

#[test]
fn a_memo_exports_its_calls_and_its_loads() {
    paused().block_on(async {
        let memo: Memo<u64, u64> =
            Memo::builder().ttl(ms(1_000)).stale_while_revalidate(ms(10_000)).capacity(2).build();
        let observer = Observer::new().observe("x", &memo);
        let fetch = (async |id: u64| {
            sleep(ms(10)).await;
            if id < 100 { Ok(id) } else { Err(Error::QueueFull { waiting: 0 }) }
        })
        .memoized(&memo)
        .detached();
        let _ = join(fetch.call(1), fetch.call(1)).await;
        fetch.call(1).await.unwrap();
        fetch.call(100).await.unwrap_err();
        advance(ms(1_500)).await;
        fetch.call(1).await.unwrap();
        sleep(ms(20)).await;
        let stats = memo.stats();
        assert_eq!((stats.hits, stats.stale_hits, stats.misses, stats.coalesced), (2, 1, 2, 1));
        assert_eq!(
            counts(&collected(&observer)),
            expected([
                ("memo.calls{outcome=hit}", 1.0),
                ("memo.calls{outcome=stale}", 1.0),
                ("memo.calls{outcome=miss}", 2.0),
                ("memo.calls{outcome=coalesced}", 1.0),
                ("memo.loads", 3.0),
                ("memo.load_failures", 1.0),
                ("memo.expirations", 1.0),
                ("memo.entries", 1.0),
            ])
        );
        memo.clear();
        let exported = counts(&collected(&observer));
        let calls = ["hit", "stale", "miss", "coalesced"].map(|end| exported[&format!("memo.calls{{outcome={end}}}")]);
        assert_eq!(calls, [1.0, 1.0, 2.0, 1.0]);
    });
}

#[test]
fn a_memo_with_a_tier_exports_what_the_tier_did() {
    paused().block_on(async {
        let tier = Tier::default();
        let memo: Memo<u64, u64> = Memo::builder().ttl(ms(1_000)).tier(tier.clone()).build();
        let observer = Observer::new().observe("x", &memo);
        let fetch = (async |id: u64| Ok::<_, Error>(id)).memoized(&memo);
        let hit = collected(&observer).counter("decor.memo.calls{name=x,outcome=hit}");
        assert_eq!((hit, collected(&observer).gauge("decor.memo.tier_up{name=x}")), (0, 0.0));

        // A call that another process answers with an expired value is a miss, and no hit.
        tier.answers([Found::Fresh { value: 7, left: None }, Found::Stale(8), Found::Alone]);
        tier.has(TierCounts { waits: 3, refused: 4, undecodable: 5, is_up: true });
        for id in [7, 7, 8, 9] {
            assert_eq!(fetch.call(id).await, Ok(id));
        }
        let exported = [
            ("memo.calls{outcome=hit}", 1.0),
            ("memo.calls{outcome=miss}", 3.0),
            ("memo.loads", 1.0),
            ("memo.tier_hits", 2.0),
            ("memo.tier_waits", 3.0),
            ("memo.tier_refused", 4.0),
            ("memo.undecodable", 5.0),
            ("memo.tier_up", 1.0),
        ];
        let entries = ("memo.entries", 2.0);
        let mut all = expected(exported);
        all.extend(expected([entries]));
        assert_eq!(counts(&collected(&observer)), all);
        memo.clear();
        assert_eq!(memo.stats().tier_hits, 0);
        assert_eq!(counts(&collected(&observer)), expected(exported));
    });
}

/// The page of a program that shares nothing is no longer than it was.
#[test]
fn local_handles_say_nothing_about_a_store() {
    let observer = Observer::new()
        .observe("one", &RateLimiter::new(1, ms(1_000)))
        .observe("keyed", &KeyedLimiter::<u64>::new(1, ms(1_000)))
        .observe("one", &Memo::<u64, u64>::ttl(ms(1_000)));
    let of_a_store = ["asks", "lapsed", "alone", "store", "tier", "undecodable"];
    for series in collected(&observer).all().keys() {
        assert!(!of_a_store.iter().any(|word| series.contains(word)), "{series}");
    }
}

/// A call that waited for a load in vain, and was then served an expired value, was counted before.
#[test]
fn each_call_of_a_memo_is_exported_once() {
    paused().block_on(async {
        let memo: Memo<u64, u64> =
            Memo::builder().ttl(ms(1_000)).stale_while_revalidate(ms(10_000)).capacity(2).build();
        let observer = Observer::new().observe("x", &memo);
        let never = (async |_: u64| -> u64 { std::future::pending().await }).memoized(&memo);
        let (leader, follower) = (start(never.call(7)), start(never.call(7)));
        memo.insert(7, 49);
        advance(ms(1_500)).await;
        let refresh = start(never.call(7));
        drop(leader);
        assert_eq!(follower.await, 49);
        drop(refresh);
        let calls = counts(&collected(&observer)).into_iter().filter(|(series, _)| series.starts_with("memo.calls"));
        assert_eq!(calls.map(|(_, calls)| calls).sum::<f64>(), 3.0);
        assert_eq!(memo.stats().calls(), 3);
        assert_eq!(memo.stats().stale_hits, 1);
    });
}

/// `memo.clear()` resets the statistics, and no exported counter.
#[test]
fn a_clear_makes_no_counter_fall() {
    paused().block_on(async {
        let memo: Memo<u64, u64> = Memo::builder().capacity(3).build();
        let observer = Observer::new().observe("x", &memo);
        let fetch = (async |id: u64| Ok::<_, Error>(id)).memoized(&memo);
        let mut before = BTreeMap::new();
        for round in 0..5_u64 {
            for id in 0..10 {
                fetch.call(id).await.unwrap();
                fetch.call(id).await.unwrap();
            }
            for clear in [false, true] {
                if clear {
                    memo.clear();
                    assert_eq!(memo.stats().calls(), 0);
                }
                let now = collected(&observer).all();
                for (series, value) in &now {
                    if let (Value::Counter(now), Some(Value::Counter(before))) = (value, before.get(series)) {
                        assert!(now >= before, "{series} fell from {before} to {now}");
                    }
                }
                before = now;
            }
            assert_eq!(before["decor.memo.calls{name=x,outcome=hit}"], Value::Counter(10 * (round + 1)));
            assert_eq!(before["decor.memo.calls{name=x,outcome=miss}"], Value::Counter(10 * (round + 1)));
            assert_eq!(before["decor.memo.loads{name=x}"], Value::Counter(10 * (round + 1)));
            assert_eq!(before["decor.memo.evictions{name=x}"], Value::Counter(7 * (round + 1)));
            assert_eq!(before["decor.memo.entries{name=x}"], Value::Gauge(0.0));
        }
    });
}

#[test]
fn a_budget_and_a_hedge_export_their_counts() {
    paused().block_on(async {
        let (budget, hedge) = (RetryBudget::new(0.5).capacity(1), Hedge::after(ms(50)));
        let observer = Observer::new().observe("x", &budget).observe("x", &hedge);
        let policy = RetryPolicy::fixed(ms(10)).max_attempts(2);
        let fails = (|_: u64| ready(Err::<(), _>("busy"))).retry_with(policy).budgeted(&budget);
        for _ in 0..2 {
            fails.call(1).await.unwrap_err();
        }
        let slow = (async |_: u64| {
            sleep(ms(80)).await;
            Ok::<_, &str>(())
        })
        .hedged(&hedge);
        slow.call(1).await.unwrap();
        assert_eq!(
            counts(&collected(&observer)),
            expected([
                ("retry_budget.withdrawals", 1.0),
                ("retry_budget.refusals", 1.0),
                ("hedge.calls", 1.0),
                ("hedge.hedges", 1.0),
                ("hedge.delay", 0.05),
            ])
        );
        assert_eq!(budget.stats().balance, 0.0);
    });
}

/// An observer of every handle.
fn all_handles() -> Observer {
    let store = FakeStore::new();
    Observer::new()
        .observe("shared", &shared(&store).build())
        .observe("shared keys", &KeyedLimiter::shared(shared(&store), |key: &u64| key.to_string()))
        .observe("tiered", &Memo::<u64, u64>::builder().tier(Tier::default()).build())
        .observe("one", &RateLimiter::new(1, ms(1_000)))
        .observe("keyed", &KeyedLimiter::<u64>::new(1, ms(1_000)))
        .observe("one", &ConcurrencyLimiter::new(1))
        .observe("keyed", &KeyedConcurrencyLimiter::<u64>::new(1))
        .observe("one", &CircuitBreaker::consecutive(1))
        .observe("keyed", &KeyedBreaker::<u64>::consecutive(1))
        .observe("one", &Memo::<u64, u64>::ttl(ms(1_000)))
        .observe("one", &RetryBudget::new(0.1))
        .observe("one", &Hedge::after(ms(10)))
}

/// The table of the documentation has the metrics that are exported, with their kinds.
#[test]
fn every_metric_is_described_with_a_unit_and_is_in_the_table() {
    let kept = Kept::default();
    metrics::with_local_recorder(&kept, || {
        all_handles().collect();
        paused().block_on(ready(()).metered("call"));
    });
    let described = kept.described();
    let names = |series: &BTreeMap<String, Value>| {
        series.keys().map(|series| series.split('{').next().unwrap().to_owned()).collect::<BTreeSet<_>>()
    };
    assert_eq!(described.keys().cloned().collect::<BTreeSet<_>>(), names(&kept.all()));

    let table = fs::read_to_string("src/metrics/mod.rs").unwrap();
    for (name, (kind, unit, text)) in described {
        let unit = unit.unwrap_or_else(|| panic!("{name} has no unit"));
        let seconds = if unit.as_str() == "seconds" { ", seconds" } else { "" };
        assert!(table.contains(&format!("//! | `{name}` | {kind}{seconds} |")), "no row of {name}, {kind}, {unit:?}");
        assert!(text.ends_with('.'), "{name}: {text}");
    }
    let rows = table.lines().filter(|line| line.starts_with("//! | `decor.")).count();
    assert_eq!(rows, names(&kept.all()).len());
}

/// The name of a metric on the page of an exporter with the recommended naming.
fn on_the_page(name: &str, kind: &str, unit: Option<Unit>) -> String {
    let seconds = if unit == Some(Unit::Seconds) { "_seconds" } else { "" };
    let total = if kind == "counter" { "_total" } else { "" };
    format!("{}{seconds}{total}", name.replace('.', "_"))
}

#[test]
fn the_dashboard_shows_every_metric_and_no_document_names_another() {
    let kept = Kept::default();
    metrics::with_local_recorder(&kept, || {
        all_handles().collect();
        paused().block_on(ready(()).metered("call"));
    });
    let all = kept.described().into_iter().map(|(name, (kind, unit, _))| on_the_page(&name, kind, unit));
    let all = all.collect::<BTreeSet<_>>();
    let named = |path: &str| {
        let text = fs::read_to_string(path).unwrap();
        let words = text.split(|c: char| !(c.is_ascii_lowercase() || c == '_'));
        let metrics = words.filter_map(|word| word.strip_prefix("decor_").filter(|rest| !rest.is_empty()));
        let of_histogram = |name: &str| {
            let parts = ["_bucket", "_count", "_sum"];
            parts.into_iter().find_map(|part| name.strip_suffix(part)).unwrap_or(name).to_owned()
        };
        metrics.map(|name| format!("decor_{}", of_histogram(name))).collect::<BTreeSet<_>>()
    };
    let dashboard = named("examples/metrics/grafana.json");
    // A single query shows the keys of all kinds.
    let shown = all.iter().filter(|name| !name.ends_with("_keys"));
    assert_eq!(dashboard, shown.cloned().collect());
    for document in ["examples/metrics/alerts.yml", "examples/metrics/service.rs", "src/guide/observing.rs"] {
        let unknown = named(document).difference(&all).cloned().collect::<Vec<_>>();
        assert!(unknown.is_empty(), "{document}: {unknown:?}");
    }
}

#[test]
fn two_handles_of_one_kind_need_two_names() {
    let (one, keyed) = (RateLimiter::new(1, ms(1_000)), KeyedLimiter::<u64>::new(1, ms(1_000)));
    let observer = Observer::new().observe("x", &one).observe("x", &CircuitBreaker::consecutive(1));
    let error = observer.clone().try_observe("x", &keyed).unwrap_err();
    assert_eq!(error.to_string(), "`name` is x, but must be a name that no other handle of its kind has");
    let both = observer.observe("y", &keyed);
    assert_eq!(
        format!("{both:?}"),
        r#"Observer { names: {("circuit_breaker", "x"), ("rate_limiter", "x"), ("rate_limiter", "y")}, .. }"#
    );
}

#[test]
fn without_a_recorder_nothing_happens() {
    all_handles().collect();
}
