//! An unsafe function is decorated.

use decor::decorated;

#[decorated(.timeout(std::time::Duration::from_secs(1)))]
async unsafe fn fetch(id: u64) -> Result<u64, decor::Error> {
    Ok(id)
}

fn main() {
    let _ = unsafe { fetch(42) };
}
