//! A validation takes an argument by value.

use decor::prelude::*;

async fn fetch(id: u64, lang: &str) -> Result<String, String> {
    Ok(format!("{id} {lang}"))
}

fn main() {
    let _ = fetch.validated(|id: u64, _: &&str| if id == 0 { Err("id must not be 0") } else { Ok(()) });
}
