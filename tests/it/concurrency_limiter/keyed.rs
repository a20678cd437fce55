//! A limiter for each key, in bounded memory: only idle keys are forgotten.

use decor::{ConcurrencyLimiter, KeyedConcurrencyLimiter};
use tokio_test::{assert_pending, task};

fn remembering(max_keys: usize) -> KeyedConcurrencyLimiter<u32> {
    ConcurrencyLimiter::builder().limit(2).keyed().max_keys(max_keys).build()
}

fn sorted(keyed: &KeyedConcurrencyLimiter<u32>) -> Vec<u32> {
    let mut keys = keyed.keys();
    keys.sort_unstable();
    keys
}

/// Regression of other libraries (resilience4j#703): a registry that grows for ever.
#[test]
fn a_hundred_thousand_keys_take_no_more_room_than_the_bound() {
    let keyed = remembering(100);
    for key in 0..100_000 {
        drop(keyed.for_key(&key).try_acquire().unwrap());
        assert!(keyed.len() <= 100);
    }
    assert_eq!((keyed.len(), keyed.stats().admitted, keyed.stats().in_use), (100, 100_000, 0));
}

#[tokio::test]
async fn keys_in_use_are_not_forgotten() {
    let keyed = remembering(3);
    let permit = keyed.for_key(&0).try_acquire_many(2).unwrap();
    let waited_for = keyed.for_key(&1);
    let busy = waited_for.try_acquire_many(2).unwrap();
    let mut waiter = task::spawn(waited_for.acquire());
    assert_pending!(waiter.poll());
    let handle = keyed.for_key(&2);
    for key in 3..100 {
        keyed.for_key(&key);
    }
    assert!([0, 1, 2].iter().all(|key| keyed.keys().contains(key)), "{:?}", sorted(&keyed));
    assert!(keyed.for_key(&0).try_acquire().is_err());
    drop((permit, waiter, busy, handle));
    drop(waited_for);
    for key in 100..200 {
        keyed.for_key(&key);
    }
    assert_eq!(keyed.len(), 3);
    assert!(keyed.keys().iter().all(|key| *key >= 100));
}

#[test]
fn more_keys_than_the_bound_are_remembered_while_all_are_in_use() {
    let keyed = remembering(2);
    let permits: Vec<_> = (0..50).map(|key| keyed.for_key(&key).try_acquire().unwrap()).collect();
    assert_eq!(keyed.len(), 50);
    drop(permits);
    for key in 100..200 {
        keyed.for_key(&key);
    }
    assert_eq!(keyed.len(), 2);
}

#[test]
fn a_key_with_a_limit_of_its_own_is_remembered() {
    let keyed = remembering(2);
    keyed.for_key(&7).set_limit(9);
    keyed.for_key(&8).set_max_waiting(1);
    for key in 100..200 {
        keyed.for_key(&key);
    }
    assert_eq!(keyed.for_key(&7).limit(), 9);
    assert_eq!(keyed.for_key(&8).max_waiting(), Some(1));
    keyed.for_key(&7).set_limit(2);
    keyed.for_key(&8).set_max_waiting(None);
    for key in 200..300 {
        keyed.for_key(&key);
    }
    assert_eq!(keyed.len(), 2);
    assert!(!keyed.keys().contains(&7) && !keyed.keys().contains(&8));
}

#[test]
fn a_key_with_a_limit_that_has_adapted_is_forgotten_last() {
    let settings = ConcurrencyLimiter::builder().adaptive(4..=100).keyed().max_keys(3);
    let keyed: KeyedConcurrencyLimiter<u32> = settings.build();
    keyed.for_key(&7).overloaded();
    for key in 100..200 {
        keyed.for_key(&key);
    }
    assert_eq!(keyed.for_key(&7).limit(), 15);
    for key in 200..203 {
        keyed.for_key(&key).overloaded();
    }
    assert_eq!(keyed.len(), 3);
    assert_eq!(keyed.stats().shrunk, 4);
}

#[test]
fn counts_outlive_keys() {
    let keyed = remembering(1);
    let permit = keyed.for_key(&1).try_acquire_many(2).unwrap();
    assert!(keyed.for_key(&1).try_acquire().is_err());
    assert!(keyed.remove(&1) && !keyed.remove(&1));
    assert_eq!((keyed.stats().admitted, keyed.stats().refused, keyed.stats().in_use), (1, 1, 2));
    assert_eq!(keyed.stats_of(&1), None);
    drop(permit);
    for key in 2..50 {
        drop(keyed.for_key(&key).try_acquire().unwrap());
    }
    let stats = keyed.stats();
    assert_eq!((stats.admitted, stats.refused, stats.in_use, stats.waiting, stats.limit), (49, 1, 0, 0, 2));
    assert_eq!(keyed.stats_of(&49).unwrap().admitted, 1);
}

#[test]
fn a_smaller_bound_forgets_idle_keys_at_once() {
    let keyed = remembering(100);
    let permit = keyed.for_key(&50).try_acquire().unwrap();
    for key in 0..100 {
        keyed.for_key(&key);
    }
    keyed.set_max_keys(5);
    assert_eq!((keyed.len(), keyed.max_keys()), (5, 5));
    assert!(keyed.keys().contains(&50) && !keyed.is_empty());
    drop(permit);
}

#[test]
fn clones_are_one_limiter() {
    let keyed = remembering(5);
    let permit = keyed.clone().for_key(&1).try_acquire_many(2).unwrap();
    assert_eq!(keyed.for_key(&1).available(), 0);
    assert_eq!(keyed.for_key(&2).available(), 2);
    drop(permit);
}
