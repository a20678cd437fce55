//! The deadline of a call: where it is known, and what decorators within a limit do with it.

use crate::support::{listen, ms, paused, secs};
use decor::{
    Deadline, Error, GiveUpReason, KeyedConcurrencyLimiter, KeyedLimiter, Memo, RateLimiter,
    prelude::*,
    test_util::{self, VirtualClock},
};
use futures::{FutureExt as _, future::join_all};
use std::{
    cell::{Cell, RefCell},
    future::{Future, pending, ready},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::{Arc, Mutex},
    task::{Context, Waker},
    thread,
    time::Duration,
};
use tokio::time::{Instant, sleep};

type Answer<T> = Result<T, Error>;

/// The time that the call in progress has left.
fn left() -> Option<Duration> {
    Deadline::current().map(Deadline::remaining)
}

async fn look() -> Answer<Option<Duration>> {
    Ok(left())
}

/// Looks at its deadline at once, and after one second.
async fn look_twice() -> Answer<[Option<Duration>; 2]> {
    let first = left();
    sleep(secs(1)).await;
    Ok([first, left()])
}

fn down() -> Error {
    Error::QueueFull { waiting: 9 }
}

fn fails() -> impl Future<Output = Answer<u32>> {
    ready(Err(down()))
}

/// A limiter without a free permit for 10 s.
fn busy() -> RateLimiter {
    let limiter = RateLimiter::new(2, secs(10));
    limiter.try_acquire_many(2).unwrap();
    limiter
}

/// The output of a call, and its duration.
async fn timed<T>(call: impl Future<Output = T>) -> (T, Duration) {
    let begun = Instant::now();
    (call.await, begun.elapsed())
}

// ---- what a call sees ----

#[tokio::test(start_paused = true)]
async fn a_call_sees_its_own_limit_alone() {
    assert_eq!(left(), None);
    assert_eq!(look_twice().timeout(secs(5)).await, Ok([Some(secs(5)), Some(secs(4))]));
    assert_eq!(left(), None);
    assert_eq!(look_twice.timeout(secs(5)).call().await, Ok([Some(secs(5)), Some(secs(4))]));
    assert_eq!(look.timeout(Duration::MAX).call().await, Ok(None), "a limit that never passes");
    assert_eq!(look.timeout(Duration::ZERO).call().await, Ok(Some(Duration::ZERO)));
    assert_eq!(look.timeout(Duration::from_nanos(1)).call().await, Ok(Some(Duration::from_nanos(1))));
}

#[tokio::test(start_paused = true)]
async fn the_nearest_of_nested_limits_counts() {
    let of = async |inner, outer| look_twice.timeout(inner).timeout(outer).call().await.unwrap().map(Option::unwrap);
    assert_eq!(of(secs(3), secs(5)).await, [secs(3), secs(2)]);
    assert_eq!(of(secs(5), secs(3)).await, [secs(3), secs(2)]);
    assert_eq!(of(Duration::MAX, secs(3)).await, [secs(3), secs(2)]);
    assert_eq!(of(secs(3), Duration::MAX).await, [secs(3), secs(2)]);

    // The inner limit begins 4 s after the outer one.
    let late = async || {
        sleep(secs(4)).await;
        look_twice.timeout(secs(2)).call().await
    };
    assert_eq!(late.timeout(secs(10)).call().await, Ok([Some(secs(2)), Some(secs(1))]));
    assert_eq!(late.timeout(ms(5_500)).call().await, Ok([Some(ms(1_500)), Some(ms(500))]));

    // Each attempt has its limit anew.
    let attempts = RefCell::new(Vec::new());
    let attempt = async || {
        attempts.borrow_mut().push(left().unwrap());
        sleep(secs(2)).await;
        Err::<(), _>(down())
    };
    let retry = attempt.timeout(secs(3)).retry_with(RetryPolicy::fixed(secs(1))).timeout(secs(8));
    assert_eq!(retry.await, Err(down()));
    assert_eq!(attempts.take(), [secs(3), secs(3), secs(2)]);
}

/// A future may have been polled before the limit stands around it.
#[tokio::test(start_paused = true)]
async fn a_limit_around_a_limit_that_has_begun() {
    let mut call = pin!(look_twice().timeout(secs(3)));
    assert!(call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    assert_eq!(call.timeout(ms(2_500)).await, Ok([Some(secs(3)), Some(ms(1_500))]));
}

#[tokio::test(start_paused = true)]
async fn joined_calls_have_their_own_deadlines() {
    let bounded = async |limit| look_twice.timeout(limit).call().await.unwrap().map(Option::unwrap);
    let (short, none, long) = tokio::join!(bounded(secs(3)), look_twice(), bounded(secs(9)));
    assert_eq!((short, none, long), ([secs(3), secs(2)], Ok([None, None]), [secs(9), secs(8)]));

    // Within one limit, all of them have it.
    let both = async || Ok::<_, Error>(join_all([look_twice().boxed(), look_twice().timeout(secs(2)).boxed()]).await);
    let both = both.timeout(secs(4)).call().await.unwrap();
    assert_eq!(both, [Ok([Some(secs(4)), Some(secs(3))]), Ok([Some(secs(2)), Some(secs(1))])]);
}

#[tokio::test(start_paused = true)]
async fn spawned_tasks_and_threads_have_none() {
    let spawns = async || {
        let task = tokio::spawn(async { (left(), look_twice().await.unwrap()) }).await.unwrap();
        let thread = tokio::task::spawn_blocking(left).await.unwrap();
        Ok::<_, Error>((task, thread, thread::spawn(left).join().unwrap(), left().is_some()))
    };
    assert_eq!(spawns.timeout(secs(5)).call().await, Ok(((None, [None, None]), None, None, true)));
}

#[tokio::test(start_paused = true)]
async fn the_previous_deadline_is_restored_after_a_panic() {
    for is_pending_first in [false, true] {
        let panics = || async move {
            if is_pending_first {
                sleep(secs(1)).await;
            }
            assert_eq!(left(), Some(secs(if is_pending_first { 1 } else { 2 })));
            assert!(left().is_none(), "a bug");
            Ok::<(), Error>(())
        };
        let outer = async || {
            let caught = AssertUnwindSafe(panics.timeout(secs(2)).call()).catch_unwind().await;
            Ok::<_, Error>((caught.is_err(), left()))
        };
        let rest = secs(if is_pending_first { 8 } else { 9 });
        assert_eq!(outer.timeout(secs(9)).call().await, Ok((true, Some(rest))));
        let caught = AssertUnwindSafe(panics.timeout(secs(2)).call()).catch_unwind().await;
        assert_eq!((caught.is_err(), left()), (true, None));
    }
}

#[tokio::test(start_paused = true)]
async fn a_dropped_call_leaves_no_deadline() {
    {
        let mut call = pin!(look_twice().timeout(secs(3)));
        assert!(call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }
    assert_eq!(left(), None);
    assert!(pending::<Answer<()>>().timeout(secs(1)).await.is_err());
    assert_eq!(left(), None);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_is_a_moment() {
    let begun = Instant::now();
    let deadlines = async || {
        let first = Deadline::current().unwrap();
        sleep(secs(1)).await;
        Ok::<_, Error>((first, Deadline::current().unwrap()))
    };
    let (first, second) = deadlines.timeout(secs(3)).call().await.unwrap();
    assert_eq!((first, first.instant() - begun), (second, secs(3)));
    assert_eq!(format!("{first:?}"), "Deadline { remaining: 2s, .. }");
    sleep(secs(9)).await;
    assert_eq!(first.remaining(), Duration::ZERO);
}

// ---- threads ----

#[allow(clippy::unnecessary_wraps)] // a limit needs an output that carries its error
fn look_on_this_thread() -> Answer<Option<Duration>> {
    Ok(left())
}

#[test]
fn the_threads_of_blocking_limits_inherit_the_deadline() {
    let _clock = VirtualClock::start();
    let look = look_on_this_thread.blocking();
    assert_eq!(look.timeout(secs(5)).call(), Ok(Some(secs(5))));
    assert_eq!(left(), None);
    assert_eq!(look.timeout(Duration::MAX).call(), Ok(None));

    let late = |inner| {
        let late = move || {
            test_util::sleep(secs(1));
            look_on_this_thread.blocking().timeout(inner).run()
        };
        late.blocking().timeout(secs(5)).run().unwrap()
    };
    assert_eq!(late(secs(2)), Some(secs(2)), "the inner limit is nearer");
    assert_eq!(late(secs(9)), Some(secs(4)), "the outer limit is nearer");
    assert_eq!(late(Duration::MAX), Some(secs(4)));
    assert_eq!(
        late(Duration::MAX.saturating_sub(secs(1))),
        Some(secs(4)),
        "the clock cannot represent the inner limit"
    );

    let spawns = || Ok::<_, Error>(thread::spawn(left).join().unwrap());
    assert_eq!(spawns.blocking().timeout(secs(5)).run(), Ok(None));
}

#[test]
fn a_thread_of_the_pool_keeps_no_deadline() {
    let _clock = VirtualClock::start();
    let panics = || -> Answer<()> { panic!("a bug") };
    assert!(catch_unwind(AssertUnwindSafe(|| panics.blocking().timeout(secs(5)).run())).is_err());
    let users: Memo<u64, u64> = Memo::ttl(secs(60));
    let seen = Arc::new(Mutex::new(None));
    let its = Arc::clone(&seen);
    let load = move |n: u64| {
        *its.lock().unwrap() = Some(left());
        Ok::<_, Error>(n)
    };
    // The load runs on a thread of the pool, and goes on without its caller.
    load.blocking().memoized(&users).detached().timeout(secs(5)).call(7).unwrap();
    assert_eq!(seen.lock().unwrap().take(), Some(None));
}

/// A task may block, and the clocks of tasks and of threads need not be the same. In real time,
/// because a task of a paused runtime may not block.
#[test]
fn a_blocking_call_within_a_task_has_the_deadline_of_the_task() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build().unwrap();
    // If the task has not been pending, its limit has not begun to count.
    for yields in [0, 1] {
        let call = move || async move {
            for _ in 0..yields {
                tokio::task::yield_now().await;
            }
            let here = left().unwrap();
            Ok::<_, Error>([here, look_on_this_thread.blocking().timeout(secs(9_000)).run()?.unwrap()])
        };
        let seen = runtime.block_on(runtime.spawn(call.timeout(secs(5_000)).call())).unwrap().unwrap();
        assert!(seen.iter().all(|left| (secs(4_000)..=secs(5_000)).contains(left)), "{seen:?}");
    }
}

// ---- retries ----

#[tokio::test(start_paused = true)]
async fn a_retry_returns_its_own_error_in_place_of_being_cut_off() {
    let begun = Instant::now();
    let attempts = RefCell::new(Vec::new());
    let fail = || {
        attempts.borrow_mut().push(begun.elapsed());
        fails()
    };
    let policy = RetryPolicy::fixed(secs(1)).max_attempts(100);
    assert_eq!(fail.retry_with(&policy).timeout(ms(3_500)).await, Err(down()));
    assert_eq!((begun.elapsed(), attempts.take()), (secs(3), vec![secs(0), secs(1), secs(2), secs(3)]));
}

#[test]
fn a_blocking_retry_returns_its_own_error_in_place_of_being_cut_off() {
    let clock = VirtualClock::start();
    let attempts = Arc::new(Mutex::new(Vec::new()));
    let its = Arc::clone(&attempts);
    let fail = move || {
        its.lock().unwrap().push(test_util::elapsed().unwrap());
        Err::<u32, _>(down())
    };
    let policy = RetryPolicy::fixed(secs(1)).max_attempts(100);
    assert_eq!(fail.blocking().retry_with(policy).timeout(ms(3_500)).run(), Err(down()));
    assert_eq!(clock.elapsed(), secs(3));
    assert_eq!(*attempts.lock().unwrap(), [secs(0), secs(1), secs(2), secs(3)]);
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_ends_exactly_at_the_limit_is_begun() {
    let attempts = Cell::new(0);
    let third = || {
        attempts.set(attempts.get() + 1);
        ready(if attempts.get() == 3 { Ok(7) } else { Err(down()) })
    };
    let begun = Instant::now();
    let policy = RetryPolicy::fixed(secs(1)).max_attempts(100);
    assert_eq!(third.retry_with(&policy).timeout(secs(2)).await, Ok(7));
    assert_eq!(begun.elapsed(), secs(2));
    let policy = RetryPolicy::fixed(Duration::from_nanos(1_000_000_001)).max_attempts(100);
    assert_eq!(fails.retry_with(&policy).timeout(secs(1)).await, Err(down()));
    assert_eq!(begun.elapsed(), secs(2));
}

/// The limit of a retry that ends within an attempt still cuts that attempt off.
#[tokio::test(start_paused = true)]
async fn an_attempt_is_cut_off_as_before() {
    let begun = Instant::now();
    let slow = async || {
        sleep(secs(2)).await;
        Err::<(), _>(down())
    };
    let policy = RetryPolicy::fixed(secs(1)).max_attempts(100);
    let error = slow.named("slow").retry_with(&policy).timeout(secs(4)).await.unwrap_err();
    assert_eq!(
        (error, begun.elapsed()),
        (Error::TimedOut { name: "slow".into(), after: secs(4), label: None }, secs(4))
    );
}

#[tokio::test(start_paused = true)]
async fn a_hint_or_a_pause_beyond_the_limit_ends_the_retry_at_once() {
    let begun = Instant::now();
    let policy = RetryPolicy::fixed(secs(1));
    let hinted = fails.retry_with(&policy).retry_after(|_| Some(secs(60))).timeout(secs(5));
    assert_eq!((hinted.await, begun.elapsed()), (Err(down()), Duration::ZERO));

    let limiter = RateLimiter::new(10, secs(1));
    let pausing = fails.pausing(&limiter, |_| Some(secs(60))).rate_limited(&limiter);
    assert_eq!(pausing.retry_with(&policy).timeout(secs(5)).await, Err(down()));
    assert_eq!((begun.elapsed(), limiter.stats().admitted), (Duration::ZERO, 1));
}

#[tokio::test(start_paused = true)]
async fn a_retry_that_gives_up_by_a_limit_is_reported() {
    let log = listen();
    let seen = RefCell::new(Vec::new());
    let retry = fails
        .named("f")
        .retry_with(RetryPolicy::fixed(secs(1)).max_attempts(9))
        .on_give_up(|g| seen.borrow_mut().push((g.attempts, g.elapsed, g.reason)))
        .explained()
        .timeout(ms(1_500));
    let error = retry.await.unwrap_err();
    assert_eq!((error.attempts(), error.reason()), (2, GiveUpReason::DeadlineReached));
    assert_eq!(seen.take(), [(2, secs(1), GiveUpReason::DeadlineReached)]);
    assert_eq!(
        log.take(),
        ["DEBUG f failed at attempt 1, retrying in 1s", "WARN f gave up at attempt 2: deadline reached"]
    );
}

#[tokio::test(start_paused = true)]
async fn the_nearest_limit_ends_nested_retries() {
    let begun = Instant::now();
    let calls = Cell::new(0);
    let fail = || {
        calls.set(calls.get() + 1);
        fails()
    };
    let policy = RetryPolicy::fixed(secs(1)).max_attempts(3);
    // The inner retry ends at 2 s and at 5 s by its number of attempts, and gives up at 7 s.
    let nested = fail.retry_with(&policy).retry_with(&policy).timeout(ms(7_900));
    assert_eq!((nested.await, begun.elapsed(), calls.get()), (Err(down()), secs(7), 8));

    // The limit within ends the inner retry, and the outer one goes on.
    let (begun, calls_before) = (Instant::now(), calls.get());
    let nested = fail.retry_with(&policy).timeout(ms(1_500)).retry_with(&policy).timeout(secs(60));
    assert_eq!((nested.await, begun.elapsed(), calls.get() - calls_before), (Err(down()), secs(5), 6));
}

// ---- limiters ----

#[tokio::test(start_paused = true)]
async fn a_limiter_refuses_a_wait_beyond_the_limit_at_once() {
    let begun = Instant::now();
    let one = async |_: u64| Ok::<_, Error>(7);
    let refused = Err(Error::RateLimited { retry_after: secs(10) });
    let limiter = &busy();
    let keyed: &KeyedLimiter<u64> = &KeyedLimiter::new(2, secs(10));
    keyed.for_key(&7).try_acquire_many(2).unwrap();
    let key = |key: &u64| *key;

    let limit = ms(9_999);
    assert_eq!(one.rate_limited_within(limiter, secs(60)).timeout(limit).call(7).await, refused);
    assert_eq!(one.rate_limited_by(limiter, |_: &u64| 1).timeout(limit).call(7).await, refused);
    assert_eq!(one.rate_limited(limiter).permits(|_: &u64| 1).timeout(limit).call(7).await, refused);
    assert_eq!(one.rate_limited_within_by_key(keyed, secs(60), key).timeout(limit).call(7).await, refused);
    assert_eq!(one.rate_limited_by_key(keyed, key).permits(|_: &u64| 1).timeout(limit).call(7).await, refused);
    assert_eq!(one(7).rate_limited_within(limiter, secs(60)).timeout(limit).await, refused);
    let by_hand = async || limiter.acquire_many(1).await.map(|()| 7);
    assert_eq!(by_hand.timeout(limit).call().await, refused);
    let by_hand = async || limiter.acquire_within(secs(60)).await.map(|()| 7);
    assert_eq!(by_hand.timeout(secs(60)).timeout(limit).call().await, refused);
    assert_eq!((begun.elapsed(), limiter.stats().waiting), (Duration::ZERO, 0));

    // Its own bound is nearer, and a wait without a bound is cut off.
    assert_eq!(one.rate_limited_within(limiter, secs(1)).timeout(secs(60)).call(7).await, refused);
    let cut_off = one.rate_limited(limiter).timeout(secs(5)).call(7).await;
    assert!(matches!(cut_off, Err(Error::TimedOut { .. })) && begun.elapsed() == secs(5));

    // A wait that ends at the limit fits, also with a limit that counts already.
    let fits = async || {
        sleep(secs(2)).await;
        one.rate_limited_by(limiter, |_: &u64| 1).call(7).await
    };
    assert_eq!((fits.timeout(secs(5)).call().await, begun.elapsed()), (Ok(7), secs(10)));
    assert_eq!(limiter.stats().refused, 6 + 1);
}

#[test]
fn a_limiter_refuses_a_blocking_wait_beyond_the_limit_at_once() {
    let clock = VirtualClock::start();
    let limiter = busy();
    let one = || Ok::<_, Error>(7);
    let refused = Err(Error::RateLimited { retry_after: secs(10) });
    assert_eq!(one.blocking().rate_limited_within(&limiter, secs(60)).timeout(ms(9_999)).call(), refused);
    assert_eq!(one.blocking().rate_limited_by(&limiter, || 1).timeout(ms(9_999)).call(), refused);
    assert_eq!(clock.elapsed(), Duration::ZERO);
    assert_eq!(one.blocking().rate_limited_by(&limiter, || 1).timeout(secs(10)).call(), Ok(7));
    assert_eq!((clock.elapsed(), limiter.stats().refused), (secs(10), 2));
}

/// A limit that has passed ends the call by itself, with an error that says so.
#[tokio::test(start_paused = true)]
async fn a_call_without_any_time_left_times_out() {
    let limiter = busy();
    let one = async || Ok::<_, Error>(7);
    let call = one.rate_limited_by(&limiter, || 1).timeout(Duration::ZERO).call();
    assert!(matches!(call.await, Err(Error::TimedOut { .. })));
    assert_eq!((limiter.stats().refused, limiter.stats().waiting), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_refused_wait_ends_a_retry_at_once() {
    let begun = Instant::now();
    let limiter = busy();
    let one = async || Ok::<_, Error>(7);
    let call = one.rate_limited_by(&limiter, || 1).retry_with(RetryPolicy::fixed(secs(1))).transient();
    assert_eq!(call.timeout(secs(5)).call().await, Err(Error::RateLimited { retry_after: secs(10) }));
    assert_eq!((begun.elapsed(), limiter.stats().refused), (Duration::ZERO, 1));
}

// ---- concurrency limiters ----

/// The limiter does not know how long the calls in progress take. So no wait is refused before it
/// begins, and a wait ends at the limit, with the limiter's own error.
#[tokio::test(start_paused = true)]
async fn a_wait_for_a_place_ends_at_the_limit_with_the_error_of_the_limiter() {
    let places = &ConcurrencyLimiter::builder().limit(2).named("users").build();
    let keyed: &KeyedConcurrencyLimiter<u64> = &KeyedConcurrencyLimiter::new(2);
    let taken = (places.try_acquire_many(2).unwrap(), keyed.for_key(&7).try_acquire_many(2).unwrap());
    let one = async |_: u64| Ok::<_, Error>(7);
    let by_user = |id: &u64| *id;
    let refused = Err(Error::ConcurrencyLimited { name: "users".into(), limit: 2, waiting: 0 });
    let refused_by_key =
        Err(Error::ConcurrencyLimited { name: "the concurrency limiter".into(), limit: 2, waiting: 0 });
    let (limit, at_the_limit) = (ms(4_500), (refused.clone(), ms(4_500)));
    let within = one.concurrency_limited_within(places, secs(60));
    assert_eq!(timed(within.clone().timeout(limit).call(7)).await, at_the_limit);
    assert_eq!(timed(one.concurrency_limited_by(places, |_: &u64| 1).timeout(limit).call(7)).await, at_the_limit);
    assert_eq!(timed(one.concurrency_limited(places).permits(|_: &u64| 2).timeout(limit).call(7)).await, at_the_limit);
    assert_eq!(timed(one(7).concurrency_limited_within(places, secs(60)).timeout(limit)).await, at_the_limit);
    let by_key = one.concurrency_limited_within_by_key(keyed, secs(60), by_user).timeout(limit);
    assert_eq!(timed(by_key.call(7)).await, (refused_by_key, limit));
    let by_hand = async || places.acquire_many(2).await.map(|_| 7);
    assert_eq!(timed(by_hand.timeout(limit).call()).await, at_the_limit);
    let by_hand = async || places.acquire_within(secs(60)).await.map(|_| 7);
    assert_eq!(timed(by_hand.timeout(secs(60)).timeout(limit).call()).await, at_the_limit);
    // A limit that counts already.
    let late = async || {
        sleep(secs(2)).await;
        within.call(7).await
    };
    assert_eq!(timed(late.timeout(limit).call()).await, at_the_limit);
    // A retry has no time left for another attempt, and returns that error.
    let retried = within.clone().retry_with(RetryPolicy::fixed(secs(1))).transient();
    assert_eq!(timed(retried.timeout(limit).call(7)).await, at_the_limit);
    let stats = places.stats();
    assert_eq!((stats.refused, stats.cancelled, stats.waiting), (8, 0, 0));

    // Its own bound is nearer, or it does not wait at all.
    let short = one.concurrency_limited_within(places, secs(1)).timeout(limit);
    assert_eq!(timed(short.call(7)).await, (refused.clone(), secs(1)));
    let tries = one.try_concurrency_limited(places).timeout(limit);
    assert_eq!(timed(tries.call(7)).await, (refused.clone(), Duration::ZERO));
    // A wait that cannot fail is cut off, and so is a wait without any time left.
    let (cut_off, elapsed) = timed(one.concurrency_limited(places).timeout(limit).call(7)).await;
    assert!(matches!(cut_off, Err(Error::TimedOut { .. })) && elapsed == limit);
    let (cut_off, elapsed) = timed(within.clone().timeout(Duration::ZERO).call(7)).await;
    assert!(matches!(cut_off, Err(Error::TimedOut { .. })) && elapsed.is_zero());
    assert_eq!((places.stats().refused, places.stats().cancelled), (10, 2));
    // Outside of a limit, a wait without a bound goes on.
    let waits = tokio::time::timeout(secs(100), one.concurrency_limited_by(places, |_: &u64| 1).call(7));
    assert!(waits.await.is_err());
    drop(taken);
    assert_eq!(timed(within.timeout(limit).call(7)).await, (Ok(7), Duration::ZERO));
}

/// A place that was handed over by the limit is taken, even if the call is polled later.
#[tokio::test(start_paused = true)]
async fn a_place_that_comes_at_the_limit_is_taken() {
    let places = ConcurrencyLimiter::new(1);
    let one = async || Ok::<_, Error>(7);
    let bounded = one.concurrency_limited_within(&places, secs(60)).timeout(secs(5));
    let taken = places.try_acquire().unwrap();
    let mut call = tokio_test::task::spawn(bounded.call());
    tokio_test::assert_pending!(call.poll());
    tokio::time::advance(secs(5)).await;
    drop(taken);
    assert_eq!(tokio_test::assert_ready!(call.poll()), Ok(7));
    // A moment too late for another call.
    let taken = places.try_acquire().unwrap();
    let mut call = tokio_test::task::spawn(bounded.call());
    tokio_test::assert_pending!(call.poll());
    tokio::time::advance(secs(5)).await;
    let refused = Error::ConcurrencyLimited { name: "the concurrency limiter".into(), limit: 1, waiting: 0 };
    assert_eq!(tokio_test::assert_ready!(call.poll()), Err(refused));
    drop(taken);
    assert_eq!(places.available(), 1);
}

#[test]
fn a_blocking_wait_for_a_place_ends_at_the_limit_with_the_error_of_the_limiter() {
    let clock = VirtualClock::start();
    let places = ConcurrencyLimiter::new(1);
    let taken = places.try_acquire().unwrap();
    let one = || Ok::<_, Error>(7);
    let refused = Err(Error::ConcurrencyLimited { name: "the concurrency limiter".into(), limit: 1, waiting: 0 });
    let within = one.blocking().concurrency_limited_within(&places, secs(60));
    assert_eq!((within.clone().timeout(ms(4_500)).call(), clock.elapsed()), (refused.clone(), ms(4_500)));
    let by_number = one.blocking().concurrency_limited_by(&places, || 1);
    assert_eq!((by_number.timeout(ms(4_500)).call(), clock.elapsed()), (refused, secs(9)));
    let cut_off = one.blocking().concurrency_limited(&places).timeout(secs(1)).call();
    assert!(matches!(cut_off, Err(Error::TimedOut { .. })) && clock.elapsed() == secs(10));
    drop(taken);
    assert_eq!((within.timeout(ms(4_500)).call(), clock.elapsed()), (Ok(7), secs(10)));
}

// ---- memos ----

/// The load of two calls, of which the first leads.
#[tokio::test(start_paused = true)]
async fn a_joined_load_has_the_deadline_of_the_call_that_loads() {
    let begun = Instant::now();
    let users: Memo<u64, u64> = Memo::ttl(secs(60));
    let seen = RefCell::new(Vec::new());
    let load = async |n: u64| {
        seen.borrow_mut().push(left());
        sleep(secs(1)).await;
        seen.borrow_mut().push(left());
        Ok::<_, Error>(n)
    };
    let get = load.memoized(&users);
    let leader = get.clone().timeout(secs(9));
    // A call that waits is bounded by its own limit, and does not change that of the load.
    let (led, joined) = tokio::join!(leader.call(7), get.clone().timeout(ms(500)).call(7));
    assert_eq!((led, begun.elapsed()), (Ok(7), secs(1)));
    assert!(matches!(joined, Err(Error::TimedOut { .. })));
    assert_eq!(seen.take(), [Some(secs(9)), Some(secs(8))]);

    // The first call leaves after 500 ms, and the load of the second has the second's deadline.
    let (led, joined) = tokio::join!(get.timeout(ms(500)).call(8), leader.call(8));
    assert!(matches!(led, Err(Error::TimedOut { .. })) && joined == Ok(8));
    assert_eq!(seen.take(), [Some(ms(500)), Some(ms(8_500)), Some(ms(7_500))]);
}

/// The error of a load that gives up by its leader's deadline is that of every failed load.
#[tokio::test(start_paused = true)]
async fn a_load_gives_up_by_the_deadline_of_its_leader() {
    let begun = Instant::now();
    let users: Memo<u64, u32> = Memo::ttl(secs(60));
    let fail = |_: u64| fails();
    let policy = RetryPolicy::fixed(secs(1)).max_attempts(5);
    let get = fail.named("f").retry_with(&policy).memoized(&users);
    let (led, joined) = tokio::join!(get.clone().timeout(ms(1_500)).call(7), get.clone().timeout(secs(60)).call(7));
    assert_eq!((led, begun.elapsed()), (Err(down()), secs(1)));
    assert_eq!(joined, Err(Error::LoadFailed { name: "f".into(), message: down().to_string() }));

    // By itself, the second call has the time for all attempts.
    let get = get.isolating_errors();
    let (led, joined) = tokio::join!(get.clone().timeout(ms(1_500)).call(8), get.timeout(secs(60)).call(8));
    assert_eq!((led, joined, begun.elapsed()), (Err(down()), Err(down()), secs(1 + 1 + 4)));
}

#[tokio::test(start_paused = true)]
async fn a_detached_load_has_no_deadline() {
    let users: Memo<u64, u64> = Memo::ttl(secs(60));
    let seen = Arc::new(Mutex::new(Vec::new()));
    let its = Arc::clone(&seen);
    let load = move |n: u64| {
        let seen = Arc::clone(&its);
        seen.lock().unwrap().push(left()); // where the future is made
        async move {
            seen.lock().unwrap().push(left());
            sleep(secs(1)).await;
            seen.lock().unwrap().push(left());
            Ok::<_, Error>(n)
        }
    };
    assert_eq!(load.memoized(&users).detached().timeout(secs(5)).call(7).await, Ok(7));
    assert_eq!(*seen.lock().unwrap(), [None; 3]);
}

/// The retry of a detached load takes its full time, and the caller leaves by its own limit.
#[test]
fn a_detached_blocking_load_retries_on_without_its_caller() {
    let clock = VirtualClock::start();
    let users: Memo<u64, u32> = Memo::ttl(secs(60));
    let attempts = Arc::new(Mutex::new(Vec::new()));
    let its = Arc::clone(&attempts);
    let fail = move |_: u64| {
        its.lock().unwrap().push(test_util::elapsed().unwrap());
        Err::<u32, _>(down())
    };
    let get = fail.blocking().retry_with(RetryPolicy::fixed(secs(1))).memoized(&users).detached().timeout(ms(1_500));
    assert!(matches!(get.call(7), Err(Error::TimedOut { .. })));
    assert_eq!(clock.elapsed(), ms(1_500));
    test_util::sleep(secs(60));
    assert_eq!(*attempts.lock().unwrap(), [secs(0), secs(1), secs(2)]);
}

/// Looks at its deadline, and lets other tasks run in between.
async fn look_and_yield() -> Answer<[Option<Duration>; 3]> {
    let mut seen = [None; 3];
    for look in &mut seen {
        *look = left();
        tokio::task::yield_now().await;
    }
    Ok(seen)
}

#[test]
fn tasks_that_take_turns_on_a_thread_keep_their_deadlines_apart() {
    paused().block_on(async {
        let bounded = (1..5).map(|limit| tokio::spawn(look_and_yield.timeout(secs(limit)).call()));
        let (bounded, free) = (bounded.collect::<Vec<_>>(), tokio::spawn(look_and_yield()));
        for (task, limit) in bounded.into_iter().zip(1..) {
            assert_eq!(task.await.unwrap(), Ok([Some(secs(limit)); 3]));
        }
        assert_eq!(free.await.unwrap(), Ok([None; 3]));
    });
}
