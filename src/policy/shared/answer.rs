//! The answer of a store to a limiter.

use crate::policy::MAX_WINDOWS;
use std::time::Duration;

/// Answer of a store to one [`Ask`](crate::shared::Ask).
///
/// All times count from the moment at which the store worked through the request. The limiter takes
/// care of the time on the way: it uses no permit before the moment at which it got the answer,
/// and none later than `hold` after the permit was due, counted from the asking.
///
/// # Examples
///
/// An answer to a request with one run of 64 calls, of which 36 go at once and the next in a
/// second:
///
/// ```
/// use decor::shared::{Answer, Grant, RunAnswer};
/// use std::time::Duration;
///
/// let mut answer = Answer::new(7);
/// let grants = vec![Grant { calls: 36, due: Duration::ZERO }];
/// answer.runs.push(RunAnswer { grants, next: Some(Duration::from_secs(1)) });
/// assert_eq!(answer.epoch, 7);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Answer {
    /// The epoch of the store's state. Drawn at random when the state is made.
    pub epoch: u64,
    /// The answer to each run, in the same order and number. Shorter or empty if the store did not
    /// reach the others: the limiter asks for them again.
    pub runs: Vec<RunAnswer>,
    /// Permits of each window that are free now, after this request.
    pub free: [u32; MAX_WINDOWS],
    /// The rest of the pause; zero without one.
    pub pause: Duration,
    /// The rest of the grace after a loss; zero without one.
    pub grace: Duration,
}

impl Answer {
    /// Makes an answer without runs, free permits, a pause and a grace.
    ///
    /// # Examples
    ///
    /// See [`Answer`].
    pub fn new(epoch: u64) -> Self {
        Self { epoch, runs: Vec::new(), free: [0; MAX_WINDOWS], pause: Duration::ZERO, grace: Duration::ZERO }
    }
}

/// Answer of a store to one [`Run`](crate::shared::Run).
///
/// # Examples
///
/// See [`Answer`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RunAnswer {
    /// The first calls of the run, in order, by their due moments, which never fall.
    pub grants: Vec<Grant>,
    /// The earliest moment at which the first call that was not granted could be due. A lower bound
    /// for a call behind a cut, and during a grace. `None` if all calls were granted. If this
    /// exceeds [`within`](crate::shared::Run::within), the limiter refuses those calls.
    pub next: Option<Duration>,
}

/// Calls that are granted for one moment.
///
/// # Examples
///
/// See [`Answer`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grant {
    /// Number of calls; at least 1.
    pub calls: u32,
    /// Time until the calls are due; zero if they are due now.
    pub due: Duration,
}

/// Error of a store that gave no answer: out of time, refused, or an answer that is an error.
///
/// # Examples
///
/// ```
/// let error = decor::shared::StoreError::new("redis://cache:6379 answered READONLY");
/// assert_eq!(error.to_string(), "redis://cache:6379 answered READONLY");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct StoreError {
    message: String,
}

impl StoreError {
    /// Makes an error with a text that says which store, and what it answered. The text must hold
    /// no password, because it is logged.
    ///
    /// # Examples
    ///
    /// See [`StoreError`].
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into() }
    }
}
