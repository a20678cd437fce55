//! A closure that counts cannot be called several times at once.

use decor::prelude::*;
use std::future::ready;

fn main() {
    let mut calls = 0;
    let count = (|n: u64| {
        calls += 1;
        ready(Ok::<u64, String>(n))
    })
    .timed("count");
    let _ = async { count.call(42).await };
}
