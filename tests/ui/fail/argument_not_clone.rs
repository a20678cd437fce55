//! A retry clones the arguments for each attempt, and one of them is not `Clone`.

use decor::prelude::*;

struct Token(String);

async fn login(id: u64, token: Token) -> Result<u64, String> {
    if token.0.is_empty() { Err("no token".into()) } else { Ok(id) }
}

fn main() {
    let chain = login.retry_with(RetryPolicy::default());
    let _ = async { chain.call(42, Token("x".into())).await };
}
