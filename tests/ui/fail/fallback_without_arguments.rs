//! The answer of a fallback takes the error alone, without the arguments of the call.

use decor::prelude::*;

async fn fetch(id: u64) -> Result<String, String> {
    Ok(format!("user {id}"))
}

async fn answer(error: String) -> Result<String, String> {
    Err(error)
}

fn main() {
    let _ = fetch.fallback(answer);
}
