//! The decorators of streams beside the stream trait of `tokio_stream`.

use decor::{Error, prelude::*};
use std::time::Duration;
use tokio_stream::StreamExt as _;

const SECOND: Duration = Duration::from_secs(1);

/// No call is ambiguous, and `.next()` works on a stream that is not pinned.
#[tokio::test(start_paused = true)]
async fn the_prelude_goes_with_the_stream_trait_of_tokio() {
    let limiter = RateLimiter::new(1, SECOND);
    let begun = tokio::time::Instant::now();
    let mut items = tokio_stream::iter([Ok::<u32, Error>(1), Ok(2)])
        .rate_limited(&limiter)
        .timeout_each(SECOND)
        .first(SECOND)
        .map(|item| item.map(|n| n * 10))
        .filter(Result::is_ok);
    assert_eq!((items.next().await, items.next().await), (Some(Ok(10)), Some(Ok(20))));
    assert_eq!((items.next().await, begun.elapsed()), (None, SECOND));
}
