//! The error type does not implement `Transient`.

use decor::prelude::*;

#[derive(Debug)]
enum ApiError {
    Busy,
    NotFound,
}

async fn fetch(id: u64) -> Result<u64, ApiError> {
    Err(if id == 0 { ApiError::NotFound } else { ApiError::Busy })
}

fn main() {
    let chain = fetch.retry_with(RetryPolicy::default()).transient();
    let _ = async { chain.call(42).await };
}
