//! `ConcurrencyLimiter` and `KeyedConcurrencyLimiter`: the limit holds, the queue is fair, permits
//! are handed over and never lost, and an adaptive limit follows its signals.

mod adaptive;
mod by_hand;
mod closing;
mod config;
mod decorators;
mod ends;
mod keyed;
mod model;
mod queue;
mod resize;
mod threads;

use decor::Error;

/// The refusal by a limiter without a name.
fn limited(limit: u32, waiting: usize) -> Error {
    Error::ConcurrencyLimited { name: "the concurrency limiter".into(), limit, waiting }
}
