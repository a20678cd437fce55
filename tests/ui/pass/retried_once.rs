//! The closure gives away a clone.

use decor::prelude::*;

async fn send(text: String) -> Result<usize, String> {
    Ok(text.len())
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
pub async fn main() {
    let text = String::from("hello");
    assert_eq!((|| send(text.clone())).retry_with(RetryPolicy::default()).await, Ok(5));
    assert_eq!(send.retry_with(RetryPolicy::default()).call(text).await, Ok(5));
}
