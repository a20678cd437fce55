//! A closure that counts is shared in an `Arc`.

use decor::prelude::*;
use std::{future::ready, sync::Arc};

fn main() {
    let mut calls = 0;
    let count = Arc::new(|n: u64| {
        calls += 1;
        ready(n)
    });
    let chain = count.timed("count");
    let _ = async { chain.call(42).await };
}
