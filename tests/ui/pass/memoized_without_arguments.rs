//! The key is given, or the memo is used by hand.

use decor::prelude::*;
use std::time::Duration;

async fn settings() -> Result<String, String> {
    Ok("dark".into())
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
pub async fn main() {
    let memo: Memo<String, String> = Memo::ttl(Duration::from_secs(300));
    assert_eq!(settings.memoized_by(&memo, || "settings".to_owned()).await.unwrap(), "dark");
    assert_eq!(memo.get_or_load("settings", settings).await.unwrap(), "dark");
    assert_eq!(memo.stats().loads, 1);
}
