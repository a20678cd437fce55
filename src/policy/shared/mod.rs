//! Limits that several processes share through a store: the messages between a limiter and its
//! store, and when a store that is down is tried again.

mod answer;
mod ask;
mod probe;

pub use answer::{Answer, Grant, RunAnswer, StoreError};
pub use ask::{Ask, Charge, Limits, Run};
pub use probe::Probe;
