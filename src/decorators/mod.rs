//! One decorator, one file: what it does to the future of a call, and how it stands around a function.

pub mod convert;
pub mod deprecated;
pub mod logged;
pub mod named;
pub mod retry;
pub mod timed;
pub mod timeout;
pub mod validated;
pub mod watched;
