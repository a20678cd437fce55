//! The function is called, and then awaited.

use decor::prelude::*;

async fn fetch(id: u64) -> Result<u64, String> {
    Ok(id)
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
pub async fn main() {
    assert_eq!(fetch.timed("fetch").call(42).await, Ok(42));
    assert_eq!((|| fetch(42)).timed("fetch").await, Ok(42));
}
