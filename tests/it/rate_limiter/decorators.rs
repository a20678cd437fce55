//! The decorators take their permits, for functions of any type.

use super::echo;
use crate::support::{ms, secs};
use decor::{Error, prelude::*};
use std::{future::ready, time::Duration};
use tokio::time::Instant;
use tokio_test::{assert_ready, task};

#[tokio::test(start_paused = true)]
async fn the_decorators_take_their_permits() {
    let limiter = RateLimiter::windows([(3, secs(1)), (100, secs(1))]);
    let begun = Instant::now();
    echo.rate_limited(&limiter).call("a").await.unwrap();
    assert_eq!(limiter.available_per_window(), [2, 99]);
    echo.rate_limited_by(&limiter, |text: &&str| [1, u32::try_from(text.len()).unwrap()]).call("four").await.unwrap();
    assert_eq!(limiter.available_per_window(), [1, 95]);
    echo("b").rate_limited_by(&limiter, [1, 10]).await.unwrap();
    assert_eq!(limiter.available_per_window(), [0, 85]);
    assert_eq!(echo.try_rate_limited(&limiter).call("c").await, Err(Error::RateLimited { retry_after: secs(1) }));
    assert_eq!(echo("c").try_rate_limited(&limiter).await, Err(Error::RateLimited { retry_after: secs(1) }));
    assert!(echo.rate_limited_within(&limiter, ms(999)).call("c").await.is_err());
    assert_eq!(begun.elapsed(), Duration::ZERO);
    assert!(echo("d").rate_limited_within(&limiter, ms(1000)).await.is_ok());
    assert_eq!(begun.elapsed(), secs(1));
    let too_much = echo.rate_limited_by(&limiter, |_: &&str| 101).call("e").await.unwrap_err();
    assert_eq!(too_much.to_string(), "invalid argument: 101 permits at once, but the limit is 3 per 1s");
}

#[tokio::test(start_paused = true)]
async fn one_limiter_serves_functions_of_any_type() {
    let limiter = RateLimiter::new(2, secs(1));
    let begun = Instant::now();
    assert_eq!((|| ready(1)).rate_limited(&limiter).await, 1);
    assert_eq!(echo.rate_limited(&limiter.clone()).call("a").await.unwrap(), "a");
    assert_eq!(begun.elapsed(), Duration::ZERO);
    assert_eq!(ready("third").rate_limited(&limiter).await, "third");
    assert_eq!(begun.elapsed(), secs(1));
}

#[tokio::test(start_paused = true)]
async fn each_attempt_of_a_retry_takes_a_permit() {
    let limiter = RateLimiter::new(1, secs(1));
    let begun = Instant::now();
    (|| ready(Err::<(), _>("busy")))
        .rate_limited(&limiter)
        .retry_with(RetryPolicy::fixed(ms(10)).max_attempts(4))
        .await
        .unwrap_err();
    assert_eq!(begun.elapsed(), secs(3));
    assert_eq!(limiter.stats().admitted, 4);
}

#[test]
fn no_permit_is_taken_before_the_first_poll() {
    let limiter = RateLimiter::new(2, secs(1));
    let call = (|| ready(1)).rate_limited(&limiter).call();
    let acquire = limiter.acquire();
    assert_eq!(limiter.available(), 2);
    assert_eq!(assert_ready!(task::spawn(call).poll()), 1);
    assert_eq!(limiter.available(), 1);
    drop(acquire);
    assert_eq!(limiter.available(), 1);
}
