//! The closure of a span has no types. The documentation of `traced_with` has this answer of rustc.

use decor::prelude::*;

async fn fetch(id: u64) -> Result<u64, String> {
    Ok(id)
}

fn main() {
    let _ = fetch.traced_with(|id| tracing::info_span!("fetch", id));
}
