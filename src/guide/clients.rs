//! A client of an HTTP API with reqwest, from the bare request to its test.
//!
//! The features `reqwest` and `http` of decor say which failures are worth another attempt, and how
//! long the server asks to wait.
//!
//! # The request
//!
//! Write a function that makes one attempt. It reads the whole body, so that a limit holds for the
//! body too. It checks the status by itself, because `error_for_status` of reqwest drops the
//! headers, and with them `Retry-After`.
//!
//! The error type has a variant for each source of failures, and passes the questions of a retry
//! on. Its conversion removes the URL, because reqwest's errors show the URL, and with it an API
//! key in the query:
//!
//! ```
//! use decor::{Error, http::StatusError, prelude::*};
//! use std::time::Duration;
//! # use axum::{Router, http::{StatusCode, header::RETRY_AFTER}, routing::get};
//! # use std::sync::atomic::{AtomicU32, Ordering};
//!
//! #[derive(Debug, thiserror::Error)]
//! enum ApiError {
//!     #[error(transparent)]
//!     Status(#[from] StatusError),
//!     #[error(transparent)]
//!     Http(reqwest::Error),
//!     #[error(transparent)]
//!     Policy(#[from] Error),
//! }
//!
//! impl From<reqwest::Error> for ApiError {
//!     fn from(error: reqwest::Error) -> Self {
//!         Self::Http(error.without_url())
//!     }
//! }
//!
//! impl Transient for ApiError {
//!     fn is_transient(&self) -> bool {
//!         match self {
//!             Self::Status(error) => error.is_transient(),
//!             Self::Http(error) => error.is_transient(),
//!             Self::Policy(error) => error.is_transient(),
//!         }
//!     }
//!     fn retry_after(&self) -> Option<Duration> {
//!         match self {
//!             Self::Status(error) => error.retry_after(),
//!             Self::Http(_) => None,
//!             Self::Policy(error) => error.retry_after(),
//!         }
//!     }
//! }
//!
//! #[derive(Clone)]
//! struct Api { http: reqwest::Client, base: String, key: String }
//!
//! async fn get_user(api: Api, id: u64) -> Result<String, ApiError> {
//!     let Api { http, base, key } = api;
//!     let response = http.get(format!("{base}/users/{id}?key={key}")).send().await?;
//!     StatusError::check(response.status(), response.headers())?;
//!     Ok(response.text().await?)
//! }
//!
//! # async fn busy_once() -> std::io::Result<String> {
//! #     let answer = async || {
//! #         let status = if CALLS.fetch_add(1, Ordering::Relaxed) == 0 { 503 } else { 200 };
//! #         (StatusCode::from_u16(status).unwrap(), [(RETRY_AFTER, "0")], "Ada")
//! #     };
//! #     let app: Router = Router::new().route("/users/{id}", get(answer));
//! #     let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! #     let base = format!("http://{}", listener.local_addr()?);
//! #     tokio::spawn(async { axum::serve(listener, app).await });
//! #     Ok(base)
//! # }
//! # static CALLS: AtomicU32 = AtomicU32::new(0);
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // A server that is busy at first. Its `Retry-After` is 0, so that this example does not wait.
//! let base = busy_once().await?;
//! let http = reqwest::Client::builder().no_proxy().build()?;
//! let api = Api { http, base, key: "secret".into() };
//!
//! let secs = Duration::from_secs;
//! let limiter = RateLimiter::new(50, secs(1));
//! let get_user = decor::with_context(api, get_user)
//!     .timeout(secs(5)) // limit of each attempt
//!     .pausing(&limiter, ApiError::retry_after) // a 429 holds back all calls
//!     .rate_limited(&limiter)
//!     .retry_with(RetryPolicy::default().max_hint(secs(20)))
//!     .transient()
//!     .timeout(secs(30)) // limit of all attempts together
//!     .logged();
//!
//! assert_eq!(get_user.call(42).await?, "Ada");
//! # assert_eq!(CALLS.load(Ordering::Relaxed), 2);
//! # Ok(())
//! # }
//! ```
//!
//! # The chain
//!
//! If the API hangs, every one of 20 callers has its error after 18 s: three attempts of 5 s, with
//! waits of 1 s and 2 s. If it asks for longer waits, callers wait for 30 s at most.
//!
//! - The `timeout` of an attempt stands first. reqwest's own `timeout` is not needed. When the
//!   limit passes, the request is dropped, and its connection is closed.
//! - `pausing` and `rate_limited` share a limiter with all other functions that call this API. A
//!   `Retry-After` of 7 s then holds back their calls too.
//! - A hint beyond `max_hint` gives up at once, because a caller should not sleep for an hour. The
//!   limiter stays paused, for its [`longest_pause`](crate::RateLimiterBuilder::longest_pause) at
//!   most.
//! - [`guarded_by`](crate::FnExt::guarded_by) and [`budgeted`](crate::Retry::budgeted) are for an
//!   API that may be down for long: see [the order of a whole chain](crate#reading-a-chain).
//!
//! # Requests that must not be sent twice
//!
//! A transient failure says that another attempt *could* succeed. It does not say that the first
//! one did nothing: a connection can break, and a limit can pass, after the server has done the
//! work. A `GET` is safe to repeat. A payment is not.
//!
//! If the API knows idempotency keys, make the key an argument of the function. All attempts of a
//! call then have the same key, and `.transient()` is safe again. Otherwise retry only what has
//! certainly not begun:
//!
//! ```
//! # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
//! # use decor::{Error, http::StatusError, prelude::*};
//! # use std::{sync::atomic::{AtomicU32, Ordering}, time::Duration};
//! # #[derive(Debug, thiserror::Error)]
//! # enum ApiError {
//! #     #[error(transparent)]
//! #     Status(#[from] StatusError),
//! #     #[error(transparent)]
//! #     Http(reqwest::Error),
//! #     #[error(transparent)]
//! #     Policy(#[from] Error),
//! # }
//! impl ApiError {
//!     /// The request was not sent, or the server refused it before any work.
//!     fn has_not_begun(&self) -> bool {
//!         match self {
//!             Self::Status(error) => error.status == 429,
//!             Self::Http(error) => error.is_connect() && error.is_transient(),
//!             Self::Policy(Error::TimedOut { .. }) => false,
//!             Self::Policy(error) => error.is_transient(), // a limiter had no permit
//!         }
//!     }
//! }
//!
//! # static CALLS: AtomicU32 = AtomicU32::new(0);
//! async fn pay(cents: u64) -> Result<(), ApiError> {
//!     // a `POST`
//! #   CALLS.fetch_add(1, Ordering::Relaxed);
//! #   std::future::pending().await
//! }
//!
//! let pay = pay
//!     .timeout(Duration::from_secs(5))
//!     .retry_with(RetryPolicy::default())
//!     .when(ApiError::has_not_begun)
//!     .timeout(Duration::from_secs(30));
//! # assert!(pay.call(100).await.is_err());
//! # assert_eq!(CALLS.load(Ordering::Relaxed), 1);
//! # }
//! ```
//!
//! If the API hangs, every caller has its error after 5 s, because an attempt that has timed out is
//! not repeated.
//!
//! # The test
//!
//! The chain takes any function, so a test needs no server. In a
//! `#[tokio::test(start_paused = true)]` an hour passes at once, and the times are exact:
//!
//! ```
//! # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
//! use decor::{http::StatusError, prelude::*};
//! use http::{HeaderMap, HeaderValue, StatusCode, header::RETRY_AFTER};
//! use std::{sync::atomic::{AtomicU32, Ordering}, time::Duration};
//!
//! let throttled = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static("7"))]);
//! let calls = AtomicU32::new(0);
//! let get_user = async |id: u64| {
//!     if calls.fetch_add(1, Ordering::Relaxed) == 0 {
//!         StatusError::check(StatusCode::TOO_MANY_REQUESTS, &throttled)?;
//!     }
//!     Ok::<_, StatusError>(format!("user {id}"))
//! };
//! let get_user = get_user
//!     .lifted()
//!     .timeout(Duration::from_secs(5))
//!     .retry_with(RetryPolicy::default())
//!     .transient()
//!     .timeout(Duration::from_secs(30));
//!
//! let begun = tokio::time::Instant::now();
//! assert_eq!(get_user.call(42).await.unwrap(), "user 42");
//! assert_eq!(begun.elapsed(), Duration::from_secs(7)); // as the server asked
//! assert!(get_user.describe().lints().is_empty());
//! # }
//! ```
//!
//! [`recipes`](super::recipes) has the errors of further clients.
