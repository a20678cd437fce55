//! The memo's key type does not fit the arguments.

use decor::prelude::*;
use std::time::Duration;

async fn fetch(id: u64) -> Result<String, String> {
    Ok(format!("user {id}"))
}

fn main() {
    let users: Memo<String, String> = Memo::ttl(Duration::from_secs(300));
    let chain = fetch.memoized(&users);
    let _ = async { chain.call(42).await };
}
