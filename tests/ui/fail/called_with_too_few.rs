//! An argument is missing.

use decor::prelude::*;

async fn fetch(id: u64, lang: &str) -> Result<String, String> {
    Ok(format!("{id} {lang}"))
}

fn main() {
    let _ = async { fetch.timed("fetch").call(42).await };
}
