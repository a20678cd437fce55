//! The closure of a span takes each argument by reference, with its type written.

use decor::prelude::*;

async fn fetch(id: u64) -> Result<u64, String> {
    Ok(id)
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
pub async fn main() {
    let fetch = fetch.traced_with(|id: &u64| tracing::info_span!("fetch", id));
    assert_eq!(fetch.call(42).await, Ok(42));
}
