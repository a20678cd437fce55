//! A hedge must tell success from failure, and the output is no `Result`.

use decor::prelude::*;
use std::time::Duration;

async fn double(n: u32) -> u32 {
    n * 2
}

fn main() {
    let _ = double.hedged(Duration::from_millis(50));
}
