//! A future's arguments are gone, so they cannot be the key.

use decor::prelude::*;
use std::time::Duration;

async fn fetch(id: u64) -> Result<String, String> {
    Ok(format!("user {id}"))
}

fn main() {
    let users: Memo<u64, String> = Memo::ttl(Duration::from_secs(300));
    let _ = async { fetch(42).memoized(&users).await };
}
