//! A foreign error is lifted. An own error type gets a `#[from]` variant.

use decor::{Error, Failure, prelude::*};
use std::time::Duration;

#[derive(Debug, PartialEq, thiserror::Error)]
#[error("no such user")]
struct NotFound;

#[derive(Debug, PartialEq, thiserror::Error)]
enum AppError {
    #[error("no such user")]
    NotFound,
    #[error(transparent)]
    Policy(#[from] Error),
}

async fn fetch(id: u64) -> Result<String, NotFound> {
    if id == 0 { Err(NotFound) } else { Ok(format!("user {id}")) }
}

async fn find(id: u64) -> Result<String, AppError> {
    fetch(id).await.map_err(|NotFound| AppError::NotFound)
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
pub async fn main() {
    let users: Memo<u64, String> = Memo::ttl(Duration::from_secs(300));
    assert_eq!(fetch.lifted().memoized(&users).call(0).await, Err(Failure::Call(NotFound)));
    assert_eq!(find.memoized(&users).call(0).await, Err(AppError::NotFound));
}
