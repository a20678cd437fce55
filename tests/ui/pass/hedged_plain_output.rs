//! A hedge of a function with an output that is made a `Result`.

use decor::prelude::*;
use std::time::Duration;

async fn double(n: u32) -> u32 {
    n * 2
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
pub async fn main() {
    let double = double.fallible().hedged(Duration::from_millis(50));
    assert_eq!(double.call(21).await, Ok(42));
}
