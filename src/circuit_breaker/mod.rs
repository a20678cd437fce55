//! The circuit breaker: one handle for each service, which refuses calls while the service fails.

mod breaker;
mod builder;
mod change;
mod keyed;
#[cfg(all(test, shuttle, feature = "test-util"))]
mod model_check;
mod passage;
mod settings;
mod state;
mod stats;

pub use breaker::CircuitBreaker;
pub use builder::CircuitBreakerBuilder;
pub use change::CircuitChange;
pub use keyed::{KeyedBreaker, KeyedBreakerBuilder};
pub use passage::Passage;
pub use stats::CircuitBreakerStats;

pub(crate) use state::{Core, Ending};
