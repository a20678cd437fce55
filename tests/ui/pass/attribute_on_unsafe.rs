//! A safe function is decorated.

use decor::decorated;
use std::time::Duration;

#[decorated(.timeout(Duration::from_secs(1)))]
async fn fetch(id: u64) -> Result<u64, decor::Error> {
    Ok(id)
}

#[tokio::main(flavor = "current_thread")]
pub async fn main() {
    assert_eq!(fetch(42).await, Ok(42));
}
