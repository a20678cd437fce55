//! The memo's type names its values: the user, or errors as well.

use decor::prelude::*;
use std::time::Duration;

async fn fetch(id: u64) -> Result<String, String> {
    Ok(format!("user {id}"))
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
pub async fn main() {
    let fetch_user = fetch.memoized(&Memo::<u64, String>::ttl(Duration::from_secs(300)));
    assert_eq!(fetch_user.call(42).await.unwrap(), "user 42");

    let answers: Memo<u64, Result<String, String>> = Memo::ttl(Duration::from_secs(300));
    assert_eq!(fetch.memoized(&answers).call(42).await.unwrap(), "user 42");
}
