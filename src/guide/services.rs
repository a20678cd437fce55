//! An API with limits in axum: from an empty crate to a server that answers 429, 503 and 504.
//!
//! # An empty crate
//!
//! ```toml
//! [dependencies]
//! axum = "0.8"
//! decor = { path = "../decor", features = ["http", "tower"] } # a clone of the repository
//! reqwest = "0.13" # for the requests of this page
//! tokio = { version = "1", features = ["macros", "net", "rt-multi-thread", "time"] }
//!
//! [dev-dependencies]
//! tokio = { version = "1", features = ["test-util"] }
//! tower = { version = "0.5", features = ["util"] }
//! ```
//!
//! The API has one route:
//!
//! ```
//! use axum::{Router, extract::Path, routing::get};
//!
//! async fn item(Path(id): Path<u64>) -> String { format!("item {id}") }
//!
//! let app: Router = Router::new().route("/items/{id}", get(item));
//! ```
//!
//! # A limit
//!
//! [`http_layer`](crate::tower::http_layer) turns a chain into a layer. The closure gets the rest
//! of the router as `next`, and decorates it as any other function. The layer answers for its
//! decorators, so a limit needs no error handling:
//!
//! ```
//! # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
//! # use axum::{Router, body::Body, extract::{Path, Request}, routing::get};
//! # use tower::ServiceExt;
//! # async fn item(Path(id): Path<u64>) -> String { format!("item {id}") }
//! use decor::{prelude::*, tower::http_layer};
//! use std::time::Duration;
//!
//! let limiter = RateLimiter::new(2, Duration::from_secs(60));
//! let app: Router = Router::new().route("/items/{id}", get(item)).layer(http_layer(
//!     move |next| next.timeout(Duration::from_secs(5)).try_rate_limited(&limiter),
//! ));
//!
//! # let get = async || {
//! #     let request = Request::get("/items/7").body(Body::empty()).unwrap();
//! #     app.clone().oneshot(request).await.unwrap()
//! # };
//! assert_eq!(get().await.status(), 200);
//! assert_eq!(get().await.status(), 200);
//! let refused = get().await;
//! assert_eq!(refused.status(), 429);
//! assert_eq!(refused.headers()["retry-after"], "60"); // seconds, rounded up
//! # }
//! ```
//!
//! If a handler hangs, every caller has a 504 after 5 s. The limiter is one for all connections and
//! all threads, because a clone of a handle is the same handle. Routes that are added after
//! `.layer(..)` have no limit, such as a health check.
//!
//! # A time limit, and a limit of concurrent requests
//!
//! The last decorator of a chain sees a request first. Below, a request that finds all concurrency
//! permits in use is answered 503, without `Retry-After`, because the wait is not known. It takes
//! no permit of the rate. The time limit holds for the handler alone:
//!
//! ```
//! # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
//! # use axum::{Router, body::Body, extract::{Path, Request}, routing::get};
//! # use decor::{prelude::*, tower::http_layer};
//! # use std::time::Duration;
//! # use tower::ServiceExt;
//! async fn slow(Path(secs): Path<u64>) -> String {
//!     tokio::time::sleep(Duration::from_secs(secs)).await;
//!     format!("after {secs} s")
//! }
//!
//! let limiter = RateLimiter::new(100, Duration::from_secs(60));
//! let at_once = ConcurrencyLimiter::new(1);
//! let app: Router = Router::new().route("/slow/{secs}", get(slow)).layer(http_layer(move |next| {
//!     next.timeout(Duration::from_secs(5)) // 504
//!         .try_rate_limited(&limiter) // 429
//!         .try_concurrency_limited(&at_once) // 503
//! }));
//!
//! # let get = async |secs: u64| {
//! #     let request = Request::get(format!("/slow/{secs}")).body(Body::empty()).unwrap();
//! #     app.clone().oneshot(request).await.unwrap().status()
//! # };
//! assert_eq!(tokio::join!(get(1), get(1)), (200.try_into().unwrap(), 503.try_into().unwrap()));
//! assert_eq!(get(60).await, 504);
//! # }
//! ```
//!
//! If a handler hangs, every caller has its 504 after 5 s. The `timeout` ends when the handler
//! returns the head of the response, and does not bound the body. The concurrency permit is free
//! when the body has ended, so a body that hangs holds its permit.
//! [`timeout_each`](crate::StreamExt::timeout_each) bounds the stream of such a body. With
//! [`concurrency_limited_within`](crate::FnExt::concurrency_limited_within), requests wait for a
//! permit for a bounded time.
//!
//! # A limit for each API key
//!
//! A [`KeyedLimiter`](crate::KeyedLimiter) has a limit for each key, and remembers 65,536 keys. The
//! key comes from the request. Check the key before the limiter: a client that sends another key
//! with each request gets a new limit each time. Beyond 65,536 keys, the key that would be idle
//! next is forgotten, and starts anew.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
//! # use axum::{Router, body::Body, extract::{Path, Request}, routing::get};
//! # use decor::{prelude::*, tower::http_layer};
//! # use std::{sync::Arc, time::Duration};
//! # use tower::ServiceExt;
//! # async fn item(Path(id): Path<u64>) -> String { format!("item {id}") }
//! fn api_key(request: &Request) -> Arc<str> {
//!     // A layer outside has checked that the program knows the key.
//!     let key = request.headers().get("x-api-key").and_then(|key| key.to_str().ok());
//!     key.unwrap_or("none").into() // requests without a key share a limit
//! }
//!
//! let per_key = KeyedLimiter::new(1, Duration::from_secs(60));
//! let app: Router = Router::new().route("/items/{id}", get(item)).layer(http_layer(move |next| {
//!     next.timeout(Duration::from_secs(5)).try_rate_limited_by_key(&per_key, api_key)
//! }));
//!
//! # let get = async |key: &str| {
//! #     let request = Request::get("/items/7").header("x-api-key", key);
//! #     app.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap().status().as_u16()
//! # };
//! assert_eq!([get("ada").await, get("ada").await, get("bob").await], [200, 429, 200]);
//! # }
//! ```
//!
//! If a handler hangs, every caller has a 504 after 5 s.
//!
//! # What is behind the handlers
//!
//! A handler calls chains of its own. They live in the state of the router, as
//! [`BoxedFn`](crate::BoxedFn). [`Error`](crate::Error) converts into a response, so a handler with
//! the error type `Response` uses `?`. An error type of your own implements `IntoResponse`: its
//! variant with decor's error answers `Response::from(error)`, and a failure of the service behind
//! it is a 502, as in the example `axum_server`.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
//! # use axum::{Router, body::Body, extract::{Path, Request, State}, routing::get};
//! # use axum::response::Response;
//! # use tower::ServiceExt;
//! use decor::{Error, prelude::*};
//! use std::time::Duration;
//!
//! async fn load(id: u64) -> Result<String, Error> { Ok(format!("item {id}")) } // a slow store
//!
//! #[derive(Clone)]
//! struct Api { load: BoxedFn<(u64,), Result<String, Error>> }
//!
//! async fn item(State(api): State<Api>, Path(id): Path<u64>) -> Result<String, Response> {
//!     Ok(api.load.call(id).await?) // 503 with `Retry-After` while the circuit is open
//! }
//!
//! let items: Memo<u64, String> = Memo::ttl(Duration::from_secs(30));
//! let breaker = CircuitBreaker::consecutive(5);
//! let load = load
//!     .timeout(Duration::from_secs(1))
//!     .guarded_by(&breaker)
//!     .memoized(&items)
//!     .timeout(Duration::from_secs(2))
//!     .boxed();
//! let app: Router = Router::new().route("/items/{id}", get(item)).with_state(Api { load });
//! # let get = async |path: &str| {
//! #     let request = Request::get(path).body(Body::empty()).unwrap();
//! #     app.clone().oneshot(request).await.unwrap()
//! # };
//! assert_eq!(get("/items/7").await.status(), 200);
//! breaker.trip();
//! assert_eq!(get("/items/7").await.status(), 200, "the memo has it");
//! let refused = get("/items/8").await;
//! assert_eq!(refused.status(), 503);
//! assert!(refused.headers().contains_key("retry-after"));
//! # }
//! ```
//!
//! If the store hangs, every caller has its error after 1 s. If calls that load are dropped and
//! others take over, no caller waits longer than 2 s.
//!
//! # Served
//!
//! All of it, asked over a socket:
//!
//! ```
//! use axum::{Router, extract::{Path, Request}, routing::get};
//! use decor::{prelude::*, tower::http_layer};
//! use std::{sync::Arc, time::Duration};
//!
//! async fn item(Path(id): Path<u64>) -> String { format!("item {id}") }
//!
//! fn api_key(request: &Request) -> Arc<str> {
//!     let key = request.headers().get("x-api-key").and_then(|key| key.to_str().ok());
//!     key.unwrap_or("none").into()
//! }
//!
//! fn app() -> Router {
//!     let per_key = KeyedLimiter::new(10, Duration::from_secs(3_600));
//!     let at_once = ConcurrencyLimiter::new(100);
//!     Router::new()
//!         .route("/items/{id}", get(item))
//!         .layer(http_layer(move |next| {
//!             next.timeout(Duration::from_secs(5))
//!                 .try_rate_limited_by_key(&per_key, api_key)
//!                 .try_concurrency_limited(&at_once)
//!         }))
//!         .route("/health", get(async || "well"))
//! }
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//!     let url = format!("http://{}", listener.local_addr()?);
//!     tokio::spawn(async { axum::serve(listener, app()).await });
//!
//!     let mut statuses = vec![];
//!     for _ in 0..12 {
//!         statuses.push(reqwest::get(format!("{url}/items/7")).await?.status().as_u16());
//!     }
//!     assert_eq!(statuses, [[200; 10].as_slice(), &[429; 2]].concat());
//!     assert_eq!(reqwest::get(format!("{url}/health")).await?.status(), 200);
//!     Ok(())
//! }
//! ```
//!
//! If a handler hangs, every caller has a 504 after 5 s.
//!
//! # Tested
//!
//! A test asks the router without a socket. On the paused clock of tokio, an hour takes no time,
//! and each answer is exact:
//!
//! ```
//! # use axum::{Router, body::Body, extract::Request, routing::get};
//! # use decor::{prelude::*, tower::http_layer};
//! # use std::time::Duration;
//! # fn app() -> Router {
//! #     let limiter = RateLimiter::new(1, Duration::from_secs(3_600));
//! #     let limited = http_layer(move |next| next.try_rate_limited(&limiter));
//! #     Router::new().route("/", get(async || "hello")).layer(limited)
//! # }
//! use tower::ServiceExt; // for `oneshot`
//!
//! # /*
//! #[tokio::test(start_paused = true)]
//! # */
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() { requests_are_limited().await }
//! async fn requests_are_limited() {
//!     let app = app();
//!     let get = async || app.clone().oneshot(Request::new(Body::empty())).await.unwrap();
//!     assert_eq!(get().await.status(), 200);
//!     tokio::time::advance(Duration::from_millis(3_599_999)).await;
//!     assert_eq!(get().await.headers()["retry-after"], "1");
//!     tokio::time::advance(Duration::from_millis(1)).await;
//!     assert_eq!(get().await.status(), 200);
//! }
//! ```
//!
//! # From here
//!
//! - [`decor::http`](crate::http) lists the status, the headers and the body of each answer.
//!   [`Refusal`](crate::tower::Refusal) has a chain with answers of its own, such as JSON.
//! - [`decor::tower`](crate::tower) is the same for other services, and for clients.
//!   [`guide::clients`](super::clients) has a client with reqwest, for a service behind the API.
//! - [`guide::config`](super::config) has the limits in a file, which is read again at run time.
//! - The example `axum_server` has settings that are reloaded, statistics, and a load generator:
//!   `cargo run --example axum_server -- --load`.
