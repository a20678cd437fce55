//! A decorator of your own: three ways, from a function to a gate.
//!
//! | need | way |
//! |---|---|
//! | the same decorators around many functions | a [`stack`](crate::stack()), or a function that decorates any function |
//! | check arguments, change errors, watch retries, record durations | a closure: [`validated`](crate::FnExt::validated), [`map_err`](crate::FnExt::map_err), [`on_retry`](crate::Retry::on_retry), [`Timing::record_to`](crate::Timing::record_to) |
//! | run code before and after each call, let calls wait, refuse them | a [`Gate`](crate::layer::Gate) |
//!
//! # A function that decorates
//!
//! A function takes any async function, and returns its chain. `Callable` is the trait of what can
//! be called:
//!
//! ```
//! use decor::{Callable, Error, prelude::*};
//! use std::time::Duration;
//!
//! fn hardened<F>(fetch: F) -> impl Callable<(u64,), Output = Result<String, Error>>
//! where
//!     F: Callable<(u64,), Output = Result<String, Error>> + Clone,
//! {
//!     fetch
//!         .timeout(Duration::from_secs(2))
//!         .retry_with(RetryPolicy::default())
//!         .transient()
//!         .timeout(Duration::from_secs(10))
//!         .timed("fetch")
//! }
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
//! let fetch = hardened(async |id: u64| Ok(format!("user {id}")));
//! assert_eq!(fetch.call(42).await.unwrap(), "user 42");
//! # }
//! ```
//!
//! If the function hangs, every caller has its error after 9 s. To spawn or to box such a chain,
//! its function has [further bounds](crate::calling#functions-of-functions). For functions with
//! other arguments and results, a [`stack`](crate::stack()) has the same decorators without a
//! function.
//!
//! # A gate
//!
//! A [`Gate`](crate::layer::Gate) stands before one call. [`enter`](crate::layer::Gate::enter) lets
//! the call through, lets it wait, or answers in its place. [`end`](crate::layer::Gate::end) is
//! told the outcome: a value, a panic, or a dropped call. One gate serves futures, async functions
//! and sync functions.
//!
//! The gate below refuses calls while a service is under maintenance. The program has one clone of
//! the switch, and the chain has another, which is cloned for each call:
//!
//! ```
//! # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
//! use decor::{Error, Fallible, FnExt, layer::{Decoration, Gate, Gated, Wait}, prelude::*};
//! use std::{fmt, sync::{Arc, atomic::{AtomicBool, Ordering::Relaxed}}, task::Poll};
//! use std::time::Duration;
//!
//! /// A switch, which all of its clones share.
//! #[derive(Debug, Clone, Default)]
//! struct Maintenance(Arc<AtomicBool>);
//!
//! impl Maintenance {
//!     fn begin(&self) { self.0.store(true, Relaxed); }
//!     fn end(&self) { self.0.store(false, Relaxed); }
//! }
//!
//! /// What `Debug` and `describe` show of the decorator.
//! impl Decoration for Maintenance {
//!     fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
//!         f.write_str(".unless_maintained(..)")
//!     }
//! }
//!
//! /// For any output that can carry an error of decor.
//! impl<T: Fallible> Gate<T> for Maintenance {
//!     fn enter(&mut self, _: &mut Wait<'_>) -> Poll<Result<(), T>> {
//!         if !self.0.load(Relaxed) {
//!             return Poll::Ready(Ok(())); // the function is called
//!         }
//!         let message = "try again in a minute".to_owned();
//!         let retry_after = Some(Duration::from_secs(60));
//!         let error = Error::Rejected { by: "maintenance", message, retry_after };
//!         Poll::Ready(Err(T::from_policy(error))) // the function is not called
//!     }
//! }
//!
//! /// The method, for async and for sync functions.
//! trait MaintenanceExt<Args, Half>: FnExt<Args, Half> {
//!     fn unless_maintained(self, switch: &Maintenance) -> Gated<Self, Maintenance>
//!     where
//!         Self::Output: Fallible,
//!     {
//!         self.gated(switch.clone())
//!     }
//! }
//! impl<F: FnExt<Args, Half>, Args, Half> MaintenanceExt<Args, Half> for F {}
//!
//! // An async chain. The retry waits for the minute that the refusal names.
//! let switch = Maintenance::default();
//! let fetch = (async |id: u64| Ok::<_, Error>(id))
//!     .timeout(Duration::from_secs(2))
//!     .unless_maintained(&switch)
//!     .retry_with(RetryPolicy::default().max_attempts(2))
//!     .transient()
//!     .timeout(Duration::from_secs(90));
//!
//! switch.begin();
//! let begun = tokio::time::Instant::now();
//! assert!(fetch.call(42).await.is_err());
//! assert_eq!(begun.elapsed(), Duration::from_secs(60));
//! switch.end();
//! assert_eq!(fetch.call(42).await, Ok(42));
//!
//! // A sync function, behind the same switch.
//! let parse = (|text: &str| text.parse::<u8>().map_err(|error| error.to_string()))
//!     .blocking()
//!     .unless_maintained(&switch);
//! assert_eq!(parse.call("7"), Ok(7));
//! # }
//! ```
//!
//! If the function hangs, every caller of the async chain has its error after 5 s: two attempts of
//! 2 s, and a wait of 1 s. Callers of the sync function wait for ever, because it has no limit.
//!
//! # Rules of a gate
//!
//! - A clone of a gate is the gate of another call. Handles in it are shared, and the state of one
//!   call is not.
//! - A gate waits with [`Wait`](crate::layer::Wait), and reads the clock of that, so that it
//!   follows virtual time.
//! - A gate that queues leaves its queue in its own `Drop`, because a call may be dropped while it
//!   waits.
//!
//! # From here
//!
//! - The module [`layer`](crate::layer) has the life of a gate row by row, and three larger gates:
//!   a counter of calls in flight, a circuit breaker, and an audit log that shows the arguments.
//! - [`metrics`](crate::metrics) reports a handle of your own beside decor's.
