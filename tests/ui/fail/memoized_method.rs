//! The receiver of a method is an argument, and does not fit the memo's key.

use decor::prelude::*;
use std::time::Duration;

struct Client;

impl Client {
    async fn settings(&self) -> Result<String, String> {
        Ok("dark".into())
    }
}

fn main() {
    let memo: Memo<String, String> = Memo::ttl(Duration::from_secs(300));
    let chain = Client::settings.memoized(&memo);
    let _ = async { chain.call(&Client).await };
}
