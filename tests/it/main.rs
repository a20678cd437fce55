//! One test binary, its modules named after what they test.

mod allocations;
mod auto_traits;
mod blocking;
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
mod parity;
mod policy;
mod rate_limiter;
mod retry;
mod seeds;
mod seeds_blocking;
mod send;
mod support;
mod timed;
mod timeout;
mod ui;
mod validated;
