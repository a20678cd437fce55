//! `RateLimiter` and `KeyedLimiter`: exact limits, fair queues, cancel safety, and the schedule.

use crate::support::millis;
use decor::{
    Error, RateLimiter,
    test_util::{VirtualClock, VirtualThread, elapsed},
};

mod by_key;
mod closing;
mod config;
mod debug;
mod decorators;
mod dropped;
mod keyed;
mod keyed_settings;
mod limits;
mod model;
mod paced;
mod patience;
mod pausing;
mod permits;
mod queue;
mod refund;
mod refusals;
mod settings;
mod settled;
mod skipped;
mod windows;

async fn echo(text: &str) -> Result<String, Error> {
    Ok(text.to_owned())
}

/// Starts threads that wait for a permit each, and returns when all of them wait. The closure joins
/// them, and returns the times at which they were admitted, in milliseconds.
fn waiting_threads(clock: &VirtualClock, limiter: &RateLimiter, number: usize) -> impl FnOnce() -> Vec<u64> {
    let acquire = || {
        let limiter = limiter.clone();
        clock.spawn(move || {
            limiter.acquire_blocking();
            millis(elapsed().unwrap())
        })
    };
    let threads: Vec<_> = (0..number).map(|_| acquire()).collect();
    while limiter.waiting() < number {
        std::thread::yield_now();
    }
    || {
        let mut admitted: Vec<_> = threads.into_iter().map(VirtualThread::join).collect();
        admitted.sort_unstable();
        admitted
    }
}
