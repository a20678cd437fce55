//! A stack with a hedge decorates an async function that makes the sync call.

use decor::{Error, prelude::*};
use std::time::Duration;

fn load(id: u64) -> Result<u64, Error> {
    if id == 0 { Err(Error::InvalidArgument { message: "no id".into() }) } else { Ok(id) }
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
pub async fn main() {
    let standard = decor::stack::<Error>().hedged(Duration::from_millis(50));
    let load = |id: u64| async move { tokio::task::spawn_blocking(move || load(id)).await.unwrap() };
    assert_eq!(load.decorated_by(&standard).call(42).await, Ok(42));
}
