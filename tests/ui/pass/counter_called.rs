//! A counting closure is awaited once, or several calls share an atomic counter.

use decor::prelude::*;
use std::{
    future::ready,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

#[tokio::main(flavor = "current_thread", start_paused = true)]
pub async fn main() {
    let mut calls = 0;
    let count = || {
        calls += 1;
        ready(Ok::<u64, String>(42))
    };
    assert_eq!(count.timed("count").await, Ok(42));
    assert_eq!(calls, 1);

    let calls = AtomicU64::new(0);
    let count = (|n: u64| {
        calls.fetch_add(1, Relaxed);
        ready(n)
    })
    .timed("count");
    assert_eq!(count.call(42).await, 42);
    assert_eq!(calls.load(Relaxed), 1);
}
