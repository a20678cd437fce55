//! A blocking call returns its output. In a task, it runs on a thread for blocking work.

use decor::prelude::*;

fn load(id: u64) -> Result<u64, String> {
    if id == 0 { Err("no such user".into()) } else { Ok(id) }
}

#[tokio::main(flavor = "current_thread")]
pub async fn main() {
    let load = load.blocking().retry_with(RetryPolicy::default());
    assert_eq!(tokio::task::spawn_blocking(move || load.call(42)).await.unwrap(), Ok(42));
}
