//! A closure that counts before it makes its future lends nothing to the future.

use decor::prelude::*;

#[tokio::main(flavor = "current_thread", start_paused = true)]
pub async fn main() {
    let mut attempts = 0;
    let third = (|| {
        attempts += 1;
        let attempt = attempts;
        async move { if attempt < 3 { Err("busy") } else { Ok(attempt) } }
    })
    .retry_with(RetryPolicy::default());
    assert_eq!(third.await, Ok(3));
}
