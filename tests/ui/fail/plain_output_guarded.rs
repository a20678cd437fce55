//! A function behind a circuit breaker does not return a `Result`.

use decor::prelude::*;

async fn double(n: u64) -> u64 {
    n * 2
}

fn main() {
    let breaker = CircuitBreaker::consecutive(5);
    let _ = double.guarded_by(&breaker);
}
