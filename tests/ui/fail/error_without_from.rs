//! The error type of a function with a timeout has no `From<decor::Error>`.

use decor::prelude::*;
use std::time::Duration;

#[derive(Debug)]
struct ApiError;

async fn fetch(id: u64) -> Result<u64, ApiError> {
    if id == 0 { Err(ApiError) } else { Ok(id) }
}

fn main() {
    let chain = fetch.timeout(Duration::from_secs(2));
    let _ = async { chain.call(42).await };
}
