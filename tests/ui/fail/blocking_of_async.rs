//! An async function is decorated with `.blocking()`.

use decor::prelude::*;

async fn fetch(id: u64) -> Result<u64, String> {
    if id == 0 { Err("no such user".into()) } else { Ok(id) }
}

fn main() {
    let chain = fetch.blocking().retry_with(RetryPolicy::default());
    let _ = chain.call(42);
}
