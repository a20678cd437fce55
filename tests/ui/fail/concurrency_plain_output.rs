//! The output of a function that a limiter may refuse carries no error.

use decor::prelude::*;

async fn double(n: u64) -> u64 {
    n * 2
}

fn main() {
    let limiter = ConcurrencyLimiter::new(8);
    let _ = double.try_concurrency_limited(&limiter);
}
