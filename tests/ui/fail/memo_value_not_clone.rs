//! A memo clones its value for each hit, and the value is not `Clone`.

use decor::prelude::*;
use std::time::Duration;

struct User(u64);

async fn fetch(id: u64) -> Result<User, String> {
    Ok(User(id))
}

fn main() {
    let users: Memo<u64, User> = Memo::ttl(Duration::from_secs(300));
    let chain = fetch.memoized(&users);
    let _ = async { chain.call(42).await };
}
