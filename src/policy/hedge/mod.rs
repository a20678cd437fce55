//! Decisions of a hedge: the delay before another call.

mod config;
mod latencies;

pub use config::HedgeConfig;

pub(crate) use config::{HedgePlan, Trigger};
pub(crate) use latencies::Latencies;
