//! The argument derives `Debug`, or the line shows a chosen text, or no arguments.

use decor::prelude::*;

struct Token(String);

#[derive(Debug)]
struct Shown(&'static str);

async fn login(id: u64, token: Token) -> Result<u64, String> {
    if token.0.is_empty() { Err("no token".into()) } else { Ok(id) }
}

async fn greet(name: Shown) -> Result<usize, String> {
    Ok(name.0.len())
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
pub async fn main() {
    let token = || Token("secret".into());
    assert_eq!(greet.logged_values().call(Shown("ann")).await, Ok(3));
    assert_eq!(login.logged_args(|id: &u64, _: &Token| *id).call(42, token()).await, Ok(42));
    assert_eq!(login.logged().call(42, token()).await, Ok(42));
}
