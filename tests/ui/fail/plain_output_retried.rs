//! The output of a retried function is not a `Result`.

use decor::prelude::*;

async fn status(id: u64) -> u16 {
    if id == 0 { 503 } else { 200 }
}

fn main() {
    let chain = status.retry_with(RetryPolicy::default());
    let _ = async { chain.call(42).await };
}
