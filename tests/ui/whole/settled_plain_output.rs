//! An output that is no `Result` cannot be settled.

use decor::prelude::*;
use std::time::Duration;

async fn fetch(id: u32) -> u32 {
    id
}

fn main() {
    let limiter = RateLimiter::new(10, Duration::from_secs(1));
    let chain = fetch.rate_limited(&limiter).settled(|used| *used);
    let _ = async { chain.call(42).await };
}
