//! A future is the result of a call, and cannot be retried.

use decor::prelude::*;

async fn fetch(id: u64) -> Result<u64, String> {
    Ok(id)
}

fn main() {
    let _ = async { fetch(42).retry_with(RetryPolicy::default()).await };
}
