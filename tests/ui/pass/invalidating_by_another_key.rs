//! The closure returns the memo's key. A tag is text for every key type.

use decor::prelude::*;

async fn rename(id: u64) -> Result<(), String> {
    if id == 0 { Err("no such user".to_owned()) } else { Ok(()) }
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
pub async fn main() {
    let users: Memo<String, u64> = Memo::builder().tags_by(|_: &String, id: &u64| [id.to_string()]).build();
    users.insert("Ada".to_owned(), 42);
    rename.invalidating(&users, |id: &u64| format!("user {id}")).call(42).await.unwrap();
    assert!(users.contains("Ada"));
    rename.invalidating_tag(&users, |id: &u64| id.to_string()).call(42).await.unwrap();
    assert!(!users.contains("Ada"));
}
