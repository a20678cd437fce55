//! Without `by_result`, any output has metrics.

use decor::{Metering, prelude::*};

async fn double(n: u64) -> u64 {
    n * 2
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
pub async fn main() {
    assert_eq!(double.metered_with(Metering::new("double")).call(21).await, 42);
    assert_eq!(double.fallible().metered_with(Metering::new("double").by_result()).call(21).await, Ok(42));
}
