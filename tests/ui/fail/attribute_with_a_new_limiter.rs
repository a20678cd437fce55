//! A limiter is made in the attribute, and so anew at each call.

use decor::{RateLimiter, decorated};
use std::time::Duration;

#[decorated(.rate_limited(&RateLimiter::new(3, Duration::from_secs(1))))]
async fn fetch(id: u64) -> Result<u64, decor::Error> {
    Ok(id)
}

fn main() {
    let _ = fetch(42);
}
