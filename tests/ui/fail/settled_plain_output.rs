//! The output of a settled function is not a `Result`.

use decor::prelude::*;
use std::time::Duration;

async fn fetch(id: u32) -> u32 {
    id
}

fn main() {
    let limiter = RateLimiter::new(10, Duration::from_secs(1));
    let _ = fetch.rate_limited(&limiter).settled(|used| *used);
}
