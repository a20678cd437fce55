//! A function with arguments is called with them.

use decor::prelude::*;

fn load(id: u64) -> Result<u64, String> {
    if id == 0 { Err("no such user".into()) } else { Ok(id) }
}

pub fn main() {
    assert_eq!(load.blocking().timed("load").call(42), Ok(42));
    assert_eq!((|| load(42)).blocking().timed("load").run(), Ok(42));
}
