//! The value implements `Clone`, or the memo holds it in an `Arc`.

use decor::prelude::*;
use std::{sync::Arc, time::Duration};

#[derive(Debug, PartialEq)]
struct User(u64);

async fn fetch(id: u64) -> Result<User, String> {
    Ok(User(id))
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
pub async fn main() {
    let users: Memo<u64, Arc<User>> = Memo::ttl(Duration::from_secs(300));
    let fetch = (async |id: u64| fetch(id).await.map(Arc::new)).memoized(&users);
    assert_eq!(fetch.call(42).await, Ok(Arc::new(User(42))));
}
