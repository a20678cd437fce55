//! A change of state, as the callback and the log show it.

use crate::{CircuitReason, CircuitState, Name, trace::Readable};
use std::{fmt, time::Duration};

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
