//! The two Python documents that decor started from. Each of their tests and promises is a test
//! here, under the same name.

use crate::support::{listen, ms, secs};
use decor::{
    Backoff, ConfigError, Error, GiveUpReason, Logging, Outcome, RetryConfig, RetryPolicy, Timing, prelude::*,
};
use std::{
    cell::{Cell, RefCell},
    future::ready,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::time::{Instant, sleep};
use tracing::Level;

#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(crate) enum PyError {
    #[error("{0}")]
    ValueError(&'static str),
    #[error("{0}")]
    TypeError(&'static str),
    #[error("{0}")]
    ConnectionError(&'static str),
    #[error(transparent)]
    Decor(#[from] Error),
}
use PyError::{ConnectionError, TypeError, ValueError};

// ---- the timer ----

async fn slow_func() -> &'static str {
    sleep(ms(500)).await;
    "done"
}

#[tokio::test(start_paused = true)]
async fn timer() {
    let log = listen();
    assert_eq!(slow_func.timed("slow_func").await, "done");
    assert_eq!(log.take(), ["INFO slow_func took 500ms"]);
}

#[tokio::test(start_paused = true)]
async fn timer_with_logger() {
    let log = listen();
    let lines = Arc::new(Mutex::new(Vec::new()));
    let my_logger = Arc::clone(&lines);
    let timing = Timing::new("my_func").record_to(move |m| my_logger.lock().unwrap().push(m.to_string()));
    let my_func = || sleep(Duration::from_micros(123_400));
    my_func.timed_with(timing).await;
    // Tokio's timer rounds up to whole milliseconds.
    assert_eq!(*lines.lock().unwrap(), ["my_func took 124ms"]);
    assert_eq!(log.take(), [""; 0]);
}

// ---- the retry ----

#[tokio::test(start_paused = true)]
async fn flaky_func() {
    let attempt = Cell::new(0);
    let flaky_func = || {
        attempt.set(attempt.get() + 1);
        ready(if attempt.get() < 3 { Err(ValueError("fail")) } else { Ok("success") })
    };
    let begun = Instant::now();
    let policy = RetryPolicy::exponential(ms(100)).max_attempts(3);
    assert_eq!(flaky_func.retry_with(policy).await, Ok("success"));
    assert_eq!(attempt.get(), 3);
    assert_eq!(begun.elapsed(), ms(100 + 200));
}

fn nanos(policy: &RetryPolicy) -> Vec<u128> {
    policy.schedule().map(|delay| delay.as_nanos()).collect()
}

#[test]
fn fixed_backoff() {
    let policy = RetryPolicy::fixed(Duration::from_nanos(1_000_000_007)).max_attempts(5);
    assert_eq!(nanos(&policy), [1_000_000_007; 4]);
}

#[test]
fn linear_backoff() {
    let policy = RetryPolicy::linear(Duration::from_nanos(1_000_000_007)).max_attempts(5);
    assert_eq!(nanos(&policy), [1_000_000_007, 2_000_000_014, 3_000_000_021, 4_000_000_028]);
}

#[test]
fn exponential_backoff() {
    let policy = RetryPolicy::exponential(Duration::from_nanos(1_000_000_007)).max_attempts(5);
    assert_eq!(nanos(&policy), [1_000_000_007, 2_000_000_014, 4_000_000_028, 8_000_000_056]);
    assert_eq!(nanos(&policy.factor(3.0)), [1_000_000_007, 3_000_000_021, 9_000_000_063, 27_000_000_189]);
}

async fn elapsed_of(policy: RetryPolicy) -> Duration {
    let begun = Instant::now();
    (|| ready(Err::<(), _>(ValueError("fail")))).retry_with(policy).await.unwrap_err();
    begun.elapsed()
}

#[tokio::test(start_paused = true)]
async fn the_delays_are_waited_exactly() {
    assert_eq!(elapsed_of(RetryPolicy::fixed(ms(250)).max_attempts(5)).await, ms(4 * 250));
    assert_eq!(elapsed_of(RetryPolicy::linear(ms(250)).max_attempts(5)).await, ms((1 + 2 + 3 + 4) * 250));
    assert_eq!(elapsed_of(RetryPolicy::exponential(ms(250)).max_attempts(5)).await, ms((1 + 2 + 4 + 8) * 250));
    assert_eq!(elapsed_of(RetryPolicy::default()).await, secs(1 + 2));
}

async fn calls_until(error: PyError) -> (PyError, u32) {
    let calls = Cell::new(0);
    let func = || {
        calls.set(calls.get() + 1);
        ready(Err::<(), _>(error.clone()))
    };
    let error = func
        .retry_with(RetryPolicy::fixed(ms(10)))
        .when(|e: &PyError| matches!(e, ValueError(_) | ConnectionError(_)))
        .await
        .unwrap_err();
    (error, calls.get())
}

#[tokio::test(start_paused = true)]
async fn only_the_specified_exceptions_are_retried() {
    assert_eq!(calls_until(ValueError("a")).await, (ValueError("a"), 3));
    assert_eq!(calls_until(ConnectionError("b")).await, (ConnectionError("b"), 3));
    let begun = Instant::now();
    assert_eq!(calls_until(TypeError("c")).await, (TypeError("c"), 1));
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn max_attempts_1() {
    let calls = Cell::new(0);
    let begun = Instant::now();
    let error = (|| {
        calls.set(calls.get() + 1);
        ready(Err::<(), _>(ValueError("fail")))
    })
    .retry_with(RetryPolicy::default().max_attempts(1))
    .explained()
    .await
    .unwrap_err();
    assert_eq!(error.to_string(), "retry failed after 1 attempt: fail");
    assert_eq!((calls.get(), begun.elapsed()), (1, Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn delay_0() {
    let calls = Cell::new(0);
    let begun = Instant::now();
    (|| {
        calls.set(calls.get() + 1);
        ready(Err::<(), _>(ValueError("fail")))
    })
    .retry_with(RetryPolicy::fixed(Duration::ZERO).max_attempts(5))
    .await
    .unwrap_err();
    // A sleep of zero would have taken 1 ms each time, the resolution of the timer.
    assert_eq!((calls.get(), begun.elapsed()), (5, Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn returns_immediately_on_success() {
    let calls = Cell::new(0);
    let begun = Instant::now();
    let func = || {
        calls.set(calls.get() + 1);
        ready(Ok::<_, PyError>("success"))
    };
    assert_eq!(func.retry_with(RetryPolicy::default()).await, Ok("success"));
    assert_eq!((calls.get(), begun.elapsed()), (1, Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn retry_error() {
    let error = (|| ready(Err::<(), _>(ValueError("connection refused"))))
        .retry_with(RetryPolicy::fixed(ms(10)))
        .explained()
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), "retry failed after 3 attempts: connection refused");
    assert_eq!(error.attempts(), 3);
    assert_eq!(error.elapsed(), ms(20));
    assert_eq!(error.reason(), GiveUpReason::Exhausted);
    assert_eq!(error.cause(), &ValueError("connection refused"));
    assert_eq!(error.into_cause(), ValueError("connection refused"));
}

// ---- bad settings ----

fn refusal(refused: Result<RetryPolicy, ConfigError>) -> String {
    refused.unwrap_err().to_string()
}

#[test]
fn parameter_validation() {
    let policy = || RetryPolicy::exponential(secs(1));
    assert_eq!(refusal(policy().try_max_attempts(0)), "`max_attempts` is 0, but must be at least 1");
    for (factor, shown) in [(0.5, "0.5"), (-2.0, "-2"), (f64::NAN, "NaN"), (f64::INFINITY, "inf")] {
        let expected = format!("`factor` is {shown}, but must be a finite number of at least 1");
        assert_eq!(refusal(policy().try_factor(factor)), expected);
    }
    assert_eq!(
        refusal(RetryPolicy::fixed(secs(1)).try_factor(2.0)),
        "`factor` is 2, but must be left out unless the policy is exponential"
    );
    assert_eq!(
        "quadratic".parse::<Backoff>().unwrap_err().to_string(),
        "`backoff` is \"quadratic\", but must be one of fixed, linear, exponential, fibonacci"
    );
    // A negative delay cannot be written, because a `Duration` has no sign.
    assert!(Duration::try_from_secs_f64(-1.0).is_err());
}

#[test]
fn a_config_is_refused_for_the_same_mistakes() {
    let refused = |config| refusal(RetryPolicy::try_from(config));
    assert_eq!(
        refused(RetryConfig { max_attempts: 0, ..RetryConfig::default() }),
        "`max_attempts` is 0, but must be at least 1"
    );
    assert_eq!(
        refused(RetryConfig { factor: Some(0.0), ..RetryConfig::default() }),
        "`factor` is 0, but must be a finite number of at least 1"
    );
    assert_eq!(
        refused(RetryConfig { backoff: Backoff::Fixed, factor: Some(2.0), ..RetryConfig::default() }),
        "`factor` is 2, but must be left out unless the policy is exponential"
    );
}

#[test]
#[should_panic(expected = "`max_attempts` is 0, but must be at least 1")]
fn max_attempts_of_zero_panics() {
    let _ = RetryPolicy::default().max_attempts(0);
}

#[test]
#[should_panic(expected = "`factor` is 0.9, but must be a finite number of at least 1")]
fn a_factor_below_one_panics() {
    let _ = RetryPolicy::default().factor(0.9);
}

// ---- the log of calls ----

async fn add(a: i32, b: i32, scale: &str) -> Result<i32, PyError> {
    sleep(ms(120)).await;
    match scale {
        "ok" => Ok(a + b),
        _ => Err(ValueError("unknown scale")),
    }
}

#[tokio::test(start_paused = true)]
async fn log_calls() {
    let log = listen();
    let add = add.logged_values();
    add.call(1, 2, "ok").await.unwrap();
    assert_eq!(log.take(), [r#"DEBUG calling add(1, 2, "ok")"#, "INFO add returned 3"]);
    add.call(1, 2, "no").await.unwrap_err();
    assert_eq!(log.take(), [r#"DEBUG calling add(1, 2, "no")"#, "WARN add failed in 120ms: PyError: unknown scale"]);
}

#[tokio::test(start_paused = true)]
async fn log_calls_with_level() {
    let log = listen();
    let logging = Logging::new().values().level(Level::INFO).error_level(Level::ERROR);
    let add = add.logged_with(logging);
    add.call(1, 2, "ok").await.unwrap();
    add.call(1, 2, "no").await.unwrap_err();
    assert_eq!(
        log.take(),
        [
            r#"INFO calling add(1, 2, "ok")"#,
            "INFO add returned 3",
            r#"INFO calling add(1, 2, "no")"#,
            "ERROR add failed in 120ms: PyError: unknown scale",
        ]
    );
}

// ---- the rate limit ----

#[tokio::test(start_paused = true)]
async fn limited_func() {
    let limiter = RateLimiter::new(3, secs(1)); // @rate_limit(max_calls=3, period=1)
    let limited_func = (|n: u32| ready(n)).rate_limited(&limiter);
    let start = Instant::now();
    for n in 0..5 {
        assert_eq!(limited_func.call(n).await, n);
    }
    assert_eq!(start.elapsed(), secs(1));
}

// ---- the memo ----

#[tokio::test(start_paused = true)]
async fn cached_func() {
    let computed = Cell::new(0);
    let memo = Memo::ttl(secs(1)); // @memoize_with_ttl(ttl_seconds=1)
    let cached_func = (|x: u32| {
        computed.set(computed.get() + 1);
        ready(x * 2)
    })
    .memoized(&memo);

    assert_eq!((cached_func.call(5).await, computed.get()), (10, 1)); // computes
    assert_eq!((cached_func.call(5).await, computed.get()), (10, 1)); // from cache
    sleep(ms(1_500)).await;
    assert_eq!((cached_func.call(5).await, computed.get()), (10, 2)); // expired, recomputes

    // func.cache_info()
    let info = memo.stats();
    assert_eq!((info.hits, info.misses, info.entries, info.expirations), (1, 2, 1, 1));
    assert_eq!(info.cache_info().to_string(), "CacheInfo(hits=1, misses=2, maxsize=10000, currsize=1)");

    // func.cache_clear()
    memo.clear();
    assert_eq!((memo.stats().hits, memo.stats().misses, memo.stats().entries), (0, 0, 0));
    assert_eq!((cached_func.call(5).await, computed.get()), (10, 3));
}

#[tokio::test(start_paused = true)]
async fn cached_func_with_the_default_arguments() {
    // memoize_with_ttl(ttl_seconds=300)
    let memo = Memo::ttl(secs(300));
    let cached_func = (|x: u32| ready(x * 2)).memoized(&memo);
    cached_func.call(5).await;
    sleep(secs(299)).await;
    cached_func.call(5).await;
    sleep(secs(1)).await;
    cached_func.call(5).await;
    assert_eq!((memo.stats().hits, memo.stats().misses), (1, 2));
}

// ---- the bonus challenges ----

#[tokio::test]
async fn validate_args() {
    let calls = Cell::new(0);
    let divide = |a: f64, b: f64| {
        calls.set(calls.get() + 1);
        ready(Ok::<_, PyError>(a / b))
    };
    let divide = divide.validated(|_a: &f64, b: &f64| if *b == 0.0 { Err("b must not be 0") } else { Ok(()) });
    assert_eq!(divide.call(1.0, 2.0).await, Ok(0.5));
    let refused = divide.call(1.0, 0.0).await.unwrap_err();
    assert_eq!(refused, Error::InvalidArgument { message: "b must not be 0".into() }.into());
    assert_eq!(refused.to_string(), "invalid argument: b must not be 0");
    assert_eq!(calls.get(), 1);
}

async fn old_func() -> u8 {
    7
}

#[tokio::test]
async fn deprecated() {
    let log = listen();
    let old_func = old_func.deprecated("use new_func");
    let line = line!() + 1;
    assert_eq!(old_func.call().await, 7);
    assert_eq!(old_func.call().await, 7);
    let place = format!("{}:{line}:25", file!());
    assert_eq!(log.take(), [format!("WARN old_func is deprecated: use new_func (called at {place})")]);
}

async fn too_long() -> Result<(), PyError> {
    sleep(secs(60)).await;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn timeout() {
    let begun = Instant::now();
    let error = too_long.timeout(secs(2)).await.unwrap_err();
    assert_eq!(error, Error::TimedOut { name: "too_long".into(), after: secs(2), label: None }.into());
    assert_eq!(error.to_string(), "too_long timed out after 2s");
    assert_eq!(begun.elapsed(), secs(2));
}

// ---- functools.wraps ----

async fn fetch(id: u64) -> Result<u64, PyError> {
    Ok(id)
}

#[tokio::test(start_paused = true)]
async fn metadata_is_preserved() {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&lines);
    let chain = fetch
        .validated(|_: &u64| Ok::<_, &str>(()))
        .timeout(secs(1))
        .retry_with(RetryPolicy::default())
        .deprecated("use fetch_v2")
        .logged()
        .timed_with(Timing::new("timer").record_to(move |m| sink.lock().unwrap().push(m.outcome)));
    assert_eq!(decor::CallableOnce::name(&chain), "fetch");
    let log = listen();
    assert_eq!(chain.call(1).await, Ok(1));
    let lines_of_log = log.take();
    assert_eq!(lines_of_log.len(), 3, "{lines_of_log:?}");
    assert_eq!(lines_of_log[0], "DEBUG calling fetch");
    assert!(lines_of_log[1].starts_with("WARN fetch is deprecated: use fetch_v2"));
    assert_eq!(lines_of_log[2], "INFO fetch returned in 0ns");
    assert_eq!(*lines.lock().unwrap(), [Outcome::Completed]);
    assert_eq!(
        format!("{chain:?}"),
        "fetch.validated(..).timeout(1s)\
         .retry_with(exponential from 1s by 2, no jitter, 3 attempts)\
         .deprecated(\"use fetch_v2\").logged().timed(\"timer\")"
    );
}

// ---- the usage lines of the first document ----

#[tokio::test(start_paused = true)]
async fn retry_with_the_default_arguments() {
    // retry(max_attempts=3, delay=1.0, backoff=2.0)
    let delays = RefCell::new(Vec::new());
    (|| ready(Err::<(), _>(ValueError("fail"))))
        .retry_with(RetryPolicy::default())
        .on_retry(|r: &decor::RetryEvent<'_, PyError>| delays.borrow_mut().push(r.delay))
        .await
        .unwrap_err();
    assert_eq!(*delays.borrow(), [secs(1), secs(2)]);
}
