//! A chain awaits its call, which the attribute does by itself.

use decor::decorated;

#[decorated(.timeout(std::time::Duration::from_secs(1)).await)]
async fn fetch(id: u64) -> Result<u64, decor::Error> {
    Ok(id)
}

fn main() {
    let _ = fetch(42);
}
