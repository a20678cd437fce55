//! The report of a change of state: an event for the log, and the callback.

use super::core::Settings;
use crate::{
    CircuitReason, CircuitState, Name,
    policy::Change,
    trace::{BREAKER, Readable, may_be_enabled},
};
use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};
use tracing::{Level, field};

/// A change of a breaker's state, for
/// [`on_change`](crate::CircuitBreakerBuilder::on_change).
///
/// Displays as the log line: `circuit users opened for 30s: too many failures`.
///
/// # Examples
///
/// ```
/// use decor::{CircuitChange, CircuitState};
///
/// fn alert(change: &CircuitChange) -> Option<String> {
///     (change.to == CircuitState::Open).then(|| format!("{} fails", change.name))
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CircuitChange {
    /// Name of the breaker.
    pub name: Name,
    /// State before the change.
    pub from: CircuitState,
    /// State after the change.
    pub to: CircuitState,
    /// Reason of the change.
    pub reason: CircuitReason,
    /// Time for which the circuit is open; `None` unless it opens.
    pub open_for: Option<Duration>,
    /// `true` if the breaker only [observes](crate::CircuitBreakerBuilder::observing), and refuses
    /// nothing.
    pub observing: bool,
}

impl fmt::Display for CircuitChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, to, reason, open_for, observing, .. } = self;
        let observing = if *observing { " (observing, refuses nothing)" } else { "" };
        match (to, open_for) {
            (_, Some(open_for)) => write!(f, "circuit {name} opened for {}: {reason}{observing}", Readable(*open_for)),
            (to, None) => write!(f, "circuit {name} is {to}: {reason}{observing}"),
        }
    }
}

impl Settings {
    /// Reports a change. Runs outside of the lock, because a subscriber or the callback may use the
    /// breaker.
    #[cold]
    #[inline(never)]
    pub(super) fn report(&self, change: Change) {
        let Change { from, to, reason, open_for } = change;
        let opens = matches!(to, CircuitState::Open | CircuitState::Isolated);
        let listens = may_be_enabled(if opens { Level::WARN } else { Level::INFO });
        if !listens && self.on_change.is_none() {
            return;
        }
        let (name, observing) = (self.name.clone(), self.is_observing);
        let change = CircuitChange { name, from, to, reason, open_for, observing };
        let (breaker, from, to) = (change.name.get(), field::display(from), field::display(to));
        if opens {
            tracing::warn!(target: BREAKER, breaker, from = &from, to = &to, "{change}");
        } else {
            tracing::info!(target: BREAKER, breaker, from = &from, to = &to, "{change}");
        }
        if let Some(on_change) = &self.on_change {
            // A panic must not replace the result of the call that changed the state, nor abort the
            // process if the call is being dropped by another panic. The panic hook has shown it.
            drop(catch_unwind(AssertUnwindSafe(|| on_change(&change))));
        }
    }
}
