//! `RateLimiter` and `KeyedLimiter`: exact, fair, safe to drop, on schedule.

use decor::Error;

mod by_key;
mod closing;
mod config;
mod debug;
mod decorators;
mod dropped;
mod keyed;
mod limits;
mod model;
mod paced;
mod patience;
mod pausing;
mod permits;
mod queue;
mod refusals;
mod settings;
mod skipped;
mod windows;

async fn echo(text: &str) -> Result<String, Error> {
    Ok(text.to_owned())
}
