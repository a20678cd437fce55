//! A stack with a hedge decorates a sync function, and a thread cannot be cancelled.

use decor::{Error, prelude::*};
use std::time::Duration;

fn load(id: u64) -> Result<u64, Error> {
    Ok(id)
}

fn main() {
    let standard = decor::stack::<Error>().hedged(Duration::from_millis(50));
    let _ = load.blocking().decorated_by(&standard);
}
