//! An invalidation after the success of an output that is no `Result`.

use decor::prelude::*;

async fn rename(id: u64) -> u64 {
    id
}

fn main() {
    let users: Memo<u64, String> = Memo::builder().build();
    let chain = rename.invalidating(&users, |id: &u64| *id);
    let _ = async { chain.call(42).await };
}
