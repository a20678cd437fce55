//! Decisions of chaos: the fault of a call.

mod plan;

pub use plan::{ChaosConfig, Fault};

pub(crate) use plan::ChaosPlan;
