//! A closure makes the key, and leaves the receiver out.

use decor::prelude::*;
use std::time::Duration;

struct Client;

impl Client {
    async fn settings(&self) -> Result<String, String> {
        Ok("dark".into())
    }

    async fn get(&self, id: u64) -> Result<String, String> {
        Ok(format!("user {id}"))
    }
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
pub async fn main() {
    let memo: Memo<String, String> = Memo::ttl(Duration::from_secs(300));
    let settings = Client::settings.memoized_by(&memo, |_: &&Client| "settings".to_owned());
    assert_eq!(settings.call(&Client).await.unwrap(), "dark");

    let users: Memo<u64, String> = Memo::ttl(Duration::from_secs(300));
    let get = Client::get.memoized_by(&users, |_: &&Client, id: &u64| *id);
    assert_eq!(get.call(&Client, 42).await.unwrap(), "user 42");
}
