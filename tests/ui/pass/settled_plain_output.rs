//! The output becomes a `Result` first.

use decor::prelude::*;
use std::time::Duration;

async fn fetch(id: u32) -> u32 {
    id
}

#[tokio::main(flavor = "current_thread")]
pub async fn main() {
    let limiter = RateLimiter::new(10, Duration::from_secs(1));
    let fetch = fetch.fallible().rate_limited(&limiter).settled(|used| *used);
    assert_eq!(fetch.call(3).await, Ok(3));
    assert_eq!(limiter.available(), 7);
}
