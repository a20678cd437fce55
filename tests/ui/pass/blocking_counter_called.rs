//! A sync closure counts by reference, or is run once without arguments.

use decor::prelude::*;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

pub fn main() {
    let calls = AtomicU64::new(0);
    let count = (|n: u64| Ok::<u64, String>(calls.fetch_add(n, Relaxed) + n))
        .blocking()
        .retry_with(RetryPolicy::default());
    assert_eq!((count.call(42), count.call(1)), (Ok(42), Ok(43)));

    let mut calls = 0;
    let count = || {
        calls += 1;
        Ok::<u64, String>(calls)
    };
    assert_eq!(count.blocking().retry_with(RetryPolicy::default()).run(), Ok(1));
}
