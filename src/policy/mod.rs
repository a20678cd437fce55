//! Pure decisions: when a retry goes on and how long it waits, when a limiter admits, how long a value is good.
//!
//! Nothing in here reads a clock or sleeps, and no decision draws randomness of its own: time and seeds are arguments (a
//! policy only hands out the seeds, from `seed.rs`). What waits, async or blocking, asks here and carries the answer out.

mod delays;
mod jitter;
#[cfg(feature = "memo")]
mod lifetime;
mod nanos;
mod pacer;
mod permits;
mod quota;
mod random;
mod retry_config;
mod retry_policy;
mod schedule;
mod sliding_log;
mod strategy;
mod verdict;

pub use jitter::Jitter;
pub use permits::Permits;
pub use retry_config::{Backoff, RetryConfig};
pub use retry_policy::RetryPolicy;
pub use schedule::Schedule;

pub(crate) use delays::Delays;
#[cfg(feature = "memo")]
pub(crate) use lifetime::{Freshness, Lifetime, Stamp};
pub(crate) use nanos::{Nanos, nanos};
pub(crate) use pacer::Pacer;
pub(crate) use permits::{Counts, MAX_WINDOWS};
pub(crate) use quota::{Quota, Sums};
pub(crate) use random::SplitMix64;
pub(crate) use sliding_log::SlidingLog;
pub(crate) use verdict::{Attempted, Verdict};
