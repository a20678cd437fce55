//! A sync closure that counts cannot be called several times at once.

use decor::prelude::*;

fn main() {
    let mut calls = 0;
    let count = (|n: u64| {
        calls += n;
        Ok::<u64, String>(calls)
    })
    .blocking()
    .retry_with(RetryPolicy::default());
    let _ = count.call(42);
}
