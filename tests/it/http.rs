//! Errors as responses, and what a retry reads from a response.

use crate::support::ms;
use decor::{
    Error, Failure, GiveUpReason,
    http::{StatusError, is_transient, retry_after},
    prelude::*,
    test_util::VirtualClock,
};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, SystemTime},
};
use tokio::time::Instant;

fn headers<const N: usize>(pairs: [(&'static str, &'static str); N]) -> HeaderMap {
    pairs.into_iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
}

#[test]
fn every_error_has_a_status_a_body_and_a_retry_after() {
    let name = || "secret_function".into();
    let rejected = |retry_after| Error::Rejected { by: "gate", message: "secret".into(), retry_after };
    let unavailable = "Service Unavailable";
    let table = [
        (Error::RateLimited { retry_after: ms(2_001) }, 429, Some("3"), "rate limited: try again in 2.001s"),
        (Error::RateLimited { retry_after: ms(2_000) }, 429, Some("2"), "rate limited: try again in 2s"),
        (Error::RateLimited { retry_after: Duration::ZERO }, 429, Some("1"), "rate limited: try again in 0ns"),
        (Error::InvalidArgument { message: "id is 0".into() }, 400, None, "invalid argument: id is 0"),
        (Error::TimedOut { name: name(), after: ms(1), label: None }, 504, None, "Gateway Timeout"),
        (Error::QueueFull { waiting: 12_345 }, 503, None, unavailable),
        (Error::ConcurrencyLimited { name: name(), limit: 4, waiting: 12_345 }, 503, None, unavailable),
        (Error::CircuitOpen { name: name(), retry_after: None }, 503, None, unavailable),
        (Error::CircuitOpen { name: name(), retry_after: Some(Duration::ZERO) }, 503, Some("1"), unavailable),
        (Error::CircuitOpen { name: name(), retry_after: Some(ms(29_001)) }, 503, Some("30"), unavailable),
        (Error::LoadFailed { name: name(), message: "secret".into() }, 503, None, unavailable),
        (Error::Closed { what: "the rate limiter" }, 503, None, unavailable),
        (rejected(None), 503, None, unavailable),
        (rejected(Some(ms(1))), 503, Some("1"), unavailable),
    ];
    for (error, status, retry_after, body) in table {
        let text = error.to_string();
        let response = Response::<String>::from(error);
        let header = |name| response.headers().get(name).map(|value: &HeaderValue| value.to_str().unwrap());
        assert_eq!(response.status(), status, "{text}");
        assert_eq!(header(header::RETRY_AFTER), retry_after, "{text}");
        assert_eq!(header(header::CONTENT_TYPE), Some("text/plain; charset=utf-8"), "{text}");
        assert_eq!(response.body(), body, "{text}");
    }
}

#[test]
fn the_longest_wait_fits_into_the_header() {
    let response = Response::<String>::from(Error::RateLimited { retry_after: Duration::MAX });
    assert_eq!(response.headers()[header::RETRY_AFTER], u64::MAX.to_string());
}

#[test]
fn retry_after_is_read_in_all_its_forms() {
    let table = [
        ("0", Some(Duration::ZERO)),
        ("7", Some(ms(7_000))),
        ("  7 ", Some(ms(7_000))),
        ("1.5", Some(ms(1_500))),
        ("0.0000000001", Some(Duration::ZERO)),
        ("99999999999999999999999", Some(Duration::MAX)),
        ("1e400", Some(Duration::MAX)),
        ("1e3", Some(ms(1_000_000))),
        ("1e-400", Some(Duration::ZERO)),
        ("007", Some(ms(7_000))),
        ("7.", Some(ms(7_000))),
        ("-1", None),
        ("-0", None),
        ("+1", None),
        (".5", None),
        ("NaN", None),
        ("inf", None),
        ("1,5", None),
        ("7s", None),
        ("7, 9", None),
        ("1_000", None),
        ("0x10", None),
        ("infinity", None),
        ("soon", None),
        ("", None),
        ("Wed, 21 Oct 2026 07:30:00 GMT", Some(ms(120_000))),
        ("Wednesday, 21-Oct-26 07:30:00 GMT", Some(ms(120_000))), // RFC 850
        ("Wed Oct 21 07:30:00 2026", Some(ms(120_000))),          // asctime
        ("Wed, 21 Oct 2026 07:28:00 GMT", Some(Duration::ZERO)),
        ("Tue, 20 Oct 2026 07:28:00 GMT", Some(Duration::ZERO)), // past
        ("Thu, 01 Jan 1970 00:00:00 GMT", Some(Duration::ZERO)),
        ("Wed, 31 Dec 1969 23:59:59 GMT", None), // httpdate begins in 1970
        ("Fri, 31 Dec 9999 23:59:59 GMT", Some(Duration::from_secs(251_609_733_119))),
        ("Wed, 99 Oct 2026 07:30:00 GMT", None),
        ("Mon, 21 Oct 2026 07:30:00 GMT", None), // a Wednesday
        ("Wed, 21 Oct 2026 07:30:00 CEST", None),
        ("2026-10-21T07:30:00Z", None),
    ];
    for (value, expected) in table {
        let headers = headers([("date", "Wed, 21 Oct 2026 07:28:00 GMT"), ("retry-after", value)]);
        assert_eq!(retry_after(&headers), expected, "{value:?}");
    }
    assert_eq!(retry_after(&HeaderMap::new()), None);
    let mut headers = HeaderMap::new();
    headers.insert(header::RETRY_AFTER, HeaderValue::from_bytes(b"\xff7").unwrap());
    assert_eq!(retry_after(&headers), None);
    headers.insert(header::RETRY_AFTER, "9".repeat(100_000).parse().unwrap());
    assert_eq!(retry_after(&headers), Some(Duration::MAX));
    headers.insert(header::RETRY_AFTER, HeaderValue::from_static("7"));
    headers.append(header::RETRY_AFTER, HeaderValue::from_static("9"));
    assert_eq!(retry_after(&headers), Some(ms(7_000)), "the first of several");
}

#[test]
fn milliseconds_come_first_if_they_are_valid() {
    let table = [("1500", 1_500), ("0.5", 0), ("0", 0), ("-1", 7_000), ("soon", 7_000)];
    for (value, expected) in table {
        let expected = if value == "0.5" { Duration::from_micros(500) } else { ms(expected) };
        assert_eq!(
            retry_after(&headers([("retry-after", "7"), ("retry-after-ms", value)])),
            Some(expected),
            "{value:?}"
        );
    }
    assert_eq!(retry_after(&headers([("retry-after-ms", "20")])), Some(ms(20)));
    assert_eq!(retry_after(&headers([("retry-after-ms", "1e400")])), Some(Duration::MAX));
    // A date is no number of milliseconds.
    assert_eq!(retry_after(&headers([("retry-after-ms", "Wed, 21 Oct 2026 07:30:00 GMT")])), None);
}

#[test]
fn a_date_without_the_date_of_the_response_counts_from_the_time_of_this_machine() {
    for date in [None, Some("nonsense")] {
        let mut headers = HeaderMap::new();
        let then = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(3_600));
        headers.insert(header::RETRY_AFTER, then.parse().unwrap());
        if let Some(date) = date {
            headers.insert(header::DATE, HeaderValue::from_static(date));
        }
        // The text of a date has whole seconds. The upper bound is exact, and the lower one allows
        // for a slow machine.
        let wait = retry_after(&headers).unwrap();
        assert!(wait <= Duration::from_secs(3_600) && wait > Duration::from_secs(3_000), "{wait:?}");
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static("Tue, 20 Oct 2020 07:28:00 GMT"));
        assert_eq!(retry_after(&headers), Some(Duration::ZERO));
    }
}

#[test]
fn a_status_is_transient_or_not() {
    let transient = (100..1_000).filter(|code| is_transient(StatusCode::from_u16(*code).unwrap())).collect::<Vec<_>>();
    let expected = [408, 425, 429].into_iter().chain((500..600).filter(|code| ![501, 505].contains(code)));
    assert_eq!(transient, expected.collect::<Vec<_>>());
}

#[test]
fn a_status_below_400_is_no_error_and_neither_is_one_above_599() {
    for code in (100..400).chain(600..1_000) {
        assert_eq!(StatusError::check(StatusCode::from_u16(code).unwrap(), &HeaderMap::new()), Ok(()), "{code}");
    }
    for code in 400..600 {
        let status = StatusCode::from_u16(code).unwrap();
        let error = StatusError::check(status, &HeaderMap::new()).unwrap_err();
        assert_eq!((error.status, error.retry_after), (status, None));
    }
}

#[test]
fn a_status_error_says_what_the_server_answered() {
    let of = |code: u16, headers: &HeaderMap| {
        StatusError::check(StatusCode::from_u16(code).unwrap(), headers).unwrap_err().to_string()
    };
    assert_eq!(of(404, &HeaderMap::new()), "the server answered 404 Not Found");
    assert_eq!(of(529, &HeaderMap::new()), "the server answered 529");
    let headers = headers([("retry-after", "7")]);
    assert_eq!(of(503, &headers), "the server answered 503 Service Unavailable: retry after 7s");
}

#[tokio::test(start_paused = true)]
async fn a_transient_retry_waits_as_long_as_the_server_asks_for() {
    let table = [("2", 2_000), ("0", 0), ("Wed, 21 Oct 2026 07:28:09 GMT", 9_000), ("soon", 1_000)];
    for (value, expected) in table {
        let calls = AtomicU32::new(0);
        let fetch = async |_: u64| {
            let first = calls.fetch_add(1, Ordering::Relaxed) == 0;
            let status = if first { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
            StatusError::check(status, &headers([("date", "Wed, 21 Oct 2026 07:28:00 GMT"), ("retry-after", value)]))
        };
        let begun = Instant::now();
        let fetch = fetch.retry_with(RetryPolicy::default()).transient();
        assert_eq!(fetch.call(42).await, Ok(()));
        assert_eq!(begun.elapsed(), ms(expected), "{value:?}");
        assert_eq!(calls.load(Ordering::Relaxed), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn a_hint_beyond_the_longest_hint_ends_the_retry_at_once() {
    for value in ["3601", "99999999999999999999999", "Wed, 21 Oct 2099 07:28:00 GMT"] {
        let calls = AtomicU32::new(0);
        let fetch = async |_: u64| {
            calls.fetch_add(1, Ordering::Relaxed);
            StatusError::check(StatusCode::TOO_MANY_REQUESTS, &headers([("retry-after", value)]))
        };
        let begun = Instant::now();
        let fetch = fetch.retry_with(RetryPolicy::default()).transient();
        assert_eq!(fetch.call(42).await.unwrap_err().status, 429);
        assert_eq!((begun.elapsed(), calls.load(Ordering::Relaxed)), (Duration::ZERO, 1), "{value:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_status_that_is_not_transient_is_not_retried() {
    let calls = AtomicU32::new(0);
    let fetch = async |_: u64| {
        calls.fetch_add(1, Ordering::Relaxed);
        StatusError::check(StatusCode::NOT_FOUND, &headers([("retry-after", "7")])).map_err(Failure::Call)
    };
    let fetch = fetch.retry_with(RetryPolicy::default()).transient();
    assert!(fetch.call(42).await.is_err());
    assert_eq!(calls.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn the_question_mark_answers_with_the_status() {
    async fn handler(limiter: &RateLimiter) -> Result<Response<String>, Response<String>> {
        limiter.try_acquire()?;
        std::future::pending::<()>().fallible().timeout(ms(100)).await?;
        Ok(Response::new(String::new()))
    }
    let limiter = RateLimiter::new(1, Duration::from_secs(60));
    assert_eq!(handler(&limiter).await.unwrap_err().status(), 504);
    let refused = handler(&limiter).await.unwrap_err();
    assert_eq!((refused.status().as_u16(), &refused.headers()[header::RETRY_AFTER]), (429, &"60".parse().unwrap()));
}

/// The error of a client of an HTTP API.
#[derive(Debug, thiserror::Error)]
enum ApiError {
    #[error(transparent)]
    Status(#[from] StatusError),
    #[error(transparent)]
    Policy(#[from] Error),
}

impl Transient for ApiError {
    fn is_transient(&self) -> bool {
        match self {
            Self::Status(error) => error.is_transient(),
            Self::Policy(error) => error.is_transient(),
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status(error) => error.retry_after(),
            Self::Policy(error) => error.retry_after(),
        }
    }
}

/// The forms of a hint, absurd ones included, and the wait of a chain with a policy of 1 s and a
/// longest hint of 60 s; `None` if the chain gives up.
const FORMS: [(&str, &str, Option<Duration>); 20] = [
    ("retry-after", "2", Some(ms(2_000))),
    ("retry-after", "1.5", Some(ms(1_500))),
    ("retry-after", "0", Some(ms(0))),
    ("retry-after", "60", Some(ms(60_000))),
    ("retry-after", "60.001", None),
    ("retry-after", "61", None),
    ("retry-after", "99999999999999999999999", None),
    ("retry-after", "1e400", None),
    ("retry-after", "-1", Some(ms(1_000))),
    ("retry-after", "NaN", Some(ms(1_000))),
    ("retry-after", "inf", Some(ms(1_000))),
    ("retry-after", "soon", Some(ms(1_000))),
    ("retry-after", "Wed, 21 Oct 2026 07:28:09 GMT", Some(ms(9_000))),
    ("retry-after", "Wed, 21 Oct 2026 07:29:01 GMT", None),
    ("retry-after", "Wed, 21 Oct 2020 07:28:00 GMT", Some(ms(0))), // past
    ("retry-after", "Fri, 31 Dec 9999 23:59:59 GMT", None),
    ("retry-after-ms", "250", Some(ms(250))),
    ("retry-after-ms", "60001", None),
    ("retry-after-ms", "1e400", None),
    ("retry-after-ms", "-1", Some(ms(1_000))),
];

fn one_at_a_time() -> RetryPolicy {
    RetryPolicy::fixed(ms(1_000)).max_hint(ms(60_000))
}

/// Fails the first of these calls with a 429, which has the header.
fn throttled_once(calls: &AtomicU32, name: &'static str, value: &'static str) -> Result<(), ApiError> {
    let is_first = calls.fetch_add(1, Ordering::Relaxed) == 0;
    let status = if is_first { StatusCode::TOO_MANY_REQUESTS } else { StatusCode::OK };
    Ok(StatusError::check(status, &headers([("date", "Wed, 21 Oct 2026 07:28:00 GMT"), (name, value)]))?)
}

#[tokio::test(start_paused = true)]
async fn a_chain_waits_as_told_and_so_do_all_calls_of_its_limiter() {
    for (name, value, expected) in FORMS {
        let (calls, limiter) = (AtomicU32::new(0), RateLimiter::new(1_000, ms(1)));
        let begun = Instant::now();
        let fetch = async |_: u64| throttled_once(&calls, name, value);
        let fetch = fetch
            .timeout(ms(500))
            .pausing(&limiter, ApiError::retry_after)
            .rate_limited(&limiter)
            .retry_with(one_at_a_time())
            .transient()
            .explained()
            .timeout(ms(90_000));
        match (fetch.call(42).await, expected) {
            (Ok(()), Some(wait)) => {
                assert_eq!((begun.elapsed(), calls.load(Ordering::Relaxed)), (wait, 2), "{name}: {value}");
            }
            (Err(error), None) => {
                assert_eq!(error.reason(), GiveUpReason::HintTooLong, "{name}: {value}");
                assert_eq!((begun.elapsed(), calls.load(Ordering::Relaxed)), (ms(0), 1), "{name}: {value}");
            }
            (answer, expected) => panic!("{name}: {value}: {answer:?}, not {expected:?}"),
        }
        // The retry gives up a longer hint, and the limiter follows it for an hour at most.
        let hint = retry_after(&headers([("date", "Wed, 21 Oct 2026 07:28:00 GMT"), (name, value)]));
        limiter.acquire().await;
        let pause = hint.unwrap_or_default().min(ms(3_600_000));
        assert_eq!(begun.elapsed(), pause.max(expected.unwrap_or_default()), "{name}: {value}");
    }
}

#[test]
fn a_blocking_chain_waits_as_told() {
    for (name, value, expected) in FORMS {
        let (calls, clock) = (AtomicU32::new(0), VirtualClock::start());
        let fetch = |_: u64| throttled_once(&calls, name, value);
        let fetch = fetch.blocking().retry_with(one_at_a_time()).transient().explained();
        let reason = fetch.call(42).err().map(|error| error.reason());
        assert_eq!(reason, expected.is_none().then_some(GiveUpReason::HintTooLong), "{name}: {value}");
        assert_eq!(clock.elapsed(), expected.unwrap_or_default(), "{name}: {value}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_429_of_one_call_delays_the_calls_of_other_functions() {
    let limiter = RateLimiter::new(1_000, ms(1));
    let calls = AtomicU32::new(0);
    let begun = Instant::now();
    let throttled = async |_: u64| throttled_once(&calls, "retry-after", "7");
    let throttled = throttled.pausing(&limiter, ApiError::retry_after).rate_limited(&limiter);
    let other = (async |_: u64| Ok::<_, ApiError>(begun.elapsed())).rate_limited(&limiter);
    assert_eq!(other.call(1).await.unwrap(), ms(0));
    assert!(matches!(throttled.call(1).await, Err(ApiError::Status(_))));
    assert_eq!(other.call(2).await.unwrap(), ms(7_000));
}

type Answer = Result<Response<String>, Response<String>>;

fn hello(user: &str) -> Answer {
    Ok(Response::new(format!("hello {user}")))
}

#[track_caller]
fn assert_answers(answer: Answer, status: u16, retry_after: Option<&str>, body: &str) {
    let answer = answer.unwrap_or_else(|refusal| refusal);
    let header = answer.headers().get(header::RETRY_AFTER).map(|value| value.to_str().unwrap());
    assert_eq!((answer.status().as_u16(), header, answer.body().as_str()), (status, retry_after, body));
}

#[tokio::test(start_paused = true)]
async fn a_429_for_each_user() {
    let per_user = KeyedLimiter::new(1, ms(60_000));
    let answer = async |user: String| hello(&user);
    let answer = answer.try_rate_limited_by_key(&per_user, |user: &String| user.clone());
    assert_answers(answer.call("ada".into()).await, 200, None, "hello ada");
    tokio::time::advance(ms(10_500)).await;
    let refused = "rate limited: try again in 49.5s";
    assert_answers(answer.call("ada".into()).await, 429, Some("50"), refused);
    let future = async { hello("ada") }.try_rate_limited_by_key(&per_user, "ada");
    assert_answers(future.await, 429, Some("50"), refused);
    assert_answers(answer.call("bob".into()).await, 200, None, "hello bob");
    tokio::time::advance(ms(49_500)).await;
    assert_answers(answer.call("ada".into()).await, 200, None, "hello ada");
}

#[test]
fn a_429_for_each_user_of_a_sync_function() {
    let clock = VirtualClock::start();
    let per_user = KeyedLimiter::new(1, ms(60_000));
    let answer = (|user: String| hello(&user)).blocking();
    let answer = answer.try_rate_limited_by_key(&per_user, |user: &String| user.clone());
    assert_answers(answer.call("ada".into()), 200, None, "hello ada");
    clock.advance(ms(10_500));
    assert_answers(answer.call("ada".into()), 429, Some("50"), "rate limited: try again in 49.5s");
    assert_answers(answer.call("bob".into()), 200, None, "hello bob");
    clock.advance(ms(49_500));
    assert_answers(answer.call("ada".into()), 200, None, "hello ada");
}

#[tokio::test(start_paused = true)]
async fn the_refusals_of_a_breaker_and_of_a_full_house_are_503() {
    let unavailable = "Service Unavailable";
    let answer = async |user: &str| hello(user);

    let breaker = CircuitBreaker::builder().consecutive(1).open_for(ms(30_000)).named("secret").build();
    let guarded = answer.guarded_by(&breaker);
    breaker.trip();
    tokio::time::advance(ms(500)).await;
    assert_answers(guarded.call("ada").await, 503, Some("30"), unavailable);
    breaker.isolate();
    assert_answers(guarded.call("ada").await, 503, None, unavailable);

    let places = ConcurrencyLimiter::new(1);
    let limited = answer.try_concurrency_limited(&places);
    let permit = places.acquire().await;
    assert_answers(limited.call("ada").await, 503, None, unavailable);
    drop(permit);
    assert_answers(limited.call("ada").await, 200, None, "hello ada");

    let limiter = RateLimiter::builder().window(1, ms(60_000)).max_waiting(0).build();
    let queued = answer.rate_limited_within(&limiter, ms(120_000));
    limiter.acquire().await;
    assert_answers(queued.call("ada").await, 503, None, unavailable);
}
