//! A plain output is made fallible first, and `.when_result(..)` picks the values to retry.

use decor::prelude::*;

async fn status(id: u64) -> u16 {
    if id == 0 { 503 } else { 200 }
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
pub async fn main() {
    let status =
        status.fallible().retry_with(RetryPolicy::default()).when_result(|r: &Result<u16, decor::Error>| *r == Ok(503));
    assert_eq!(status.call(42).await, Ok(200));
    assert_eq!(status.call(0).await, Ok(503));
}
