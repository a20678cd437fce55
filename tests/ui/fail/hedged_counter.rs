//! The calls of a hedge run at the same time, and the closure changes what it captures.

use decor::prelude::*;
use std::{future::ready, time::Duration};

fn main() {
    let mut calls = 0;
    let count = || {
        calls += 1;
        ready(Ok::<_, String>(calls))
    };
    let _ = count.hedged(Duration::from_millis(50));
}
