//! HTTP: decor's errors as responses, and the part of a response that a retry needs.
//!
//! # In a service
//!
//! [`Error`] converts into a [`Response`], so `?` works where the error is a
//! response. A handler of axum and a middleware of axum's `from_fn` are such places:
//!
//! ```
//! use axum::{Router, extract::{Request, State}, middleware::{Next, from_fn_with_state}};
//! use axum::{response::Response, routing::get};
//! use decor::prelude::*;
//! use std::time::Duration;
//!
//! async fn limited(
//!     State(limiter): State<RateLimiter>,
//!     request: Request,
//!     next: Next,
//! ) -> Result<Response, Response> {
//!     limiter.try_acquire()?; // 429 with `Retry-After`
//!     Ok(next.run(request).fallible().timeout(Duration::from_secs(5)).await?) // 504
//! }
//!
//! let limiter = RateLimiter::new(100, Duration::from_secs(60));
//! let app: Router = Router::new()
//!     .route("/", get(async || "hello"))
//!     .layer(from_fn_with_state(limiter, limited));
//! ```
//!
//! If the handler hangs, every caller has a 504 after 5 s. With the feature `tower`,
//! [`http_layer`](crate::tower::http_layer) turns a chain into such a middleware, in one line.
//! [`ConcurrencyPermit::until_end_of`](crate::ConcurrencyPermit::until_end_of) holds a permit until
//! the body of the response has ended.
//!
//! | error | status | `Retry-After` | body |
//! |---|---|---|---|
//! | `RateLimited` | 429 Too Many Requests | the wait | the error's text, with the wait rounded up to milliseconds |
//! | `InvalidArgument` | 400 Bad Request | | the error's text |
//! | `TimedOut` | 504 Gateway Timeout | | the reason phrase |
//! | all others | 503 Service Unavailable | the wait, if it is known | the reason phrase |
//!
//! The body is `text/plain`. The text of a 503 or a 504 would show the names of functions and the
//! lengths of queues to clients, so the body has the reason phrase only. A timeout is no 408,
//! because browsers send a request again after a 408.
//!
//! # In a client
//!
//! [`StatusError::check`] makes an error of a response with status 4xx or 5xx. The error is
//! [`Transient`], so [`.transient()`](crate::Retry::transient) retries it, and waits as long as the
//! server asks for:
//!
//! ```
//! # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
//! use decor::{Error, http::StatusError, prelude::*};
//! use http::{Response, header::RETRY_AFTER};
//! use std::time::Duration;
//!
//! #[derive(Debug, thiserror::Error)]
//! enum ApiError {
//!     #[error(transparent)]
//!     Status(#[from] StatusError),
//!     #[error(transparent)]
//!     Policy(#[from] Error),
//! }
//!
//! impl Transient for ApiError {
//!     fn is_transient(&self) -> bool {
//!         match self {
//!             Self::Status(error) => error.is_transient(),
//!             Self::Policy(error) => error.is_transient(),
//!         }
//!     }
//!     fn retry_after(&self) -> Option<Duration> {
//!         match self {
//!             Self::Status(error) => error.retry_after(),
//!             Self::Policy(error) => error.retry_after(),
//!         }
//!     }
//! }
//!
//! # use std::sync::atomic::{AtomicU32, Ordering};
//! # static CALLS: AtomicU32 = AtomicU32::new(0);
//! # async fn send(_: &str) -> Response<String> {
//! #     let first = CALLS.fetch_add(1, Ordering::Relaxed) == 0;
//! #     let answer = Response::builder().status(if first { 429 } else { 200 });
//! #     answer.header(RETRY_AFTER, "7").body("user".to_owned()).unwrap()
//! # }
//! async fn get(path: &str) -> Result<String, ApiError> {
//!     let response = send(path).await;
//!     StatusError::check(response.status(), response.headers())?;
//!     Ok(response.into_body())
//! }
//!
//! let begun = tokio::time::Instant::now();
//! let get = get
//!     .timeout(Duration::from_secs(5))
//!     .retry_with(RetryPolicy::default())
//!     .transient()
//!     .timeout(Duration::from_secs(30));
//! assert_eq!(get.call("/users/42").await.unwrap(), "user");
//! assert_eq!(begun.elapsed(), Duration::from_secs(7)); // as the server asked
//! # }
//! ```
//!
//! If the server hangs, every caller has its error after 18 s: three attempts of 5 s, with waits of
//! 1 s and 2 s. A hint of the server can stretch the waits, up to 30 s in all.
//!
//! [`guide::clients`](crate::guide::clients) has a whole client with reqwest.

use crate::{Error, Transient, clock};
use ::http::{
    HeaderMap, HeaderName, HeaderValue, Response, StatusCode,
    header::{CONTENT_TYPE, DATE, RETRY_AFTER},
};
use std::{fmt, time::Duration};

/// The delay in milliseconds, which some APIs send beside `Retry-After`.
const RETRY_AFTER_MS: HeaderName = HeaderName::from_static("retry-after-ms");

/// Converts into a response, as the table of [`decor::http`](self) says.
///
/// `Retry-After` is in whole seconds, rounded up, and at least 1.
///
/// # Examples
///
/// ```
/// use http::{Response, header::RETRY_AFTER};
/// use std::time::Duration;
///
/// let error = decor::Error::RateLimited { retry_after: Duration::from_millis(2_100) };
/// let response = Response::<String>::from(error);
/// assert_eq!(response.status(), 429);
/// assert_eq!(response.headers()[RETRY_AFTER], "3");
/// assert_eq!(response.body(), "rate limited: try again in 2.1s");
///
/// let error = decor::Error::RateLimited { retry_after: Duration::from_nanos(9_803_936_309) };
/// assert_eq!(Response::<String>::from(error).body(), "rate limited: try again in 9.804s");
/// ```
impl<B: From<String>> From<Error> for Response<B> {
    fn from(error: Error) -> Self {
        let status = status_of(&error);
        let body = match (status, status.canonical_reason()) {
            (StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT, Some(reason)) => reason.to_owned(),
            _ => rounded(&error).to_string(),
        };
        let mut response = Self::new(body.into());
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        if let Some(wait) = error.retry_after() {
            headers.insert(RETRY_AFTER, whole_seconds(wait).into());
        }
        response
    }
}

/// The error with a wait in whole milliseconds, because clients read its text.
fn rounded(error: &Error) -> Error {
    match error {
        Error::RateLimited { retry_after } => {
            let millis = retry_after.as_nanos().div_ceil(1_000_000);
            Error::RateLimited { retry_after: u64::try_from(millis).map_or(*retry_after, Duration::from_millis) }
        }
        error => error.clone(),
    }
}

fn status_of(error: &Error) -> StatusCode {
    match error {
        Error::RateLimited { .. } => StatusCode::TOO_MANY_REQUESTS,
        Error::InvalidArgument { .. } => StatusCode::BAD_REQUEST,
        Error::TimedOut { .. } => StatusCode::GATEWAY_TIMEOUT,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// Returns the wait in seconds, rounded up. A client that comes back too early would be refused
/// again, and 0 would send it back at once.
fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0)).max(1)
}

/// Returns the delay that a server asks for; `None` if it asks for none, or if the header is not
/// valid.
///
/// Reads the first of these headers that is valid:
///
/// 1. `retry-after-ms` as a decimal number of milliseconds;
/// 2. `Retry-After` as a decimal number of seconds;
/// 3. `Retry-After` as a date. The delay is the time from the response's own `Date` to that date,
///    so that neither the clocks of two machines nor a paused clock matter. Without a `Date`, the
///    delay begins at the time of this machine.
///
/// A negative number is not valid. A date in the past is a delay of zero. A number that is too
/// large becomes [`Duration::MAX`]; [`RetryPolicy::max_hint`](crate::RetryPolicy::max_hint) bounds
/// the delay that a retry follows.
///
/// # Examples
///
/// ```
/// use http::{HeaderMap, HeaderValue, header::{DATE, RETRY_AFTER}};
/// use std::time::Duration;
///
/// let mut headers = HeaderMap::new();
/// headers.insert(RETRY_AFTER, HeaderValue::from_static("1.5"));
/// assert_eq!(decor::http::retry_after(&headers), Some(Duration::from_millis(1_500)));
///
/// headers.insert(DATE, HeaderValue::from_static("Wed, 21 Oct 2026 07:28:00 GMT"));
/// headers.insert(RETRY_AFTER, HeaderValue::from_static("Wed, 21 Oct 2026 07:30:00 GMT"));
/// assert_eq!(decor::http::retry_after(&headers), Some(Duration::from_secs(120)));
/// ```
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: HeaderName| headers.get(name)?.to_str().ok().map(str::trim);
    let milliseconds = text(RETRY_AFTER_MS).and_then(|text| decimal(text, 1_000.0));
    milliseconds.or_else(|| {
        let text = text(RETRY_AFTER)?;
        decimal(text, 1.0).or_else(|| until(text, self::date(headers)))
    })
}

/// Returns a decimal number of parts of a second as a duration.
fn decimal(text: &str, parts_of_second: f64) -> Option<Duration> {
    // Rust's floats may also be signed, or words such as `inf`.
    if !text.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    let seconds = text.parse::<f64>().ok()? / parts_of_second;
    Some(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
}

/// Returns the time until a date; zero if the date has passed.
fn until(date: &str, now: Option<std::time::SystemTime>) -> Option<Duration> {
    let date = httpdate::parse_http_date(date).ok()?;
    Some(date.duration_since(now.unwrap_or_else(clock::wall_clock)).unwrap_or(Duration::ZERO))
}

fn date(headers: &HeaderMap) -> Option<std::time::SystemTime> {
    httpdate::parse_http_date(headers.get(DATE)?.to_str().ok()?.trim()).ok()
}

/// Returns `true` if another attempt could succeed after this status: 408, 425, 429, and 5xx except
/// 501 and 505.
///
/// A transient failure can still be unsafe to repeat: the server may have done the work before its
/// answer failed.
///
/// # Examples
///
/// ```
/// use decor::http::is_transient;
/// use http::StatusCode;
///
/// assert!(is_transient(StatusCode::TOO_MANY_REQUESTS));
/// assert!(is_transient(StatusCode::from_u16(529).unwrap())); // overloaded
/// assert!(!is_transient(StatusCode::NOT_IMPLEMENTED));
/// assert!(!is_transient(StatusCode::NOT_FOUND));
/// ```
pub fn is_transient(status: StatusCode) -> bool {
    match status.as_u16() {
        408 | 425 | 429 => true,
        501 | 505 => false,
        _ => status.is_server_error(),
    }
}

/// The error of a response with status 4xx or 5xx.
///
/// Keeps the server's `Retry-After`, which an error of the client library usually loses.
///
/// # Examples
///
/// See [`check`](Self::check), and [the example of a client](self#in-a-client).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StatusError {
    /// The status of the response.
    pub status: StatusCode,
    /// The delay that the server asks for; `None` if it asks for none. See [`retry_after`].
    pub retry_after: Option<Duration>,
}

impl StatusError {
    /// Checks a response.
    ///
    /// # Errors
    ///
    /// If the status is 4xx or 5xx.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::{Transient, http::StatusError};
    /// use http::{HeaderMap, HeaderValue, StatusCode, header::RETRY_AFTER};
    /// use std::time::Duration;
    ///
    /// let mut headers = HeaderMap::new();
    /// assert!(StatusError::check(StatusCode::OK, &headers).is_ok());
    ///
    /// headers.insert(RETRY_AFTER, HeaderValue::from_static("7"));
    /// let error = StatusError::check(StatusCode::TOO_MANY_REQUESTS, &headers).unwrap_err();
    /// assert_eq!(error.to_string(), "the server answered 429 Too Many Requests: retry after 7s");
    /// assert_eq!((error.is_transient(), error.retry_after), (true, Some(Duration::from_secs(7))));
    /// ```
    pub fn check(status: StatusCode, headers: &HeaderMap) -> Result<(), Self> {
        if !status.is_client_error() && !status.is_server_error() {
            return Ok(());
        }
        Err(Self { status, retry_after: retry_after(headers) })
    }
}

impl fmt::Display for StatusError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the server answered {}", self.status.as_u16())?;
        // `Display` of an unknown status says `<unknown status code>`.
        self.status.canonical_reason().map_or(Ok(()), |reason| write!(f, " {reason}"))?;
        self.retry_after.map_or(Ok(()), |wait| write!(f, ": retry after {wait:?}"))
    }
}

impl std::error::Error for StatusError {}

/// By the status: see [`is_transient`].
///
/// # Examples
///
/// See [`StatusError::check`].
impl Transient for StatusError {
    fn is_transient(&self) -> bool {
        is_transient(self.status)
    }

    fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }
}
