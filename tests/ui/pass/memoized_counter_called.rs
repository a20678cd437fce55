//! A closure that counts by reference is cloned for each call, or awaited once.

use decor::prelude::*;
use std::{
    future::ready,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

#[tokio::main(flavor = "current_thread", start_paused = true)]
pub async fn main() {
    let memo: Memo<u64, u64> = Memo::ttl(Duration::from_secs(300));
    let calls = AtomicU64::new(0);
    let count = (|n: u64| {
        calls.fetch_add(1, Relaxed);
        ready(n)
    })
    .memoized(&memo);
    assert_eq!((count.call(42).await, count.call(42).await), (42, 42));
    assert_eq!(calls.load(Relaxed), 1);

    let mut calls = 0;
    let count = || {
        calls += 1;
        ready(calls)
    };
    assert_eq!(count.memoized_by(&memo, || 1).await, 1);
}
