//! The two Python documents once more, for sync functions, as far as they run calls. Refusals and
//! the length of delays are the same for both halves: see `crate::python_documents`.

use crate::python_documents::PyError::{self, ConnectionError, TypeError, ValueError};
use crate::support::{listen, ms, secs};
use decor::{
    Error, GiveUpReason, Logging, Outcome, RetryPolicy, Timing, blocking,
    prelude::*,
    test_util::{VirtualClock, sleep},
};
use std::{
    cell::{Cell, RefCell},
    sync::{Arc, Mutex},
    time::Duration,
};
use tracing::Level;

// ---- the timer ----

fn slow_func() -> &'static str {
    sleep(ms(500));
    "done"
}

#[test]
fn timer() {
    let (log, _clock) = (listen(), VirtualClock::start());
    assert_eq!(slow_func.blocking().timed("slow_func").run(), "done");
    assert_eq!(log.take(), ["INFO slow_func took 500ms"]);
}

#[test]
fn timer_with_logger() {
    let (log, _clock) = (listen(), VirtualClock::start());
    let lines = Arc::new(Mutex::new(Vec::new()));
    let my_logger = Arc::clone(&lines);
    let timing = Timing::new("my_func").record_to(move |m| my_logger.lock().unwrap().push(m.to_string()));
    let my_func = || sleep(Duration::from_micros(123_400));
    my_func.blocking().timed_with(timing).run();
    assert_eq!(*lines.lock().unwrap(), ["my_func took 123ms"]);
    assert_eq!(log.take(), [""; 0]);
}

// ---- the retry ----

#[test]
fn flaky_func() {
    let clock = VirtualClock::start();
    let mut attempt = 0;
    let flaky_func = || {
        attempt += 1;
        if attempt < 3 { Err(ValueError("fail")) } else { Ok("success") }
    };
    let policy = RetryPolicy::exponential(ms(100)).max_attempts(3);
    assert_eq!(flaky_func.blocking().retry_with(policy).run(), Ok("success"));
    assert_eq!(attempt, 3);
    assert_eq!(clock.elapsed(), ms(100 + 200));
}

fn elapsed_of(policy: RetryPolicy) -> Duration {
    let clock = VirtualClock::start();
    (|| Err::<(), _>(ValueError("fail"))).blocking().retry_with(policy).run().unwrap_err();
    clock.elapsed()
}

#[test]
fn the_delays_are_waited_exactly() {
    assert_eq!(elapsed_of(RetryPolicy::fixed(ms(250)).max_attempts(5)), ms(4 * 250));
    assert_eq!(elapsed_of(RetryPolicy::linear(ms(250)).max_attempts(5)), ms((1 + 2 + 3 + 4) * 250));
    assert_eq!(elapsed_of(RetryPolicy::exponential(ms(250)).max_attempts(5)), ms((1 + 2 + 4 + 8) * 250));
    assert_eq!(elapsed_of(RetryPolicy::default()), secs(1 + 2));
    let odd = Duration::from_nanos(1_000_000_007);
    assert_eq!(elapsed_of(RetryPolicy::linear(odd).max_attempts(5)), 10 * odd);
}

fn calls_until(error: &PyError) -> (PyError, u32) {
    let calls = Cell::new(0);
    let func = || {
        calls.set(calls.get() + 1);
        Err::<(), _>(error.clone())
    };
    let error = func
        .blocking()
        .retry_with(RetryPolicy::fixed(ms(10)))
        .when(|e: &PyError| matches!(e, ValueError(_) | ConnectionError(_)))
        .run()
        .unwrap_err();
    (error, calls.get())
}

#[test]
fn only_the_specified_exceptions_are_retried() {
    let clock = VirtualClock::start();
    assert_eq!(calls_until(&ValueError("a")), (ValueError("a"), 3));
    assert_eq!(calls_until(&ConnectionError("b")), (ConnectionError("b"), 3));
    let before = clock.elapsed();
    assert_eq!(calls_until(&TypeError("c")), (TypeError("c"), 1));
    assert_eq!(clock.elapsed(), before);
}

#[test]
fn max_attempts_1() {
    let clock = VirtualClock::start();
    let mut calls = 0;
    let func = || {
        calls += 1;
        Err::<(), _>(ValueError("fail"))
    };
    let error = func.blocking().retry_with(RetryPolicy::default().max_attempts(1)).explained().run().unwrap_err();
    assert_eq!(error.to_string(), "retry failed after 1 attempt: fail");
    assert_eq!((calls, clock.elapsed()), (1, Duration::ZERO));
}

#[test]
fn delay_0() {
    let clock = VirtualClock::start();
    let mut calls = 0;
    let func = || {
        calls += 1;
        Err::<(), _>(ValueError("fail"))
    };
    func.blocking().retry_with(RetryPolicy::fixed(Duration::ZERO).max_attempts(5)).run().unwrap_err();
    assert_eq!((calls, clock.elapsed()), (5, Duration::ZERO));
}

#[test]
fn returns_immediately_on_success() {
    let clock = VirtualClock::start();
    let mut calls = 0;
    let func = || {
        calls += 1;
        Ok::<_, PyError>("success")
    };
    assert_eq!(func.blocking().retry_with(RetryPolicy::default()).run(), Ok("success"));
    assert_eq!((calls, clock.elapsed()), (1, Duration::ZERO));
}

#[test]
fn retry_error() {
    let _clock = VirtualClock::start();
    let refused = || Err::<(), _>(ValueError("connection refused"));
    let error = refused.blocking().retry_with(RetryPolicy::fixed(ms(10))).explained().run().unwrap_err();
    assert_eq!(error.to_string(), "retry failed after 3 attempts: connection refused");
    assert_eq!((error.attempts(), error.elapsed(), error.reason()), (3, ms(20), GiveUpReason::Exhausted));
    assert_eq!(error.into_cause(), ValueError("connection refused"));
}

#[test]
fn retry_with_the_default_arguments() {
    // retry(max_attempts=3, delay=1.0, backoff=2.0)
    let _clock = VirtualClock::start();
    let delays = RefCell::new(Vec::new());
    (|| Err::<(), _>(ValueError("fail")))
        .blocking()
        .retry_with(RetryPolicy::default())
        .on_retry(|r: &decor::RetryEvent<'_, PyError>| delays.borrow_mut().push(r.delay))
        .run()
        .unwrap_err();
    assert_eq!(*delays.borrow(), [secs(1), secs(2)]);
}

// ---- the log of calls ----

fn add(a: i32, b: i32, scale: &str) -> Result<i32, PyError> {
    sleep(ms(120));
    match scale {
        "ok" => Ok(a + b),
        _ => Err(ValueError("unknown scale")),
    }
}

#[test]
fn log_calls() {
    let (log, _clock) = (listen(), VirtualClock::start());
    let add = add.blocking().logged_values();
    add.call(1, 2, "ok").unwrap();
    assert_eq!(log.take(), [r#"DEBUG calling add(1, 2, "ok")"#, "INFO add returned 3"]);
    add.call(1, 2, "no").unwrap_err();
    assert_eq!(log.take(), [r#"DEBUG calling add(1, 2, "no")"#, "WARN add failed in 120ms: PyError: unknown scale"]);
}

#[test]
fn log_calls_with_level() {
    let (log, _clock) = (listen(), VirtualClock::start());
    let logging = Logging::new().values().level(Level::INFO).error_level(Level::ERROR);
    let add = add.blocking().logged_with(logging);
    add.call(1, 2, "ok").unwrap();
    add.call(1, 2, "no").unwrap_err();
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

// ---- the rate limit, the memo ----

#[test]
fn limited_func() {
    let clock = VirtualClock::start();
    let limiter = RateLimiter::new(3, secs(1)); // @rate_limit(max_calls=3, period=1)
    let limited_func = (|n: u32| n).blocking().rate_limited(&limiter);
    for n in 0..5 {
        assert_eq!(limited_func.call(n), n);
    }
    assert_eq!(clock.elapsed(), secs(1));
}

#[test]
fn cached_func() {
    let _clock = VirtualClock::start();
    let computed = Cell::new(0);
    let memo = Memo::ttl(secs(1)); // @memoize_with_ttl(ttl_seconds=1)
    let cached_func = |x: u32| {
        computed.set(computed.get() + 1);
        x * 2
    };
    let cached_func = cached_func.blocking().memoized(&memo);
    assert_eq!((cached_func.call(5), computed.get()), (10, 1)); // computes
    assert_eq!((cached_func.call(5), computed.get()), (10, 1)); // from cache
    sleep(ms(1_500));
    assert_eq!((cached_func.call(5), computed.get()), (10, 2)); // expired, recomputes

    // func.cache_info(), func.cache_clear()
    let cache_info = memo.stats().cache_info().to_string();
    assert_eq!(cache_info, "CacheInfo(hits=1, misses=2, maxsize=10000, currsize=1)");
    memo.clear();
    assert_eq!((cached_func.call(5), computed.get()), (10, 3));
}

// ---- the bonus challenges ----

#[test]
fn validate_args() {
    let calls = Cell::new(0);
    let divide = |a: f64, b: f64| {
        calls.set(calls.get() + 1);
        Ok::<_, PyError>(a / b)
    };
    let positive = |_a: &f64, b: &f64| if *b == 0.0 { Err("b must not be 0") } else { Ok(()) };
    let divide = divide.blocking().validated(positive);
    assert_eq!(divide.call(1.0, 2.0), Ok(0.5));
    assert_eq!(divide.call(1.0, 0.0).unwrap_err().to_string(), "invalid argument: b must not be 0");
    assert_eq!(calls.get(), 1);
}

fn old_func() -> u8 {
    7
}

#[test]
fn deprecated() {
    let log = listen();
    let old_func = old_func.blocking().deprecated("use new_func");
    let line = line!() + 1;
    assert_eq!(old_func.call(), 7);
    assert_eq!(old_func.call(), 7);
    let place = format!("{}:{line}:25", file!());
    assert_eq!(log.take(), [format!("WARN old_func is deprecated: use new_func (called at {place})")]);
}

#[allow(clippy::unnecessary_wraps)] // so that the limit has an error to speak through
fn too_long() -> Result<(), PyError> {
    sleep(secs(60));
    Ok(())
}

#[test]
fn timeout() {
    let clock = VirtualClock::start();
    let error = too_long.blocking().timeout(secs(2)).run().unwrap_err();
    assert_eq!(error, Error::TimedOut { name: "too_long".into(), after: secs(2), label: None }.into());
    assert_eq!(clock.elapsed(), secs(2));
}

// ---- functools.wraps ----

#[allow(clippy::unnecessary_wraps)]
fn fetch(id: u64) -> Result<u64, PyError> {
    Ok(id)
}

#[test]
fn metadata_is_preserved() {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&lines);
    let chain = fetch
        .blocking()
        .validated(|_: &u64| Ok::<_, &str>(()))
        .retry_with(RetryPolicy::default())
        .timeout(secs(1))
        .deprecated("use fetch_v2")
        .logged()
        .timed_with(Timing::new("timer").record_to(move |m| sink.lock().unwrap().push(m.outcome)));
    assert_eq!(blocking::CallableOnce::name(&chain), "fetch");
    let _clock = VirtualClock::start();
    let log = listen();
    assert_eq!(chain.call(1), Ok(1));
    let lines_of_log = log.take();
    assert_eq!(lines_of_log.len(), 3, "{lines_of_log:?}");
    assert_eq!(lines_of_log[0], "DEBUG calling fetch");
    assert!(lines_of_log[1].starts_with("WARN fetch is deprecated: use fetch_v2"));
    assert_eq!(lines_of_log[2], "INFO fetch returned in 0ns");
    assert_eq!(*lines.lock().unwrap(), [Outcome::Completed]);
    assert_eq!(
        format!("{chain:?}"),
        "fetch.blocking().validated(..)\
         .retry_with(exponential from 1s by 2, no jitter, 3 attempts).timeout(1s)\
         .deprecated(\"use fetch_v2\").logged().timed(\"timer\")"
    );
}
