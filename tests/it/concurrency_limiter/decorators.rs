//! The decorators: of functions, of futures, by the arguments, and by key.

use super::limited;
use crate::support::{ms, secs};
use decor::{Error, KeyedConcurrencyLimiter, prelude::*};
use futures::future::join_all;
use tokio::time::{Instant, sleep};

async fn fetch(millis: u64) -> Result<u64, Error> {
    sleep(ms(millis)).await;
    Ok(millis)
}

#[tokio::test(start_paused = true)]
async fn a_limiter_is_shared_by_functions_of_any_type() {
    let limiter = ConcurrencyLimiter::new(1);
    let unit = (|| sleep(secs(1))).concurrency_limited(&limiter);
    let fetch = fetch.concurrency_limited(&limiter);
    let begun = Instant::now();
    let ((), answer, ()) =
        tokio::join!(unit.call(), fetch.call(500), async { sleep(secs(2)).await }.concurrency_limited(&limiter));
    assert_eq!((answer, begun.elapsed()), (Ok(500), ms(3_500)));
}

#[tokio::test(start_paused = true)]
async fn a_bounded_wait_is_refused_at_its_end() {
    let limiter = ConcurrencyLimiter::new(1);
    let fetch = fetch.concurrency_limited_within(&limiter, ms(300));
    let begun = Instant::now();
    let answers = join_all([200, 200, 200].map(|millis| fetch.call(millis))).await;
    assert_eq!(answers, [Ok(200), Ok(200), Err(limited(1, 0))]);
    assert_eq!(begun.elapsed(), ms(400));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_tries_does_not_wait() {
    let limiter = ConcurrencyLimiter::new(2);
    let fetch = fetch.try_concurrency_limited(&limiter);
    let answers = join_all([100, 100, 100].map(|millis| fetch.call(millis))).await;
    assert_eq!(answers, [Ok(100), Ok(100), Err(limited(2, 0))]);
}

#[tokio::test(start_paused = true)]
async fn the_arguments_ask_for_permits() {
    let limiter = ConcurrencyLimiter::new(500);
    let fetch = fetch.concurrency_limited_by(&limiter, |millis: &u64| *millis);
    let begun = Instant::now();
    let answers = join_all([200, 300, 400, 501].map(|millis| fetch.call(millis))).await;
    assert_eq!(answers[..3], [Ok(200), Ok(300), Ok(400)]);
    let message = "501 permits at once, but the limit is 500".to_owned();
    assert_eq!(answers[3], Err(Error::InvalidArgument { message }));
    assert_eq!(begun.elapsed(), ms(700));
}

#[tokio::test(start_paused = true)]
async fn every_word_takes_permits() {
    let limiter = ConcurrencyLimiter::new(5);
    let keyed = KeyedConcurrencyLimiter::new(5);
    let busy = (limiter.try_acquire_many(3).unwrap(), keyed.for_key(&0).try_acquire_many(3).unwrap());
    let permits = |millis: &u64| *millis;
    let begun = Instant::now();
    let within = fetch.concurrency_limited_within(&limiter, secs(1)).permits(permits);
    assert_eq!((within.call(2).await, within.call(3).await), (Ok(2), Err(limited(5, 0))));
    assert_eq!(begun.elapsed(), ms(1_002));
    let tries = fetch.try_concurrency_limited(&limiter).permits(permits);
    assert_eq!((tries.call(2).await, tries.call(3).await), (Ok(2), Err(limited(5, 0))));
    let by_key = fetch.try_concurrency_limited_by_key(&keyed, |millis: &u64| *millis % 2).permits(permits);
    assert_eq!((by_key.call(2).await, by_key.call(4).await), (Ok(2), Err(limited(5, 0))));
    assert_eq!(by_key.call(5).await, Ok(5));
    let waits = fetch.concurrency_limited(&limiter).permits(permits);
    assert_eq!(waits.call(2).await, Ok(2));
    assert!(matches!(waits.call(6).await, Err(Error::InvalidArgument { .. })));
    let tries = |permits: u32| fetch(1).try_concurrency_limited(&limiter).permits(permits);
    assert_eq!((tries(2).await, tries(3).await), (Ok(1), Err(limited(5, 0))));
    assert_eq!(format!("{within:?}"), "fetch.concurrency_limited_within(5 at once, 1s).permits(..)");
    drop(busy);
}

#[tokio::test(start_paused = true)]
async fn each_key_has_a_limit_of_its_own() {
    let per_parity = KeyedConcurrencyLimiter::new(1);
    let fetch = fetch.concurrency_limited_by_key(&per_parity, |millis: &u64| millis % 2);
    let begun = Instant::now();
    join_all([100, 101, 102, 103].map(|millis| fetch.call(millis))).await;
    assert_eq!(begun.elapsed(), ms(204));
    assert_eq!((per_parity.len(), per_parity.stats().delayed), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn futures_take_the_key_itself() {
    let per_host: KeyedConcurrencyLimiter<String> = KeyedConcurrencyLimiter::new(1);
    let begun = Instant::now();
    let calls = ["a", "b", "a"].map(|host| fetch(100).concurrency_limited_by_key(&per_host, host));
    join_all(calls).await;
    assert_eq!(begun.elapsed(), ms(200));
    let busy = per_host.for_key("a").try_acquire().unwrap();
    let within = fetch(100).concurrency_limited_within_by_key(&per_host, ms(50), "a").await;
    assert_eq!(within, Err(limited(1, 0)));
    assert_eq!(fetch(100).try_concurrency_limited_by_key(&per_host, "a").await, Err(limited(1, 0)));
    drop(busy);
}

/// Nested limits: a call that waits for its key holds no permit of the limit for all.
#[tokio::test(start_paused = true)]
async fn a_limit_for_all_stands_before_the_limit_of_a_key() {
    let all = ConcurrencyLimiter::new(2);
    let per_key = KeyedConcurrencyLimiter::new(1);
    let fetch = fetch.concurrency_limited(&all).concurrency_limited_by_key(&per_key, |millis: &u64| *millis / 1_000);
    let begun = Instant::now();
    let (_, _, slow) = tokio::join!(fetch.call(1_000), fetch.call(1_001), async {
        fetch.call(500).await.unwrap();
        begun.elapsed()
    });
    assert_eq!(slow, ms(500)); // not behind the second call of key 1
    assert_eq!(begun.elapsed(), ms(2_001));
}

#[tokio::test(start_paused = true)]
async fn hits_of_a_memo_need_no_permit() {
    let limiter = ConcurrencyLimiter::new(1);
    let memo: Memo<u64, u64> = Memo::ttl(secs(60));
    let fetch = fetch.concurrency_limited(&limiter).memoized(&memo).timeout(secs(5));
    assert_eq!(fetch.call(10).await, Ok(10));
    let busy = limiter.acquire().await;
    assert_eq!(fetch.call(10).await, Ok(10));
    assert_eq!(limiter.stats().admitted, 2);
    drop(busy);
}

#[tokio::test(start_paused = true)]
async fn no_permit_and_no_clock_is_needed_to_build_a_chain() {
    let limiter = ConcurrencyLimiter::new(1);
    let chain = fetch.concurrency_limited(&limiter);
    let call = chain.call(1);
    assert_eq!((limiter.in_use(), limiter.stats().admitted), (0, 0));
    drop(call);
    assert_eq!(limiter.stats(), ConcurrencyLimiter::new(1).stats());
    assert_eq!(format!("{chain:?}"), "fetch.concurrency_limited(1 at once)");
}

#[tokio::test(start_paused = true)]
async fn a_call_can_be_spawned_with_borrowed_text() {
    async fn length(text: &str) -> Result<usize, Error> {
        Ok(text.len())
    }
    let limiter = ConcurrencyLimiter::adaptive(4..=100);
    let call = length.backing_off(&limiter, |_: &Error| false).concurrency_limited(&limiter);
    assert_eq!(tokio::spawn(async move { call.call("hello").await }).await.unwrap(), Ok(5));
}
