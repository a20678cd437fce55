//! The `Debug` of a limiter, of a decorated call and of a request.

use super::echo;
use crate::support::secs;
use decor::prelude::*;
use futures::FutureExt as _;

#[test]
fn a_limiter_shows_its_limits() {
    let limiter = RateLimiter::windows([(60, secs(60)), (90_000, secs(60))]);
    assert_eq!(format!("{limiter:?}"), "RateLimiter(60 per 60s, 90000 per 60s)");
    assert_eq!(
        format!("{:?}", RateLimiter::builder().paced(10, secs(1)).burst(3).build()),
        "RateLimiter(10 per 1s, paced, burst 3)"
    );
    let three = RateLimiter::new(3, secs(1));
    let shown = |chain: &dyn std::fmt::Debug| format!("{chain:?}");
    assert_eq!(shown(&echo.rate_limited(&three)), "echo.rate_limited(3 per 1s)");
    assert_eq!(shown(&echo.rate_limited_by(&three, |_: &&str| 2)), "echo.rate_limited_by(3 per 1s, ..)");
    assert_eq!(shown(&echo.rate_limited_within(&three, secs(5))), "echo.rate_limited_within(3 per 1s, 5s)");
    assert_eq!(shown(&echo.try_rate_limited(&three)), "echo.try_rate_limited(3 per 1s)");
    assert_eq!(shown(&echo.pausing(&three, |_| None)), "echo.pausing(3 per 1s, ..)");
    let keyed = decor::KeyedLimiter::new(3, secs(1));
    let (key, permits) = (|text: &&str| text.len(), |_: &&str| 2);
    assert_eq!(shown(&echo.rate_limited_by_key(&keyed, key)), "echo.rate_limited_by_key(3 per 1s for each key, ..)");
    assert_eq!(
        shown(&echo.try_rate_limited_by_key(&keyed, key).permits(permits)),
        "echo.try_rate_limited_by_key(3 per 1s for each key, ..).permits(..)"
    );
    assert_eq!(
        shown(&echo.rate_limited_within_by_key(&keyed, secs(5), key)),
        "echo.rate_limited_within_by_key(3 per 1s for each key, 5s, ..)"
    );
    assert_eq!(
        shown(&echo.pausing_by_key(&keyed, key, |_| None)),
        "echo.pausing_by_key(3 per 1s for each key, .., ..)"
    );
    assert_eq!(shown(&echo.rate_limited(&three).permits(permits)), "echo.rate_limited(3 per 1s).permits(..)");
    assert_eq!(
        shown(&echo.rate_limited_within(&three, secs(5)).permits(permits)),
        "echo.rate_limited_within(3 per 1s, 5s).permits(..)"
    );
    let stats = "RateLimiterStats(admitted=0, delayed=0, refused=0, cancelled=0, waiting=0, mean_wait=0ns)";
    assert_eq!(three.stats().to_string(), stats);
}

#[tokio::test(start_paused = true)]
async fn a_request_shows_what_it_asks_for_and_whether_it_waits() {
    let limiter = RateLimiter::windows([(1, secs(1)), (5, secs(1))]);
    limiter.charge(1);
    let shown = |request: &dyn std::fmt::Debug| format!("{request:?}");
    let mut request = Box::pin(limiter.acquire());
    assert_eq!(shown(&request), "Acquire { permits: 1, max_wait: None, waiting: false, .. }");
    assert!((&mut request).now_or_never().is_none());
    assert_eq!(shown(&request), "Acquire { permits: 1, max_wait: None, waiting: true, .. }");
    request.as_mut().await;
    assert_eq!(shown(&request), "Acquire { permits: 1, max_wait: None, waiting: false, .. }");
    assert_eq!(
        shown(&limiter.acquire_within(secs(3))),
        "Acquire { permits: 1, max_wait: Some(3s), waiting: false, .. }"
    );
    assert_eq!(shown(&limiter.acquire_many([1, 5])), "Acquire { permits: [1, 5], max_wait: None, waiting: false, .. }");
    assert_eq!(shown(&limiter.acquire_many(-3)), "Acquire { permits: -3, max_wait: None, waiting: false, .. }");

    let mut call = Box::pin(echo("a").rate_limited(&RateLimiter::new(1, secs(1))));
    assert_eq!(shown(&call), "GatedFuture { state: Unpolled, .. }");
    call.as_mut().await.unwrap();
    assert_eq!(shown(&call), "GatedFuture { state: Ended, .. }");
}
