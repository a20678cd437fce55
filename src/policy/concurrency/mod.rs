//! When a concurrency limiter admits a call, and how its limit adapts.

mod adaptive;
mod config;
mod flow;
mod shrink;

pub use config::ConcurrencyConfig;
pub(crate) use flow::{Ended, Fit, Flow, Kind};
