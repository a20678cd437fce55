//! A sync function is hedged within an async function.

use decor::prelude::*;
use std::time::Duration;

fn load(id: u64) -> Result<String, String> {
    if id == 0 { Err("no such user".into()) } else { Ok(format!("user {id}")) }
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
pub async fn main() {
    let load = |id: u64| async move { tokio::task::spawn_blocking(move || load(id)).await.unwrap() };
    let load = load.hedged(Duration::from_millis(50));
    assert_eq!(load.call(42).await.unwrap(), "user 42");
}
