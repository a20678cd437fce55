//! tower: services in chains, and chains as services and layers.
//!
//! | from | to | by |
//! |---|---|---|
//! | a service | a function of a chain | [`callable`] |
//! | a chain | a service | [`service`] |
//! | a chain | a layer | [`layer`] |
//! | a chain | a layer that answers 429, 503 and 504 by itself | [`http_layer`], with feature `http` |
//!
//! These are functions, because methods would clash with those of `tower::ServiceExt`.
//!
//! # In an axum service
//!
#![cfg_attr(feature = "http", doc = "```")]
#![cfg_attr(not(feature = "http"), doc = "```text")]
//! # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
//! use axum::{Router, body::Body, extract::Request, routing::get};
//! use decor::{prelude::*, tower::http_layer};
//! use std::time::Duration;
//! use tower::ServiceExt;
//!
//! let limiter = RateLimiter::new(1, Duration::from_secs(60));
//! let app: Router = Router::new().route("/", get(async || "hello")).layer(http_layer(
//!     move |next| next.timeout(Duration::from_secs(5)).try_rate_limited(&limiter),
//! ));
//!
//! let get = || app.clone().oneshot(Request::new(Body::empty()));
//! assert_eq!(get().await.unwrap().status(), 200);
//! let refused = get().await.unwrap();
//! assert_eq!(refused.status(), 429);
//! assert_eq!(refused.headers()["retry-after"], "60");
//! # }
//! ```
//!
//! If the handler hangs, every caller has a 504 after 5 s.
//!
//! # In a client
//!
//! [`layer`] around a service of a client, such as a channel of tonic or a `reqwest::Client`:
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! use decor::{Failure, prelude::*, tower::layer};
//! use std::time::Duration;
//! use tower::{Layer, Service};
//!
//! let limiter = RateLimiter::new(100, Duration::from_secs(60));
//! let limited = layer(move |inner| {
//!     inner.lifted().rate_limited(&limiter).timeout(Duration::from_secs(10))
//! });
//! let mut client = limited.layer(reqwest::Client::new());
//!
//! let request = reqwest::Request::new(reqwest::Method::GET, "http://[::1]:1/".parse().unwrap());
//! let error = client.call(request).await.unwrap_err();
//! assert!(matches!(error, Failure::Call(error) if error.is_connect()));
//! # }
//! ```
//!
//! If the server hangs, every caller has its error after 10 s, with its wait for a permit.
//!
//! # Readiness
//!
//! A service may reserve something when it becomes ready, such as a connection. A chain makes the
//! service ready inside its call, after the permits. Each call and each attempt has a clone of the
//! service, which is called only once that clone is ready. So nothing is reserved while a call
//! waits for a permit, and nothing stays reserved when a call is dropped.
//!
//! A chain as a service is therefore always ready. Layers that act on readiness belong inside the
//! chain: load shedding, and the balancing of `tower::balance`.
//!
//! # Errors
//!
//! A chain keeps the error type of its service. `BoxError` carries the errors of decorators as it
//! is, and other error types do after [`.lifted()`](crate::FnExt::lifted). A plain error of a
//! `Router` is [`Infallible`](std::convert::Infallible), and stays so with [`http_layer`].
//!
//! # Retries
//!
//! A retry needs a request that is `Clone`. A request with a body that streams is not. Build such a
//! request from its parts within the function that the retry repeats.

mod chain;
#[cfg(feature = "http")]
mod http_layer;
mod service_fn;

#[cfg(feature = "http")]
pub use self::http_layer::{HttpFuture, HttpLayer, HttpService, Next, NextFuture, Refusal};
pub use chain::{ChainLayer, ChainService};
pub use service_fn::{ServiceCall, ServiceFn};

use tower_service::Service;

/// Turns a service into a function of its request, for a chain.
///
/// The function is async, and returns a `Result`. To be called with `.call(..)`, the service must
/// be `Clone`, as those of clients and of axum are. Stands first in a chain.
///
/// # Cancel safety
///
/// That of [`ServiceCall`].
///
/// # Errors
///
/// Those of the service, in `poll_ready` and in `call`.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
/// use decor::{prelude::*, tower::callable};
/// use std::time::Duration;
/// use tower::{BoxError, service_fn};
///
/// let echo = service_fn(async |text: String| Ok::<_, BoxError>(text));
/// let echo = callable(echo)
///     .named("echo")
///     .timeout(Duration::from_secs(2))
///     .retry_with(RetryPolicy::default())
///     .timeout(Duration::from_secs(10));
/// assert_eq!(echo.call("hello".into()).await.unwrap(), "hello");
/// # }
/// ```
///
/// If the service hangs, every caller has its error after 9 s: three attempts of 2 s, with waits of
/// 1 s and 2 s.
pub fn callable<S: Service<Req>, Req>(service: S) -> ServiceFn<S, Req> {
    ServiceFn::new(service)
}

/// Turns a chain of one argument into a service.
///
/// # Cancel safety
///
/// That of the chain.
///
/// # Errors
///
/// Those of the chain.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
/// use decor::{Error, prelude::*, tower::service};
/// use std::time::Duration;
/// use tower::{Service, ServiceExt};
///
/// async fn fetch(id: u64) -> Result<String, Error> { Ok(format!("user {id}")) }
///
/// let limiter = RateLimiter::new(10, Duration::from_secs(1));
/// let mut fetch = service(fetch.timeout(Duration::from_secs(2)).try_rate_limited(&limiter));
/// assert_eq!(fetch.ready().await.unwrap().call(42).await.unwrap(), "user 42");
/// # }
/// ```
///
/// If `fetch` hangs, every caller has its error after 2 s.
pub fn service<C>(chain: C) -> ChainService<C> {
    ChainService::new(chain)
}

/// Turns a chain into a layer, around any service that is `Clone`.
///
/// The closure decorates the service, and is called once for each service that the layer wraps.
/// Handles that it captures are therefore shared by all these services, and by their clones.
///
/// # Cancel safety
///
/// That of the chain.
///
/// # Errors
///
/// Those of the chain.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
/// use decor::{prelude::*, tower::layer};
/// use std::time::Duration;
/// use tower::{BoxError, Service, ServiceBuilder, service_fn};
///
/// let limiter = RateLimiter::new(10, Duration::from_secs(1));
/// let mut echo = ServiceBuilder::new()
///     .layer(layer(move |inner| inner.rate_limited(&limiter).timeout(Duration::from_secs(5))))
///     .service(service_fn(async |text: String| Ok::<_, BoxError>(text)));
/// assert_eq!(echo.call("hello".into()).await.unwrap(), "hello");
/// # }
/// ```
///
/// If the service hangs, every caller has its error after 5 s, with its wait for a permit.
pub fn layer<F, S, Req, C>(decorate: F) -> ChainLayer<F, S, Req>
where
    F: Fn(ServiceFn<S, Req>) -> C,
{
    ChainLayer::new(decorate)
}

/// Turns a chain into a layer of HTTP services that answers for the errors of its decorators.
///
/// A refused call has the response that [`decor::http`](crate::http) lists: 429, 503 or 504, with
/// `Retry-After` if the wait is known. The error type of the service stays as it is. That of an
/// axum `Router` stays [`Infallible`](std::convert::Infallible), without `HandleErrorLayer`.
///
/// Takes services with a response of the `http` crate, such as those of axum and of hyper. The
/// error inside the chain is [`Failure<E>`](crate::Failure), where `E` is the error of the service.
/// [`Refusal`] has a chain with answers of its own.
///
/// # Permits of concurrency limiters
///
/// The permits that a chain takes from a [`ConcurrencyLimiter`](crate::ConcurrencyLimiter) last
/// until the end of the response's body ([`HeldBody`](crate::HeldBody)), and not only until its
/// head. A response that streams for an hour holds its permits for an hour. Limit the handler
/// itself if its body is to be free.
///
/// # Cancel safety
///
/// That of the chain. hyper drops the call when the client has gone.
///
/// # Errors
///
/// Those of the service.
///
/// # Examples
///
/// [`decor::tower`](self#in-an-axum-service) has a limit for all requests. A closure over the
/// request, such as one that returns its key, has its type written:
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
/// use axum::{Router, body::Body, extract::Request, routing::get};
/// use decor::{prelude::*, tower::http_layer};
/// use std::time::Duration;
/// use tower::ServiceExt;
///
/// fn api_key(request: &Request) -> String {
///     let key = request.headers().get("x-api-key").and_then(|key| key.to_str().ok());
///     key.unwrap_or("none").to_owned()
/// }
///
/// let per_key = KeyedLimiter::new(1, Duration::from_secs(60));
/// let app: Router = Router::new().route("/", get(async || "hello")).layer(http_layer(
///     move |next| {
///         next.timeout(Duration::from_secs(5)).try_rate_limited_by_key(&per_key, api_key)
///     },
/// ));
/// # let get = async |key: &str| {
/// #     let request = Request::get("/").header("x-api-key", key).body(Body::empty()).unwrap();
/// #     app.clone().oneshot(request).await.unwrap().status().as_u16()
/// # };
/// # assert_eq!([get("a").await, get("a").await, get("b").await], [200, 429, 200]);
/// # }
/// ```
///
/// If the handler hangs, every caller has a 504 after 5 s.
#[cfg(feature = "http")]
pub fn http_layer<F, S, Req, C>(decorate: F) -> HttpLayer<F, S, Req>
where
    F: Fn(ServiceFn<Next<S>, Req>) -> C,
{
    HttpLayer::new(decorate)
}
