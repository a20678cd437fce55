//! The handle of a circuit breaker.

use super::{passage::Passage, state::Core, stats::CircuitBreakerStats};
use crate::{CircuitState, Error, Name, clock::Clock, describe::HandleId, sync::Arc};
use std::fmt;

/// Refuses calls to a service that fails, and lets a few calls through later to see if it has
/// recovered. All clones are one breaker.
///
/// Keep a breaker for each service in the state of the program, and share it among all functions
/// that call the service, with [`.guarded_by(&breaker)`](crate::FnExt::guarded_by) or by hand with
/// [`enter`](Self::enter).
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
/// use decor::{CircuitState, Error, prelude::*};
/// use std::time::Duration;
///
/// async fn fetch(answers: bool) -> Result<&'static str, Error> {
///     # let (name, after) = ("fetch".into(), Duration::from_secs(2));
///     if answers { Ok("page") } else { Err(Error::TimedOut { name, after, label: None }) }
/// }
///
/// let breaker = CircuitBreaker::consecutive(3); // the third failure in a row opens the circuit
/// let fetch = fetch.guarded_by(&breaker);
/// for _ in 0..3 {
///     fetch.call(false).await.unwrap_err();
/// }
/// let refused = fetch.call(true).await.unwrap_err(); // the function is not called
/// assert_eq!(refused.to_string(), "circuit breaker is open: try again in 30s");
///
/// tokio::time::sleep(Duration::from_secs(30)).await;
/// assert_eq!(breaker.state(), CircuitState::HalfOpen);
/// assert_eq!(fetch.call(true).await, Ok("page")); // the probe
/// assert_eq!(breaker.state(), CircuitState::Closed);
/// # }
/// ```
///
/// # Windows
///
/// | constructor | the circuit opens |
/// |---|---|
/// | [`consecutive(5)`](Self::consecutive) | with the fifth failure in a row |
/// | [`among(10, 20)`](Self::among) | with the tenth failure among the last twenty calls |
/// | [`rate(0.5, thirty_seconds)`](Self::rate) | with the failure that makes half of the calls of the last 30 s fail, if there are [enough](crate::CircuitBreakerBuilder::minimum_calls) of them |
///
/// # States
///
/// ```text
///              too many failures               its delay has passed
///   ┌────────┐                   ┌──────┐                          ┌───────────┐
///   │ closed │ ────────────────▶ │ open │ ───────────────────────▶ │ half-open │
///   └────────┘                   └──────┘ ◀─────────────────────── └───────────┘
///       ▲                                       a probe failed           │
///       └────────────────────────────────────────────────────────────────┘
///                              the probes succeeded
/// ```
///
/// An open circuit refuses all calls for [`open_for`](crate::CircuitBreakerBuilder::open_for), 30 s
/// by default. It becomes half-open at the next call, or the next time that its state is read. No
/// task and no timer runs meanwhile.
///
/// A half-open circuit lets a few calls through as probes, and refuses all others. The number of
/// probes is [`probes`](crate::CircuitBreakerBuilder::probes), 1 by default. If all of them
/// succeed, the circuit closes. If one fails, the circuit opens again. A probe that is dropped
/// gives its place to another call. A probe that runs for `open_for` loses its place, so that a
/// call that hangs does not keep the circuit half-open. Its result still counts.
///
/// Each change of state begins a generation. The results of calls that began before the change are
/// ignored, because they say nothing about the service as it is now.
///
/// # Results
///
/// | the call | counts as |
/// |---|---|
/// | returns an `Ok` | success |
/// | returns an `Err` | failure. [`.when(..)`](crate::Around::when), [`.transient()`](crate::Around::transient) and [`.ignoring(..)`](crate::Around::ignoring) choose among the errors |
/// | panics | failure |
/// | takes [`slow_after`](crate::CircuitBreakerBuilder::slow_after) or longer, whatever its end | failure |
/// | is dropped | neither |
/// | ends without a call of the function, because a decorator before the breaker refused it | neither |
///
/// A [timeout](crate::FnExt::timeout) stands before the breaker, so that a call that hangs ends in
/// an `Err`. Behind the breaker, a timeout drops the call, and the breaker sees no failure.
///
/// # Events
///
/// A change of state emits an event of the `tracing` crate under the target `decor::breaker`, at
/// level `warn` when the circuit opens or is isolated, and at level `info` when the circuit becomes
/// half-open or closes. [`on_change`](crate::CircuitBreakerBuilder::on_change) sets a callback.
/// Both run outside of the breaker's lock, in the call that has changed the state.
///
/// # Cost
///
/// A call that succeeds while nothing in the window has failed takes no lock, reads no clock and
/// allocates nothing. A [`rate`](Self::rate) reads the clock once for each call.
#[derive(Clone)]
pub struct CircuitBreaker {
    pub(super) core: Arc<Core>,
}

impl CircuitBreaker {
    /// The identity of the breaker in the description of a chain.
    pub(crate) fn id(&self) -> HandleId {
        HandleId::of(&self.core)
    }

    /// Returns `true` if a call that is dropped after `slow_after` counts as a failure.
    pub(crate) fn counts_slow_calls(&self) -> bool {
        self.core.counts_slow_calls()
    }
}

impl CircuitBreaker {
    /// Lets a call through by hand, or refuses it.
    ///
    /// The call ends when its [`Passage`] is told the result, or is dropped.
    ///
    /// # Errors
    ///
    /// [`Error::CircuitOpen`](crate::Error::CircuitOpen).
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::{CircuitBreaker, Error};
    /// use std::time::Duration;
    ///
    /// let breaker = CircuitBreaker::consecutive(1);
    /// breaker.enter().unwrap().failed();
    /// let retry_after = Some(Duration::from_secs(30));
    /// let refused = breaker.enter().map(drop).unwrap_err();
    /// assert_eq!(refused, Error::CircuitOpen { name: "breaker".into(), retry_after });
    /// # }
    /// ```
    pub fn enter(&self) -> Result<Passage, Error> {
        let clock = Clock::current();
        let ticket = self.core.enter(clock)?;
        Ok(Passage::new(Arc::clone(&self.core), ticket, self.core.begin(clock)))
    }

    /// Returns the state. An open circuit becomes half-open here if its time has passed.
    ///
    /// # Examples
    ///
    /// See [`CircuitBreaker`].
    pub fn state(&self) -> CircuitState {
        self.core.look(Clock::current()).0
    }

    /// Returns the name in errors and events; `breaker` unless it was
    /// [set](crate::CircuitBreakerBuilder::named).
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(decor::CircuitBreaker::builder().named("users").build().name(), "users");
    /// ```
    pub fn name(&self) -> &Name {
        &self.core.identity().name
    }

    /// Returns the counts since the breaker was made.
    ///
    /// # Examples
    ///
    /// ```
    /// let breaker = decor::CircuitBreaker::consecutive(1);
    /// breaker.enter().unwrap().failed();
    /// assert!(breaker.enter().is_err());
    /// let stats = breaker.stats();
    /// assert_eq!((stats.failed, stats.refused, stats.opened), (1, 1, 1));
    /// ```
    pub fn stats(&self) -> CircuitBreakerStats {
        self.core.stats()
    }

    /// Refuses all calls until [`close`](Self::close), such as during a maintenance of the service.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::{CircuitBreaker, Error};
    ///
    /// let breaker = CircuitBreaker::consecutive(5);
    /// breaker.isolate();
    /// let refused = breaker.enter().map(drop).unwrap_err();
    /// assert_eq!(refused, Error::CircuitOpen { name: "breaker".into(), retry_after: None });
    /// breaker.close();
    /// assert!(breaker.enter().is_ok());
    /// ```
    pub fn isolate(&self) {
        self.core.isolate();
    }

    /// Opens the circuit for its next delay, as a failure would. Use it when another signal shows
    /// that the service fails, such as a health check.
    ///
    /// A breaker that is open or isolated stays as it is.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::{CircuitBreaker, CircuitState};
    ///
    /// let breaker = CircuitBreaker::consecutive(5);
    /// breaker.trip();
    /// assert_eq!(breaker.state(), CircuitState::Open);
    /// ```
    pub fn trip(&self) {
        self.core.trip(Clock::current());
    }

    /// Closes the circuit, forgets all failures, and begins the delays of
    /// [`open_by`](crate::CircuitBreakerBuilder::open_by) anew. Ends an [isolation](Self::isolate).
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::{CircuitBreaker, CircuitState};
    ///
    /// let breaker = CircuitBreaker::consecutive(5);
    /// breaker.trip();
    /// breaker.close();
    /// assert_eq!(breaker.state(), CircuitState::Closed);
    /// ```
    pub fn close(&self) {
        self.core.close();
    }

    pub(crate) fn core(&self) -> &Core {
        &self.core
    }
}

/// Writes the settings: `users: 5 failures in a row, open for 30s`.
impl fmt::Display for CircuitBreaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.core.fmt(f)
    }
}

impl fmt::Debug for CircuitBreaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CircuitBreaker({self})")
    }
}
