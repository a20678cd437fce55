//! A plain output is made fallible first.

use decor::prelude::*;
use std::time::Duration;

async fn double(n: u64) -> u64 {
    n * 2
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
pub async fn main() {
    assert_eq!(double(21).fallible().timeout(Duration::from_secs(2)).await, Ok(42));
    assert_eq!(double.fallible().timeout(Duration::from_secs(2)).call(21).await, Ok(42));
}
