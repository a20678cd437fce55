//! The result of a blocking call is not a future.

use decor::prelude::*;

fn load(id: u64) -> Result<u64, String> {
    if id == 0 { Err("no such user".into()) } else { Ok(id) }
}

fn main() {
    let _ = async { load.blocking().retry_with(RetryPolicy::default()).call(42).await };
}
