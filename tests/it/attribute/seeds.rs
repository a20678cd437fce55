//! The programs of the first Python document, with the attribute where Python has its decorators.

use crate::{
    python_documents::PyError,
    support::{listen, ms, secs},
};
use PyError::ValueError;
use decor::{Logging, Timing, decorated, prelude::*, test_util::VirtualClock};
use std::{
    sync::{
        Arc, LazyLock, Mutex,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::time::{Instant, sleep};

// ---- @timer ----

#[decorated(.timed("slow_func"))]
async fn slow_func() -> &'static str {
    sleep(ms(500)).await;
    "done"
}

#[tokio::test(start_paused = true)]
async fn timer() {
    let log = listen();
    assert_eq!(slow_func().await, "done");
    assert_eq!(log.take(), ["INFO slow_func took 500ms"]);
}

static LINES: Mutex<Vec<String>> = Mutex::new(Vec::new());

// @timer(logger=my_logger)
#[decorated(.timed_with(Timing::new("my_func").record_to(|m| LINES.lock().unwrap().push(m.to_string()))))]
async fn my_func() {
    sleep(ms(123)).await;
}

#[tokio::test(start_paused = true)]
async fn timer_with_logger() {
    my_func().await;
    assert_eq!(*LINES.lock().unwrap(), ["my_func took 123ms"]);
}

#[test]
fn timer_of_a_sync_function() {
    #[decorated(.timed("slow_func"))]
    fn slow_func() -> &'static str {
        decor::test_util::sleep(ms(500));
        "done"
    }
    let (clock, log) = (VirtualClock::start(), listen());
    assert_eq!(slow_func(), "done");
    assert_eq!(log.take(), ["INFO slow_func took 500ms"]);
    assert_eq!(clock.elapsed(), ms(500));
}

// ---- @retry ----

static ATTEMPT: AtomicU32 = AtomicU32::new(0);

// @retry(max_attempts=3, delay=0.1)
#[decorated(.retry_with(RetryPolicy::exponential(ms(100)).max_attempts(3)))]
async fn flaky_func() -> Result<&'static str, PyError> {
    if ATTEMPT.fetch_add(1, Relaxed) + 1 < 3 { Err(ValueError("fail")) } else { Ok("success") }
}

#[tokio::test(start_paused = true)]
async fn retry() {
    let begun = Instant::now();
    assert_eq!(flaky_func().await, Ok("success"));
    assert_eq!(ATTEMPT.load(Relaxed), 3);
    assert_eq!(begun.elapsed(), ms(100 + 200));
}

// ---- @log_calls ----

#[decorated(.logged_with(Logging::new().values()))]
async fn add(a: i32, b: i32, scale: &str) -> Result<i32, PyError> {
    sleep(ms(120)).await;
    if scale == "ok" { Ok(a + b) } else { Err(ValueError("unknown scale")) }
}

#[tokio::test(start_paused = true)]
async fn log_calls() {
    let log = listen();
    assert_eq!(add(1, 2, "ok").await, Ok(3));
    assert_eq!(log.take(), [r#"DEBUG calling add(1, 2, "ok")"#, "INFO add returned 3"]);
    add(1, 2, "no").await.unwrap_err();
    assert_eq!(log.take(), [r#"DEBUG calling add(1, 2, "no")"#, "WARN add failed in 120ms: PyError: unknown scale"]);
}

// ---- @rate_limit ----

static THREE_PER_SECOND: LazyLock<RateLimiter> = LazyLock::new(|| RateLimiter::new(3, secs(1)));

// @rate_limit(max_calls=3, period=1)
#[decorated(.rate_limited(&THREE_PER_SECOND))]
async fn limited_func(n: u32) -> u32 {
    n
}

#[tokio::test(start_paused = true)]
async fn rate_limit() {
    let start = Instant::now();
    for n in 0..5 {
        assert_eq!(limited_func(n).await, n);
    }
    assert_eq!(start.elapsed(), secs(1));
}

// ---- @memoize_with_ttl ----

static COMPUTED: AtomicU32 = AtomicU32::new(0);
static DOUBLED: LazyLock<Memo<u32, u32>> = LazyLock::new(|| Memo::ttl(secs(1)));

// @memoize_with_ttl(ttl_seconds=1)
#[decorated(.memoized(&DOUBLED))]
async fn cached_func(x: u32) -> u32 {
    COMPUTED.fetch_add(1, Relaxed);
    x * 2
}

#[tokio::test(start_paused = true)]
async fn memoize_with_ttl() {
    assert_eq!((cached_func(5).await, COMPUTED.load(Relaxed)), (10, 1)); // computes
    assert_eq!((cached_func(5).await, COMPUTED.load(Relaxed)), (10, 1)); // from cache
    sleep(ms(1_500)).await;
    assert_eq!((cached_func(5).await, COMPUTED.load(Relaxed)), (10, 2)); // expired, recomputes
    let info = DOUBLED.stats().cache_info().to_string();
    assert_eq!(info, "CacheInfo(hits=1, misses=2, maxsize=10000, currsize=1)"); // func.cache_info()
    DOUBLED.clear(); // func.cache_clear()
    assert_eq!((cached_func(5).await, COMPUTED.load(Relaxed)), (10, 3));
}

// ---- the bonus challenges ----

fn is_positive(n: &i32) -> Result<(), String> {
    if *n > 0 { Ok(()) } else { Err(format!("{n} is not positive")) }
}

// @validate_args(n=is_positive)
#[decorated(.validated(is_positive))]
async fn root(n: i32) -> Result<f64, PyError> {
    Ok(f64::from(n).sqrt())
}

#[tokio::test]
async fn validate_args() {
    assert_eq!(root(9).await, Ok(3.0));
    assert_eq!(root(-9).await.unwrap_err().to_string(), "invalid argument: -9 is not positive");
}

// @deprecated("use root")
#[decorated(.deprecated("use root"))]
async fn old_root(n: i32) -> f64 {
    f64::from(n).sqrt()
}

#[tokio::test]
async fn deprecated() {
    let log = listen();
    assert_eq!(old_root(9).await.to_bits(), 3.0_f64.to_bits());
    let lines = log.take();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].starts_with("WARN old_root is deprecated: use root (called at "), "{lines:?}");
}

// @timeout(seconds)
#[decorated(.timeout(secs(2)))]
async fn hanging(time: Duration) -> Result<(), PyError> {
    sleep(time).await;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn timeout() {
    let begun = Instant::now();
    assert_eq!(hanging(secs(3)).await.unwrap_err().to_string(), "hanging timed out after 2s");
    assert_eq!(begun.elapsed(), secs(2));
}

// ---- all of them, in the order of a chain ----

static LIMITER: LazyLock<RateLimiter> = LazyLock::new(|| RateLimiter::new(10, secs(1)));
static USERS: LazyLock<Memo<u64, Arc<str>>> = LazyLock::new(|| Memo::ttl(secs(300)));

#[decorated(
    .timeout(secs(2))
    .rate_limited(&LIMITER)
    .retry_with(RetryPolicy::default())
    .memoized(&USERS)
    .timeout(secs(30))
    .logged()
    .timed("user")
)]
async fn user(id: u64) -> Result<Arc<str>, PyError> {
    Ok(format!("user {id}").into())
}

#[tokio::test(start_paused = true)]
async fn stacked() {
    let log = listen();
    assert_eq!(user(42).await.as_deref(), Ok("user 42"));
    assert_eq!(log.take(), ["DEBUG calling user", "INFO user returned in 0ns", "INFO user took 0ns"]);
    assert_eq!(user(42).await.as_deref(), Ok("user 42"));
    assert_eq!((USERS.stats().loads, LIMITER.stats().admitted), (1, 1));
}
