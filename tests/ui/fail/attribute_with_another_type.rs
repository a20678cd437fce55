//! A decorator of an attribute has an argument of another type.

use decor::decorated;

#[decorated(.timeout(2))]
async fn fetch(id: u64) -> Result<u64, decor::Error> {
    Ok(id)
}

fn main() {
    let _ = fetch(42);
}
