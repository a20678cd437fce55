//! The calls of a hedge run at the same time, and the closure counts in a cell.

use decor::prelude::*;
use std::{cell::Cell, future::ready, time::Duration};

#[tokio::main(flavor = "current_thread", start_paused = true)]
pub async fn main() {
    let calls = Cell::new(0);
    let count = || {
        calls.set(calls.get() + 1);
        ready(Ok::<_, String>(calls.get()))
    };
    assert_eq!(count.hedged(Duration::from_millis(50)).await, Ok(1));
}
