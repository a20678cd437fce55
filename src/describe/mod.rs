//! Descriptions of chains: the decorators as data.

mod chain;
mod step;

pub use chain::Chain;
pub use step::{HandleId, Retries, Step, StepKind};
