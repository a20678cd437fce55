//! The error type implements `Transient`, or the retry has a predicate.

use decor::{Transient, prelude::*};

#[derive(Debug, PartialEq)]
enum ApiError {
    Busy,
    NotFound,
}

impl Transient for ApiError {
    fn is_transient(&self) -> bool {
        *self == Self::Busy
    }
}

async fn fetch(id: u64) -> Result<u64, ApiError> {
    Err(if id == 0 { ApiError::NotFound } else { ApiError::Busy })
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
pub async fn main() {
    let fetch = fetch.retry_with(RetryPolicy::default());
    assert_eq!(fetch.clone().transient().call(0).await, Err(ApiError::NotFound));
    assert_eq!(fetch.when(|e: &ApiError| *e == ApiError::Busy).call(42).await, Err(ApiError::Busy));
}
