//! `KeyedBreaker`: each key by itself, and the keys that are forgotten.

use super::{Answer, down, open};
use crate::support::{ms, secs};
use CircuitState::{Closed, HalfOpen, Isolated, Open};
use decor::{CircuitBreaker, CircuitState, KeyedBreaker, prelude::*};
use std::future::ready;
use tokio::time::advance;

fn bounded(max_keys: usize) -> KeyedBreaker<u32> {
    CircuitBreaker::builder().consecutive(3).keyed().max_keys(max_keys).build()
}

fn succeed(per_host: &KeyedBreaker<u32>, host: u32) {
    per_host.for_key(&host).enter().unwrap().succeeded();
}

fn fail(per_host: &KeyedBreaker<u32>, host: u32) {
    per_host.for_key(&host).enter().unwrap().failed();
}

#[tokio::test(start_paused = true)]
async fn each_key_has_a_circuit_of_its_own() {
    let per_host: KeyedBreaker<String> = KeyedBreaker::consecutive(1);
    let fetch = (|host: String| ready(if host == "a" { Err(down()) } else { Answer::Ok(7) }))
        .guarded_by_key(&per_host, |host: &String| host.clone());
    assert_eq!(fetch.call("a".into()).await, Err(down()));
    assert_eq!(fetch.call("a".into()).await, Err(open("breaker", secs(30))));
    assert_eq!(fetch.call("b".into()).await, Ok(7));
    assert_eq!(ready(Answer::Ok(7)).guarded_by_key(&per_host, "a").await, Err(open("breaker", secs(30))));
    let stats = per_host.stats();
    assert_eq!((stats.failed, stats.succeeded, stats.refused, stats.opened), (1, 1, 2, 1));
    assert_eq!(per_host.stats_of("a").unwrap().refused, 2);
    assert_eq!(
        (per_host.state_of("a"), per_host.state_of("b"), per_host.state_of("c")),
        (Some(Open), Some(Closed), None)
    );
    assert_eq!((per_host.len(), per_host.is_empty()), (2, false));
    advance(secs(30)).await;
    assert_eq!(per_host.state_of("a"), Some(HalfOpen));
}

#[tokio::test(start_paused = true)]
async fn clean_keys_are_forgotten_first_and_open_ones_last() {
    let per_host = bounded(4);
    per_host.for_key(&0).trip();
    fail(&per_host, 1);
    succeed(&per_host, 2);
    succeed(&per_host, 3);
    let assert_remembered = |hosts: &[u32]| {
        let keys = per_host.keys();
        assert!(keys.len() == 4 && hosts.iter().all(|host| keys.contains(host)), "{keys:?}, not {hosts:?}");
    };
    succeed(&per_host, 10); // in place of 2 or 3
    assert_remembered(&[0, 1, 10]);
    fail(&per_host, 11); // in place of the other
    assert_remembered(&[0, 1, 11]);
    fail(&per_host, 12); // in place of 10
    assert_remembered(&[0, 1, 11, 12]);
    fail(&per_host, 13); // no clean one is left
    assert_remembered(&[0, 13]);
    assert_eq!(per_host.state_of(&0), Some(Open));
    for host in 20..23 {
        per_host.for_key(&host).trip();
    }
    assert_remembered(&[0, 20, 21, 22]);
    succeed(&per_host, 30); // only open ones are left
    assert_remembered(&[30]);
}

/// With many open keys before the clean ones, in the order in which keys are looked at.
#[tokio::test(start_paused = true)]
async fn a_thousand_open_keys_outlive_a_flood_of_clean_ones() {
    let per_host = bounded(1_000);
    (0..900).for_each(|host| per_host.for_key(&host).trip());
    for host in 1_000..20_000 {
        succeed(&per_host, host);
    }
    assert_eq!(per_host.len(), 1_000);
    assert!((0..900).all(|host| per_host.state_of(&host) == Some(Open)));
}

#[tokio::test(start_paused = true)]
async fn clean_keys_are_forgotten_after_a_while_and_others_stay() {
    let per_host = bounded(10_000);
    for host in 0..1_000 {
        succeed(&per_host, host);
    }
    per_host.for_key(&1_000).trip();
    fail(&per_host, 1_001);
    per_host.for_key(&1_002).isolate();
    let held = per_host.for_key(&5);
    advance(secs(60)).await;
    (0..1_000).for_each(|_| drop(per_host.for_key(&1_001)));
    let mut keys = per_host.keys();
    keys.sort_unstable();
    assert_eq!(keys, [5, 1_000, 1_001, 1_002]);
    assert_eq!(per_host.stats().succeeded, 1_000, "the counts of forgotten keys stay");
    drop(held);
    succeed(&per_host, 1_001); // clean again
    advance(secs(100_000)).await;
    (0..1_000).for_each(|_| drop(per_host.for_key(&1_000)));
    let mut keys = per_host.keys();
    keys.sort_unstable();
    assert_eq!(keys, [1_000, 1_002]);
    assert_eq!((per_host.state_of(&1_000), per_host.state_of(&1_002)), (Some(HalfOpen), Some(Isolated)));
}

#[tokio::test(start_paused = true)]
async fn a_rate_is_clean_when_its_window_is_empty() {
    let per_host: KeyedBreaker<u32> = KeyedBreaker::rate(0.5, secs(300));
    succeed(&per_host, 1);
    fail(&per_host, 2);
    for (wait, keys) in [(secs(299), 2), (secs(1), 1)] {
        advance(wait).await;
        (0..100).for_each(|_| drop(per_host.for_key(&2)));
        assert_eq!(per_host.len(), keys);
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_that_a_call_holds_is_remembered() {
    let per_host = bounded(1);
    let running = per_host.for_key(&1).enter().unwrap();
    for host in 2..100 {
        succeed(&per_host, host);
    }
    running.failed();
    assert_eq!(per_host.stats_of(&1).map(|stats| stats.failed), Some(1));
    assert_eq!(per_host.len(), 2);
    succeed(&per_host, 100);
    assert_eq!(per_host.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_removed_key_starts_anew() {
    let per_host = bounded(10);
    let held = per_host.for_key(&1);
    held.trip();
    assert!(per_host.remove(&1));
    assert!(!per_host.remove(&1));
    advance(ms(1)).await;
    assert_eq!((held.state(), per_host.for_key(&1).state()), (Open, Closed));
    assert_eq!(per_host.stats().opened, 1);
    let clone = per_host.clone();
    drop(per_host);
    assert_eq!((clone.len(), clone.max_keys()), (1, 10));
}
