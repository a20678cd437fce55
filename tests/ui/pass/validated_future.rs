//! The function is validated in place of its future.

use decor::prelude::*;

async fn fetch(id: u64) -> Result<u64, String> {
    Ok(id)
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
pub async fn main() {
    let fetch = fetch.validated(|id: &u64| if *id == 0 { Err("id must not be 0") } else { Ok(()) });
    assert_eq!(fetch.call(42).await, Ok(42));
}
