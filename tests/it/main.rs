//! The test binary. Its modules are named after what they test.
//!
//! Each subject has a folder. The tables that run through all decorators stand beside the folders.

mod allocations;
mod attribute;
mod auto_traits;
mod blocking;
mod calls;
mod cancelled;
mod catalogue;
mod chains;
mod chaos;
mod circuit_breaker;
mod clocks;
mod concurrency_limiter;
mod deadline;
mod describe;
mod errors;
mod every;
mod gates;
mod hedge;
mod http;
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
mod stack;
mod streams;
mod support;
mod ui;
mod users_traits;
