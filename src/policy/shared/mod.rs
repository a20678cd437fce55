//! Limits that several processes share through a store: the messages between a limiter and its
//! store, the permits that a limiter holds, when it asks for more, and when a store that is down is
//! tried again.

mod alone;
mod answer;
mod ask;
mod batch;
mod held;
mod ledger;
mod on_failure;
mod probe;
mod purse;
mod recent;

pub use answer::{Answer, Grant, RunAnswer, StoreError};
pub use ask::{Ask, Charge, Limits, Run};
pub use on_failure::OnFailure;
pub use probe::Probe;

pub(crate) use batch::Place;
pub(crate) use purse::{Answered, Purse, Sharing};
