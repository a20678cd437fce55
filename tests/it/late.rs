//! Work that a closure does before it returns its future is held back with the call.

use crate::support::secs;
use decor::{Error, KeyedLimiter, Memo, RateLimiter, prelude::*, test_util::VirtualClock};
use futures::future::{BoxFuture, join_all};
use std::{
    future::{Future, ready},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::time::Instant;

type Answer = Result<u32, Error>;

/// When the function was called, since the test began.
#[derive(Clone)]
struct Calls {
    begun: Instant,
    at: Arc<Mutex<Vec<Duration>>>,
}

impl Calls {
    fn new() -> Self {
        Self { begun: Instant::now(), at: Arc::default() }
    }

    /// Spawns a task before it returns a future, as a request that is sent at once does.
    fn spawn(&self) -> impl Fn(u32) -> BoxFuture<'static, Answer> + Clone + Send + Sync + use<> {
        let calls = self.clone();
        move |n| {
            calls.at.lock().unwrap().push(calls.begun.elapsed());
            let sent = tokio::spawn(async move { n });
            Box::pin(async move { Ok(sent.await.expect("it does not panic")) })
        }
    }

    fn take(&self) -> Vec<u64> {
        std::mem::take(&mut *self.at.lock().unwrap()).iter().map(Duration::as_secs).collect()
    }
}

async fn five<F: Future<Output = Answer>>(call: impl Fn(u32) -> F) -> usize {
    join_all((0..5).map(call)).await.iter().filter(|answer| answer.is_ok()).count()
}

#[tokio::test(start_paused = true)]
async fn each_call_begins_when_it_is_admitted() {
    let minute = secs(60);
    let limiter = || RateLimiter::new(1, minute);
    let keyed = KeyedLimiter::new(1, minute);
    let calls = Calls::new();
    let spawn = calls.spawn();
    let bounded = spawn.clone().rate_limited(&limiter());
    assert_eq!((five(|n| bounded.call(n)).await, calls.take()), (5, vec![0, 60, 120, 180, 240]));

    let calls = Calls::new();
    let bounded = calls.spawn().rate_limited_by(&limiter(), |_: &u32| 1);
    assert_eq!((five(|n| bounded.call(n)).await, calls.take()), (5, vec![0, 60, 120, 180, 240]));

    let calls = Calls::new();
    let bounded = calls.spawn().rate_limited_by_key(&keyed, |_: &u32| "key");
    assert_eq!((five(|n| bounded.call(n)).await, calls.take()), (5, vec![0, 60, 120, 180, 240]));

    // Whatever stands between the function and its limiter, and after it.
    let calls = Calls::new();
    let bounded = calls
        .spawn()
        .timed("fetch")
        .logged_values()
        .timeout(secs(1))
        .validated(|_: &u32| Ok::<_, &str>(()))
        .err_into::<Error>()
        .rate_limited(&limiter())
        .named("fetch")
        .retry_with(RetryPolicy::default())
        .timeout(secs(600))
        .boxed();
    assert_eq!((five(|n| bounded.call(n)).await, calls.take()), (5, vec![0, 60, 120, 180, 240]));
}

#[tokio::test(start_paused = true)]
async fn a_refused_call_is_not_begun() {
    let limiter = RateLimiter::new(1, secs(60));
    let calls = Calls::new();
    let bounded = calls.spawn().try_rate_limited(&limiter);
    assert_eq!((five(|n| bounded.call(n)).await, calls.take()), (1, vec![0]));
    let bounded = calls.spawn().rate_limited_within(&limiter, secs(60));
    assert_eq!((five(|n| bounded.call(n)).await, calls.take()), (1, vec![60]));
    let full = RateLimiter::builder().window(1, secs(60)).refuse_above(1).build();
    let calls = Calls::new();
    let bounded = calls.spawn().rate_limited_by(&full, |n: &u32| 1 + n / 4);
    assert_eq!((five(|n| bounded.call(n)).await, calls.take()), (2, vec![0, 60]));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_while_it_waits_is_not_begun() {
    let limiter = RateLimiter::new(1, secs(60));
    let calls = Calls::new();
    let bounded = calls.spawn().rate_limited(&limiter).timeout(secs(90));
    assert_eq!((five(|n| bounded.call(n)).await, calls.take()), (2, vec![0, 60]));
}

#[tokio::test(start_paused = true)]
async fn each_attempt_and_each_load_begins_in_its_turn() {
    let policy = RetryPolicy::fixed(secs(10));
    let calls = Calls::new();
    let spawn = calls.spawn();
    let failing = move |n| {
        let sent = spawn(n);
        async move { sent.await.and(Err::<u32, _>(Error::QueueFull { waiting: 0 })) }
    };
    let retried = failing.retry_with(&policy);
    let call = retried.call(1);
    assert_eq!(calls.take(), [0; 0]);
    assert!(call.await.is_err());
    assert_eq!(calls.take(), [0, 10, 20]);

    let memo: Memo<u32, u32> = Memo::ttl(secs(60));
    let calls = Calls::new();
    let memoized = calls.spawn().memoized(&memo);
    let both = [memoized.call(7), memoized.call(7)];
    assert_eq!(calls.take(), [0; 0]);
    assert_eq!(join_all(both).await, [Ok(7), Ok(7)]);
    assert_eq!(calls.take(), [0]);
}

#[test]
fn so_do_sync_functions() {
    let clock = VirtualClock::start();
    let limiter = RateLimiter::new(1, secs(60));
    let calls = AtomicU32::new(0);
    let count = |n: u32| Answer::Ok(calls.fetch_add(1, Relaxed) + n - n);
    let bounded = count.blocking().rate_limited(&limiter);
    assert_eq!([bounded.call(1), bounded.call(1)], [Ok(0), Ok(1)]);
    assert_eq!(clock.elapsed(), secs(60));
    assert!(count.blocking().try_rate_limited(&limiter).call(1).is_err());
    assert!(count.blocking().rate_limited_within(&limiter, secs(59)).call(1).is_err());
    assert_eq!(calls.load(Relaxed), 2);
}

#[tokio::test(start_paused = true)]
async fn a_function_that_panics_before_its_future_keeps_its_permit() {
    let limiter = RateLimiter::new(2, secs(60));
    let panics = |n: u32| {
        assert_eq!(n, 0, "no future");
        ready(n)
    };
    let bounded = panics.rate_limited(&limiter);
    let call = bounded.call(1);
    let mut call = tokio_test::task::spawn(call);
    assert!(catch_unwind(AssertUnwindSafe(|| call.poll())).is_err());
    drop(call);
    assert_eq!(limiter.available(), 1);
    assert_eq!(bounded.call(0).await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_function_that_counts_is_limited_and_awaited() {
    let limiter = RateLimiter::new(1, secs(1));
    let mut calls = 0;
    let count = || {
        calls += 1;
        ready(calls)
    };
    assert_eq!(count.rate_limited(&limiter).await, 1);
    assert_eq!(calls, 1);
}
