//! A closure that counts by reference is cloned for each call, or awaited once.

use decor::prelude::*;
use std::{
    future::ready,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

#[tokio::main(flavor = "current_thread", start_paused = true)]
pub async fn main() {
    let calls = AtomicU64::new(0);
    let count = (|n: u64| {
        calls.fetch_add(1, Relaxed);
        ready(Ok::<u64, String>(n))
    })
    .retry_with(RetryPolicy::default());
    assert_eq!(count.call(42).await, Ok(42));
    assert_eq!(calls.load(Relaxed), 1);

    let mut calls = 0;
    let count = || {
        calls += 1;
        ready(Ok::<u64, String>(calls))
    };
    assert_eq!(count.retry_with(RetryPolicy::default()).await, Ok(1));
}
