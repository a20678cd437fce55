//! A sync function is hedged, and a thread cannot be cancelled.

use decor::prelude::*;
use std::time::Duration;

fn load(id: u64) -> Result<String, String> {
    Ok(format!("user {id}"))
}

fn main() {
    let _ = load.blocking().hedged(Duration::from_millis(50));
}
