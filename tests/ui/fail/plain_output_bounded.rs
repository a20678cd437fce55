//! The output of a function with a timeout is not a `Result`.

use decor::prelude::*;
use std::time::Duration;

async fn double(n: u64) -> u64 {
    n * 2
}

fn main() {
    let _ = async { double(21).timeout(Duration::from_secs(2)).await };
}
