//! A validation takes every argument, or ignores it by `_`.

use decor::prelude::*;

async fn fetch(id: u64, lang: &str) -> Result<String, String> {
    Ok(format!("{id} {lang}"))
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
pub async fn main() {
    let fetch = fetch.validated(|id: &u64, _: &&str| if *id == 0 { Err("id must not be 0") } else { Ok(()) });
    assert_eq!(fetch.call(42, "en").await.unwrap(), "42 en");
}
