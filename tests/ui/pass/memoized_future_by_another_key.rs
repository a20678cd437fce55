//! The key is of the memo's key type, by value, by reference or borrowed.

use decor::prelude::*;
use std::time::Duration;

async fn fetch(id: u64) -> Result<String, String> {
    Ok(format!("user {id}"))
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
pub async fn main() {
    let users: Memo<u64, String> = Memo::ttl(Duration::from_secs(300));
    assert_eq!(fetch(42).memoized_by(&users, 42).await.unwrap(), "user 42");
    assert_eq!(fetch(42).memoized_by(&users, &42).await.unwrap(), "user 42");

    let by_name: Memo<String, String> = Memo::ttl(Duration::from_secs(300));
    assert_eq!(fetch(42).memoized_by(&by_name, "42").await.unwrap(), "user 42");
}
