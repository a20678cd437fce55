//! A limit for each key, shared.

use crate::support::{SECOND, ms, window};
use decor::{Error, KeyedLimiter, OnFailure, prelude::*, test_util::FakeStore};
use tokio::time::{Instant, sleep};

fn per_user(store: &FakeStore) -> KeyedLimiter<u64> {
    let limits = window(2, SECOND).shared(store.quota("users"), OnFailure::Closed);
    KeyedLimiter::shared(limits, |user: &u64| user.to_string())
}

#[tokio::test(start_paused = true)]
async fn each_key_has_one_limit_in_all_processes() {
    let store = FakeStore::new();
    let (here, elsewhere) = (per_user(&store), per_user(&store.another_process()));
    let begun = Instant::now();
    here.for_key(&7).acquire().await;
    elsewhere.for_key(&7).acquire().await;
    here.for_key(&8).acquire().await;
    assert_eq!(begun.elapsed().as_millis(), 0);
    elsewhere.for_key(&7).acquire().await;
    assert_eq!(begun.elapsed(), ms(1_020));
    assert_eq!((here.stats().asks, here.len()), (2, 2));
    assert_eq!(format!("{:?}", here.for_key(&7)), "RateLimiter(2 per 1s, shared as users:7)");
}

#[tokio::test(start_paused = true)]
async fn decorators_and_settings_work_by_key() {
    let store = FakeStore::new();
    let limiter = per_user(&store);
    let fetch = |user: u64| std::future::ready(Ok::<_, Error>(user));
    let fetch = fetch.try_rate_limited_by_key(&limiter, |user: &u64| *user);
    for user in [7, 7, 8] {
        fetch.call(user).await.unwrap();
    }
    assert!(fetch.call(7).await.is_err());
    limiter.set_limit(3, SECOND);
    fetch.call(7).await.unwrap();
    store.refuse();
    let refused = fetch.call(9).await;
    assert_eq!(refused, Err(Error::StoreDown { name: "users:9".into() }));
    assert!(!limiter.stats().is_up);
}

#[tokio::test(start_paused = true)]
async fn a_key_is_forgotten_when_it_is_idle_and_the_store_knows_all_of_it() {
    let store = FakeStore::new();
    let limiter = per_user(&store);
    limiter.for_key(&7).acquire().await;
    limiter.for_key(&8).charge(1);
    sleep(ms(1_100)).await;
    for other in 100..200 {
        limiter.for_key(&other);
    }
    assert_eq!((limiter.stats_of(&7), limiter.stats_of(&8)), (None, None));
    store.refuse();
    limiter.for_key(&9).charge(1);
    sleep(5 * SECOND).await;
    for other in 100..200 {
        limiter.for_key(&other);
    }
    assert!(limiter.stats_of(&9).is_some());
}
