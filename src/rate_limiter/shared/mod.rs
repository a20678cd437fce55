//! Limits that several processes share: the traits between a limiter and a store.

mod quota;

pub use quota::{Asker, SharedQuota};
