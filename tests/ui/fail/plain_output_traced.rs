//! The output of a traced function is not a `Result`.

use decor::prelude::*;

async fn double(n: u64) -> u64 {
    n * 2
}

fn main() {
    let chain = double.traced("double");
    let _ = async { chain.call(42).await };
}
