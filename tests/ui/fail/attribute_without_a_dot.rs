//! The chain of an attribute lacks its first dot.

use decor::decorated;

#[decorated(timeout(std::time::Duration::from_secs(1)))]
async fn fetch(id: u64) -> Result<u64, decor::Error> {
    Ok(id)
}

fn main() {
    let _ = fetch(42);
}
