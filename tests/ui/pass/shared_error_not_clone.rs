//! The error is shared as a lifted `Arc`, or waiting calls get its text.

use decor::{Failure, prelude::*};
use std::{io, sync::Arc, time::Duration};

async fn read(id: u64) -> Result<String, io::Error> {
    if id == 0 { Err(io::ErrorKind::NotFound.into()) } else { Ok(format!("user {id}")) }
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
pub async fn main() {
    let users: Memo<u64, String> = Memo::ttl(Duration::from_secs(300));
    let read_and_share = read.map_err(Arc::new).lifted().memoized(&users).sharing_errors();
    let shared: Failure<Arc<io::Error>> = read_and_share.call(0).await.unwrap_err();
    assert_eq!(shared.call().unwrap().kind(), io::ErrorKind::NotFound);
    let own: io::Error = read.memoized(&users).call(0).await.unwrap_err();
    assert_eq!(own.kind(), io::ErrorKind::NotFound);
}
