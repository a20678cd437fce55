//! The errors are chosen where the breaker stands.

use decor::prelude::*;

#[derive(Debug, PartialEq)]
struct ApiError;

impl From<decor::Error> for ApiError {
    fn from(_: decor::Error) -> Self {
        Self
    }
}

async fn fetch(id: u64) -> Result<u64, ApiError> {
    Ok(id)
}

#[tokio::main(flavor = "current_thread")]
pub async fn main() {
    let breaker = CircuitBreaker::consecutive(5);
    assert_eq!(fetch.guarded_by(&breaker).when(|error| *error == ApiError).call(42).await, Ok(42));
}
