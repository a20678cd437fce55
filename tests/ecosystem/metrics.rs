//! Metrics of calls and of handles.
#![allow(clippy::float_cmp)] // gauges are exact

mod calls;
mod handles;
mod recorder;
mod tier;

use std::time::Duration;
use tokio::runtime::{Builder, Runtime};

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A runtime with a paused clock.
fn paused() -> Runtime {
    Builder::new_current_thread().enable_time().start_paused(true).build().unwrap()
}
