//! Reloads from a file while calls wait, on the paused clock and on that of threads.

use super::{ms, secs};
use decor::{
    ConcurrencyConfig, ConcurrencyLimiter, ConfigError, KeyedLimiter, RateLimiter, RateLimiterConfig,
    test_util::{VirtualClock, VirtualThread, elapsed},
};
use futures::future::join_all;
use std::{
    cell::RefCell,
    collections::BTreeMap,
    error::Error,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::time::{Instant, sleep, sleep_until};

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    api: RateLimiterConfig,
}

/// Reads a file, and changes the limiter. What the handler of a signal would do.
fn reload(limiter: &RateLimiter, limit: &str) -> Result<(), Box<dyn Error>> {
    let file: File = toml::from_str(&format!("[api]\nlimit = \"{limit}\"\n"))?;
    Ok(limiter.reload(&file.api)?)
}

fn limiter(text: &str) -> RateLimiter {
    RateLimiter::try_from(text.parse::<RateLimiterConfig>().unwrap()).unwrap()
}

/// The number of calls that were admitted at each second.
type Admitted = Vec<(u64, usize)>;

/// The admissions of 60 waiters at 5 in 10 s. From 25 s on, the limit is 20.
const AFTER_THE_RELOAD: [(u64, usize); 8] = [
    (0, 5),
    (10, 5),
    (20, 5),
    (25, 15), // the five of 20 s are in the window
    (30, 5),
    (35, 15),
    (40, 5),
    (45, 5),
];

fn counted(moments: &[Duration]) -> Admitted {
    let mut counts = BTreeMap::new();
    for moment in moments {
        assert_eq!(moment.subsec_nanos(), 0, "{moment:?}");
        *counts.entry(moment.as_secs()).or_default() += 1;
    }
    counts.into_iter().collect()
}

#[tokio::test(start_paused = true)]
async fn waiting_tasks_are_admitted_as_the_new_limit_allows() {
    let limiter = limiter("5 per 10s");
    let (begun, order) = (Instant::now(), RefCell::new(Vec::new()));
    let calls = join_all((0..60).map(|call| {
        let (limiter, order) = (&limiter, &order);
        async move {
            limiter.acquire().await;
            order.borrow_mut().push((call, begun.elapsed()));
        }
    }));
    let operator = async {
        sleep_until(begun + secs(22)).await;
        for (wrong, why) in [
            ("20 per 10", "`limit` is \"20 per 10\", but must be a number per period, such as \"60 per 1m\""),
            ("0 per 10s", "`limit` is 0, but must be at least 1"),
        ] {
            let refused = reload(&limiter, wrong).unwrap_err().to_string();
            let column = "         ^".to_owned() + &"^".repeat(wrong.len() + 1);
            let file = format!("2 | limit = \"{wrong}\"");
            assert_eq!(refused, format!("TOML parse error at line 2, column 9\n  |\n{file}\n  |{column}\n{why}\n"));
        }
        sleep_until(begun + secs(25)).await;
        assert_eq!((limiter.waiting(), limiter.to_string()), (45, "5 per 10s".to_owned()));
        reload(&limiter, "20 per 10s").unwrap();
    };
    tokio::join!(calls, operator);
    let order = order.into_inner();
    assert!(order.iter().map(|(call, _)| *call).eq(0..60), "the calls keep their order");
    let moments: Vec<_> = order.into_iter().map(|(_, moment)| moment).collect();
    assert_eq!(counted(&moments), AFTER_THE_RELOAD);
    let stats = limiter.stats();
    assert_eq!((stats.admitted, stats.delayed, stats.refused, stats.cancelled), (60, 55, 0, 0));
}

#[test]
fn waiting_threads_are_admitted_as_the_new_limit_allows() {
    let clock = VirtualClock::start();
    let limiter = Arc::new(limiter("5 per 10s"));
    let moments = Arc::<Mutex<Vec<_>>>::default();
    let mut threads: Vec<_> = (0..60)
        .map(|_| {
            let (limiter, moments) = (Arc::clone(&limiter), Arc::clone(&moments));
            clock.spawn(move || {
                limiter.acquire_blocking();
                moments.lock().unwrap().push(elapsed().unwrap());
            })
        })
        .collect();
    threads.push({
        let limiter = Arc::clone(&limiter);
        clock.spawn(move || {
            decor::test_util::sleep(secs(22));
            reload(&limiter, "0 per 10s").unwrap_err();
            decor::test_util::sleep(secs(3));
            reload(&limiter, "20 per 10s").unwrap();
        })
    });
    threads.into_iter().for_each(VirtualThread::join);
    let mut moments = moments.lock().unwrap().clone();
    moments.sort();
    assert_eq!(counted(&moments), AFTER_THE_RELOAD);
}

/// Takes a permit at 0 s, and waits for another from 1 s on. The limit changes at `at`.
async fn admitted_at(before: &str, at: Duration, after: &str) -> Duration {
    let (limiter, begun) = (limiter(before), Instant::now());
    limiter.try_acquire().unwrap();
    let waiter = async {
        sleep(secs(1)).await;
        limiter.acquire().await;
        begun.elapsed()
    };
    let operator = async {
        sleep(at).await;
        reload_as(&limiter, after).unwrap();
    };
    tokio::join!(waiter, operator).0
}

fn reload_as(limiter: &RateLimiter, text: &str) -> Result<(), ConfigError> {
    limiter.reload(&text.parse()?)
}

#[tokio::test(start_paused = true)]
async fn a_waiter_is_admitted_at_the_moment_that_the_new_limit_allows() {
    for (before, at, after, admitted) in [
        ("1 per 60s", secs(10), "2 per 60s", secs(10)),
        ("1 per 60s", secs(10), "1 per 20s", secs(20)),
        ("1 per 60s", secs(30), "1 per 20s", secs(30)),
        ("1 per 20s", secs(10), "1 per 60s", secs(60)),
        ("1 per 60s, 9 per 80s", secs(10), "2 per 60s, 1 per 80s", secs(80)),
        // After 15 s of 60 s, a quarter of the interval has passed. The rest of it takes 15 s of 20
        // s.
        ("1 per 60s, paced", secs(15), "1 per 20s, paced", secs(30)),
        ("1 per 1h, paced", secs(10), "1000 per 1s, paced", ms(10_001)),
        ("10 per 600s, paced", secs(15), "10 per 600s, paced, burst 2", secs(15)),
        ("1 per 20s, paced", secs(10), "1 per 60s, paced", secs(40)), // half an interval is left
    ] {
        assert_eq!(admitted_at(before, at, after).await, admitted, "{before}, after {at:?} {after}");
    }
}

#[tokio::test(start_paused = true)]
async fn calls_of_each_key_are_admitted_at_once() {
    let config = |text: &str| text.parse::<RateLimiterConfig>().unwrap();
    for (before, after, admitted) in
        [("1 per 60s", "3 per 60s", secs(7)), ("1 per 60s, paced", "1 per 1ms, paced", ms(7_001))]
    {
        let per_user: KeyedLimiter<u64> = KeyedLimiter::try_from(config(before)).unwrap();
        let begun = Instant::now();
        let calls = join_all((0..20).map(async |call| {
            per_user.for_key(&(call % 10)).acquire().await;
            begun.elapsed()
        }));
        let operator = async {
            sleep(secs(7)).await;
            per_user.reload(&config(after)).unwrap();
        };
        let (moments, ()) = tokio::join!(calls, operator);
        assert_eq!((&moments[..10], &moments[10..]), (&[Duration::ZERO; 10][..], &[admitted; 10][..]));
    }
}

#[tokio::test(start_paused = true)]
async fn places_are_handed_over_in_order() {
    let config = |limit| ConcurrencyConfig { limit: Some(limit), ..ConcurrencyConfig::default() };
    let limiter = ConcurrencyLimiter::try_from(config(2)).unwrap();
    let (begun, order) = (Instant::now(), RefCell::new(Vec::new()));
    let calls = join_all((0..10_u64).map(|call| {
        let (limiter, order) = (&limiter, &order);
        async move {
            let permit = limiter.acquire().await;
            order.borrow_mut().push((call, begun.elapsed().as_secs()));
            sleep(secs(10)).await;
            drop(permit);
        }
    }));
    let operator = async {
        sleep(secs(3)).await;
        limiter.reload(&config(5)).unwrap();
        sleep(secs(1)).await;
        limiter.reload(&config(0)).unwrap_err();
        limiter.reload(&config(1)).unwrap();
    };
    tokio::join!(calls, operator);
    let moments = [0, 0, 3, 3, 3, 13, 23, 33, 43, 53];
    assert!(order.into_inner().into_iter().eq((0..10).zip(moments)));
    assert_eq!((limiter.stats().admitted, limiter.stats().delayed), (10, 8));
}
