//! A decorated function is called with all its arguments.

use decor::prelude::*;

async fn fetch(id: u64, lang: &str) -> Result<String, String> {
    Ok(format!("{id} {lang}"))
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
pub async fn main() {
    assert_eq!(fetch.timed("fetch").call(42, "en").await.unwrap(), "42 en");
}
