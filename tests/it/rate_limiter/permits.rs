//! The permits of a request: several, none, and more than the limit.

use crate::support::{ms, secs};
use decor::{Error, Permits, prelude::*};
use tokio::time::{Instant, advance};
use tokio_test::{assert_pending, assert_ready, task};

#[tokio::test(start_paused = true)]
async fn several_permits_are_tried_and_waited_for_within_a_limit() {
    let limiter = RateLimiter::windows([(20, secs(1)), (1_000, secs(10))]);
    assert_eq!(limiter.try_acquire_many([1_usize, 600]), Ok(()));
    let refused = Err(Error::RateLimited { retry_after: secs(10) });
    assert_eq!(limiter.try_acquire_many([1_usize, 600]), refused);
    assert_eq!(limiter.available_per_window(), [19, 400], "a refused request must take no permit of any window");
    assert_eq!(limiter.try_acquire_many(20), refused.clone().map_err(|_| Error::RateLimited { retry_after: secs(1) }));
    assert_eq!(limiter.acquire_many([1, 600]).within(ms(9_999)).await, refused, "at once");
    let begun = Instant::now();
    assert_eq!(limiter.acquire_many([1, 600]).within(secs(10)).await, Ok(()));
    assert_eq!(begun.elapsed(), secs(10));
    assert_eq!((limiter.stats().admitted, limiter.stats().refused), (2, 3));

    let text = |result: Result<(), Error>| result.unwrap_err().to_string();
    assert_eq!(
        text(limiter.try_acquire_many([1, -5])),
        "invalid argument: -5 permits, but the number must be 0 to 4294967295"
    );
    assert_eq!(
        text(limiter.try_acquire_many([1, usize::MAX])),
        "invalid argument: 4294967295 permits at once, but the limit is 1000 per 10s"
    );
    assert_eq!(
        text(limiter.try_acquire_many([1, 2, 3])),
        "invalid argument: permits for 3 windows, but the limiter has 2"
    );
}

#[tokio::test(start_paused = true)]
async fn invalid_numbers_of_permits_are_refused() {
    let two = RateLimiter::windows([(5, secs(1)), (9, secs(1))]);
    let message = |result: Result<(), Error>| result.unwrap_err().to_string();
    assert_eq!(
        message(two.acquire_many([1, 2, 3]).await),
        "invalid argument: permits for 3 windows, but the limiter has 2"
    );
    assert_eq!(
        message(two.acquire_many(-3).await),
        "invalid argument: -3 permits, but the number must be 0 to 4294967295"
    );
    assert_eq!(
        message(two.acquire_many(usize::MAX).await),
        "invalid argument: 4294967295 permits at once, but the limit is 5 per 1s"
    );
    assert_eq!(
        message(two.acquire_many([1, 10]).await),
        "invalid argument: 10 permits at once, but the limit is 9 per 1s"
    );
    assert_eq!(two.acquire_many([5, 0]).await, Ok(()));
    assert_eq!(two.available_per_window(), [0, 9]);
    assert_eq!(two.stats().admitted, 1);
}

#[tokio::test(start_paused = true)]
async fn a_request_for_no_permits_waits_its_turn() {
    let limiter = RateLimiter::new(1, secs(1));
    limiter.acquire().await;
    let mut first = task::spawn(limiter.acquire());
    assert_pending!(first.poll());
    let mut nothing = task::spawn(limiter.acquire_many(Permits::default()));
    assert_pending!(nothing.poll());
    advance(secs(1)).await;
    assert_ready!(first.poll());
    assert!(nothing.is_woken());
    assert_eq!(assert_ready!(nothing.poll()), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_request_for_no_permits_passes_an_overdrawn_window() {
    let limiter = RateLimiter::new(1, secs(1));
    limiter.charge(5);
    assert_ready!(task::spawn(limiter.acquire_many(0)).poll()).unwrap();
    assert_eq!((limiter.stats().admitted, limiter.stats().delayed), (1, 0));
}
