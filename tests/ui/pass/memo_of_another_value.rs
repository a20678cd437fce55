//! The memo holds the `Ok` values of the function, or its whole output.

use decor::prelude::*;
use std::time::Duration;

#[derive(Debug, Clone, PartialEq)]
struct Order(u64);

async fn fetch_order(id: u64) -> Result<Order, String> {
    if id == 0 { Err("no such order".into()) } else { Ok(Order(id)) }
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
pub async fn main() {
    let orders: Memo<u64, Order> = Memo::ttl(Duration::from_secs(300));
    assert_eq!(fetch_order.memoized(&orders).call(42).await, Ok(Order(42)));

    let answers: Memo<u64, Result<Order, String>> = Memo::ttl(Duration::from_secs(300));
    assert_eq!(fetch_order.memoized(&answers).call(0).await, Err("no such order".into()));
    assert_eq!(answers.stats().entries, 1);
}
