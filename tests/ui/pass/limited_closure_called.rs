//! The closure borrows the token, or is shared.

use decor::prelude::*;
use std::{future::ready, sync::Arc, time::Duration};

struct Token(String);

impl Token {
    fn signed(&self, id: u64) -> u64 {
        id + self.0.len() as u64
    }
}

#[tokio::main(flavor = "current_thread")]
pub async fn main() {
    let limiter = RateLimiter::new(10, Duration::from_secs(1));
    let token = Token("secret".into());

    let borrows = (|id: u64| ready(token.signed(id))).rate_limited(&limiter);
    assert_eq!(borrows.call(42).await, 48);

    let owns = move |id: u64| ready(token.signed(id));
    let shared = Arc::new(owns).rate_limited(&limiter);
    assert_eq!(shared.call(42).await, 48);
}
