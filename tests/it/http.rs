//! Errors as responses, and what a retry reads from a response.

use decor::{
    Error, Failure,
    http::{StatusError, is_transient, retry_after},
    prelude::*,
};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, SystemTime},
};
use tokio::time::Instant;

const MS: fn(u64) -> Duration = Duration::from_millis;

fn headers<const N: usize>(pairs: [(&'static str, &'static str); N]) -> HeaderMap {
    pairs.into_iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
}

#[test]
fn every_error_has_a_status_a_body_and_a_retry_after() {
    let name = || "secret_function".into();
    let rejected = |retry_after| Error::Rejected { by: "gate", message: "secret".into(), retry_after };
    let unavailable = "Service Unavailable";
    let table = [
        (Error::RateLimited { retry_after: MS(2_001) }, 429, Some("3"), "rate limited: try again in 2.001s"),
        (Error::RateLimited { retry_after: MS(2_000) }, 429, Some("2"), "rate limited: try again in 2s"),
        (Error::RateLimited { retry_after: Duration::ZERO }, 429, Some("1"), "rate limited: try again in 0ns"),
        (Error::InvalidArgument { message: "id is 0".into() }, 400, None, "invalid argument: id is 0"),
        (Error::TimedOut { name: name(), after: MS(1), label: None }, 504, None, "Gateway Timeout"),
        (Error::QueueFull { waiting: 12_345 }, 503, None, unavailable),
        (Error::LoadFailed { name: name(), message: "secret".into() }, 503, None, unavailable),
        (Error::Closed { what: "the rate limiter" }, 503, None, unavailable),
        (rejected(None), 503, None, unavailable),
        (rejected(Some(MS(1))), 503, Some("1"), unavailable),
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
        ("7", Some(MS(7_000))),
        ("  7 ", Some(MS(7_000))),
        ("1.5", Some(MS(1_500))),
        ("0.0000000001", Some(Duration::ZERO)),
        ("99999999999999999999999", Some(Duration::MAX)),
        ("1e400", Some(Duration::MAX)),
        ("-1", None),
        ("+1", None),
        (".5", None),
        ("NaN", None),
        ("inf", None),
        ("1,5", None),
        ("7s", None),
        ("soon", None),
        ("", None),
        ("Wed, 21 Oct 2026 07:30:00 GMT", Some(MS(120_000))),
        ("Wednesday, 21-Oct-26 07:30:00 GMT", Some(MS(120_000))), // RFC 850
        ("Wed Oct 21 07:30:00 2026", Some(MS(120_000))),          // asctime
        ("Wed, 21 Oct 2026 07:28:00 GMT", Some(Duration::ZERO)),
        ("Tue, 20 Oct 2026 07:28:00 GMT", Some(Duration::ZERO)), // past
        ("Wed, 99 Oct 2026 07:30:00 GMT", None),
    ];
    for (value, expected) in table {
        let headers = headers([("date", "Wed, 21 Oct 2026 07:28:00 GMT"), ("retry-after", value)]);
        assert_eq!(retry_after(&headers), expected, "{value:?}");
    }
    assert_eq!(retry_after(&HeaderMap::new()), None);
    let mut headers = HeaderMap::new();
    headers.insert(header::RETRY_AFTER, HeaderValue::from_bytes(b"\xff7").unwrap());
    assert_eq!(retry_after(&headers), None);
}

#[test]
fn milliseconds_come_first_if_they_are_valid() {
    let table = [("1500", 1_500), ("0.5", 0), ("0", 0), ("-1", 7_000), ("soon", 7_000)];
    for (value, expected) in table {
        let expected = if value == "0.5" { Duration::from_micros(500) } else { MS(expected) };
        assert_eq!(
            retry_after(&headers([("retry-after", "7"), ("retry-after-ms", value)])),
            Some(expected),
            "{value:?}"
        );
    }
    assert_eq!(retry_after(&headers([("retry-after-ms", "20")])), Some(MS(20)));
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
        assert_eq!(begun.elapsed(), MS(expected), "{value:?}");
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
        std::future::pending::<()>().fallible().timeout(MS(100)).await?;
        Ok(Response::new(String::new()))
    }
    let limiter = RateLimiter::new(1, Duration::from_secs(60));
    assert_eq!(handler(&limiter).await.unwrap_err().status(), 504);
    let refused = handler(&limiter).await.unwrap_err();
    assert_eq!((refused.status().as_u16(), &refused.headers()[header::RETRY_AFTER]), (429, &"60".parse().unwrap()));
}
