//! A function with an error signals an overload.

use decor::prelude::*;

async fn double(n: u64) -> Result<u64, String> {
    n.checked_mul(2).ok_or_else(|| "too large".to_owned())
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
pub async fn main() {
    let limiter = ConcurrencyLimiter::adaptive(4..=100);
    let double = double.backing_off(&limiter, |_| true);
    assert_eq!(double.call(21).await, Ok(42));
    assert!(double.call(u64::MAX).await.is_err());
    assert_eq!(limiter.limit(), 15);
}
