//! The integration tests, in one binary. The modules have the names of their subjects.
//!
//! A subject with several files has a folder. The tables over all decorators stand beside the
//! folders.

mod allocations;
mod auto_traits;
mod blocking;
mod calls;
mod cancelled;
mod catalogue;
mod chains;
mod clocks;
mod errors;
mod every;
mod gates;
mod late;
mod layering;
mod lazy;
mod memo;
mod names;
mod parity;
mod python_documents;
mod rate_limiter;
mod retry;
mod send;
mod send_static;
mod support;
mod ui;
mod users_traits;
