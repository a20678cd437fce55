//! The error of a logged function is not `Display`.

use decor::prelude::*;

#[derive(Debug)]
struct ApiError;

async fn fetch(id: u64) -> Result<u64, ApiError> {
    if id == 0 { Err(ApiError) } else { Ok(id) }
}

fn main() {
    let chain = fetch.logged();
    let _ = async { chain.call(42).await };
}
