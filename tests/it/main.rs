//! One test binary, its modules named after what they test.

mod allocations;
mod cancelled;
mod errors;
mod lazy;
mod logged;
mod names;
mod policy;
mod retry;
mod seeds;
mod support;
mod timed;
mod timeout;
mod validated;
