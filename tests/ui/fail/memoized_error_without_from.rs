//! The error type of a memoized function has no `From<decor::Error>`, which waiting calls need to
//! get the failure of a load.

use decor::prelude::*;
use std::time::Duration;

#[derive(Debug, thiserror::Error)]
#[error("no such user")]
struct NotFound;

async fn fetch(id: u64) -> Result<String, NotFound> {
    if id == 0 { Err(NotFound) } else { Ok(format!("user {id}")) }
}

fn main() {
    let users: Memo<u64, String> = Memo::ttl(Duration::from_secs(300));
    let chain = fetch.memoized(&users);
    let _ = async { chain.call(42).await };
}
