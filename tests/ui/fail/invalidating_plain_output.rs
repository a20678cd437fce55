//! The output of an invalidating function is not a `Result`.

use decor::prelude::*;

async fn rename(id: u64) -> u64 {
    id
}

fn main() {
    let users: Memo<u64, String> = Memo::builder().build();
    let _ = rename.invalidating(&users, |id: &u64| *id);
}
