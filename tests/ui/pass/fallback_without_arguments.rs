//! The answer of a fallback takes the error and the arguments of the call.

use decor::prelude::*;

async fn fetch(id: u64) -> Result<String, String> {
    Err(format!("user {id}"))
}

async fn answer(error: String, _: u64) -> Result<String, String> {
    Err(error)
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
pub async fn main() {
    let fetch = fetch.fallback(answer);
    assert_eq!(fetch.call(42).await.unwrap_err(), "user 42");
}
