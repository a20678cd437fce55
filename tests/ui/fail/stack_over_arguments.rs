//! A stack knows no arguments, so a decorator cannot look at them.

use decor::{Error, prelude::*};

async fn fetch(id: u64) -> Result<u64, Error> {
    Ok(id)
}

fn main() {
    let standard = decor::stack::<Error>().validated(|id: &u64| if *id == 0 { Err("no id") } else { Ok(()) });
    let _ = fetch.decorated_by(&standard);
}
