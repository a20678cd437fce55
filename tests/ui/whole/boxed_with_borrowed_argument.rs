//! The type of a boxed function names no lifetime, so its arguments cannot be borrowed from nearby.

use decor::prelude::*;

async fn find(name: &str) -> Result<usize, String> {
    Ok(name.len())
}

fn main() {
    let find = find.timed("find").boxed();
    let name = String::from("ann");
    let _ = async { find.call(&name).await };
}
