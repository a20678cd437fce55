//! One test binary, its modules named after what they test.

mod allocations;
mod auto_traits;
mod cancelled;
mod errors;
mod keyed_limiter;
mod lazy;
mod logged;
mod memo;
mod memo_flights;
mod memo_freshness;
mod memo_keys;
mod memo_model;
mod names;
mod policy;
mod rate_limiter;
mod retry;
mod seeds;
mod send;
mod support;
mod timed;
mod timeout;
mod ui;
mod validated;
