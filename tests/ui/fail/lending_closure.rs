//! An async closure that lends what it owns to its future can be called only once.

use decor::prelude::*;

#[derive(Clone)]
struct Client;

impl Client {
    async fn get(&self, id: u64) -> Result<u64, String> {
        Ok(id)
    }
}

fn main() {
    let client = Client;
    let chain = (async move |id: u64| client.get(id).await).retry_with(RetryPolicy::default());
    let _ = async { chain.call(42).await };
}
