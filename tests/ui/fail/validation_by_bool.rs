//! A validation returns a `bool`, which has no reason for a refusal.

use decor::prelude::*;

async fn fetch(id: u64) -> Result<u64, String> {
    Ok(id)
}

fn main() {
    let _ = fetch.validated(|id: &u64| *id != 0);
}
