//! A plain output is made fallible first.

use decor::prelude::*;

async fn double(n: u64) -> u64 {
    n * 2
}

#[tokio::main(flavor = "current_thread")]
pub async fn main() {
    let breaker = CircuitBreaker::consecutive(5);
    assert_eq!(double.fallible().guarded_by(&breaker).call(21).await, Ok(42));
}
