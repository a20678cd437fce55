//! A limiter is kept in a static.

use decor::{RateLimiter, decorated};
use std::{sync::LazyLock, time::Duration};

static LIMITER: LazyLock<RateLimiter> = LazyLock::new(|| RateLimiter::new(3, Duration::from_secs(1)));

#[decorated(.rate_limited(&LIMITER))]
async fn fetch(id: u64) -> Result<u64, decor::Error> {
    Ok(id)
}

#[tokio::main(flavor = "current_thread")]
pub async fn main() {
    assert_eq!(fetch(42).await, Ok(42));
}
