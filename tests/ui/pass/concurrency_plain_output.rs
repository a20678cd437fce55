//! A plain output is made fallible first, or waits as long as it takes.

use decor::prelude::*;

async fn double(n: u64) -> u64 {
    n * 2
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
pub async fn main() {
    let limiter = ConcurrencyLimiter::new(8);
    assert_eq!(double.fallible().try_concurrency_limited(&limiter).call(21).await, Ok(42));
    assert_eq!(double.concurrency_limited(&limiter).call(21).await, 42);
}
