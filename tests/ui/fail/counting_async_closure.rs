//! An async closure that counts lends its counter to its future.

use decor::prelude::*;

fn main() {
    let mut attempts = 0;
    let chain = (async || {
        attempts += 1;
        if attempts < 3 { Err("busy") } else { Ok(attempts) }
    })
    .retry_with(RetryPolicy::default());
    let _ = async { chain.call().await };
}
