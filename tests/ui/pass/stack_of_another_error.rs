//! The stack has the error type of the function.

use decor::prelude::*;
use std::{io, time::Duration};

async fn fetch(id: u64) -> io::Result<u64> {
    Ok(id)
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
pub async fn main() {
    let standard = decor::stack::<io::Error>().timeout(Duration::from_secs(1));
    let fetch = fetch.decorated_by(&standard);
    assert_eq!(fetch.call(42).await.unwrap(), 42);
}
