//! A validation says no, and not why.

use decor::prelude::*;

async fn fetch(id: u64) -> Result<u64, String> {
    Ok(id)
}

fn main() {
    let chain = fetch.validated(|id: &u64| *id != 0);
    let _ = async { chain.call(42).await };
}
