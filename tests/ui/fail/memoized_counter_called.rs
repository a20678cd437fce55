//! A memoized closure that counts cannot be cloned for each call.

use decor::prelude::*;
use std::{future::ready, time::Duration};

fn main() {
    let users: Memo<u64, u64> = Memo::ttl(Duration::from_secs(300));
    let mut calls = 0;
    let count = (|n: u64| {
        calls += 1;
        ready(n)
    })
    .memoized(&users);
    let _ = async { count.call(42).await };
}
