//! A closure behind a limiter owns a value that cannot be cloned.

use decor::prelude::*;
use std::{future::ready, time::Duration};

struct Token(String);

impl Token {
    fn signed(&self, id: u64) -> u64 {
        id + self.0.len() as u64
    }
}

fn main() {
    let limiter = RateLimiter::new(10, Duration::from_secs(1));
    let token = Token("secret".into());
    let login = (move |id: u64| ready(token.signed(id))).rate_limited(&limiter);
    let _ = async { login.call(42).await };
}
