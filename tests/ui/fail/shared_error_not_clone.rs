//! Waiting calls share one error, and the error is not `Clone`.

use decor::prelude::*;
use std::{io, time::Duration};

async fn read(id: u64) -> Result<String, io::Error> {
    if id == 0 { Err(io::ErrorKind::NotFound.into()) } else { Ok(format!("user {id}")) }
}

fn main() {
    let users: Memo<u64, String> = Memo::ttl(Duration::from_secs(300));
    let chain = read.memoized(&users).sharing_errors();
    let _ = async { chain.call(42).await };
}
