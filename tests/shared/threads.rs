//! Shared limits on threads, by a virtual clock.

use crate::support::{SECOND, closed, ms, window};
use decor::{
    Error, OnFailure,
    prelude::*,
    test_util::{FakeStore, VirtualClock, elapsed, sleep},
};

#[test]
fn threads_of_two_processes_share_a_limit() {
    let clock = VirtualClock::start();
    let store = FakeStore::new();
    store.set_trip(ms(1));
    let (a, b) = (closed(window(4, SECOND), &store), closed(window(4, SECOND), &store.another_process()));
    let threads = [&a, &b, &a, &b, &a, &b].map(|limiter| {
        let limiter = limiter.clone();
        clock.spawn(move || {
            limiter.acquire_blocking();
            elapsed().unwrap()
        })
    });
    let mut moments = threads.map(|thread| thread.join()).to_vec();
    moments.sort_unstable();
    assert_eq!(moments[..4].iter().filter(|at| **at <= ms(1)).count(), 4);
    assert!(moments[4..].iter().all(|at| *at >= SECOND && *at <= ms(1_022)), "{moments:?}");
}

#[test]
fn a_store_that_is_down_refuses_threads_as_well() {
    let clock = VirtualClock::start();
    let store = FakeStore::new();
    let limiter = closed(window(4, SECOND), &store);
    limiter.acquire_blocking();
    store.hang();
    let down = Err(Error::StoreDown { name: "github".into() });
    assert_eq!(limiter.acquire_within(SECOND).blocking(), down);
    assert_eq!(clock.elapsed(), ms(100));
    assert_eq!(limiter.acquire_many(1).blocking(), down);
    assert_eq!(clock.elapsed(), ms(100));
    store.come_back();
    limiter.acquire_blocking();
    assert!(clock.elapsed() <= ms(1_500));
}

#[test]
fn open_admits_threads_while_the_store_is_down() {
    let clock = VirtualClock::start();
    let store = FakeStore::new();
    store.hang();
    let limiter = window(4, SECOND).shared(store.quota("github"), OnFailure::Open).build();
    let fetch = (|| 7).blocking().rate_limited(&limiter);
    for _ in 0..10 {
        assert_eq!(fetch.call(), 7);
    }
    assert_eq!((clock.elapsed(), limiter.stats().admitted_alone), (ms(100), 10));
}

#[test]
fn a_call_of_a_thread_with_a_limit_leaves_the_queue() {
    let clock = VirtualClock::start();
    let store = FakeStore::new();
    let limiter = closed(window(1, SECOND), &store);
    limiter.acquire_blocking();
    let fetch = (|| Ok::<_, Error>(7)).blocking().rate_limited(&limiter).timeout(ms(300));
    assert!(matches!(fetch.call(), Err(Error::TimedOut { .. })));
    sleep(ms(1)); // the abandoned thread leaves by itself
    assert_eq!((clock.elapsed(), limiter.waiting()), (ms(301), 0));
    limiter.acquire_blocking();
    assert_eq!(clock.elapsed(), ms(1_020));
}

#[test]
fn without_a_runtime_and_a_virtual_clock_the_store_is_in_real_time() {
    let limiter = closed(window(10, SECOND).slack(ms(500)), &FakeStore::new());
    limiter.acquire_blocking();
    assert_eq!(limiter.acquire_within(60 * SECOND).blocking(), Ok(()));
    assert_eq!(limiter.stats().admitted, 2);
}
