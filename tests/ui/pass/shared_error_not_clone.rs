//! It is shared as an `Arc`; or each tries for itself.

use decor::prelude::*;
use std::{io, sync::Arc, time::Duration};

async fn read(id: u64) -> Result<String, io::Error> {
    if id == 0 { Err(io::ErrorKind::NotFound.into()) } else { Ok(format!("user {id}")) }
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
pub async fn main() {
    let users: Memo<u64, String> = Memo::ttl(Duration::from_secs(300));
    let shared: Arc<io::Error> = read.map_err(Arc::new).memoized(&users).sharing_errors().call(0).await.unwrap_err();
    assert_eq!(shared.kind(), io::ErrorKind::NotFound);
    let own: io::Error = read.memoized(&users).call(0).await.unwrap_err();
    assert_eq!(own.kind(), io::ErrorKind::NotFound);
}
