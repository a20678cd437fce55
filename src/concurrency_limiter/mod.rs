//! The concurrency limiter: at most so many calls at once, in the order in which they came.

mod acquire;
mod builder;
#[cfg(all(feature = "http", feature = "tower"))]
pub(crate) mod handover;
#[cfg(feature = "http")]
mod held_body;
mod keyed;
mod limiter;
#[cfg(all(test, shuttle, feature = "test-util"))]
mod model_check;
mod permit;
mod state;
mod stats;
mod word;

pub use acquire::{AcquireConcurrency, AcquireManyConcurrency, OnePermit};
pub use builder::ConcurrencyLimiterBuilder;
#[cfg(feature = "http")]
pub use held_body::HeldBody;
pub use keyed::{KeyedConcurrencyLimiter, KeyedConcurrencyLimiterBuilder};
pub use limiter::ConcurrencyLimiter;
pub use permit::ConcurrencyPermit;
pub use stats::ConcurrencyStats;

pub(crate) use acquire::{Patience, Slot, Weight};
pub(crate) use state::Core;
