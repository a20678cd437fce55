use decor::prelude::*;
use std::{future::ready, sync::Arc, time::Duration};

struct Connection;

pub fn main() {
    let connection = Arc::new(Connection);
    let limiter = RateLimiter::new(10, Duration::from_secs(1));
    let send = (move |n: u64| {
        let _ = &connection;
        ready(n)
    })
    .timed("send")
    .deprecated("use another")
    .rate_limited(&limiter);
    drop(send.call(42));

    // A closure that is awaited directly is called once.
    let connection = Connection;
    let send = move || {
        let _ = &connection;
        ready(42)
    };
    drop(std::future::IntoFuture::into_future(send.rate_limited(&limiter)));
}
