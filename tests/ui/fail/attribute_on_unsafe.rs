//! An unsafe function is decorated.

use decor::decorated;
use std::time::Duration;

#[decorated(.timeout(Duration::from_secs(1)))]
unsafe async fn fetch(id: u64) -> Result<u64, decor::Error> {
    Ok(id)
}

fn main() {
    let _ = unsafe { fetch(42) };
}
