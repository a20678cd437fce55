//! Clocks: threads follow real time or a virtual clock, tasks follow tokio's clock.

use super::Answer;
use crate::support::{listen, ms, secs};
use decor::{
    Memo, Timing,
    prelude::*,
    test_util::{self, VirtualClock, VirtualThread, sleep},
};
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering::SeqCst},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

/// The timers of tasks are tokio's, so a task must also read tokio's clock. A limiter that read the
/// virtual clock would never see the end of a task's wait.
#[tokio::test(start_paused = true)]
async fn a_task_on_a_thread_with_a_virtual_clock_follows_tokios_clock() {
    let clock = VirtualClock::start();
    let begun = tokio::time::Instant::now();
    let limiter = RateLimiter::new(1, secs(1));
    limiter.acquire().await;
    limiter.acquire().await;
    assert_eq!(begun.elapsed(), secs(1));
    let failing = || std::future::ready(Err::<(), _>("no"));
    failing.rate_limited(&limiter).retry_with(RetryPolicy::fixed(secs(2)).deadline(secs(5))).call().await.unwrap_err();
    assert_eq!(begun.elapsed(), secs(1 + 1 + 2 + 2));
    let load = |n: u8| std::future::ready(n);
    let memo = Memo::ttl(secs(60));
    load.memoized(&memo).call(7).await;
    tokio::time::advance(secs(60)).await;
    load.memoized(&memo).call(7).await;
    assert_eq!((memo.stats().loads, clock.elapsed()), (2, Duration::ZERO));

    // Operations that do not wait follow the thread's clock.
    let other = RateLimiter::new(1, secs(1));
    assert_eq!((other.try_acquire(), other.available()), (Ok(()), 0));
    tokio::time::advance(secs(1)).await;
    assert_eq!(other.try_acquire(), Err(decor::Error::RateLimited { retry_after: secs(1) }));
    clock.advance(secs(1));
    assert_eq!((other.available(), other.try_acquire()), (1, Ok(())));
}

/// On new handles, operations that do not wait follow the virtual clock as well.
#[test]
fn operations_without_a_wait_go_by_the_threads_virtual_clock() {
    let clock = VirtualClock::start();
    let limiter = || RateLimiter::new(1, secs(1));
    let (charged, paused) = (limiter(), limiter());
    let memo: Memo<u8, u8> = Memo::ttl(secs(60));
    let keyed: decor::KeyedLimiter<u32> = decor::KeyedLimiter::new(1, secs(1));
    let ask_for = |keys: std::ops::Range<u32>| keys.for_each(|key| keyed.for_key(&key).try_acquire().unwrap());
    ask_for(0..1_000);
    clock.advance(secs(3_600));

    charged.charge(1);
    assert_eq!(charged.available(), 0);
    paused.pause_for(secs(2));
    assert_eq!(paused.try_acquire(), Err(decor::Error::RateLimited { retry_after: secs(2) }));
    memo.insert(7, 49);
    assert_eq!(memo.get(&7), Some(49));
    ask_for(1_000..2_000);
    assert!(keyed.len() < 1_500, "{} keys are left, but those of an hour ago are idle", keyed.len());

    clock.advance(secs(60));
    assert_eq!((charged.available(), paused.try_acquire(), memo.get(&7)), (1, Ok(()), None));
}

/// Tokio's clock stands still, and is then moved an hour ahead. Measurements and waits of a thread
/// do not depend on it.
#[tokio::test(start_paused = true)]
async fn threads_do_not_read_tokios_paused_clock() {
    let hour = secs(3600);
    let expires = || {
        let memo: Memo<u8, u32> = Memo::ttl(ms(10));
        let load = |n: u8| {
            thread::sleep(ms(1));
            u32::from(n)
        };
        let load = load.blocking().memoized(&memo);
        load.call(7);
        thread::sleep(ms(10));
        load.call(7);
        assert_eq!(memo.stats().loads, 2, "the value must be fresh for 10 ms of real time");
        assert!(memo.stats().total_load_time >= ms(2));
    };
    let memo: Memo<u8, u32> = Memo::ttl(secs(600));
    let loads = Arc::new(AtomicU32::new(0));
    let stale: Memo<u8, u32> = Memo::builder().ttl(Duration::from_nanos(1)).stale_while_revalidate(secs(600)).build();
    let refreshed = (|n: u8| u32::from(n)).blocking().memoized(&stale).detached();
    let load = {
        let (memo, loads) = (memo.clone(), Arc::clone(&loads));
        move || (move |_: u8| loads.fetch_add(1, SeqCst)).blocking().memoized(&memo).call(7)
    };
    let period = ms(30);
    let limiter = RateLimiter::new(1, period);
    let (first_load, its, first) = (load.clone(), limiter.clone(), refreshed.clone());
    let before = tokio::task::spawn_blocking(move || {
        let before = Instant::now();
        its.acquire_blocking();
        first_load();
        first.call(7);
        expires(); // although tokio's clock stands still
        before
    });
    let before = before.await.unwrap();
    tokio::time::advance(hour).await;
    let after = tokio::task::spawn_blocking(move || {
        let log = listen();
        limiter.acquire_blocking();
        assert!(before.elapsed() >= period, "the window was measured by tokio's clock instead of real time");
        assert_eq!(load(), 0, "the value must be fresh for 10 minutes of real time");

        expires(); // although it was made with tokio's clock an hour ahead
        let limiter = RateLimiter::new(1, period);
        (0..2).for_each(|_| limiter.acquire_blocking()); // the limiter does not wait for that hour either
        refreshed.call(7);
        let stats = stale.stats();
        assert_eq!((stats.misses, stats.stale_hits), (1, 1), "the value must be stale, and not expired");

        sleep(ms(1));
        let (_open, never) = mpsc::channel::<Answer>();
        let hang = move || never.recv().unwrap();
        assert!(hang.blocking().timeout(ms(5)).run().is_err());

        let measured = Mutex::new(None);
        let measured = Arc::new(measured);
        let sink = Arc::clone(&measured);
        let fails = || {
            thread::sleep(ms(20));
            Err::<(), _>("busy")
        };
        let timing = Timing::new("f").record_to(move |m| *sink.lock().unwrap() = Some(m.elapsed));
        fails.blocking().logged().timed_with(timing).run().unwrap_err();
        assert!(measured.lock().unwrap().unwrap() >= ms(20));
        let lines = log.take();
        assert!(!lines[1].contains(" in 0ns"), "{lines:?}");

        let explained = fails.blocking().retry_with(RetryPolicy::fixed(ms(1))).explained().run().unwrap_err();
        assert!(explained.elapsed() >= ms(60) && explained.elapsed() < hour / 2, "{explained:?}");
    });
    after.await.unwrap();
    assert_eq!(loads.load(SeqCst), 1);
}

#[test]
fn an_advance_to_a_deadline_ends_the_wait() {
    let clock = VirtualClock::start();
    let (tell, told) = mpsc::channel();
    let thread = clock.spawn(move || {
        sleep(secs(10));
        tell.send(()).unwrap();
    });
    sleep(secs(1)); // the other thread waits then
    clock.advance(secs(9));
    told.recv_timeout(secs(60)).unwrap(); // meanwhile this thread does not wait in decor
    thread.join();
    assert_eq!(clock.elapsed(), secs(10));
}

#[test]
fn time_does_not_go_back_to_a_limit_that_has_passed() {
    let clock = VirtualClock::start();
    let slow = || -> Answer {
        sleep(secs(60));
        Ok(1)
    };
    let thread = clock.spawn(move || slow.blocking().timeout(secs(1)).run());
    sleep(ms(500)); // the other thread waits then
    clock.advance(secs(5));
    assert!(thread.join().is_err());
    assert_eq!(clock.elapsed(), ms(5_500));
}

#[test]
fn a_clock_that_replaces_another_becomes_the_threads_clock() {
    let mut clock = VirtualClock::start();
    clock.advance(secs(1));
    clock = VirtualClock::start(); // the first clock is dropped after the second has started
    sleep(secs(5));
    assert_eq!((clock.elapsed(), test_util::elapsed()), (secs(5), Some(secs(5))));
    let inner = VirtualClock::start();
    sleep(secs(1));
    assert_eq!((clock.elapsed(), inner.elapsed()), (secs(5), secs(1)));
    drop(inner);
    assert_eq!(test_util::elapsed(), Some(secs(5)));
    drop(clock);
    assert_eq!(test_util::elapsed(), None);
}

#[test]
fn a_clock_has_more_threads_than_the_pool_has_slots() {
    let clock = VirtualClock::start();
    assert_eq!(format!("{clock:?} {:?}", clock.spawn(|| ())), "VirtualClock { elapsed: 0ns, .. } VirtualThread");
    let limiter = RateLimiter::new(100, secs(1));
    let threads: Vec<_> = (0..600)
        .map(|_| {
            let limiter = limiter.clone();
            clock.spawn(move || limiter.acquire_blocking())
        })
        .collect();
    threads.into_iter().for_each(VirtualThread::join);
    assert_eq!((clock.elapsed(), limiter.stats().admitted), (secs(5), 600));
}

#[test]
#[should_panic(expected = "beyond what the clock can express")]
fn an_advance_beyond_the_range_of_the_clock_panics() {
    VirtualClock::start().advance(Duration::MAX);
}

/// Otherwise the thread would wait for an hour, or for ever.
#[test]
fn a_thread_that_is_not_the_clocks_is_told_when_it_has_to_wait() {
    let clock = VirtualClock::start();
    let limiter = RateLimiter::new(1, secs(3600));
    limiter.acquire_blocking();
    let waits = |limiter: &RateLimiter| {
        let limiter = limiter.clone();
        thread::spawn(move || limiter.acquire_blocking()).join()
    };
    let message = *waits(&limiter).unwrap_err().downcast::<&str>().unwrap();
    assert!(message.starts_with("this thread has no `VirtualClock`"), "{message}");
    assert!(message.ends_with("start the thread by `clock.spawn(..)`"), "{message}");
    assert_eq!(limiter.waiting(), 0);

    let its = limiter.clone();
    clock.spawn(move || its.acquire_blocking()).join();
    assert!(clock.elapsed() > secs(3599), "{clock:?}"); // the other thread has seen some real time
    let free = limiter.clone();
    thread::spawn(move || free.try_acquire()).join().unwrap().unwrap_err(); // asks only, in real time

    // A limiter that no thread of the clock uses, and a clock that has ended.
    let real = RateLimiter::new(1, ms(20));
    thread::scope(|scope| scope.spawn(|| (0..2).for_each(|_| real.acquire_blocking())).join()).unwrap();
    let other = RateLimiter::new(1, ms(20));
    other.acquire_blocking();
    drop(clock);
    waits(&other).unwrap();
}
