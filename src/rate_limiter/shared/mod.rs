//! Limits that several processes share: the traits between a limiter and a store, and the limiter
//! as its store sees it.

mod line;
mod quota;
mod store;
mod turn;

pub use quota::{Asker, SharedQuota};

pub(super) use store::Store;
