//! The state machine of a circuit breaker. Time is an argument, and so is the delay of an opening,
//! because the closure of a custom policy must not run under a lock.
//!
//! | state | event | next state |
//! |---|---|---|
//! | closed | a call comes | closed; the call is let through |
//! | closed | a call fails, and the window is full of failures | open |
//! | closed | a call fails or succeeds otherwise | closed; the call is added to the window |
//! | open | a call comes or the state is read, before the delay has passed | open; a call is refused |
//! | open | the same, later | half-open, and then as there |
//! | half-open | a call comes, and a place is free | half-open; the call is a probe, and takes the place |
//! | half-open | a call comes, and no place is free | half-open; the call is refused |
//! | half-open | a probe succeeds, and is the last of `probes` | closed, with an empty window and the first delay |
//! | half-open | a probe succeeds otherwise | half-open; its place is used up |
//! | half-open | a probe fails | open, for the next delay |
//! | half-open | a probe is dropped or ignored | half-open; its place is free again |
//! | half-open | a probe has run for `open_for` | half-open; its place is free again, and its result still counts |
//! | isolated | a call comes | isolated; the call is refused |
//! | closed, half-open | tripped | open, for the next delay |
//! | open, isolated | tripped | unchanged |
//! | any | isolated | isolated |
//! | any | closed by hand | closed, with an empty window and the first delay |
//!
//! A probe that has lost its place still counts. Otherwise a service with calls that are longer
//! than `open_for` could never close its circuit.
//!
//! Each change of state begins a generation. A call has a [`Ticket`] of the generation in which it
//! began. The results of earlier generations are ignored.

mod config;
#[cfg(feature = "serde")]
mod text;
mod window;

pub use config::{CircuitBreakerConfig, CircuitWindow};

pub(crate) use config::DEFAULT_OPEN_FOR;
pub(crate) use window::Window;

use super::{Delays, RetryPolicy};
use crate::clock::{Nanos, nanos};
use std::{fmt, time::Duration};

/// The state of a [`CircuitBreaker`](crate::CircuitBreaker).
///
/// # Examples
///
/// ```
/// use decor::{CircuitBreaker, CircuitState};
///
/// let breaker = CircuitBreaker::consecutive(5);
/// assert_eq!(breaker.state(), CircuitState::Closed);
/// breaker.trip();
/// assert_eq!(breaker.state().to_string(), "open");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "kebab-case"))]
pub enum CircuitState {
    /// Calls are let through, and their failures are counted.
    Closed,
    /// Calls are refused.
    Open,
    /// Some calls are let through as probes. Their results decide whether the circuit closes.
    HalfOpen,
    /// Calls are refused until the breaker is [closed](crate::CircuitBreaker::close) by hand.
    Isolated,
}

impl fmt::Display for CircuitState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half-open",
            Self::Isolated => "isolated",
        })
    }
}

/// The reason for which a [`CircuitBreaker`](crate::CircuitBreaker) changed its state.
///
/// # Examples
///
/// ```
/// assert_eq!(decor::CircuitReason::ProbeFailed.to_string(), "a probe failed");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CircuitReason {
    /// The window has as many failures as the breaker allows.
    TooManyFailures,
    /// A call failed while the circuit was half-open.
    ProbeFailed,
    /// The time for which the circuit was open has passed.
    DelayPassed,
    /// Enough calls succeeded while the circuit was half-open.
    ProbesSucceeded,
    /// [`trip`](crate::CircuitBreaker::trip) was called.
    Tripped,
    /// [`isolate`](crate::CircuitBreaker::isolate) was called.
    Isolated,
    /// [`close`](crate::CircuitBreaker::close) was called.
    ClosedByHand,
}

impl fmt::Display for CircuitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooManyFailures => "too many failures",
            Self::ProbeFailed => "a probe failed",
            Self::DelayPassed => "its delay has passed",
            Self::ProbesSucceeded => "the probes succeeded",
            Self::Tripped => "tripped by hand",
            Self::Isolated => "isolated by hand",
            Self::ClosedByHand => "closed by hand",
        })
    }
}

/// A call's permission, with the generation in which the call began.
// Two words without padding, because a future copies them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ticket {
    pub(crate) generation: u64,
    /// Number of the probe; [`NO_PROBE`] for a call of a closed circuit.
    probe: u64,
}

const NO_PROBE: u64 = u64::MAX;

impl Ticket {
    /// The ticket of a call that does not count.
    pub(crate) const UNCOUNTED: Self = Self { generation: u64::MAX, probe: NO_PROBE };

    #[inline]
    pub(crate) fn of_closed(generation: u64) -> Self {
        Self { generation, probe: NO_PROBE }
    }
}

/// The evidence of a call that has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Succeeded,
    Failed,
    /// Neither.
    Ignored,
}

/// A change of state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) from: CircuitState,
    pub(crate) to: CircuitState,
    pub(crate) reason: CircuitReason,
    /// Time until the circuit is half-open; `None` unless it opens.
    pub(crate) open_for: Option<Duration>,
}

/// A refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refused {
    /// Time until the circuit is half-open; `None` if it is isolated, or if no place is free.
    pub(crate) retry_after: Option<Duration>,
}

/// An opening that needs its delay.
#[derive(Debug, Clone)]
pub(crate) struct Opening {
    /// Number of the opening since the circuit was closed; 1 for the first.
    number: u32,
    /// `None` before the first opening.
    delays: Option<Delays>,
}

/// An opening with its delay.
#[derive(Debug)]
pub(crate) struct Delayed {
    number: u32,
    delays: Delays,
    delay: Duration,
}

impl Opening {
    /// Takes the delay from the policy. The closure of a custom policy runs here.
    pub(crate) fn delayed_by(self, policy: &RetryPolicy) -> Delayed {
        let mut delays = self.delays.unwrap_or_else(|| Delays::new(policy.seed_of_next_call()));
        let delay = delays.by_policy(policy, self.number);
        Delayed { number: self.number, delays, delay }
    }
}

/// The result of an event.
#[derive(Debug)]
pub(crate) enum Step {
    Unchanged,
    /// The result is of an earlier generation, and was ignored.
    Late,
    Changed(Change),
    /// The event opens the circuit, and needs the delay. Nothing has changed.
    NeedsDelay(Opening),
}

/// A circuit.
#[derive(Debug, Clone)]
pub(crate) struct Circuit {
    window: Window,
    /// Number of successes that close a half-open circuit. At least 1.
    probes: u32,
    /// Time after which a probe loses its place.
    open_for: Nanos,
    generation: u64,
    phase: Phase,
    /// Number of openings since the circuit was closed.
    openings: u32,
    /// `None` before the first opening.
    delays: Option<Delays>,
    /// Number of the next probe. Never used twice.
    next_probe: u64,
}

#[derive(Debug, Clone)]
enum Phase {
    Closed,
    Open { until: Nanos },
    HalfOpen { succeeded: u32, running: Vec<Probe> },
    Isolated,
}

/// A probe that has a place.
#[derive(Debug, Clone)]
struct Probe {
    number: u64,
    began: Nanos,
}

impl Circuit {
    pub(crate) fn new(window: Window, probes: u32, open_for: Duration) -> Self {
        Self {
            window,
            probes,
            open_for: nanos(open_for),
            generation: 0,
            phase: Phase::Closed,
            openings: 0,
            delays: None,
            next_probe: 0,
        }
    }

    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    pub(crate) fn state(&self) -> CircuitState {
        match self.phase {
            Phase::Closed => CircuitState::Closed,
            Phase::Open { .. } => CircuitState::Open,
            Phase::HalfOpen { .. } => CircuitState::HalfOpen,
            Phase::Isolated => CircuitState::Isolated,
        }
    }

    /// Returns `true` if a success would change nothing.
    pub(crate) fn is_clean(&self) -> bool {
        matches!(self.phase, Phase::Closed) && self.window.is_clean()
    }

    /// Makes an open circuit half-open if its time has passed.
    pub(crate) fn look(&mut self, now: Nanos) -> Option<Change> {
        match self.phase {
            Phase::Open { until } if until <= now => {
                let half_open = Phase::HalfOpen { succeeded: 0, running: Vec::new() };
                Some(self.change(half_open, CircuitReason::DelayPassed))
            }
            _ => None,
        }
    }

    /// Time until an open circuit is half-open; `None` for a circuit that is not open.
    pub(crate) fn open_for(&self, now: Nanos) -> Option<Duration> {
        match self.phase {
            Phase::Open { until } => Some(Duration::from_nanos(until.saturating_sub(now))),
            _ => None,
        }
    }

    /// Lets a call through, or refuses it.
    pub(crate) fn enter(&mut self, now: Nanos) -> Result<Ticket, Refused> {
        match &mut self.phase {
            Phase::Closed => Ok(Ticket::of_closed(self.generation)),
            Phase::Open { .. } => Err(Refused { retry_after: self.open_for(now) }),
            Phase::Isolated => Err(Refused { retry_after: None }),
            Phase::HalfOpen { succeeded, running } => {
                running.retain(|probe| now.saturating_sub(probe.began) < self.open_for);
                if running.len() as u64 + u64::from(*succeeded) >= self.probes.into() {
                    return Err(Refused { retry_after: None });
                }
                let number = self.next_probe;
                self.next_probe += 1;
                running.push(Probe { number, began: now });
                Ok(Ticket { generation: self.generation, probe: number })
            }
        }
    }

    /// Adds the result of a call. `delayed` is the opening that an earlier try of this event asked
    /// for. The clock is read only if it is needed.
    pub(crate) fn end(
        &mut self,
        ticket: Ticket,
        verdict: Verdict,
        now: impl Fn() -> Nanos,
        delayed: Option<Delayed>,
    ) -> Step {
        if ticket.generation != self.generation {
            return Step::Late;
        }
        match (&mut self.phase, verdict) {
            (Phase::Closed, Verdict::Ignored) => Step::Unchanged,
            (Phase::Closed, Verdict::Failed) if self.window.opens_with_failure(&now) => {
                self.open(&now, CircuitReason::TooManyFailures, delayed)
            }
            (Phase::Closed, verdict) => {
                self.window.add(verdict == Verdict::Failed, &now);
                Step::Unchanged
            }
            (Phase::HalfOpen { .. }, Verdict::Failed) => self.open(&now, CircuitReason::ProbeFailed, delayed),
            (Phase::HalfOpen { succeeded, running }, verdict) => {
                running.retain(|probe| probe.number != ticket.probe);
                *succeeded += u32::from(verdict == Verdict::Succeeded);
                if *succeeded < self.probes {
                    return Step::Unchanged;
                }
                Step::Changed(self.closed(CircuitReason::ProbesSucceeded))
            }
            (Phase::Open { .. } | Phase::Isolated, _) => unreachable!("no call begins in this generation"),
        }
    }

    /// Opens the circuit as a failure would.
    pub(crate) fn trip(&mut self, now: impl Fn() -> Nanos, delayed: Option<Delayed>) -> Step {
        match self.phase {
            Phase::Closed | Phase::HalfOpen { .. } => self.open(now, CircuitReason::Tripped, delayed),
            Phase::Open { .. } | Phase::Isolated => Step::Unchanged,
        }
    }

    pub(crate) fn isolate(&mut self) -> Option<Change> {
        (!matches!(self.phase, Phase::Isolated)).then(|| self.change(Phase::Isolated, CircuitReason::Isolated))
    }

    /// Closes the circuit, and forgets all failures.
    pub(crate) fn close(&mut self) -> Option<Change> {
        if let Phase::Closed = self.phase {
            self.window.clear();
            return None;
        }
        Some(self.closed(CircuitReason::ClosedByHand))
    }

    /// The number of failures, and the time until nothing is left to remember; `None` if time alone
    /// does not bring that. Of a closed circuit.
    pub(crate) fn rest(&mut self, now: Nanos) -> (u64, Option<Nanos>) {
        self.window.rest(now)
    }

    /// Takes over the settings of another circuit. The state stays, unless the probes that have
    /// succeeded are enough now.
    pub(crate) fn reload(&mut self, new: &Self) -> Option<Change> {
        self.window.reload(&new.window);
        (self.probes, self.open_for) = (new.probes, new.open_for);
        match self.phase {
            Phase::HalfOpen { succeeded, .. } if succeeded >= self.probes => {
                Some(self.closed(CircuitReason::ProbesSucceeded))
            }
            _ => None,
        }
    }

    fn closed(&mut self, reason: CircuitReason) -> Change {
        self.window.clear();
        (self.openings, self.delays) = (0, None);
        self.change(Phase::Closed, reason)
    }

    fn open(&mut self, now: impl Fn() -> Nanos, reason: CircuitReason, delayed: Option<Delayed>) -> Step {
        let number = self.openings.saturating_add(1);
        let Some(Delayed { delays, delay, .. }) = delayed.filter(|delayed| delayed.number == number) else {
            return Step::NeedsDelay(Opening { number, delays: self.delays.clone() });
        };
        (self.openings, self.delays) = (number, Some(delays));
        let change = self.change(Phase::Open { until: now().saturating_add(nanos(delay)) }, reason);
        Step::Changed(Change { open_for: Some(delay), ..change })
    }

    fn change(&mut self, to: Phase, reason: CircuitReason) -> Change {
        let from = self.state();
        self.phase = to;
        self.generation += 1;
        Change { from, to: self.state(), reason, open_for: None }
    }
}
