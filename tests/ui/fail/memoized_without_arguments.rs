//! The arguments are the key, and there are none.

use decor::prelude::*;
use std::time::Duration;

async fn settings() -> Result<String, String> {
    Ok("dark".into())
}

fn main() {
    let memo: Memo<String, String> = Memo::ttl(Duration::from_secs(300));
    let chain = settings.memoized(&memo);
    let _ = async { chain.call().await };
}
