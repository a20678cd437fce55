//! The function is retried, or a closure that calls it.

use decor::prelude::*;

async fn fetch(id: u64) -> Result<u64, String> {
    Ok(id)
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
pub async fn main() {
    assert_eq!(fetch.retry_with(RetryPolicy::default()).call(42).await, Ok(42));
    assert_eq!((|| fetch(42)).retry_with(RetryPolicy::default()).await, Ok(42));
}
