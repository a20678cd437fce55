//! `with_context` passes owned values on. An async closure may lend borrowed ones.

use decor::prelude::*;

#[derive(Clone)]
struct Client;

impl Client {
    async fn get(&self, id: u64) -> Result<u64, String> {
        Ok(id)
    }
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
pub async fn main() {
    let client = Client;
    let lent = (async |id: u64| client.get(id).await).retry_with(RetryPolicy::default());
    assert_eq!(lent.call(42).await, Ok(42));

    let owned = decor::with_context(client, |client: Client, id: u64| async move { client.get(id).await })
        .retry_with(RetryPolicy::default());
    assert_eq!(owned.call(42).await, Ok(42));
}
