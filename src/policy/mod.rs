//! Pure decisions: when a retry goes on and how long it waits, when a limiter admits, how long a
//! value is good.
//!
//! Nothing in here reads a clock or sleeps, and no decision draws randomness of its own: time and
//! seeds are arguments (a policy only hands out the seeds, from `random.rs`). What waits, async or
//! blocking, asks here and carries the answer out.

#[cfg(feature = "memo")]
mod freshness;
mod limit;
mod retry;

pub use limit::Permits;
pub use retry::{Backoff, Jitter, RetryConfig, RetryPolicy, Schedule};

#[cfg(feature = "memo")]
pub(crate) use freshness::{Freshness, Lifetime, Stamp};
pub(crate) use limit::{Counts, MAX_WINDOWS, Pacer, Quota, SlidingLog, Sums};
pub(crate) use retry::{Attempted, Delays, Verdict};
