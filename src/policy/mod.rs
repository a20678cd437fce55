//! Pure decisions: when a retry goes on and how long it waits, when a limiter admits, how long a
//! value is good.
//!
//! No code in here reads a clock or sleeps, and no decision draws randomness of its own: time and
//! seeds are arguments. A policy only hands out the seeds, from `random.rs`. The async and the
//! blocking half ask here, and carry the answer out.

#[cfg(feature = "memo")]
mod freshness;
mod limit;
mod retry;

pub use limit::Permits;
pub use retry::{Backoff, Jitter, RetryConfig, RetryPolicy, Schedule};

#[cfg(feature = "memo")]
pub(crate) use freshness::{Freshness, Lifetime, Rest, Stamp};
pub(crate) use limit::{Counts, MAX_WINDOWS, Pacer, Quota, SlidingLog, Sums, excess};
pub(crate) use retry::{Delays, FailedAttempt, RetryDecision};
