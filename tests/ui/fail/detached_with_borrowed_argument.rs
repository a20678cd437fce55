//! A load in a task of its own may outlive a borrowed argument.

use decor::prelude::*;
use std::time::Duration;

async fn find(name: &str) -> Result<String, String> {
    Ok(format!("user {name}"))
}

fn main() {
    let users: Memo<String, String> = Memo::ttl(Duration::from_secs(300));
    let find = find.memoized(&users).detached();
    let name = String::from("ann");
    let _ = async { find.call(&name).await };
}
