//! The counter is shared as well.

use decor::prelude::*;
use std::{
    future::ready,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
};

#[tokio::main(flavor = "current_thread")]
pub async fn main() {
    let calls = AtomicU32::new(0);
    let count = Arc::new(|n: u64| {
        calls.fetch_add(1, Relaxed);
        ready(n)
    });
    assert_eq!(count.timed("count").call(42).await, 42);
    assert_eq!(calls.load(Relaxed), 1);
}
