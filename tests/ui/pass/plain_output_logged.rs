//! A plain output is made fallible first. `timed` takes it unchanged.

use decor::prelude::*;

async fn double(n: u64) -> u64 {
    n * 2
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
pub async fn main() {
    assert_eq!(double.fallible().logged().call(21).await, Ok(42));
    assert_eq!(double.timed("double").call(21).await, 42);
}
