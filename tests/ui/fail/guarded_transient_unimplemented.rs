//! A breaker is asked to count transient errors, and the error type does not say which are.

use decor::prelude::*;

#[derive(Debug)]
struct ApiError;

impl From<decor::Error> for ApiError {
    fn from(_: decor::Error) -> Self {
        Self
    }
}

async fn fetch(id: u64) -> Result<u64, ApiError> {
    Ok(id)
}

fn main() {
    let breaker = CircuitBreaker::consecutive(5);
    let _ = fetch.guarded_by(&breaker).transient();
}
