//! A function with arguments is awaited without a call.

use decor::prelude::*;

async fn fetch(id: u64) -> Result<u64, String> {
    Ok(id)
}

async fn chain() {
    let _ = fetch.timed("fetch").await;
}

fn main() {
    let _ = chain();
}
