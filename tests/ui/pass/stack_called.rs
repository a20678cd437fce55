//! The function is decorated by the stack, and then called.

use decor::{Error, prelude::*};
use std::time::Duration;

async fn fetch(id: u64) -> Result<u64, Error> {
    Ok(id)
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
pub async fn main() {
    let standard = decor::stack::<Error>().timeout(Duration::from_secs(1));
    assert_eq!(fetch.decorated_by(&standard).call(42).await, Ok(42));
}
