//! A fallback to a function with another output.

use decor::prelude::*;

async fn fetch(id: u64) -> Result<String, String> {
    Ok(format!("user {id}"))
}

async fn cached(_: u64) -> Option<String> {
    None
}

fn main() {
    let _ = fetch.fallback_to(cached);
}
