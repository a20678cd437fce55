//! Hedges in chains: below and behind a retry, behind a limiter, in tasks.

use super::script::{Answer, Failure, HANGS, Script, Success};
use crate::support::{ms, secs};
use decor::{BoxedFn, Callable, Error, Hedge, prelude::*, with_context};
use futures::{StreamExt, future::BoxFuture, stream};
use std::sync::Arc;
use tokio::{
    task::spawn,
    time::{Instant, sleep},
};

#[tokio::test(start_paused = true)]
async fn each_attempt_of_a_retry_may_be_hedged() {
    let script = Script::new(&[(60, Failure), (20, Failure), (10, Failure), (HANGS, Success), (30, Success)]);
    let hedge = Hedge::after(ms(50));
    let chain = script.function().hedged(&hedge).retry_with(RetryPolicy::fixed(secs(1)));
    assert_eq!(chain.call(7).await, Ok(5));
    assert_eq!(
        script.take(),
        [
            "0ns 1 starts",
            "50ms 2 starts",
            "60ms 1 is dropped",
            "70ms 2 is dropped",
            "1.07s 3 starts", // the retry waits from the end of the last call on
            "1.08s 3 is dropped",
            "2.08s 4 starts",
            "2.13s 5 starts",
            "2.16s 5 is dropped",
            "2.16s 4 is dropped",
        ]
    );
    assert_eq!((hedge.stats().calls, hedge.stats().hedges, hedge.stats().wins), (3, 2, 1));
}

#[tokio::test(start_paused = true)]
async fn a_retry_below_a_hedge_is_one_call() {
    let script = Script::new(&[(40, Failure), (HANGS, Success), (20, Success)]);
    let chain = script.function().retry_with(RetryPolicy::fixed(secs(1))).hedged(ms(1_500));
    assert_eq!(chain.call(7).await, Ok(3));
    assert_eq!(
        script.take(),
        [
            "0ns 1 starts",
            "40ms 1 is dropped",
            "1.04s 2 starts",
            "1.5s 3 starts",
            "1.52s 3 is dropped",
            "1.52s 2 is dropped",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_a_timeout_ends_drops_its_hedges() {
    let script = Script::new(&[]);
    let chain = script
        .fallible()
        .hedged(ms(50))
        .timeout(ms(80))
        .retry_with(RetryPolicy::fixed(secs(1)).max_attempts(2))
        .timeout(secs(9));
    assert!(matches!(chain.call(7).await, Err(Error::TimedOut { .. })));
    assert_eq!(
        script.take(),
        [
            "0ns 1 starts",
            "50ms 2 starts",
            "80ms 1 is dropped",
            "80ms 2 is dropped",
            "1.08s 3 starts",
            "1.13s 4 starts",
            "1.16s 3 is dropped",
            "1.16s 4 is dropped",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn the_timeout_of_each_call_bounds_the_hedge_too() {
    let script = Script::new(&[]);
    let begun = Instant::now();
    let chain = script.fallible().timeout(ms(200)).hedged(ms(50));
    assert!(matches!(chain.call(7).await, Err(Error::TimedOut { .. })));
    assert_eq!((begun.elapsed(), script.calls()), (ms(250), 2));
}

#[tokio::test(start_paused = true)]
async fn each_hedge_takes_a_permit_and_waits_for_it() {
    let script = Script::new(&[(HANGS, Success), (20, Success)]);
    let limiter = RateLimiter::new(1, secs(1));
    let chain = script.function().rate_limited(&limiter).hedged(ms(50));
    assert_eq!(chain.call(7).await, Ok(2));
    assert_eq!(script.take(), ["0ns 1 starts", "1s 2 starts", "1.02s 2 is dropped", "1.02s 1 is dropped"]);
    assert_eq!(limiter.stats().admitted, 2);
    // A loser that waits leaves the queue.
    let script = Script::new(&[(500, Success)]);
    let limiter = RateLimiter::new(1, secs(1));
    assert_eq!(script.function().rate_limited(&limiter).hedged(ms(50)).call(7).await, Ok(1));
    assert_eq!((script.calls(), limiter.waiting(), limiter.stats().cancelled), (1, 0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_memo_behind_a_hedge_loads_once() {
    let script = Script::new(&[(HANGS, Success), (20, Success)]);
    let memo: Memo<u64, u64> = Memo::ttl(secs(60));
    let chain = script.fallible().hedged(ms(50)).memoized(&memo).timeout(secs(9));
    assert_eq!((chain.call(7).await, chain.call(7).await), (Ok(2), Ok(2)));
    assert_eq!((script.calls(), memo.stats().loads), (2, 1));
}

async fn length(text: &str) -> Answer {
    sleep(ms(10)).await;
    Ok(text.len() as u64)
}

#[tokio::test(start_paused = true)]
async fn calls_can_be_spawned_and_boxed_and_stored() {
    let hedge = Hedge::percentile(0.9);
    let chain = length.hedged(&hedge).retry_with(RetryPolicy::default()).logged().timed("f");
    let f = chain.clone();
    assert_eq!(spawn(async move { f.call("four").await }).await.unwrap(), Ok(4));
    let f = chain.clone();
    let whole: BoxFuture<'static, _> = Box::pin(async move { f.call("four").await });
    assert_eq!(whole.await, Ok(4));
    let owned = |text: String| async move { length(&text).await };
    let boxed: BoxedFn<(String,), Answer> = owned.hedged(&hedge).boxed();
    assert_eq!(boxed.call("four".to_owned()).await, Ok(4));
    assert_eq!(Arc::new(chain).call("four").await, Ok(4));
    let with = with_context(Arc::new(3_u64), |n: Arc<u64>, text: &'static str| async move {
        length(text).await.map(|length| length * *n)
    });
    let f = with.hedged(&hedge).timeout(secs(1));
    assert_eq!(spawn(async move { f.call("four").await }).await.unwrap(), Ok(12));
    let shared = Arc::new(length.timed("length")).hedged(&hedge);
    assert_eq!(spawn(async move { shared.call("four").await }).await.unwrap(), Ok(4));
    assert_eq!(hedge.stats().calls, 6);
}

#[tokio::test(start_paused = true)]
async fn one_chain_takes_references_of_two_lifetimes() {
    let chain = length.timeout(secs(1)).hedged(ms(50));
    let owned = "four".to_owned();
    {
        let short = "eleven".to_owned();
        assert_eq!(chain.call(&short).await, Ok(6));
    }
    assert_eq!((chain.call(&owned).await, chain.call("eleven").await), (Ok(4), Ok(6)));
}

#[tokio::test(start_paused = true)]
async fn closures_that_borrow_can_be_hedged_in_tasks_and_streams() {
    let task = spawn(async move {
        let text = String::from("four");
        let by_length = (async |n: usize| length(&text[..n]).await).hedged(ms(5)).logged();
        stream::iter(1..=3).map(|n| by_length.call(n)).buffered(2).collect::<Vec<_>>().await
    });
    assert_eq!(task.await.unwrap(), [Ok(1), Ok(2), Ok(3)]);
}

fn generic<C>(fetch: C) -> impl Callable<(u64,), Output = Answer, Future: Send> + Clone + Send + Sync + 'static
where
    C: Callable<(u64,), Output = Answer, Future: Send> + Clone + Send + Sync + 'static,
{
    fetch.hedged(ms(50)).retry_with(RetryPolicy::default())
}

#[tokio::test(start_paused = true)]
async fn a_generic_function_can_hedge() {
    let script = Script::new(&[(HANGS, Success), (20, Success)]);
    let chain = generic(script.function());
    assert_eq!(spawn(async move { chain.call(7).await }).await.unwrap(), Ok(2));
}
