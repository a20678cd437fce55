//! A validation leaves out an argument.

use decor::prelude::*;

async fn fetch(id: u64, lang: &str) -> Result<String, String> {
    Ok(format!("{id} {lang}"))
}

fn main() {
    let chain = fetch.validated(|id: &u64| if *id == 0 { Err("id must not be 0") } else { Ok(()) });
    let _ = async { chain.call(42, "en").await };
}
