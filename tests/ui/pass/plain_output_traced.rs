//! A plain output is made fallible first.

use decor::prelude::*;

async fn double(n: u64) -> u64 {
    n * 2
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
pub async fn main() {
    assert_eq!(double.fallible().traced("double").call(21).await, Ok(42));
}
