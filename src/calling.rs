//! Ways to call, store and pass on a decorated function: [`.call(..)`](Call1::call) and
//! [`.into_fn()`](Call1::into_fn).
//!
//! A decorated function is a value with a method `call`, because on stable Rust a type of a
//! library cannot be called as `fetch(42)`. The method takes the function's own arguments. The
//! [prelude](crate::prelude) has the method, for 0 to 8 arguments. Without it, rustc proposes the
//! trait `Call1`: write `use decor::prelude::*;` instead.
//!
//! # Examples
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! use decor::prelude::*;
//!
//! async fn fetch(id: u64, lang: &str) -> Result<String, String> { Ok(format!("{id} {lang}")) }
//! fn load(id: u64) -> Result<u64, String> { Ok(id) }
//!
//! let fetch = fetch.retry_with(RetryPolicy::default());
//! assert_eq!(fetch.call(42, "en").await.unwrap(), "42 en"); // a future
//!
//! let load = load.blocking().retry_with(RetryPolicy::default());
//! assert_eq!(load.call(42), Ok(42)); // the output itself
//! # }
//! ```
//!
//! An async function without arguments can be awaited as it is, `fetch.await`, and a sync one is
//! run by `.run()`. Both take the chain by value, so a closure may change a captured variable, such
//! as a counter.
//!
//! `.call(..)` borrows the chain, and any number of calls can be under way at once. A chain is
//! `Clone` when its parts are. For many owners, clone it or put it into an `Arc`.
//!
//! # As a function
//!
//! `.into_fn()` turns a chain into a closure, for code that knows nothing of decor: `iter.map(..)`,
//! a route of axum, a bound `F: Fn(A, B) -> Fut` or `F: AsyncFn(A, B) -> T`. The closure is
//! `Clone`. The closure of a sync chain returns the output.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! use axum::{Router, extract::Path, routing::get};
//! use decor::prelude::*;
//! use futures::{StreamExt, stream};
//! use std::time::Duration;
//!
//! async fn user(Path(id): Path<u64>) -> Result<String, String> { Ok(format!("user {id}")) }
//!
//! let limiter = RateLimiter::new(100, Duration::from_secs(1));
//! let user = user.rate_limited(&limiter).timeout(Duration::from_secs(2)).into_fn();
//! let app: Router = Router::new().route("/users/{id}", get(user.clone()));
//!
//! let users: Vec<_> = stream::iter((1..=3).map(Path)).map(user).buffered(2).collect().await;
//! assert_eq!(users[2].as_deref(), Ok("user 3"));
//! # }
//! ```
//!
//! # Functions of functions
//!
//! A function that decorates any function has the bound [`Callable`] with the tuple of the
//! arguments, and returns `impl Callable`. A retry, a limiter and a memo need a function that is
//! `Clone`:
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! use decor::{Error, prelude::*};
//! use std::time::Duration;
//!
//! fn harden<F>(f: F) -> impl Callable<(String,), Output = Result<usize, Error>> + Clone
//! where
//!     F: Callable<(String,), Output = Result<usize, Error>> + Clone,
//! {
//!     f.timeout(Duration::from_secs(2)).retry_with(RetryPolicy::default()).transient()
//! }
//!
//! async fn complete(prompt: String) -> Result<usize, Error> { Ok(prompt.len()) }
//! assert_eq!(harden(complete).call("hello".into()).await, Ok(5));
//! # }
//! ```
//!
//! For calls in spawned tasks, add `Send`, `Sync` and `'static` to the parameter and to the result.
//! The result also needs `Future: Send`. The parameter also needs `Future: Send`, or
//! `Repeated: Send` if a retry follows:
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! # use decor::{Error, prelude::*};
//! fn harden<F>(
//!     f: F,
//! ) -> impl Callable<(String,), Output = F::Output, Future: Send> + Send + Sync + 'static
//! where
//!     F: Callable<(String,), Output = Result<usize, Error>, Repeated: Send>,
//!     F: Clone + Send + Sync + 'static,
//! {
//!     f.retry_with(RetryPolicy::default()).transient()
//! }
//! # async fn complete(prompt: String) -> Result<usize, Error> { Ok(prompt.len()) }
//!
//! let complete = harden(complete);
//! let answer = tokio::spawn(async move { complete.call("hello".into()).await });
//! assert_eq!(answer.await.unwrap(), Ok(5));
//! # }
//! ```
//!
//! A parameter with the bound `F: AsyncFn(..)` is not [`Callable`], because the type of its future
//! has no name. Call it in an async closure that borrows it:
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! use decor::prelude::*;
//!
//! async fn patiently<F>(f: F) -> Result<u64, String>
//! where
//!     F: AsyncFn(u64) -> Result<u64, String>,
//! {
//!     let f = (async |id: u64| f(id).await).retry_with(RetryPolicy::default());
//!     f.call(42).await
//! }
//!
//! let client = String::from("client");
//! assert_eq!(patiently(async |id| Ok(id + client.len() as u64)).await, Ok(48));
//! # }
//! ```
//!
//! # Methods
//!
//! A method is a function of its receiver: `Client::get.retry_with(&policy).call(&client, id)`. A
//! method of an `async_trait` is decorated from outside in the same way. Inside the `impl`, the
//! method of the trait calls a decorated method of the type, with `self` as the first argument:
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! use decor::{Error, prelude::*};
//! use std::time::Duration;
//!
//! #[async_trait::async_trait]
//! trait Users: Send + Sync {
//!     async fn name(&self, id: u64) -> Result<String, Error>;
//! }
//!
//! struct Http { policy: RetryPolicy, limiter: RateLimiter }
//!
//! impl Http {
//!     async fn get(&self, path: String) -> Result<String, Error> { Ok(path) }
//! }
//!
//! #[async_trait::async_trait]
//! impl Users for Http {
//!     async fn name(&self, id: u64) -> Result<String, Error> {
//!         Http::get
//!             .timeout(Duration::from_secs(2))
//!             .rate_limited(&self.limiter)
//!             .retry_with(&self.policy)
//!             .transient()
//!             .call(self, format!("/users/{id}"))
//!             .await
//!     }
//! }
//!
//! let limiter = RateLimiter::new(10, Duration::from_secs(1));
//! let http = Http { policy: RetryPolicy::default(), limiter };
//! let name = <Http as Users>::name.timeout(Duration::from_secs(10)); // from outside
//! assert_eq!(name.call(&http, 42).await.unwrap(), "/users/42");
//! let users: Box<dyn Users> = Box::new(http);
//! assert_eq!(users.name(42).await.unwrap(), "/users/42");
//! # }
//! ```
//!
//! # Stored in a struct
//!
//! A struct that keeps its own decorated method has an inner client. The chain owns a clone of that
//! client, by [`with_context`](crate::with_context). [`.boxed()`](crate::FnExt::boxed) gives the
//! chain a short type, [`BoxedFn`]. The example `stored_in_a_struct` also shows a static and a
//! generic field.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! use decor::{Error, prelude::*, with_context};
//!
//! #[derive(Clone)]
//! struct Inner; // a connection pool, an HTTP client: cheap to clone
//!
//! impl Inner {
//!     async fn get(&self, id: u64) -> Result<String, Error> { Ok(format!("user {id}")) }
//! }
//!
//! struct Client {
//!     get: BoxedFn<(u64,), Result<String, Error>>,
//! }
//!
//! impl Client {
//!     fn new(inner: Inner) -> Self {
//!         let get = with_context(inner, async |inner: Inner, id: u64| inner.get(id).await);
//!         Self { get: get.named("get").retry_with(RetryPolicy::default()).boxed() }
//!     }
//!
//!     async fn get(&self, id: u64) -> Result<String, Error> { self.get.call(id).await }
//! }
//!
//! assert_eq!(Client::new(Inner).get(42).await.unwrap(), "user 42");
//! # }
//! ```
//!
//! # Async closures
//!
//! | closure | |
//! |---|---|
//! | `async \|id: u64\| client.get(id).await` | works: borrows `client` |
//! | `\|id: u64\| client.get(id)` | works: borrows `client` |
//! | `async move \|id: u64\| client.get(id).await` | lends what it owns: write `with_context(client, async \|client: Client, id: u64\| client.get(id).await)` |
//! | `move \|id: u64\| { let client = client.clone(); async move { client.get(id).await } }` | works: clones the client for each call |
//!
//! [`Callable`]: crate::Callable
//! [`BoxedFn`]: crate::BoxedFn

pub use crate::call::spread::{Call0, Call1, Call2, Call3, Call4, Call5, Call6, Call7, Call8};
