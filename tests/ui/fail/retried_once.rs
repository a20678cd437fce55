//! A closure that gives away what it owns can be called only once.

use decor::prelude::*;

async fn send(text: String) -> Result<usize, String> {
    Ok(text.len())
}

fn main() {
    let text = String::from("hello");
    let chain = (|| send(text)).retry_with(RetryPolicy::default());
    let _ = async { chain.call().await };
}
