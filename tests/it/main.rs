//! One test binary, its modules named after what they test.
//!
//! A room for each subject; beside the rooms stand the tables that run through all decorators.

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
