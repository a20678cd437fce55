//! Handles that threads and tasks share: limits and loads hold for all.

use crate::support::{ms, secs};
use decor::{
    Memo,
    prelude::*,
    test_util::{VirtualClock, VirtualThread, sleep},
};
use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    thread,
    time::Instant,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn threads_and_tasks_share_a_limiter_and_are_admitted_in_turn() {
    const EACH: usize = 2_500;
    const LIMIT: usize = 200;
    let period = ms(10);
    let limiter = RateLimiter::new(200, period);
    let begun = Instant::now();
    let admitted = Arc::new(Mutex::new(Vec::with_capacity(8 * EACH)));
    let admit = |kind: usize| {
        let (limiter, admitted) = (limiter.clone(), Arc::clone(&admitted));
        move || (limiter.clone(), Arc::clone(&admitted), kind)
    };
    let mut threads = Vec::new();
    let mut tasks = tokio::task::JoinSet::new();
    for caller in 0..4 {
        let (limiter, admitted, kind) = admit(caller)();
        threads.push(thread::spawn(move || {
            let take =
                (move || admitted.lock().unwrap().push((Instant::now(), kind))).blocking().rate_limited(&limiter);
            (0..EACH).for_each(|_| take.call());
        }));
        let (limiter, admitted, kind) = admit(4 + caller)();
        tasks.spawn(async move {
            let take = move || {
                let admitted = Arc::clone(&admitted);
                async move { admitted.lock().unwrap().push((Instant::now(), kind)) }
            };
            let take = take.rate_limited(&limiter);
            for _ in 0..EACH {
                take.call().await;
            }
        });
    }
    tasks.join_all().await;
    tokio::task::spawn_blocking(move || threads.into_iter().for_each(|thread| thread.join().unwrap())).await.unwrap();
    assert_eq!(limiter.stats().admitted, 8 * EACH as u64);
    assert_eq!(limiter.waiting(), 0);

    let mut admitted = admitted.lock().unwrap().clone();
    admitted.sort_unstable();
    // An admission is seen when it was made, or later. A broken window would shift all later ones
    // before their time.
    let broken =
        (0_u32..).zip(admitted.chunks(LIMIT)).filter(|(windows, chunk)| chunk[0].0 < begun + period * *windows);
    assert_eq!(broken.count(), 0);
    // While all eight are there, each gets about an eighth of any stretch, or less if the system
    // does not schedule it for a while.
    let middle = &admitted[2_000..10_000];
    let mut shares = BTreeMap::new();
    for (_, kind) in middle {
        *shares.entry(kind).or_insert(0_u32) += 1;
    }
    assert_eq!(shares.len(), 8);
    assert!(shares.values().all(|share| *share >= 50), "{shares:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn threads_and_tasks_load_a_cold_key_once() {
    for round in 0..50_u32 {
        let memo: Memo<u32, u32> = Memo::ttl(secs(300));
        let calls = Arc::new(AtomicU32::new(0));
        let mut threads = Vec::new();
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..4 {
            let (memo, calls) = (memo.clone(), Arc::clone(&calls));
            let its_calls = Arc::clone(&calls);
            let its_memo = memo.clone();
            threads.push(thread::spawn(move || {
                let load = move |n: u32| {
                    calls.fetch_add(1, SeqCst);
                    thread::yield_now();
                    n * 2
                };
                load.blocking().memoized(&memo).call(round)
            }));
            tasks.spawn(async move {
                let load = move |n: u32| {
                    its_calls.fetch_add(1, SeqCst);
                    async move {
                        tokio::task::yield_now().await;
                        n * 2
                    }
                };
                load.memoized(&its_memo).call(round).await
            });
        }
        let mut answers = tasks.join_all().await;
        let joined =
            tokio::task::spawn_blocking(move || threads.into_iter().map(|t| t.join().unwrap()).collect::<Vec<_>>());
        answers.extend(joined.await.unwrap());
        assert_eq!(answers, [round * 2; 8]);
        let stats = memo.stats();
        assert_eq!((calls.load(SeqCst), stats.loads, stats.calls()), (1, 1, 8));
    }
}

#[test]
fn threads_share_the_error_of_the_load_that_they_waited_for() {
    let clock = VirtualClock::start();
    let memo: Memo<u8, u32> = Memo::ttl(secs(300));
    let calls = Arc::new(AtomicU32::new(0));
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let (memo, calls) = (memo.clone(), Arc::clone(&calls));
            clock.spawn(move || {
                let load = move |_: u8| {
                    sleep(secs(1));
                    Err::<u32, _>(calls.fetch_add(1, SeqCst).to_string())
                };
                load.blocking().memoized(&memo).sharing_errors().call(7)
            })
        })
        .collect();
    assert!(threads.into_iter().all(|thread| thread.join() == Err("0".to_owned())));
    let stats = memo.stats();
    assert_eq!((stats.loads, stats.coalesced, clock.elapsed()), (1, 3, secs(1)));
}

#[test]
fn a_thread_that_panics_while_it_loads_hands_over() {
    let clock = VirtualClock::start();
    let memo: Memo<u8, u32> = Memo::ttl(secs(300));
    let calls = Arc::new(AtomicU32::new(0));
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let (memo, calls) = (memo.clone(), Arc::clone(&calls));
            clock.spawn(move || {
                let load = move |_: u8| {
                    let call = calls.fetch_add(1, SeqCst);
                    sleep(secs(1));
                    assert!(call > 0, "boom");
                    call
                };
                catch_unwind(AssertUnwindSafe(|| load.blocking().memoized(&memo).call(7))).ok()
            })
        })
        .collect();
    let mut answers: Vec<_> = threads.into_iter().map(VirtualThread::join).collect();
    answers.sort_unstable();
    assert_eq!(answers, [None, Some(1), Some(1), Some(1)]);
    let stats = memo.stats();
    assert_eq!((stats.loads, stats.misses, stats.coalesced, clock.elapsed()), (2, 1, 3, secs(2)));
}

#[test]
fn a_call_to_itself_panics_instead_of_hanging() {
    let memo: Memo<u8, u8> = Memo::ttl(secs(300));
    let inner = memo.clone();
    let itself = move |n: u8| (|_: u8| 1_u8).blocking().memoized(&inner).call(n);
    let panic = catch_unwind(AssertUnwindSafe(|| itself.blocking().memoized(&memo).call(7))).unwrap_err();
    assert!(panic.downcast::<&str>().unwrap().contains("called itself with the same key"));
    assert_eq!(memo.stats().loading, 0);
}
