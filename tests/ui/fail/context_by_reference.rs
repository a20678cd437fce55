//! A method with `&self` borrows the context that it is to take.

use decor::prelude::*;

#[derive(Clone)]
struct Client;

impl Client {
    async fn get(&self, id: u64) -> Result<u64, String> {
        Ok(id)
    }
}

fn main() {
    let chain = decor::with_context(Client, Client::get).retry_with(RetryPolicy::default());
    let _ = async { chain.call(42).await };
}
