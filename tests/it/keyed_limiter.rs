//! `KeyedLimiter`: each key by itself, and no memory for keys that have gone.

use crate::support::{ms, secs};
use decor::{Error, KeyedLimiter, RateLimiter, prelude::*};
use futures::future::join_all;
use std::{future::ready, time::Duration};
use tokio::time::{Instant, advance};
use tokio_test::{assert_pending, task};

#[tokio::test(start_paused = true)]
async fn each_key_has_a_limit_of_its_own() {
    let per_host: KeyedLimiter<String> = KeyedLimiter::new(2, secs(1));
    let begun = Instant::now();
    let calls = ["a", "b", "a", "b", "a"].map(|host| {
        let limiter = per_host.for_key(host);
        async move {
            limiter.acquire().await;
            (host, begun.elapsed().as_secs())
        }
    });
    assert_eq!(join_all(calls).await, [("a", 0), ("b", 0), ("a", 0), ("b", 0), ("a", 1)]);
}

#[tokio::test(start_paused = true)]
async fn the_decorator_takes_the_key_from_the_arguments() {
    let per_host = KeyedLimiter::new(1, secs(1));
    let fetch = (|host: String, path: &'static str| ready(format!("{host}{path}")))
        .rate_limited_by_key(&per_host, |host: &String, _: &&str| host.clone());
    let begun = Instant::now();
    assert_eq!(fetch.call("a".into(), "/1").await, "a/1");
    assert_eq!(fetch.call("b".into(), "/1").await, "b/1");
    assert_eq!(begun.elapsed(), Duration::ZERO);
    assert_eq!(fetch.call("a".into(), "/2").await, "a/2");
    assert_eq!(begun.elapsed(), secs(1));
}

#[tokio::test(start_paused = true)]
async fn what_is_set_for_one_key_stays_with_it() {
    let per_user: KeyedLimiter<u64> = RateLimiter::builder().window(5, secs(1)).refuse_above(0).try_into().unwrap();
    per_user.for_key(&1).pause_for(secs(9));
    per_user.for_key(&2).charge(3);
    assert_eq!([1, 2, 3].map(|user| per_user.clone().for_key(&user).available()), [0, 2, 5]);
    let refused = per_user.for_key(&1).acquire_many(1).await;
    assert_eq!(refused, Err(Error::QueueFull { waiting: 0 }));
}

#[tokio::test(start_paused = true)]
async fn idle_keys_are_forgotten_and_others_are_not() {
    let per_user = KeyedLimiter::new(1, secs(1));
    assert!(per_user.is_empty());
    for user in 0..1_000_u64 {
        per_user.for_key(&user).try_acquire().unwrap();
    }
    assert!(!per_user.is_empty());
    assert_eq!(per_user.len(), 1_000);
    let held = per_user.for_key(&1);
    let waited_for = per_user.for_key(&2);
    let mut waiter = task::spawn(waited_for.acquire_many(1));
    assert_pending!(waiter.poll());

    // Within the window nobody may be forgotten: each would start anew.
    advance(ms(999)).await;
    for user in 0..1_000 {
        assert!(per_user.for_key(&user).try_acquire().is_err(), "{user}");
    }
    // After it, those that come look after those that have gone.
    advance(ms(1)).await;
    for user in 1_000..2_000 {
        per_user.for_key(&user).try_acquire().unwrap();
    }
    assert_eq!(per_user.len(), 1_000 + 2);
    held.try_acquire().unwrap();
    assert!(per_user.for_key(&1).try_acquire().is_err(), "held, and so remembered");
}

#[tokio::test(start_paused = true)]
async fn a_key_is_remembered_for_as_long_as_anything_of_it_counts() {
    let exact = RateLimiter::builder().window(1, secs(60));
    let paced = RateLimiter::builder().paced(1, secs(60));
    for settings in [exact, paced.clone()] {
        let per_user: KeyedLimiter<u32> = settings.try_into().unwrap();
        per_user.for_key(&1).pause_for(secs(300));
        advance(secs(299)).await;
        for user in 2..1_000 {
            per_user.for_key(&user).try_acquire().unwrap();
        }
        assert!(per_user.for_key(&1).try_acquire().is_err());
    }
    let per_user: KeyedLimiter<u32> = paced.try_into().unwrap();
    per_user.for_key(&1).charge(3); // three minutes of it
    advance(secs(179)).await;
    for user in 2..1_000 {
        per_user.for_key(&user).try_acquire().unwrap();
    }
    assert!(per_user.for_key(&1).try_acquire().is_err());
    advance(secs(1)).await;
    assert!(per_user.for_key(&1).try_acquire().is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_keys_stays_within_its_bound() {
    let per_user = KeyedLimiter::new(1, secs(60)).max_keys(10_000);
    let held = per_user.for_key(&0);
    held.try_acquire().unwrap();
    for user in 1..1_000_000_u32 {
        per_user.for_key(&user).try_acquire().unwrap();
        assert!(user % 1_000 != 0 || per_user.len() <= 10_000 + 1);
    }
    assert!(per_user.len() > 9_000);
    assert!(per_user.for_key(&999_999).try_acquire().is_err(), "the last is remembered");
    assert!(per_user.for_key(&0).try_acquire().is_err(), "and so is what is held");
    assert!(per_user.for_key(&1).try_acquire().is_ok(), "the first has been forgotten");
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let refused = |result: Result<KeyedLimiter<u8>, decor::ConfigError>| result.unwrap_err().to_string();
    assert_eq!(refused(KeyedLimiter::try_new(0, secs(1))), "`limit` is 0, but must be at least 1");
    assert_eq!(refused(KeyedLimiter::try_new(1, Duration::ZERO)), "`period` is 0ns, but must be longer than zero");
    assert_eq!(refused(KeyedLimiter::new(1, secs(1)).try_max_keys(0)), "`max_keys` is 0, but must be at least 1");
    assert_eq!(format!("{:?}", KeyedLimiter::<u8>::new(3, secs(1))), "KeyedLimiter(3 per 1s for each key)");
}
