//! Decisions of a retry: whether, and after which delay, a call is tried again.

mod backoff;
mod config;
mod decision;
mod delays;
mod jitter;
mod log;
mod longest;
mod policy;
mod schedule;
#[cfg(feature = "serde")]
mod text;

pub use backoff::Backoff;
pub use config::RetryConfig;
pub use jitter::Jitter;
pub use policy::RetryPolicy;
pub use schedule::Schedule;

pub(crate) use decision::{FailedAttempt, RetryDecision};
pub(crate) use delays::Delays;
#[cfg(feature = "memo")]
pub(super) use jitter::fraction;
