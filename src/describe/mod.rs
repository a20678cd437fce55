//! Descriptions of chains: the decorators as data, a picture, and what is wrong with their order.

mod chain;
mod lint;
mod longest;
mod picture;
mod rules;
mod step;
mod svg;

pub use chain::Chain;
pub use lint::Lint;
pub use step::{HandleId, Retries, Step, StepKind};
