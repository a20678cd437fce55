//! The key of a memo is not `Hash`.

use decor::prelude::*;
use std::time::Duration;

#[derive(Clone, PartialEq, Eq)]
struct UserId(u64);

async fn fetch(id: UserId) -> Result<String, String> {
    Ok(format!("user {}", id.0))
}

fn main() {
    let users: Memo<UserId, String> = Memo::ttl(Duration::from_secs(300));
    let _ = fetch.memoized_by(&users, |id: &UserId| id.clone());
}
