//! A closure that gives away what it owns can be called only once.

use decor::prelude::*;

async fn send(text: String) -> Result<usize, String> {
    Ok(text.len())
}

fn main() {
    let text = String::from("hello");
    let _ = (|| send(text)).retry_with(RetryPolicy::default());
}
