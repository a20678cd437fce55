//! Recipes for other crates: which errors are worth another attempt, and where a chain fits in.
//!
//! decor has no features for these crates. Each needs some lines of a program: an error type that
//! is [`Transient`](crate::Transient), or a function that takes the call as it is.
//!
//! The recipes of sqlx and of the AWS SDK run against a small stand-in, which is hidden, because
//! these crates take minutes to build. Its types have the names and the shape of the real ones. The
//! other recipes run against the crates themselves.
//!
//! # sqlx
//!
//! Postgres ends a transaction that conflicts with another one, and asks the client to repeat it:
//! with the code `40001` after a serialization failure, and with `40P01` after a deadlock. The
//! whole transaction begins anew, so the retry stands around the function that begins and commits
//! it. `PoolTimedOut` says that all connections were in use.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
//! # mod sqlx {
//! #     use std::{borrow::Cow, sync::{Arc, Mutex}};
//! #     pub trait DatabaseError: std::error::Error + Send + Sync {
//! #         fn code(&self) -> Option<Cow<'_, str>>;
//! #     }
//! #     #[derive(Debug, thiserror::Error)]
//! #     #[error("conflict")]
//! #     pub struct PgDatabaseError(pub &'static str);
//! #     impl DatabaseError for PgDatabaseError {
//! #         fn code(&self) -> Option<Cow<'_, str>> { Some(self.0.into()) }
//! #     }
//! #     #[derive(Debug, thiserror::Error)]
//! #     #[non_exhaustive]
//! #     pub enum Error {
//! #         #[error("{0}")]
//! #         Database(Box<dyn DatabaseError>),
//! #         #[error("pool timed out while waiting for an open connection")]
//! #         PoolTimedOut,
//! #         #[error("no rows")]
//! #         RowNotFound,
//! #     }
//! #     #[derive(Clone)]
//! #     pub struct PgPool(pub Arc<Mutex<Vec<Error>>>);
//! #     pub struct PgConnection;
//! #     pub struct Transaction(PgPool, PgConnection);
//! #     impl std::ops::Deref for Transaction {
//! #         type Target = PgConnection;
//! #         fn deref(&self) -> &PgConnection { &self.1 }
//! #     }
//! #     impl std::ops::DerefMut for Transaction {
//! #         fn deref_mut(&mut self) -> &mut PgConnection { &mut self.1 }
//! #     }
//! #     impl PgPool {
//! #         pub async fn begin(&self) -> Result<Transaction, Error> {
//! #             Ok(Transaction(self.clone(), PgConnection))
//! #         }
//! #     }
//! #     impl Transaction {
//! #         pub async fn commit(self) -> Result<(), Error> {
//! #             self.0.0.lock().unwrap().pop().map_or(Ok(()), Err)
//! #         }
//! #     }
//! #     pub struct Query;
//! #     pub fn query(_: &str) -> Query { Query }
//! #     impl Query {
//! #         pub fn bind(self, _: i64) -> Self { self }
//! #         pub async fn execute(self, _: &mut PgConnection) -> Result<(), Error> { Ok(()) }
//! #     }
//! # }
//! # use sqlx::PgPool;
//! use decor::{Error, prelude::*};
//! use std::time::Duration;
//!
//! #[derive(Debug, thiserror::Error)]
//! enum DbError {
//!     #[error(transparent)]
//!     Sqlx(#[from] sqlx::Error),
//!     #[error(transparent)]
//!     Policy(#[from] Error),
//! }
//!
//! impl Transient for DbError {
//!     fn is_transient(&self) -> bool {
//!         match self {
//!             Self::Sqlx(sqlx::Error::PoolTimedOut) => true,
//!             Self::Sqlx(sqlx::Error::Database(error)) => {
//!                 matches!(error.code().as_deref(), Some("40001" | "40P01"))
//!             }
//!             Self::Sqlx(_) => false,
//!             // After a limit, the transaction may have been committed.
//!             Self::Policy(Error::TimedOut { .. }) => false,
//!             Self::Policy(error) => error.is_transient(),
//!         }
//!     }
//! }
//!
//! async fn transfer(pool: PgPool, from: i64, to: i64) -> Result<(), DbError> {
//!     let mut transaction = pool.begin().await?;
//!     for (sql, id) in [
//!         ("UPDATE accounts SET cents = cents - 1 WHERE id = $1", from),
//!         ("UPDATE accounts SET cents = cents + 1 WHERE id = $1", to),
//!     ] {
//!         sqlx::query(sql).bind(id).execute(&mut *transaction).await?;
//!     }
//!     transaction.commit().await?;
//!     Ok(())
//! }
//!
//! # let conflict = |code| sqlx::Error::Database(Box::new(sqlx::PgDatabaseError(code)));
//! # use sqlx::Error::PoolTimedOut;
//! # let failures = vec![conflict("23505"), PoolTimedOut, conflict("40P01"), conflict("40001")];
//! # let failures = std::sync::Arc::new(std::sync::Mutex::new(failures));
//! # let pool = PgPool(failures.clone());
//! let policy = RetryPolicy::exponential(Duration::from_millis(20)).jitter(Jitter::Full);
//! let transfer = decor::with_context(pool, transfer)
//!     .timeout(Duration::from_secs(1)) // limit of each attempt
//!     .retry_with(policy.max_attempts(5))
//!     .transient()
//!     .timeout(Duration::from_secs(10)); // limit of all attempts together
//! # assert!(transfer.call(1, 2).await.is_err()); // the unique violation
//! # assert_eq!(failures.lock().unwrap().len(), 0);
//! # failures.lock().unwrap().push(sqlx::Error::RowNotFound);
//! # assert!(transfer.call(1, 2).await.is_err());
//! # assert_eq!(transfer.call(1, 2).await.unwrap(), ());
//! # }
//! ```
//!
//! If the database hangs, every caller has its error after 1 s. The pool's `acquire_timeout` is
//! 30 s unless it is set. Set it below the limit of an attempt, because otherwise `PoolTimedOut`
//! never comes. `Error::Io` is not in the list: a connection that breaks during a commit leaves
//! open whether the transaction took place. Add it, and `TimedOut`, for functions that only read.
//!
//! # tonic
//!
//! Two codes ask for another attempt: `UNAVAILABLE`, and `RESOURCE_EXHAUSTED` if the server
//! throttles. `ABORTED` is for the code around the call, which reads and writes again.
//! `DEADLINE_EXCEEDED` and `UNKNOWN` leave open whether the work was done.
//!
//! A server can send a wait in the metadata `grpc-retry-pushback-ms`. A negative number, or a text
//! that is no number, forbids further attempts:
//!
//! ```
//! # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
//! use decor::{Error, prelude::*};
//! use std::time::Duration;
//! use tonic::{Code, Response, Status};
//!
//! #[derive(Debug, thiserror::Error)]
//! enum RpcError {
//!     #[error(transparent)]
//!     Status(#[from] Status),
//!     #[error(transparent)]
//!     Policy(#[from] Error),
//! }
//!
//! enum Pushback {
//!     Unsaid,
//!     Wait(Duration),
//!     Stop,
//! }
//!
//! fn pushback(status: &Status) -> Pushback {
//!     let Some(value) = status.metadata().get("grpc-retry-pushback-ms") else {
//!         return Pushback::Unsaid;
//!     };
//!     let millis = value.to_str().ok().and_then(|millis| millis.parse().ok());
//!     millis.map_or(Pushback::Stop, |millis| Pushback::Wait(Duration::from_millis(millis)))
//! }
//!
//! impl Transient for RpcError {
//!     fn is_transient(&self) -> bool {
//!         match self {
//!             Self::Status(status) => {
//!                 matches!(status.code(), Code::Unavailable | Code::ResourceExhausted)
//!                     && !matches!(pushback(status), Pushback::Stop)
//!             }
//!             Self::Policy(error) => error.is_transient(),
//!         }
//!     }
//!     fn retry_after(&self) -> Option<Duration> {
//!         match self {
//!             Self::Status(status) => match pushback(status) {
//!                 Pushback::Wait(wait) => Some(wait),
//!                 Pushback::Unsaid | Pushback::Stop => None,
//!             },
//!             Self::Policy(error) => error.retry_after(),
//!         }
//!     }
//! }
//!
//! # #[derive(Clone)]
//! # struct UsersClient(std::sync::Arc<std::sync::Mutex<Vec<Status>>>);
//! # impl UsersClient {
//! #     async fn get_user(&mut self, id: u64) -> Result<Response<String>, Status> {
//! #         self.0.lock().unwrap().pop().map_or(Ok(Response::new(format!("user {id}"))), Err)
//! #     }
//! # }
//! # let answers = std::sync::Arc::new(std::sync::Mutex::new(vec![]));
//! # let client = UsersClient(answers.clone());
//! // `client` is a generated client. Its clones share a channel.
//! let get_user = async |mut client: UsersClient, id: u64| {
//!     Ok::<_, RpcError>(client.get_user(id).await?.into_inner())
//! };
//! let get_user = decor::with_context(client, get_user)
//!     .timeout(Duration::from_secs(1)) // limit of each attempt
//!     .retry_with(RetryPolicy::exponential(Duration::from_millis(100)))
//!     .transient()
//!     .timeout(Duration::from_secs(10)); // limit of all attempts together
//!
//! # let pushed_back = |value: &str| {
//! #     let mut status = Status::new(Code::Unavailable, "busy");
//! #     status.metadata_mut().insert("grpc-retry-pushback-ms", value.parse().unwrap());
//! #     status
//! # };
//! # answers.lock().unwrap().push(pushed_back("2500"));
//! let begun = tokio::time::Instant::now();
//! // The server answers `UNAVAILABLE` at first, with a pushback of 2500.
//! assert_eq!(get_user.call(42).await.unwrap(), "user 42");
//! assert_eq!(begun.elapsed(), Duration::from_millis(2_500));
//!
//! # for stop in ["-1", "soon", ""] {
//! # answers.lock().unwrap().push(pushed_back(stop));
//! // Now with a pushback of -1.
//! assert!(get_user.call(42).await.is_err());
//! assert_eq!(begun.elapsed(), Duration::from_millis(2_500)); // at once
//! # }
//! # answers.lock().unwrap().push(Status::new(Code::Internal, "bug"));
//! # assert!(get_user.call(42).await.is_err());
//! # }
//! ```
//!
//! `get_user` only reads, so an attempt that timed out is repeated. If the server hangs, every
//! caller has its error after 3.3 s: three attempts of 1 s, with waits of 0.1 s and 0.2 s. If the
//! server pushes back for longer, callers wait for 10 s at most.
//!
//! # The AWS SDK
//!
//! The SDK retries by itself, three attempts for each call. Two nested retries multiply their
//! attempts. Turn the retry of the SDK off, so that each attempt passes the limiter, the breaker
//! and the budget of the chain:
//!
//! ```text
//! let config = aws_config::defaults(BehaviorVersion::latest())
//!     .retry_config(RetryConfig::disabled())
//!     .load()
//!     .await;
//! ```
//!
//! The codes are those of the SDK's own classifier, and `x-amz-retry-after` has milliseconds:
//!
//! ```
//! # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
//! # mod aws {
//! #     #[derive(Debug, Clone, Copy, PartialEq)]
//! #     pub struct DispatchFailure { pub io: bool }
//! #     impl DispatchFailure {
//! #         pub fn is_io(&self) -> bool { self.io }
//! #         pub fn is_timeout(&self) -> bool { false }
//! #     }
//! #     #[derive(Debug)]
//! #     pub struct TimeoutError;
//! #     #[derive(Debug)]
//! #     pub struct ResponseError;
//! #     #[derive(Debug)]
//! #     pub struct ServiceError<E, R> { pub source: E, pub raw: R }
//! #     impl<E, R> ServiceError<E, R> {
//! #         pub fn err(&self) -> &E { &self.source }
//! #         pub fn raw(&self) -> &R { &self.raw }
//! #     }
//! #     #[derive(Debug, thiserror::Error)]
//! #     #[error("service error")]
//! #     #[non_exhaustive]
//! #     pub enum SdkError<E, R = HttpResponse> {
//! #         TimeoutError(TimeoutError),
//! #         DispatchFailure(DispatchFailure),
//! #         ResponseError(ResponseError),
//! #         ServiceError(ServiceError<E, R>),
//! #     }
//! #     #[derive(Debug)]
//! #     pub struct HttpResponse { pub status: u16, pub retry_after: Option<&'static str> }
//! #     pub struct StatusCode(u16);
//! #     impl StatusCode { pub fn as_u16(self) -> u16 { self.0 } }
//! #     pub struct Headers(Option<&'static str>);
//! #     impl Headers { pub fn get(&self, _: &str) -> Option<&str> { self.0 } }
//! #     impl HttpResponse {
//! #         pub fn status(&self) -> StatusCode { StatusCode(self.status) }
//! #         pub fn headers(&self) -> Headers { Headers(self.retry_after) }
//! #     }
//! #     pub trait ProvideErrorMetadata { fn code(&self) -> Option<&str>; }
//! #     #[derive(Debug)]
//! #     pub struct GetItemError(pub &'static str);
//! #     impl ProvideErrorMetadata for GetItemError {
//! #         fn code(&self) -> Option<&str> { Some(self.0) }
//! #     }
//! # }
//! # use aws::{GetItemError, HttpResponse, ProvideErrorMetadata, SdkError};
//! use decor::{Error, prelude::*};
//! use std::time::Duration;
//!
//! #[derive(Debug, thiserror::Error)]
//! enum StoreError {
//!     #[error(transparent)]
//!     Sdk(#[from] SdkError<GetItemError>),
//!     #[error(transparent)]
//!     Policy(#[from] Error),
//! }
//!
//! const BUSY: [&str; 7] = [
//!     "ProvisionedThroughputExceededException",
//!     "RequestLimitExceeded",
//!     "RequestTimeout",
//!     "SlowDown",
//!     "Throttling",
//!     "ThrottlingException",
//!     "TooManyRequestsException",
//! ];
//!
//! impl Transient for StoreError {
//!     fn is_transient(&self) -> bool {
//!         match self {
//!             Self::Sdk(SdkError::TimeoutError(_) | SdkError::ResponseError(_)) => true,
//!             Self::Sdk(SdkError::DispatchFailure(error)) => error.is_io() || error.is_timeout(),
//!             Self::Sdk(SdkError::ServiceError(error)) => {
//!                 let is_busy = error.err().code().is_some_and(|code| BUSY.contains(&code));
//!                 is_busy || matches!(error.raw().status().as_u16(), 500 | 502 | 503 | 504)
//!             }
//!             Self::Sdk(_) => false,
//!             Self::Policy(error) => error.is_transient(),
//!         }
//!     }
//!     fn retry_after(&self) -> Option<Duration> {
//!         match self {
//!             Self::Sdk(SdkError::ServiceError(error)) => {
//!                 let millis = error.raw().headers().get("x-amz-retry-after")?.parse().ok()?;
//!                 Some(Duration::from_millis(millis))
//!             }
//!             Self::Sdk(_) => None,
//!             Self::Policy(error) => error.retry_after(),
//!         }
//!     }
//! }
//!
//! # let refused = |code, status, retry_after| {
//! #     let raw = HttpResponse { status, retry_after };
//! #     let source = GetItemError(code);
//! #     StoreError::Sdk(SdkError::ServiceError(aws::ServiceError { source, raw }))
//! # };
//! # for (error, is_transient) in [
//! #     (refused("ThrottlingException", 400, None), true),
//! #     (refused("ValidationException", 400, None), false),
//! #     (refused("InternalServerError", 500, None), true),
//! #     (StoreError::Sdk(SdkError::DispatchFailure(aws::DispatchFailure { io: true })), true),
//! #     (StoreError::Sdk(SdkError::DispatchFailure(aws::DispatchFailure { io: false })), false),
//! #     (StoreError::Sdk(SdkError::TimeoutError(aws::TimeoutError)), true),
//! #     (StoreError::Sdk(SdkError::ResponseError(aws::ResponseError)), true),
//! # ] {
//! #     assert_eq!(error.is_transient(), is_transient, "{error:?}");
//! # }
//! # let hint = refused("SlowDown", 503, Some("250")).retry_after();
//! # assert_eq!(hint, Some(Duration::from_millis(250)));
//! # static CALLS: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
//! # #[derive(Clone)]
//! # struct Client;
//! async fn get_item(client: Client, id: String) -> Result<String, StoreError> {
//!     // client.get_item().table_name("users").key("id", AttributeValue::S(id)).send().await?
//! #   let _ = client;
//! #   match CALLS.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
//! #       0 => {
//! #           let raw = HttpResponse { status: 400, retry_after: None };
//! #           let source = GetItemError("ThrottlingException");
//! #           Err(SdkError::ServiceError(aws::ServiceError { source, raw }))?
//! #       }
//! #       _ => Ok(id),
//! #   }
//! }
//!
//! # let client = Client;
//! let get_item = decor::with_context(client, get_item)
//!     .timeout(Duration::from_secs(3)) // limit of each attempt
//!     .retry_with(RetryPolicy::exponential(Duration::from_millis(100)))
//!     .transient()
//!     .timeout(Duration::from_secs(15)); // limit of all attempts together
//! # assert_eq!(get_item.call("ada".into()).await.unwrap(), "ada");
//! # }
//! ```
//!
//! If the service hangs, every caller has its error after 9.3 s: three attempts of 3 s, with waits
//! of 0.1 s and 0.2 s.
//!
//! # reqwest-middleware
//!
//! The rest of the middlewares, with the request itself, is a future: `next.run(..)`. It takes the
//! decorators of [futures](crate::FutureExt). The error type of a middleware cannot carry
//! [`decor::Error`](crate::Error), so `.lifted()` comes first, and the error goes into
//! `Error::Middleware` at the end.
//!
//! Put the retry around the function that sends, and not into a middleware. Each attempt then makes
//! its request anew, so a body that streams is no obstacle, and each attempt goes through all
//! middlewares. [`decor::attempt()`](crate::attempt) tells them its number:
//!
//! ```
//! # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
//! use decor::{Failure, prelude::*};
//! use http::Extensions;
//! use reqwest::{Request, Response};
//! use reqwest_middleware::{ClientBuilder, ClientWithMiddleware, Error, Middleware, Next, Result};
//! use std::time::Duration;
//!
//! struct Limited(RateLimiter);
//!
//! #[async_trait::async_trait]
//! impl Middleware for Limited {
//!     async fn handle(
//!         &self,
//!         mut request: Request,
//!         extensions: &mut Extensions,
//!         next: Next<'_>,
//!     ) -> Result<Response> {
//!         request.headers_mut().insert("x-attempt", decor::attempt().into());
//!         next.run(request, extensions)
//!             .lifted()
//!             .timeout(Duration::from_secs(5))
//!             .rate_limited(&self.0)
//!             .await
//!             .map_err(|failure| match failure {
//!                 Failure::Call(error) => error,
//!                 Failure::Policy(error) => Error::Middleware(error.into()),
//!             })
//!     }
//! }
//!
//! fn is_transient(error: &Error) -> bool {
//!     match error {
//!         Error::Reqwest(error) => error.is_transient(),
//!         Error::Middleware(error) => {
//!             error.downcast_ref::<decor::Error>().is_some_and(Transient::is_transient)
//!         }
//!     }
//! }
//!
//! async fn get(client: ClientWithMiddleware, url: String) -> Result<String> {
//!     Ok(client.get(url).send().await?.error_for_status()?.text().await?)
//! }
//!
//! # /// Answers in place of the network: the second attempt is the first to succeed.
//! # struct Server;
//! # #[async_trait::async_trait]
//! # impl Middleware for Server {
//! #     async fn handle(
//! #         &self,
//! #         request: Request,
//! #         _: &mut Extensions,
//! #         _: Next<'_>,
//! #     ) -> Result<Response> {
//! #         let attempt = request.headers()["x-attempt"].to_str().unwrap().to_owned();
//! #         if attempt == "1" { std::future::pending::<()>().await; }
//! #         let status = if attempt == "2" { 503 } else { 200 };
//! #         Ok(http::Response::builder().status(status).body(attempt).unwrap().into())
//! #     }
//! # }
//! let limiter = RateLimiter::new(50, Duration::from_secs(1));
//! let client = ClientBuilder::new(reqwest::Client::new()).with(Limited(limiter));
//! # let client = client.with(Server);
//! let get = decor::with_context(client.build(), get)
//!     .lifted()
//!     .retry_with(RetryPolicy::default())
//!     .when(|failure| failure.call().is_none_or(is_transient))
//!     .timeout(Duration::from_secs(30)); // limit of all attempts together
//! # let begun = tokio::time::Instant::now();
//! # assert_eq!(get.call("http://api.example/".into()).await.unwrap(), "3");
//! # assert_eq!(begun.elapsed(), Duration::from_secs(5 + 1 + 2));
//! # }
//! ```
//!
//! If the API hangs, every one of 20 callers has its error after 18 s: three attempts of 5 s, with
//! waits of 1 s and 2 s.
//!
//! # A route of axum
//!
//! A handler is a function, so it takes decorators. [`.into_fn()`](crate::calling#as-a-function)
//! makes a closure of the chain, which axum takes. With `Response` as the error, decor's errors
//! become [responses](crate::http): 429 with `Retry-After`, 504, 503:
//!
//! ```
//! # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
//! use axum::{Router, extract::Path, http::header::RETRY_AFTER, response::Response, routing::get};
//! use decor::prelude::*;
//! use std::time::Duration;
//! # use axum::{body::Body, extract::Request};
//! # use tower_service::Service;
//!
//! async fn user(Path(id): Path<u64>) -> Result<String, Response> {
//!     // asks a store
//! #   if id == 0 { std::future::pending::<()>().await; }
//!     Ok(format!("user {id}"))
//! }
//!
//! let per_user = KeyedLimiter::new(1, Duration::from_secs(60));
//! let user = user
//!     .timeout(Duration::from_secs(2))
//!     .try_rate_limited_by_key(&per_user, |Path(id): &Path<u64>| *id)
//!     .into_fn();
//! let app: Router = Router::new().route("/users/{id}", get(user));
//!
//! # let mut router = app.clone();
//! # let mut get = async |path: &str| {
//! #     router.call(Request::get(path).body(Body::empty()).unwrap()).await.unwrap()
//! # };
//! assert_eq!(get("/users/42").await.status(), 200);
//! let refused = get("/users/42").await;
//! assert_eq!(refused.status(), 429);
//! assert_eq!(refused.headers()[RETRY_AFTER], "60");
//! assert_eq!(get("/users/7").await.status(), 200);
//! # assert_eq!(get("/users/0").await.status(), 504);
//! # }
//! ```
//!
//! If the store hangs, every request has its answer after 2 s. [`services`](super::services) has a
//! whole service, with layers around its routes.
