//! A stack has no function to call.

use decor::{Error, prelude::*};
use std::time::Duration;

async fn fetch(id: u64) -> Result<u64, Error> {
    Ok(id)
}

fn main() {
    let standard = decor::stack::<Error>().timeout(Duration::from_secs(1));
    let _ = (fetch, standard.call(42));
}
