//! A validation takes each argument by reference: `&&str` for a `&str`.

use decor::prelude::*;

async fn fetch(id: u64, lang: &str) -> Result<String, String> {
    Ok(format!("{id} {lang}"))
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
pub async fn main() {
    let fetch = fetch.validated(|id: &u64, lang: &&str| match (id, lang) {
        (0, _) => Err("id must not be 0"),
        (_, &"") => Err("lang must not be empty"),
        _ => Ok(()),
    });
    assert_eq!(fetch.call(42, "en").await.unwrap(), "42 en");
    assert_eq!(fetch.call(42, "").await.unwrap_err(), "invalid argument: lang must not be empty");
}
