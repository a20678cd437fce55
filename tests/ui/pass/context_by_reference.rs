use decor::prelude::*;

#[derive(Clone)]
struct Client;

impl Client {
    async fn get(&self, id: u64) -> Result<u64, String> {
        Ok(id)
    }
}

pub fn main() {
    let get = decor::with_context(Client, async |client: Client, id: u64| client.get(id).await);
    let _ = get.retry_with(RetryPolicy::default());
}
