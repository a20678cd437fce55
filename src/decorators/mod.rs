//! One decorator, one file: what it does to the future of a call, and how it stands around a function.

pub(crate) mod convert;
pub(crate) mod deprecated;
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
pub(crate) mod watched;
