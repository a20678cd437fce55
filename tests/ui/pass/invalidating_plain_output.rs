//! `.fallible()` makes the output a `Result`, so each call that returns is a success.

use decor::prelude::*;

async fn rename(id: u64) -> u64 {
    id
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
pub async fn main() {
    let users: Memo<u64, String> = Memo::builder().build();
    users.insert(42, "Ada".to_owned());
    let rename = rename.fallible().invalidating(&users, |id: &u64| *id);
    assert_eq!(rename.call(42).await, Ok(42));
    assert!(!users.contains(&42));
}
