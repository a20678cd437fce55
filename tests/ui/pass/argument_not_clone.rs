//! The argument is taken by reference, or as an `Arc`.

use decor::prelude::*;
use std::sync::Arc;

struct Token(String);

async fn login(id: u64, token: &Token) -> Result<u64, String> {
    if token.0.is_empty() { Err("no token".into()) } else { Ok(id) }
}

async fn spawn_login(id: u64, token: Arc<Token>) -> Result<u64, String> {
    tokio::spawn(async move { login(id, &token).await }).await.unwrap()
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
pub async fn main() {
    let token = Token("secret".into());
    assert_eq!(login.retry_with(RetryPolicy::default()).call(42, &token).await, Ok(42));
    assert_eq!(spawn_login.retry_with(RetryPolicy::default()).call(42, token.into()).await, Ok(42));
}
