//! Metrics by result, of a function that returns no `Result`.

use decor::{Metering, prelude::*};

async fn double(n: u64) -> u64 {
    n * 2
}

fn main() {
    let chain = double.metered_with(Metering::new("double").by_result());
    let _ = async { chain.call(42).await };
}
