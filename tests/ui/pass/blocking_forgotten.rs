//! A sync function is decorated after `.blocking()`.

use decor::prelude::*;

fn load(id: u64) -> Result<u64, String> {
    if id == 0 { Err("no such user".into()) } else { Ok(id) }
}

pub fn main() {
    assert_eq!(load.blocking().retry_with(RetryPolicy::default()).timed("load").call(42), Ok(42));
}
