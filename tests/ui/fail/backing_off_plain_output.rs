//! The output of a function that signals overloads is not a `Result`.

use decor::prelude::*;

async fn double(n: u64) -> u64 {
    n * 2
}

fn main() {
    let limiter = ConcurrencyLimiter::adaptive(4..=100);
    let _ = double.backing_off(&limiter, |_| true);
}
