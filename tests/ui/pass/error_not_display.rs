//! The error implements `Display`, for example by `thiserror`.

use decor::prelude::*;

#[derive(Debug, PartialEq, thiserror::Error)]
#[error("no such user")]
struct ApiError;

async fn fetch(id: u64) -> Result<u64, ApiError> {
    if id == 0 { Err(ApiError) } else { Ok(id) }
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
pub async fn main() {
    assert_eq!(fetch.logged().call(42).await, Ok(42));
    assert_eq!(fetch.logged().call(0).await, Err(ApiError));
}
