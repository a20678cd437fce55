//! A predicate looks at another error type than the function has.

use decor::prelude::*;

async fn fetch(id: u64) -> Result<u64, String> {
    if id == 0 { Err("no such user".into()) } else { Ok(id) }
}

fn main() {
    let chain = fetch.retry_with(RetryPolicy::default()).when(|e: &&str| e.starts_with("busy"));
    let _ = async { chain.call(42).await };
}
