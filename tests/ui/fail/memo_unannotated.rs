//! The memo's value type is not written: the `Ok` value, or the whole `Result`.

use decor::prelude::*;
use std::time::Duration;

async fn fetch(id: u64) -> Result<String, String> {
    Ok(format!("user {id}"))
}

fn main() {
    let chain = fetch.memoized(&Memo::ttl(Duration::from_secs(300)));
    let _ = async { chain.call(42).await };
}
