//! The arguments implement `Hash`, or a closure makes another key from them.

use decor::prelude::*;
use std::time::Duration;

#[derive(Clone, PartialEq, Eq, Hash)]
struct UserId(u64);

async fn fetch(id: UserId) -> Result<String, String> {
    Ok(format!("user {}", id.0))
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
pub async fn main() {
    let users: Memo<UserId, String> = Memo::ttl(Duration::from_secs(300));
    assert_eq!(fetch.memoized(&users).call(UserId(42)).await.unwrap(), "user 42");

    let by_number: Memo<u64, String> = Memo::ttl(Duration::from_secs(300));
    let fetch = fetch.memoized_by(&by_number, |id: &UserId| id.0);
    assert_eq!(fetch.call(UserId(42)).await.unwrap(), "user 42");
}
