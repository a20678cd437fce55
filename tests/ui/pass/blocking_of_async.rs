//! An async function is decorated without `.blocking()`.

use decor::prelude::*;

async fn fetch(id: u64) -> Result<u64, String> {
    if id == 0 { Err("no such user".into()) } else { Ok(id) }
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
pub async fn main() {
    assert_eq!(fetch.retry_with(RetryPolicy::default()).call(42).await, Ok(42));
}
