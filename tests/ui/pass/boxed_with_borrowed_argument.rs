//! A boxed function owns its arguments.

use decor::prelude::*;

async fn find(name: &str) -> Result<usize, String> {
    Ok(name.len())
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
pub async fn main() {
    let find = (|name: String| async move { find(&name).await }).timed("find").boxed();
    let name = String::from("ann");
    assert_eq!(find.call(name).await, Ok(3));
}
