//! The decorators: one file each, with both halves.

pub(crate) mod boxed;
pub(crate) mod deprecated;
pub(crate) mod errors;
pub(crate) mod logged;
#[cfg(feature = "memo")]
pub(crate) mod memoized;
pub(crate) mod named;
pub(crate) mod pausing;
pub(crate) mod rate_limited;
pub(crate) mod retry;
pub(crate) mod timed;
pub(crate) mod timeout;
pub(crate) mod validated;
