//! The settings of a breaker, and the report of its changes.

use super::change::CircuitChange;
use crate::{
    CircuitState, CircuitWindow, ConfigError, Name, RetryPolicy,
    policy::{Change, Circuit, Window},
    sync::Arc,
    trace::{BREAKER, may_be_enabled},
};
use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};
use tracing::{Level, field};

/// The part of a breaker that no reload changes. The breakers of all keys share it.
pub(super) struct Identity {
    pub(super) name: Name,
    pub(super) is_named: bool,
    pub(super) on_change: Option<OnChange>,
}

/// The settings of a breaker. The breakers of all keys share them.
pub(super) struct Settings {
    pub(super) window: CircuitWindow,
    pub(super) minimum_calls: Option<u32>,
    pub(super) open_for: Duration,
    /// Delays of the openings.
    pub(super) policy: RetryPolicy,
    /// `true` if the policy is not `open_for` each time.
    pub(super) has_policy: bool,
    pub(super) probes: u32,
    pub(super) slow_after: Option<Duration>,
    pub(super) is_observing: bool,
}

/// The callback of a breaker.
pub(super) type OnChange = Arc<dyn Fn(&CircuitChange) + Send + Sync>;

impl Settings {
    /// Makes the circuit, and so checks the settings of its window.
    pub(super) fn circuit(&self) -> Result<Circuit, ConfigError> {
        Ok(Circuit::new(Window::try_new(self.window, self.minimum_calls)?, self.probes, self.open_for))
    }
}

impl Identity {
    /// The name; `None` if it was not set.
    pub(super) fn set_name(&self) -> Option<&str> {
        self.is_named.then_some(&*self.name)
    }

    /// Writes the name, if it was set, and the settings.
    pub(super) fn show(&self, settings: &Settings, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_named {
            write!(f, "{}: ", self.name)?;
        }
        fmt::Display::fmt(settings, f)
    }

    /// Reports a change. Runs outside of the lock, because a subscriber or the callback may use the
    /// breaker.
    #[cold]
    #[inline(never)]
    pub(super) fn report(&self, change: Change, observing: bool) {
        let Change { from, to, reason, open_for } = change;
        let opens = matches!(to, CircuitState::Open | CircuitState::Isolated);
        let listens = may_be_enabled(if opens { Level::WARN } else { Level::INFO });
        if !listens && self.on_change.is_none() {
            return;
        }
        let name = self.name.clone();
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

/// Writes the settings: `users: 5 failures in a row, open for 30s`.
impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { window, minimum_calls, open_for, policy, has_policy, probes, slow_after, is_observing } = self;
        write!(f, "{window}")?;
        if let Some(calls) = minimum_calls {
            write!(f, " of at least {calls} calls")?;
        }
        if *has_policy {
            write!(f, ", open by ({policy})")?;
        } else {
            write!(f, ", open for {open_for:?}")?;
        }
        if *probes != 1 {
            write!(f, ", {probes} probes")?;
        }
        if let Some(slow_after) = slow_after {
            write!(f, ", slow after {slow_after:?}")?;
        }
        if *is_observing {
            f.write_str(", observing")?;
        }
        Ok(())
    }
}
