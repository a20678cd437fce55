//! Counts what the chain's hooks and sinks report.

use crate::client::LlmError;
use decor::{CircuitChange, Measurement, Outcome};
use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// The cause of a failed attempt, as the report distinguishes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Cause {
    Throttled,
    ServerError,
    TimedOut,
    Connection,
    /// Refused by the breaker, so that no request was sent.
    CircuitOpen,
    Other,
}

impl From<Option<&LlmError>> for Cause {
    fn from(error: Option<&LlmError>) -> Self {
        match error {
            Some(LlmError::Throttled { .. }) => Self::Throttled,
            Some(LlmError::Status(status)) if status.is_server_error() => Self::ServerError,
            Some(LlmError::Policy(decor::Error::TimedOut { .. })) => Self::TimedOut,
            Some(LlmError::Policy(decor::Error::CircuitOpen { .. })) => Self::CircuitOpen,
            Some(LlmError::Http(error)) if !error.is_decode() => Self::Connection,
            _ => Self::Other,
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Tally(Mutex<Counts>);

#[derive(Debug, Default, Clone)]
pub(crate) struct Counts {
    /// Durations of the attempts that have ended, and the number of attempts with an answer.
    pub(crate) attempts: Vec<Duration>,
    pub(crate) attempts_answered: usize,
    /// The same for calls. More calls than attempts have an answer, because the memo answers some.
    pub(crate) calls: Vec<Duration>,
    pub(crate) calls_answered: usize,
    /// Number of calls among the answered ones that have the answer of the fallback.
    pub(crate) fallbacks: usize,
    /// Attempts that failed, those of hedged and of cancelled calls included.
    pub(crate) failed: BTreeMap<Cause, usize>,
    pub(crate) retried: BTreeMap<Cause, usize>,
    pub(crate) gave_up: BTreeMap<Cause, usize>,
    /// Tokens reserved for attempts, and tokens that the answers have used.
    pub(crate) tokens_reserved: u64,
    pub(crate) tokens_used: u64,
    /// Changes of the breaker's state, with their times.
    pub(crate) circuit: Vec<(Instant, CircuitChange)>,
}

impl Tally {
    pub(crate) fn attempt_ended(&self, attempt: &Measurement) {
        let mut counts = self.lock();
        counts.attempts.push(attempt.elapsed);
        counts.attempts_answered += usize::from(attempt.outcome == Outcome::Ok);
    }

    pub(crate) fn call_ended(&self, call: &Measurement) {
        let mut counts = self.lock();
        counts.calls.push(call.elapsed);
        counts.calls_answered += usize::from(call.outcome == Outcome::Ok);
    }

    /// Counts the failure of an attempt, and returns its error.
    pub(crate) fn attempt_failed(&self, error: LlmError) -> LlmError {
        *self.lock().failed.entry(Some(&error).into()).or_default() += 1;
        error
    }

    pub(crate) fn fell_back(&self) {
        self.lock().fallbacks += 1;
    }

    pub(crate) fn circuit_changed(&self, change: &CircuitChange) {
        self.lock().circuit.push((Instant::now(), change.clone()));
    }

    pub(crate) fn retried(&self, error: Option<&LlmError>) {
        *self.lock().retried.entry(error.into()).or_default() += 1;
    }

    pub(crate) fn gave_up(&self, error: Option<&LlmError>) {
        *self.lock().gave_up.entry(error.into()).or_default() += 1;
    }

    pub(crate) fn reserved(&self, tokens: u32) {
        self.lock().tokens_reserved += u64::from(tokens);
    }

    /// Counts the tokens, and returns them.
    pub(crate) fn used(&self, tokens: u32) -> u32 {
        self.lock().tokens_used += u64::from(tokens);
        tokens
    }

    pub(crate) fn counts(&self) -> Counts {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    /// Number of requests that the breaker refused to send.
    pub(crate) fn refused(&self) -> usize {
        self.gave_up.get(&Cause::CircuitOpen).copied().unwrap_or(0)
    }

    pub(crate) fn retries(&self) -> usize {
        self.retried.values().sum()
    }
}
