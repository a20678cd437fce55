//! A call that passes a breaker by hand.

use super::state::{Core, Ending};
use crate::{
    clock::{Clock, Nanos},
    policy::Ticket,
    sync::Arc,
};
use std::fmt;

/// A call that a [`CircuitBreaker`](crate::CircuitBreaker) has let through. Returned by
/// [`enter`](crate::CircuitBreaker::enter).
///
/// The call ends with [`succeeded`](Self::succeeded), [`failed`](Self::failed) or
/// [`ended`](Self::ended). A passage that is dropped counts as neither, and gives the place of a
/// probe back. With [`slow_after`](crate::CircuitBreakerBuilder::slow_after), a passage that lasted
/// that long counts as a failure in any case.
///
/// A passage that a panic drops counts as neither as well, because the passage cannot tell its own
/// panic from another one. [`.guarded_by(..)`](crate::FnExt::guarded_by) counts a panic as a
/// failure.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
/// use decor::{CircuitBreaker, CircuitState, Error};
///
/// fn ping(breaker: &CircuitBreaker, answers: bool) -> Result<(), Error> {
///     let passage = breaker.enter()?; // `Error::CircuitOpen`
///     if answers { passage.succeeded() } else { passage.failed() }
///     Ok(())
/// }
///
/// let breaker = CircuitBreaker::consecutive(2);
/// ping(&breaker, false).unwrap();
/// ping(&breaker, false).unwrap();
/// assert!(ping(&breaker, true).is_err());
/// # }
/// ```
#[must_use = "a passage that is dropped counts as neither a success nor a failure"]
pub struct Passage {
    core: Arc<Core>,
    ticket: Ticket,
    /// `None` unless a slow call is a failure.
    began: Option<Nanos>,
    ending: Ending,
}

impl Passage {
    pub(super) fn new(core: Arc<Core>, ticket: Ticket, began: Option<Nanos>) -> Self {
        Self { core, ticket, began, ending: Ending::Ignored }
    }

    /// Ends the call as a success.
    ///
    /// # Examples
    ///
    /// ```
    /// let breaker = decor::CircuitBreaker::consecutive(5);
    /// breaker.enter()?.succeeded();
    /// assert_eq!(breaker.stats().succeeded, 1);
    /// # Ok::<(), decor::Error>(())
    /// ```
    pub fn succeeded(mut self) {
        self.ending = Ending::Succeeded;
    }

    /// Ends the call as a failure.
    ///
    /// # Examples
    ///
    /// ```
    /// let breaker = decor::CircuitBreaker::consecutive(5);
    /// breaker.enter()?.failed();
    /// assert_eq!(breaker.stats().failed, 1);
    /// # Ok::<(), decor::Error>(())
    /// ```
    pub fn failed(mut self) {
        self.ending = Ending::Failed;
    }

    /// Ends the call with its result: an `Ok` as a success, an `Err` as a failure.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::{CircuitBreaker, Error};
    ///
    /// fn parse(breaker: &CircuitBreaker, text: &str) -> Result<u8, Box<dyn std::error::Error>> {
    ///     let passage = breaker.enter()?;
    ///     let parsed = text.parse::<u8>();
    ///     passage.ended(&parsed);
    ///     Ok(parsed?)
    /// }
    ///
    /// let breaker = CircuitBreaker::consecutive(5);
    /// assert!(parse(&breaker, "x").is_err());
    /// assert_eq!(breaker.stats().failed, 1);
    /// ```
    pub fn ended<T, E>(self, result: &Result<T, E>) {
        if result.is_ok() { self.succeeded() } else { self.failed() }
    }
}

impl Drop for Passage {
    fn drop(&mut self) {
        self.core.end(Clock::current(), self.ticket, self.began, self.ending);
    }
}

impl fmt::Debug for Passage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Passage").field("breaker", &self.core).finish_non_exhaustive()
    }
}
