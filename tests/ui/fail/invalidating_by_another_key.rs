//! The closure returns another type than the memo's key.

use decor::prelude::*;

async fn rename(id: u64) -> Result<(), String> {
    if id == 0 { Err("no such user".to_owned()) } else { Ok(()) }
}

fn main() {
    let users: Memo<String, u64> = Memo::builder().build();
    let _ = rename.invalidating(&users, |id: &u64| *id);
}
