//! A retry around `pausing`: the wait that is reported is the one that happens.

use crate::support::{listen, secs};
use decor::{KeyedLimiter, prelude::*, test_util::VirtualClock};
use std::{
    future::ready,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::time::Instant;

/// The pause that the server asks for, in seconds. The second attempt succeeds.
fn server() -> impl Fn(u64) -> Result<u64, u64> + Clone {
    let calls = Arc::new(AtomicU32::new(0));
    move |pause: u64| if calls.fetch_add(1, Relaxed) == 0 { Err(pause) } else { Ok(pause) }
}

#[allow(clippy::unnecessary_wraps, clippy::trivially_copy_pass_by_ref)] // the closure of `pausing`
fn asked(pause: &u64) -> Option<Duration> {
    Some(secs(*pause))
}

/// The delays of the hook, and the line of the log.
fn reported(delays: &Mutex<Vec<Duration>>, lines: &[String]) -> (Vec<Duration>, String) {
    (delays.lock().unwrap().drain(..).collect(), lines[0].clone())
}

#[tokio::test(start_paused = true)]
async fn a_pause_that_is_longer_than_the_delay_is_reported() {
    let log = listen();
    let delays = Mutex::new(Vec::new());
    for (pause, waits) in [(30, 30), (0, 1)] {
        let limiter = RateLimiter::new(10, secs(1));
        let server = server();
        let begun = Instant::now();
        let call = (move |pause| ready(server(pause)))
            .named("fetch")
            .pausing(&limiter, asked)
            .map_err(|pause: u64| pause)
            .rate_limited(&limiter)
            .timed("attempt")
            .lifted()
            .validated(|_: &u64| Ok::<_, &str>(()))
            .timeout(secs(60))
            .named("fetch")
            .retry_with(RetryPolicy::fixed(secs(1)))
            .on_retry(|retry| delays.lock().unwrap().push(retry.delay));
        assert!(call.call(pause).await.is_ok());
        assert_eq!(begun.elapsed(), secs(waits));
        let lines = log.take().into_iter().filter(|line| line.contains("retrying")).collect::<Vec<_>>();
        let line = format!("DEBUG fetch failed at attempt 1, retrying in {waits}s");
        assert_eq!(reported(&delays, &lines), (vec![secs(waits)], line));
    }
}

#[tokio::test(start_paused = true)]
async fn a_pause_of_a_key_is_reported() {
    let delays = Mutex::new(Vec::new());
    let limiter = KeyedLimiter::new(10, secs(1));
    let server = server();
    let begun = Instant::now();
    let call = (move |pause| ready(server(pause)))
        .pausing_by_key(&limiter, |pause: &u64| *pause, asked)
        .rate_limited_by_key(&limiter, |pause: &u64| *pause)
        .retry_with(RetryPolicy::fixed(secs(1)))
        .on_retry(|retry| delays.lock().unwrap().push(retry.delay));
    assert_eq!(call.call(30).await, Ok(30));
    assert_eq!((begun.elapsed(), &*delays.lock().unwrap()), (secs(30), &vec![secs(30)]));
}

#[test]
fn a_thread_reports_the_same() {
    let log = listen();
    let delays = Mutex::new(Vec::new());
    let (clock, limiter, keyed) =
        (VirtualClock::start(), RateLimiter::new(10, secs(1)), KeyedLimiter::new(10, secs(1)));
    let call = server()
        .blocking()
        .named("fetch")
        .pausing(&limiter, asked)
        .rate_limited(&limiter)
        .timed("attempt")
        .retry_with(RetryPolicy::fixed(secs(1)))
        .on_retry(|retry| delays.lock().unwrap().push(retry.delay));
    assert_eq!(call.call(30), Ok(30));
    assert_eq!(clock.elapsed(), secs(30));
    let lines = log.take().into_iter().filter(|line| line.contains("retrying")).collect::<Vec<_>>();
    assert_eq!(
        reported(&delays, &lines),
        (vec![secs(30)], "DEBUG fetch failed at attempt 1, retrying in 30s".to_owned())
    );

    let call = Arc::new(server().blocking().pausing_by_key(&keyed, |pause: &u64| *pause, asked))
        .rate_limited_by_key(&keyed, |pause: &u64| *pause)
        .retry_with(RetryPolicy::fixed(secs(1)))
        .on_retry(|retry| delays.lock().unwrap().push(retry.delay));
    assert_eq!(call.call(20), Ok(20));
    assert_eq!((clock.elapsed(), &*delays.lock().unwrap()), (secs(50), &vec![secs(20)]));
}
