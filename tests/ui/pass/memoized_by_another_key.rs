//! The memo's key fits the arguments, or a closure makes it from them.

use decor::prelude::*;
use std::time::Duration;

async fn fetch(id: u64) -> Result<String, String> {
    Ok(format!("user {id}"))
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
pub async fn main() {
    let by_id: Memo<u64, String> = Memo::ttl(Duration::from_secs(300));
    assert_eq!(fetch.memoized(&by_id).call(42).await.unwrap(), "user 42");

    let by_path: Memo<String, String> = Memo::ttl(Duration::from_secs(300));
    let fetch = fetch.memoized_by(&by_path, |id: &u64| format!("/users/{id}"));
    assert_eq!(fetch.call(42).await.unwrap(), "user 42");
    assert_eq!(by_path.get("/users/42").unwrap(), "user 42");
}
