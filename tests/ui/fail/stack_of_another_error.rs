//! The stack has another error type than the function.

use decor::prelude::*;
use std::{io, time::Duration};

async fn fetch(id: u64) -> io::Result<u64> {
    Ok(id)
}

fn main() {
    let standard = decor::stack::<String>().timeout(Duration::from_secs(1));
    let fetch = fetch.decorated_by(&standard);
    let _ = fetch.call(42);
}
