//! A boxed function borrows an argument, but its type names no lifetime.

use decor::prelude::*;

async fn find(name: &str) -> Result<usize, String> {
    Ok(name.len())
}

fn main() {
    let find = find.timed("find").boxed();
    let name = String::from("ann");
    let _ = async { find.call(&name).await };
}
