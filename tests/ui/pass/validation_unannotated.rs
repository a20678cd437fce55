//! A validation has its argument types written.

use decor::prelude::*;

async fn fetch(id: u64) -> Result<u64, String> {
    Ok(id)
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
pub async fn main() {
    let fetch = fetch.validated(|id: &u64| if *id == 0 { Err("id must not be 0") } else { Ok(()) });
    assert_eq!(fetch.call(0).await.unwrap_err(), "invalid argument: id must not be 0");
}
