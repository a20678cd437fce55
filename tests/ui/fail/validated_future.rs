//! A future's arguments are gone, so they cannot be validated.

use decor::prelude::*;

async fn fetch(id: u64) -> Result<u64, String> {
    Ok(id)
}

fn main() {
    let _ = async { fetch(42).validated(|id: &u64| if *id == 0 { Err("id must not be 0") } else { Ok(()) }).await };
}
