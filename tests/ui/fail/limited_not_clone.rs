//! A limited call owns its function, so a closure that owns what is not `Clone` cannot be called through `&self`.

use decor::prelude::*;
use std::{future::ready, time::Duration};

struct Connection;

fn main() {
    let connection = Connection;
    let limiter = RateLimiter::new(10, Duration::from_secs(1));
    let send = (move |n: u64| {
        let _ = &connection;
        ready(n)
    })
    .timed("send")
    .deprecated("use another")
    .rate_limited(&limiter);
    let _ = send.call(42);
}
