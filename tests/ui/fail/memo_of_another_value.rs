//! The memo holds values of another type than the function returns.

use decor::prelude::*;
use std::time::Duration;

#[derive(Clone)]
struct User(u64);

#[derive(Clone)]
struct Order(u64);

async fn fetch_order(id: u64) -> Result<Order, String> {
    Ok(Order(id))
}

fn main() {
    let users: Memo<u64, User> = Memo::ttl(Duration::from_secs(300));
    let chain = fetch_order.memoized(&users);
    let _ = async { chain.call(42).await };
}
