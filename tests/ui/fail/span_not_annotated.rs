//! The closure of a span has no types.

use decor::prelude::*;

async fn fetch(id: u64) -> Result<u64, String> {
    Ok(id)
}

fn main() {
    let _ = fetch.traced_with(|id| tracing::info_span!("fetch", id));
}
