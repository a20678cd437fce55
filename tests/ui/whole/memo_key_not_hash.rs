//! Values are found by a key that is not `Hash`.

use decor::prelude::*;
use std::time::Duration;

#[derive(Clone, PartialEq, Eq)]
struct UserId(u64);

async fn fetch(id: UserId) -> Result<String, String> {
    Ok(format!("user {}", id.0))
}

fn main() {
    let users: Memo<UserId, String> = Memo::ttl(Duration::from_secs(300));
    let chain = fetch.memoized_by(&users, |id: &UserId| id.clone());
    let _ = async { chain.call(UserId(42)).await };
}
