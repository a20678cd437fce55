//! The error type has a `#[from]` variant. A foreign error type is lifted first.

use decor::{Failure, prelude::*};
use std::{num::ParseIntError, time::Duration};

#[derive(Debug, thiserror::Error)]
enum ApiError {
    #[error("no such user")]
    NotFound,
    #[error(transparent)]
    Policy(#[from] decor::Error),
}

async fn fetch(id: u64) -> Result<u64, ApiError> {
    if id == 0 { Err(ApiError::NotFound) } else { std::future::pending().await }
}

async fn parse(text: &str) -> Result<u64, ParseIntError> {
    text.parse()
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
pub async fn main() {
    let fetch = fetch.timeout(Duration::from_secs(2));
    assert!(matches!(fetch.call(0).await, Err(ApiError::NotFound)));
    assert!(matches!(fetch.call(42).await, Err(ApiError::Policy(decor::Error::TimedOut { .. }))));

    let parse = parse.lifted().timeout(Duration::from_secs(2));
    assert!(matches!(parse.call("x").await, Err(Failure::Call(_))));
}
