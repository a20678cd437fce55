//! Decorators of your own.
//!
//! A decorator of your own is a [`Gate`]: a value that stands before one call. A gate can make the
//! call wait, can refuse it, and is told its outcome. The same gate serves futures, async
//! functions, and sync functions after `.blocking()`.
//!
//! [`FutureExt::gated`] puts a gate before a future. [`FnExt::gated`] puts a clone of a gate before
//! each call of a function. [`FnExt::gated_by`] makes the gate from the arguments of each call. An
//! extension trait, as in the examples below, gives the gate a method with a name of its own.
//!
//! # The life of a gate
//!
//! | moment | gate |
//! |---|---|
//! | `.call(..)` | the gate is cloned, or made from the arguments; the function is not called yet |
//! | first poll (sync: at once) | [`enter`](Gate::enter) is polled |
//! | `enter` is pending | the call waits; `enter` is polled at each poll of the call |
//! | `enter` is `Ok(())` | the function is called |
//! | `enter` is `Err(output)` | the call is refused and returns `output`; neither the function nor `end` is called |
//! | the call returns | [`end`](Gate::end) is called with the output |
//! | the call panics | `end` is called with [`Panicked`](Outcome::Panicked), then the panic continues |
//! | dropped before the first poll | the gate is dropped |
//! | dropped while the gate waits | the gate is dropped; its own `Drop` must leave any queue |
//! | dropped while the call runs | the call is dropped, then `end` is called with [`Cancelled`](Outcome::Cancelled) |
//!
//! A sync call cannot be dropped. When the limit of a `.timeout(..)` has passed, the call is
//! unwound when it next waits in decor, and `end` is called with
//! [`Cancelled`](Outcome::Cancelled).
//!
//! Each call that was let through ends once. A leaked call (`std::mem::forget`) never ends.
//!
//! # A method of your own
//!
//! An extension trait gives the gate a method: one trait for functions, and another one for futures
//! if the gate should serve them. Both may have the same method name. Put a bound on the output on
//! the method, not on the trait, so that rustc names the missing bound.
//!
//! ```
//! use decor::{FnExt, FutureExt, layer::{Decoration, Gate, Gated, GatedFuture}};
//!
//! trait PassedExt<Args, Half>: FnExt<Args, Half> {
//!     fn passed<G: Gate<Self::Output> + Decoration + Clone>(self, gate: &G) -> Gated<Self, G> {
//!         self.gated(gate.clone())
//!     }
//! }
//! impl<F: FnExt<Args, Half>, Args, Half> PassedExt<Args, Half> for F {}
//!
//! trait PassedFutureExt: FutureExt {
//!     fn passed<G>(self, gate: &G) -> GatedFuture<Self, G, Self::Output>
//!     where
//!         G: Gate<Self::Output> + Clone,
//!     {
//!         self.gated(gate.clone())
//!     }
//! }
//! impl<F: FutureExt> PassedFutureExt for F {}
//! ```
//!
//! A clone of a gate is the gate of another call. It must not share the state of one call, such as
//! a permit or a place in a queue. If the chain is spawned, the gate must be `Send`. If the chain
//! is [`boxed`](crate::FnExt::boxed), the gate must be `Send + Sync + 'static`.
//!
//! # The output
//!
//! `T` of [`Gate<T>`] is the output of the call. The bound on `T` depends on the gate's work:
//!
//! - no bound: the gate waits, counts or measures, and serves any function;
//! - [`ResultLike`](crate::ResultLike): the gate reads the `Result`, by [`End::as_result`];
//! - [`Fallible`](crate::Fallible): the gate also refuses calls, by [`Error::Rejected`];
//! - a type: the gate makes or reads outputs of that type.
//!
//! # The place in a chain
//!
//! - Before `.retry_with(..)`, each attempt passes the gate. Behind it, the call as a whole does.
//! - Before `.memoized(..)`, only loads pass the gate. Behind it, every call does.
//! - Before `.timeout(..)`, the limit includes the wait at the gate.
//! - With two gates, the outer one is entered first, and is told the end last.
//!
//! # What a gate must not do
//!
//! - A gate must not block in `enter`. It asks [`Wait`] to be polled again, and returns `Pending`.
//! - A gate must not read another clock. [`Wait::now`], [`End::now`] and, outside of a gate,
//!   [`now`] follow a test's virtual time.
//! - A gate must not hold a lock from `enter` to `end`, because other code runs in between.
//! - A gate must not panic in `end`. If another panic is unwinding, a panic there aborts the
//!   process.
//!
//! # A counter of calls in flight
//!
//! The gate has no bound on `T`. The count also goes down when a call is dropped or panics.
//!
//! ```
//! use decor::{FnExt, layer::{Decoration, End, Gate, Gated, Wait}, prelude::*};
//! use std::{fmt, sync::{Arc, atomic::{AtomicU32, Ordering::Relaxed}}, task::Poll};
//!
//! #[derive(Debug, Clone, Default)]
//! struct InFlight(Arc<AtomicU32>);
//!
//! impl InFlight {
//!     fn calls(&self) -> u32 {
//!         self.0.load(Relaxed)
//!     }
//! }
//!
//! impl Decoration for InFlight {
//!     fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
//!         f.write_str(".in_flight(..)")
//!     }
//! }
//!
//! impl<T> Gate<T> for InFlight {
//!     fn enter(&mut self, _: &mut Wait<'_>) -> Poll<Result<(), T>> {
//!         self.0.fetch_add(1, Relaxed);
//!         Poll::Ready(Ok(()))
//!     }
//!
//!     fn end(&mut self, _: End<'_, T>) {
//!         self.0.fetch_sub(1, Relaxed);
//!     }
//! }
//!
//! trait InFlightExt<Args, Half>: FnExt<Args, Half> {
//!     fn in_flight(self, calls: &InFlight) -> Gated<Self, InFlight> {
//!         self.gated(calls.clone())
//!     }
//! }
//! impl<F: FnExt<Args, Half>, Args, Half> InFlightExt<Args, Half> for F {}
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
//! use std::{future::pending, time::Duration};
//!
//! let in_flight = InFlight::default();
//!
//! // An async function, dropped while it runs.
//! async fn hang(_host: &str) -> Result<(), String> { pending().await }
//! let hang = hang.in_flight(&in_flight).timeout(Duration::from_secs(1));
//! let (timed_out, ()) = tokio::join!(hang.call("db"), async {
//!     tokio::task::yield_now().await;
//!     assert_eq!(in_flight.calls(), 1);
//! });
//! assert!(timed_out.is_err());
//! assert_eq!(in_flight.calls(), 0);
//!
//! // A future.
//! let counted = async { in_flight.calls() }.gated(in_flight.clone());
//! assert_eq!(counted.await, 1);
//! assert_eq!(in_flight.calls(), 0);
//!
//! // A sync function that panics.
//! let load = (|_: u64| -> u64 {
//!     assert_eq!(in_flight.calls(), 1);
//!     panic!("broken")
//! }).blocking().in_flight(&in_flight);
//! let load = std::panic::AssertUnwindSafe(|| load.call(42));
//! assert!(std::panic::catch_unwind(load).is_err());
//! assert_eq!(in_flight.calls(), 0);
//! # }
//! ```
//!
//! # A circuit breaker
//!
//! A small one, to show a gate with a state; decor's own is
//! [`CircuitBreaker`](crate::CircuitBreaker). The circuit opens after three failures in a row, and
//! the gate refuses calls while the circuit is open. After half a minute the gate lets one call
//! through, as a trial. A cancelled call counts neither as a failure nor as a success.
//!
//! ```
//! use decor::{Error, Fallible, FnExt, layer::{Decoration, End, Gate, Gated, Instant, Wait}};
//! use std::{fmt::{self, Formatter}, sync::{Arc, Mutex}, task::Poll, time::Duration};
//!
//! const OPEN_FOR: Duration = Duration::from_secs(30);
//!
//! #[derive(Debug, Clone, Default)]
//! struct Breaker { circuit: Arc<Mutex<Circuit>>, is_trial: bool } // of all calls, of this one
//!
//! #[derive(Debug, Default)]
//! struct Circuit { failures: u32, open_until: Option<Instant> }
//!
//! impl Decoration for Breaker {
//!     fn describe(&self, f: &mut Formatter<'_>) -> fmt::Result { f.write_str(".guarded(..)") }
//! }
//!
//! impl<T: Fallible> Gate<T> for Breaker {
//!     fn enter(&mut self, wait: &mut Wait<'_>) -> Poll<Result<(), T>> {
//!         let (mut circuit, now) = (self.circuit.lock().unwrap(), wait.now());
//!         let Some(open_until) = circuit.open_until else { return Poll::Ready(Ok(())) };
//!         if now < open_until {
//!             let (message, retry_after) = ("the circuit is open".into(), Some(open_until - now));
//!             let error = Error::Rejected { by: "breaker", message, retry_after };
//!             return Poll::Ready(Err(T::from_policy(error)));
//!         }
//!         (self.is_trial, circuit.open_until) = (true, Some(now + OPEN_FOR)); // half-open
//!         Poll::Ready(Ok(()))
//!     }
//!
//!     fn end(&mut self, end: End<'_, T>) {
//!         let mut circuit = self.circuit.lock().unwrap();
//!         match end.as_result() {
//!             Some(Ok(_)) => *circuit = Circuit::default(),
//!             Some(Err(_)) if circuit.failures < 2 => circuit.failures += 1,
//!             Some(Err(_)) => circuit.open_until = Some(end.now() + OPEN_FOR),
//!             None if self.is_trial => circuit.open_until = Some(end.now()), // try again
//!             None => {}
//!         }
//!     }
//! }
//!
//! trait BreakerExt<Args, Half>: FnExt<Args, Half> {
//!     fn guarded(self, breaker: &Breaker) -> Gated<Self, Breaker> where Self::Output: Fallible {
//!         self.gated(breaker.clone())
//!     }
//! }
//! impl<F: FnExt<Args, Half>, Args, Half> BreakerExt<Args, Half> for F {}
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
//! use decor::{prelude::*, test_util::VirtualClock};
//! use std::future::ready;
//!
//! fn open(after: Duration) -> Error {
//!     let message = "the circuit is open".to_owned();
//!     Error::Rejected { by: "breaker", message, retry_after: Some(after) }
//! }
//! fn parse(text: &str) -> Result<u8, Error> {
//!     text.parse().map_err(|_| Error::InvalidArgument { message: text.into() })
//! }
//!
//! // An async function, and a future behind the same breaker. Tokio's clock is paused.
//! let breaker = Breaker::default();
//! let fetch = (async |text: &str| parse(text)).guarded(&breaker);
//! for _ in 0..3 {
//!     assert!(fetch.call("x").await.is_err());
//! }
//! assert_eq!(fetch.call("7").await, Err(open(OPEN_FOR)));
//! tokio::time::advance(Duration::from_secs(20)).await;
//! assert_eq!(ready(Ok(7)).gated(breaker.clone()).await, Err(open(Duration::from_secs(10))));
//! tokio::time::advance(Duration::from_secs(10)).await;
//! assert_eq!(fetch.call("7").await, Ok(7));
//! assert_eq!(ready(Ok::<u8, Error>(8)).gated(breaker.clone()).await, Ok(8));
//!
//! // A sync function, by a virtual clock.
//! let clock = VirtualClock::start();
//! let load = parse.blocking().guarded(&Breaker::default());
//! for _ in 0..3 {
//!     assert!(load.call("x").is_err());
//! }
//! assert_eq!(load.call("7"), Err(open(OPEN_FOR)));
//! clock.advance(OPEN_FOR);
//! assert_eq!(load.call("7"), Ok(7));
//! # }
//! ```
//!
//! # An audit log
//!
//! The gate of each call is made from the arguments, by `Audited`, which implements
//! [`Inspect`](crate::Inspect) as closures do.
//!
//! ```
//! use decor::{FnExt, Inspect, Name, ResultLike, layer::{End, Gate, GatedBy}, prelude::*};
//! use std::{fmt::Display, sync::{Arc, Mutex}};
//!
//! #[derive(Debug, Clone, Default)]
//! struct AuditLog(Arc<Mutex<Vec<String>>>);
//!
//! #[derive(Clone)]
//! struct Entry { log: AuditLog, call: String }
//!
//! impl AuditLog {
//!     fn entry(&self, name: &str, argument: impl Display) -> Entry {
//!         Entry { log: self.clone(), call: format!("{name}({argument})") }
//!     }
//! }
//!
//! impl<T: ResultLike> Gate<T> for Entry {
//!     fn end(&mut self, end: End<'_, T>) {
//!         let (call, outcome) = (&self.call, end.outcome_by_result());
//!         self.log.0.lock().unwrap().push(format!("{call}: {outcome}"));
//!     }
//! }
//!
//! #[derive(Clone)]
//! struct Audited<P> { log: AuditLog, name: Name, show: P }
//!
//! impl<P: Inspect<Args, Output: Display>, Args> Inspect<Args> for Audited<P> {
//!     type Output = Entry;
//!     fn inspect(&self, args: &Args) -> Entry {
//!         self.log.entry(&self.name, self.show.inspect(args))
//!     }
//! }
//!
//! trait AuditExt<Args, Half>: FnExt<Args, Half> {
//!     fn audited<P>(self, log: &AuditLog, show: P) -> GatedBy<Self, Audited<P>>
//!     where
//!         P: Inspect<Args, Output: Display>,
//!         Self::Output: ResultLike,
//!     {
//!         let audited = Audited { log: log.clone(), name: self.name(), show };
//!         self.gated_by(audited).shown_as(".audited(..)")
//!     }
//! }
//! impl<F: FnExt<Args, Half>, Args, Half> AuditExt<Args, Half> for F {}
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
//! use decor::layer::future_name;
//! use std::time::Duration;
//!
//! let log = AuditLog::default();
//!
//! // An async function: one call returns, one is cancelled by the timeout.
//! async fn fetch(id: u64) -> Result<u64, String> {
//!     tokio::time::sleep(Duration::from_secs(id)).await;
//!     Ok(id)
//! }
//! let fetch_user = fetch.audited(&log, |id: &u64| *id).timeout(Duration::from_secs(10));
//! assert_eq!(format!("{fetch_user:?}"), "fetch.audited(..).timeout(10s)");
//! assert_eq!(fetch_user.call(7).await, Ok(7));
//! assert!(fetch_user.call(42).await.is_err());
//!
//! // A future: its arguments are gone.
//! let call = fetch(8);
//! let entry = log.entry(future_name(&call), "..");
//! assert_eq!(call.gated(entry).await, Ok(8));
//!
//! // Sync functions: one fails, one panics.
//! fn parse(text: &str) -> Result<u8, String> {
//!     text.parse().map_err(|_| format!("not a number: {text}"))
//! }
//! fn explode(_: &str, _: u8) -> Result<u8, String> { panic!("boom") }
//! assert!(parse.blocking().audited(&log, |text: &&str| text.to_string()).call("x").is_err());
//! let explode = explode.blocking().audited(&log, |text: &&str, n: &u8| format!("{text}, {n}"));
//! let exploded = std::panic::AssertUnwindSafe(|| explode.call("y", 1));
//! assert!(std::panic::catch_unwind(exploded).is_err());
//!
//! assert_eq!(
//!     *log.0.lock().unwrap(),
//!     [
//!         "fetch(7): ok",
//!         "fetch(42): cancelled",
//!         "fetch(..): ok",
//!         "parse(x): err",
//!         "explode(y, 1): panicked",
//!     ]
//! );
//! # }
//! ```
//!
//! [`FnExt::gated`]: crate::FnExt::gated
//! [`FnExt::gated_by`]: crate::FnExt::gated_by
//! [`FutureExt::gated`]: crate::FutureExt::gated
//! [`Error::Rejected`]: crate::Error::Rejected

mod around;
mod decoration;
mod gate;
mod mapped;
pub(crate) mod memo_outcome;
mod outcome;
mod wait;

pub use crate::{call::mode::Function, name::future_name};
pub use around::Around;
pub use decoration::Decoration;
pub use gate::{End, Gate, Gated, GatedBy, GatedFuture};
pub use mapped::MappedFuture;
pub use memo_outcome::MemoOutcome;
pub use outcome::Outcome;
/// The instants of [`Wait::now`], [`Wait::until`] and [`End::now`]: the `Instant` of tokio.
///
/// # Examples
///
/// See the [circuit breaker](self#a-circuit-breaker).
#[doc(no_inline)]
pub use tokio::time::Instant;
pub use wait::{Wait, now};

/// Parts of the types of decorated functions, and bounds of the decorators. They are public only
/// for the compiler's messages: without a public path, rustc prints the whole private path.
#[doc(hidden)]
pub use {
    crate::call::stack::{AnyArguments, AnyValue, Decorates},
    gate::{ByArgs, CloneGate, Each, GateLayer, GatedCalls},
    mapped::Mapped,
    memo_outcome::ByMemo,
};

pub(crate) use around::{BlockingLayer, Captures, Layer, RepeatLayer, captures_nothing};
pub(crate) use gate::{FromArgs, GateSource, Renewable, repeats_from_args, repeats_in_place};
pub(crate) use mapped::Change;
pub(crate) use wait::{BoxedTimer, Timer, wait_blocking};
