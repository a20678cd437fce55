//! The predicate takes the function's own error type.

use decor::prelude::*;

async fn fetch(id: u64) -> Result<u64, String> {
    if id == 0 { Err("no such user".into()) } else { Ok(id) }
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
pub async fn main() {
    let fetch = fetch.retry_with(RetryPolicy::default());
    assert_eq!(fetch.clone().when(|e: &String| e.starts_with("busy")).call(42).await, Ok(42));
    assert_eq!(fetch.when(|e| e.starts_with("busy")).call(42).await, Ok(42));
}
