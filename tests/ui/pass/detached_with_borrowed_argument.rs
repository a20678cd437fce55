//! A detached load owns its arguments. Other loads may borrow them.

use decor::prelude::*;
use std::time::Duration;

async fn find(name: &str) -> Result<String, String> {
    Ok(format!("user {name}"))
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
pub async fn main() {
    let users: Memo<String, String> = Memo::ttl(Duration::from_secs(300));
    let detached = (|name: String| async move { find(&name).await }).memoized(&users).detached();
    let name = String::from("ann");
    assert_eq!(detached.call(name.clone()).await.unwrap(), "user ann");
    assert_eq!(find.memoized(&users).call(&name).await.unwrap(), "user ann");
    assert_eq!((users.stats().loads, users.stats().hits), (1, 1));
}
