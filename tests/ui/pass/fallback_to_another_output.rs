//! A fallback to a function with the same output.

use decor::prelude::*;

async fn fetch(id: u64) -> Result<String, String> {
    Err(format!("user {id}"))
}

async fn cached(_: u64) -> Option<String> {
    None
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
pub async fn main() {
    let cached = |id: u64| async move { cached(id).await.ok_or_else(|| "not cached".to_owned()) };
    let fetch = fetch.fallback_to(cached);
    assert_eq!(fetch.call(42).await.unwrap_err(), "not cached");
}
