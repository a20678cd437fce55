//! A validation has no argument types, and rustc cannot infer them.

use decor::prelude::*;

async fn fetch(id: u64) -> Result<u64, String> {
    Ok(id)
}

fn main() {
    let chain = fetch.validated(|id| if *id == 0 { Err("id must not be 0") } else { Ok(()) });
    let _ = async { chain.call(42).await };
}
