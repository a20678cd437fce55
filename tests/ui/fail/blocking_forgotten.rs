//! A sync function is decorated without `.blocking()`.

use decor::prelude::*;

fn load(id: u64) -> Result<u64, String> {
    if id == 0 { Err("no such user".into()) } else { Ok(id) }
}

fn main() {
    let _ = load.retry_with(RetryPolicy::default()).timed("load").call(42);
}
