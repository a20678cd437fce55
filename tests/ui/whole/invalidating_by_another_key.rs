//! A closure that makes something else than the memo's key of the arguments.

use decor::prelude::*;

async fn rename(id: u64) -> Result<(), String> {
    if id == 0 { Err("no such user".to_owned()) } else { Ok(()) }
}

fn main() {
    let users: Memo<String, u64> = Memo::builder().build();
    let chain = rename.invalidating(&users, |id: &u64| *id);
    let _ = async { chain.call(42).await };
}
