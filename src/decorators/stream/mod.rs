//! Decorators of streams.

pub(crate) mod rate_limited;
pub(crate) mod timeout_each;
