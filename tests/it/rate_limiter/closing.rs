//! A closed limiter: waiters and later calls get the error at once, and none takes a permit.

use super::echo;
use crate::support::{ms, secs};
use decor::{
    Error, KeyedLimiter, Transient,
    prelude::*,
    test_util::{VirtualClock, VirtualThread, elapsed},
};
use futures::FutureExt as _;
use std::{
    future::{Future, ready},
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};
use tokio::time::{Instant, advance};
use tokio_test::{assert_pending, assert_ready, task};

const CLOSED: Error = Error::Closed { what: "the rate limiter" };

/// Limiters without a free permit: exact, with several windows, paced, paused, with a shortened
/// period.
fn exhausted() -> [RateLimiter; 5] {
    let exact = RateLimiter::new(1, secs(60));
    let windows = RateLimiter::windows([(1, secs(60)), (9, secs(3600))]);
    let paced = RateLimiter::paced(1, secs(60));
    let paused = RateLimiter::new(9, secs(60));
    paused.pause_for(secs(60));
    let shortened = RateLimiter::new(1, secs(3600));
    for limiter in [&exact, &windows, &paced, &shortened] {
        limiter.charge(1);
    }
    shortened.set_limit(1, secs(60));
    [exact, windows, paced, paused, shortened]
}

#[tokio::test(start_paused = true)]
async fn every_waiter_gets_the_error_at_once() {
    for limiter in exhausted() {
        let begun = Instant::now();
        let mut waiters: Vec<_> = (0..4).map(|_| task::spawn(limiter.acquire_many(1))).collect();
        waiters.push(task::spawn(limiter.acquire_within(secs(3600))));
        for waiter in &mut waiters {
            assert_pending!(waiter.poll());
        }
        assert!(!limiter.is_closed());
        limiter.clone().close();
        assert_eq!((limiter.waiting(), limiter.is_closed()), (0, true));
        assert!(waiters.iter().all(task::Spawn::is_woken));
        // Polled from the last to the first, so that no result depends on another poll.
        for waiter in waiters.iter_mut().rev() {
            assert_eq!(assert_ready!(waiter.poll()), Err(CLOSED));
        }
        let stats = limiter.stats();
        assert_eq!((stats.admitted, stats.refused, stats.cancelled), (0, 5, 0), "{limiter:?}");
        assert_eq!(begun.elapsed(), Duration::ZERO);
    }
}

struct Counted {
    wakes: AtomicUsize,
    limiter: RateLimiter,
}

impl Wake for Counted {
    /// Locks the limiter, which would hang if `close` held the lock.
    fn wake(self: Arc<Self>) {
        assert_eq!(self.limiter.try_acquire(), Err(CLOSED));
        self.wakes.fetch_add(1, SeqCst);
    }
}

#[tokio::test(start_paused = true)]
async fn each_waiter_is_woken_once_and_outside_of_the_lock() {
    let limiter = RateLimiter::new(1, secs(60));
    limiter.acquire().await;
    let mut waiters: Vec<_> = (0..4)
        .map(|_| {
            let counted = Arc::new(Counted { wakes: AtomicUsize::new(0), limiter: limiter.clone() });
            let mut waiter = Box::pin(limiter.acquire_many(1));
            assert!(waiter.as_mut().poll(&mut Context::from_waker(&Arc::clone(&counted).into())).is_pending());
            (waiter, counted)
        })
        .collect();
    limiter.close();
    limiter.close();
    for (waiter, _) in &mut waiters {
        assert_eq!(waiter.now_or_never(), Some(Err(CLOSED)));
    }
    assert_eq!(waiters.iter().map(|(_, counted)| counted.wakes.load(SeqCst)).collect::<Vec<_>>(), [1; 4]);
}

#[tokio::test(start_paused = true)]
async fn later_calls_get_the_error_and_their_functions_are_not_called() {
    let limiter = RateLimiter::new(9, secs(1));
    limiter.close();
    let calls = AtomicUsize::new(0);
    let function = |n: u8| {
        calls.fetch_add(1, SeqCst);
        ready(Ok::<_, Error>(n))
    };
    let refused = [
        limiter.acquire_many(1).await,
        limiter.acquire_many(0).await,
        limiter.acquire_many(100).await, // refused as closed, although it exceeds the limit
        limiter.acquire_within(secs(9)).await,
        limiter.try_acquire(),
        limiter.try_acquire_many(2),
        limiter.acquire_many(1).blocking(),
        limiter.acquire_within(Duration::ZERO).blocking(),
        echo("a").rate_limited_by(&limiter, 1).await.map(drop),
        echo("a").rate_limited_within(&limiter, secs(9)).await.map(drop),
        echo("a").try_rate_limited(&limiter).await.map(drop),
        function.rate_limited_by(&limiter, |n: &u8| u32::from(*n)).call(1).await.map(drop),
        function.rate_limited_within(&limiter, secs(9)).call(1).await.map(drop),
        function.try_rate_limited(&limiter).call(1).await.map(drop),
    ];
    for result in &refused {
        assert_eq!(*result, Err(CLOSED));
    }
    assert_eq!((calls.load(SeqCst), limiter.stats().refused), (0, refused.len() as u64));
    assert_eq!(CLOSED.to_string(), "the rate limiter is closed, and admits no more calls");
}

/// No method opens a closed limiter again.
#[tokio::test(start_paused = true)]
async fn a_closed_limiter_stays_closed() {
    type Act = fn(&RateLimiter);
    let acts: [Act; 8] = [
        |limiter| limiter.set_limit(100, secs(1)),
        |limiter| limiter.set_limit(1, secs(60)),
        |limiter| limiter.pause_for(secs(1)),
        RateLimiter::resume,
        |limiter| limiter.set_longest_pause(secs(1)),
        |limiter| limiter.set_max_waiting(0),
        |limiter| limiter.charge(1),
        |limiter| {
            let _ = limiter.try_set_burst(2);
        },
    ];
    for limiter in exhausted().into_iter().filter(|limiter| limiter.limits().len() == 1) {
        limiter.close();
        for act in acts {
            act(&limiter);
            advance(secs(4000)).await;
            assert_eq!((limiter.try_acquire(), limiter.available()), (Err(CLOSED), 0));
            assert_eq!(limiter.acquire_many(1).await, Err(CLOSED));
        }
        assert_eq!(limiter.stats().admitted, 0);
        assert!(format!("{limiter:?}").ends_with(", closed)"), "{limiter:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn calls_that_cannot_fail_stay_pending_without_a_timer() {
    let limiter = RateLimiter::new(1, secs(1));
    limiter.acquire().await;
    let (mut before, mut call_before) = (task::spawn(limiter.acquire()), task::spawn(ready(1).rate_limited(&limiter)));
    assert_pending!(before.poll());
    assert_pending!(call_before.poll());
    limiter.close();
    assert_eq!((before.is_woken(), call_before.is_woken()), (true, true));
    let (mut after, mut call_after) =
        (task::spawn(limiter.acquire()), task::spawn((|| ready(1)).rate_limited(&limiter).call()));
    for _ in 0..2 {
        assert_pending!(before.poll());
        assert_pending!(call_before.poll());
        assert_pending!(after.poll());
        assert_pending!(call_after.poll());
        advance(secs(9)).await;
        let woken = [before.is_woken(), call_before.is_woken(), after.is_woken(), call_after.is_woken()];
        assert_eq!(woken, [false; 4]);
    }
    let refused = limiter.stats();
    assert_eq!((refused.refused, refused.cancelled, refused.waiting), (4, 0, 0));
    drop((before, call_before, after, call_after));
    assert_eq!(limiter.stats(), refused);

    // A timeout around the call ends the wait.
    let begun = Instant::now();
    let timed_out = echo.rate_limited(&limiter).timeout(secs(5)).call("a").await.unwrap_err();
    assert_eq!(
        (timed_out, begun.elapsed()),
        (Error::TimedOut { name: "echo".into(), after: secs(5), label: None }, secs(5))
    );
}

#[tokio::test(start_paused = true)]
async fn a_retry_of_transient_errors_gives_up_at_once() {
    let limiter = RateLimiter::new(1, secs(1));
    limiter.close();
    let begun = Instant::now();
    let policy = RetryPolicy::fixed(secs(1));
    let refused = echo.rate_limited_by(&limiter, |_: &&str| 1).retry_with(policy).transient().call("a").await;
    assert_eq!((refused, begun.elapsed(), limiter.stats().refused), (Err(CLOSED), Duration::ZERO, 1));
    assert!(!CLOSED.is_transient());
    assert!(!std::io::Error::from(CLOSED).is_transient());
}

#[tokio::test(start_paused = true)]
async fn a_skipped_waiter_is_refused_and_a_dropped_one_is_cancelled() {
    let limiter = RateLimiter::new(1, ms(100));
    limiter.acquire().await;
    let mut skipped = task::spawn(limiter.acquire_many(1));
    assert_pending!(skipped.poll());
    limiter.acquire().await;
    let mut dropped = task::spawn(limiter.acquire_many(1));
    assert_pending!(dropped.poll());
    assert_eq!((limiter.stats().skipped, limiter.waiting()), (1, 1));
    limiter.close();
    drop(dropped);
    assert_eq!(assert_ready!(skipped.poll()), Err(CLOSED));
    let stats = limiter.stats();
    assert_eq!((stats.admitted, stats.refused, stats.cancelled, stats.waiting), (2, 1, 1, 0));
}

#[test]
fn waiting_threads_get_the_error_at_once() {
    let clock = VirtualClock::start();
    for limiter in exhausted() {
        let threads: Vec<_> = (0..4)
            .map(|n| {
                let limiter = limiter.clone();
                clock.spawn(move || {
                    let acquire = if n == 0 { limiter.acquire_within(secs(3600)) } else { limiter.acquire_many(1) };
                    (acquire.blocking(), elapsed().unwrap())
                })
            })
            .collect();
        while limiter.waiting() < 4 {
            std::thread::yield_now();
        }
        limiter.close();
        for told in threads.into_iter().map(VirtualThread::join) {
            assert_eq!(told, (Err(CLOSED), Duration::ZERO));
        }
        assert_eq!((limiter.stats().refused, limiter.waiting()), (4, 0));
    }
}

/// The timeouts unwind a call that waits, and a call that comes after the close.
#[test]
fn a_timeout_unwinds_the_thread_of_a_call_that_cannot_fail() {
    let clock = VirtualClock::start();
    let limiter = RateLimiter::new(1, secs(60));
    limiter.acquire_blocking();
    let acquires = || {
        let (limiter, calls) = (limiter.clone(), Arc::new(AtomicUsize::new(0)));
        let counter = Arc::clone(&calls);
        let acquire = move || {
            limiter.acquire_blocking();
            counter.fetch_add(1, SeqCst);
            Ok::<_, Error>(())
        };
        (acquire.blocking().named("acquire").timeout(secs(5)), calls)
    };
    let timed_out = Err(Error::TimedOut { name: "acquire".into(), after: secs(5), label: None });
    let (waits, calls) = acquires();
    let waiting = clock.spawn(move || (waits.call(), elapsed().unwrap()));
    while limiter.waiting() < 1 {
        std::thread::yield_now();
    }
    limiter.close();
    assert_eq!((waiting.join(), calls.load(SeqCst)), ((timed_out.clone(), secs(5)), 0));
    let (comes_later, calls) = acquires();
    assert_eq!((comes_later.call(), clock.elapsed(), calls.load(SeqCst)), (timed_out, secs(10), 0));
}

/// If the key were forgotten, it would be open again when it comes next.
#[tokio::test(start_paused = true)]
#[cfg_attr(miri, ignore = "does not finish under Miri")]
async fn a_closed_key_is_not_forgotten() {
    let per_user: KeyedLimiter<u32> = KeyedLimiter::new(1, secs(1));
    per_user.for_key(&7).close();
    for round in 0..50 {
        advance(secs(60)).await;
        for user in 100..200 {
            assert_eq!(per_user.for_key(&(round * 100 + user)).try_acquire(), Ok(()));
        }
    }
    assert_eq!(per_user.for_key(&7).try_acquire(), Err(CLOSED));
    assert!(per_user.remove(&7));
    assert_eq!(per_user.for_key(&7).try_acquire(), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn close_holds_for_known_keys_and_for_those_that_come_later() {
    let per_user: KeyedLimiter<u32> = KeyedLimiter::new(1, secs(60));
    let users = [per_user.for_key(&1), per_user.for_key(&2)];
    for user in &users {
        user.try_acquire().unwrap();
    }
    let mut waiting = [&users[0], &users[0], &users[1]].map(|user| task::spawn(user.acquire_many(1)));
    for waiter in &mut waiting {
        assert_pending!(waiter.poll());
    }
    assert!(!per_user.is_closed());

    per_user.clone().close();
    assert!(per_user.is_closed());
    for waiter in &mut waiting {
        assert!(waiter.is_woken());
        assert_eq!(assert_ready!(waiter.poll()), Err(CLOSED));
    }
    assert_eq!(per_user.for_key(&1).try_acquire(), Err(CLOSED));
    assert_eq!(per_user.for_key(&3).try_acquire(), Err(CLOSED));
    let call = (|_: u32| ready(Ok::<_, Error>(()))).try_rate_limited_by_key(&per_user, |user: &u32| *user);
    assert_eq!(call.call(4).await, Err(CLOSED));
    let stats = per_user.stats();
    assert_eq!((stats.admitted, stats.refused, stats.waiting), (2, 6, 0));
}

#[tokio::test(start_paused = true)]
async fn closing_all_keys_ends_a_call_of_a_removed_key() {
    let per_user: KeyedLimiter<u32> = KeyedLimiter::new(1, secs(60));
    let removed = per_user.for_key(&7);
    removed.try_acquire().unwrap();
    let mut waiting = task::spawn(removed.acquire_many(1));
    assert_pending!(waiting.poll());
    assert!(per_user.remove(&7));
    per_user.close();
    assert!(waiting.is_woken());
    assert_eq!(assert_ready!(waiting.poll()), Err(CLOSED));
    assert_eq!(format!("{per_user:?}"), "KeyedLimiter(1 per 60s for each key, closed)");
}

/// A forgotten key is closed when it comes again, so closed keys may be forgotten.
#[tokio::test(start_paused = true)]
#[cfg_attr(miri, ignore = "does not finish under Miri")]
async fn keys_that_were_closed_with_all_are_forgotten() {
    let per_user: KeyedLimiter<u32> = KeyedLimiter::new(1, secs(1));
    per_user.close();
    for user in 0..1_000 {
        advance(secs(1)).await;
        assert_eq!(per_user.for_key(&user).try_acquire(), Err(CLOSED));
    }
    assert!(per_user.len() < 50, "{} keys", per_user.len());
    assert_eq!(per_user.stats().refused, 1_000);
}

#[tokio::test(start_paused = true)]
async fn admitted_calls_run_on() {
    let limiter = RateLimiter::new(1, secs(1));
    let mut call = pin!(
        async {
            tokio::time::sleep(secs(3)).await;
            7
        }
        .rate_limited(&limiter)
    );
    let poll = |call: Pin<&mut _>| Future::poll(call, &mut Context::from_waker(Waker::noop()));
    assert_eq!(poll(call.as_mut()), Poll::Pending);
    limiter.close();
    assert_eq!(call.await, 7);
}
