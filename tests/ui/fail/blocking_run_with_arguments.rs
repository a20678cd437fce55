//! `.run()` is for functions without arguments.

use decor::prelude::*;

fn load(id: u64) -> Result<u64, String> {
    if id == 0 { Err("no such user".into()) } else { Ok(id) }
}

fn main() {
    let _ = load.blocking().timed("load").run();
}
