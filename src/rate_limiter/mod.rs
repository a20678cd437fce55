//! The shared rate limiter: one handle for a whole program, exact or paced, and fair.

mod acquire;
mod builder;
mod fast_path;
mod keyed;
mod limiter;
#[cfg(all(test, shuttle, feature = "test-util"))]
mod model_check;
mod queue;
pub(crate) mod shared;
mod state;
mod stats;

pub use acquire::{Acquire, AcquireMany};
pub use builder::RateLimiterBuilder;
pub use keyed::{KeyedLimiter, KeyedLimiterBuilder};
pub use limiter::RateLimiter;
pub use stats::RateLimiterStats;

pub(crate) use acquire::Acquisition;
pub(crate) use state::{Core, Request, never_refused};
