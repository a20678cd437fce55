//! The decorated function has arguments, so a decorator behind the stack can look at them.

use decor::{Error, prelude::*};

async fn fetch(id: u64) -> Result<u64, Error> {
    Ok(id)
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
pub async fn main() {
    let standard = decor::stack::<Error>().retry_with(RetryPolicy::default());
    let fetch = fetch.decorated_by(&standard);
    let fetch = fetch.validated(|id: &u64| if *id == 0 { Err("no id") } else { Ok(()) });
    assert_eq!(fetch.call(42).await, Ok(42));
}
