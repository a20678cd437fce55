//! Chains whose arguments or contexts are `'static` references or trait objects go into a task.
//!
//! A future that holds a projection of the function (`C::Future`) is not `Send` there in rustc's eyes:
//! "implementation of `FnOnce` is not general enough".

use crate::support::secs;
use async_trait::async_trait;
use decor::{Callable, Error, Memo, RateLimiter, prelude::*, with_context};
use futures::{StreamExt, future::BoxFuture, stream};
use std::{borrow::Cow, future::Future, sync::Arc};
use tokio::task::spawn;

type Answer = Result<usize, Error>;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Client(&'static str);

static CLIENT: Client = Client("static");

async fn of_str(text: &'static str) -> Answer {
    Ok(text.len())
}

async fn of_cow(text: Cow<'static, str>) -> Answer {
    Ok(text.len())
}

async fn of_client(client: &'static Client) -> Answer {
    Ok(client.0.len())
}

async fn of_borrowed(text: &str) -> Answer {
    Ok(text.len())
}

#[async_trait]
trait Users: Send + Sync {
    async fn find(&self, name: &str) -> Answer;
}

#[async_trait]
impl Users for Client {
    async fn find(&self, name: &str) -> Answer {
        Ok(self.0.len() + name.len())
    }
}

fn limiter() -> RateLimiter {
    RateLimiter::new(1_000, secs(1))
}

/// Each kind of decorator that owns the function of a call, around the same function.
macro_rules! in_tasks {
    ($function:expr, $argument:expr, $Key:ty) => {{
        let limiter = limiter();
        let policy = RetryPolicy::default();
        let memo: Memo<$Key, usize> = Memo::ttl(secs(60));

        let f = $function.retry_with(&policy);
        let retried = spawn(async move { f.call($argument).await }).await.unwrap();
        let f = $function.rate_limited(&limiter);
        let limited = spawn(async move { f.call($argument).await }).await.unwrap();
        let f =
            $function.rate_limited(&limiter).timeout(secs(1)).retry_with(&policy).timeout(secs(9)).logged().timed("f");
        let whole = spawn(async move { f.call($argument).await }).await.unwrap();
        let f = $function.memoized(&memo);
        let memoized = spawn(async move { f.call($argument).await }).await.unwrap();
        let f = $function.retry_with(&policy).memoized(&memo).sharing_errors().retry_with(&policy);
        let nested = spawn(async move { f.call($argument).await }).await.unwrap();
        let f = $function.rate_limited(&limiter).retry_with(&policy).memoized(&memo);
        let boxed: BoxFuture<'static, Answer> = Box::pin(async move { f.call($argument).await });
        [retried, limited, whole, memoized, nested, boxed.await]
    }};
}

#[tokio::test(start_paused = true)]
async fn arguments_that_are_static_go_into_tasks() {
    assert_eq!(in_tasks!(of_str, "four", String), [const { Answer::Ok(4) }; 6]);
}

#[tokio::test(start_paused = true)]
async fn so_do_copy_on_write_ones() {
    let limiter = limiter();
    let f = of_cow.rate_limited(&limiter).retry_with(RetryPolicy::default()).timeout(secs(1));
    assert_eq!(spawn(async move { f.call(Cow::Borrowed("four")).await }).await.unwrap(), Ok(4));
    let memo: Memo<String, usize> = Memo::ttl(secs(60));
    let f = of_cow.retry_with(RetryPolicy::default()).memoized_by(&memo, |text: &Cow<'static, str>| text.to_string());
    assert_eq!(spawn(async move { f.call(Cow::Borrowed("four")).await }).await.unwrap(), Ok(4));
}

#[tokio::test(start_paused = true)]
async fn so_do_references_to_statics() {
    let limiter = limiter();
    let f = of_client.rate_limited(&limiter).retry_with(RetryPolicy::default()).timeout(secs(1));
    assert_eq!(spawn(async move { f.call(&CLIENT).await }).await.unwrap(), Ok(6));
    let memo: Memo<Client, usize> = Memo::ttl(secs(60));
    let f =
        of_client.retry_with(RetryPolicy::default()).memoized_by(&memo, |client: &&'static Client| (*client).clone());
    assert_eq!(spawn(async move { f.call(&CLIENT).await }).await.unwrap(), Ok(6));
}

#[tokio::test(start_paused = true)]
async fn so_do_borrowed_ones() {
    assert_eq!(in_tasks!(of_borrowed, "four", String), [const { Answer::Ok(4) }; 6]);
    let text = String::from("four");
    let f = of_borrowed.rate_limited(&limiter()).retry_with(RetryPolicy::default());
    let local = async { f.call(&text).await };
    fn is_send<F: Future + Send>(future: F) -> F {
        future
    }
    assert_eq!(is_send(local).await, Ok(4));
}

#[tokio::test(start_paused = true)]
async fn so_do_contexts_behind_a_trait() {
    let users: Arc<dyn Users> = Arc::new(CLIENT.clone());
    let find = |users: Arc<dyn Users>, name: &'static str| async move { users.find(name).await };
    let memo: Memo<String, usize> = Memo::ttl(secs(60));
    let f = with_context(Arc::clone(&users), find).retry_with(RetryPolicy::default());
    assert_eq!(spawn(async move { f.call("four").await }).await.unwrap(), Ok(10));
    let f = with_context(users, find)
        .rate_limited(&limiter())
        .timeout(secs(1))
        .retry_with(RetryPolicy::default())
        .timeout(secs(9))
        .memoized(&memo)
        .logged();
    assert_eq!(spawn(async move { f.call("four").await }).await.unwrap(), Ok(10));
}

/// A chain as a function returns it. Where a lifetime is among the arguments, the future has a name of
/// its own: `Future: Send` would be a bound on a projection.
fn hardened(
    limiter: &RateLimiter,
) -> impl Callable<(&'static str,), Output = Answer, Future = impl Future<Output = Answer> + Send + use<>>
+ Clone
+ Send
+ Sync
+ use<> {
    of_str.timeout(secs(1)).rate_limited(limiter).retry_with(RetryPolicy::default()).timeout(secs(9))
}

#[tokio::test(start_paused = true)]
async fn so_do_chains_that_a_function_returns() {
    let f = hardened(&limiter());
    let g = f.clone().retry_with(RetryPolicy::default());
    assert_eq!(spawn(async move { f.call("four").await }).await.unwrap(), Ok(4));
    let memo: Memo<String, usize> = Memo::ttl(secs(60));
    let h = g.clone().memoized(&memo).rate_limited(&limiter());
    assert_eq!(spawn(async move { g.call("four").await }).await.unwrap(), Ok(4));
    assert_eq!(spawn(async move { h.call("four").await }).await.unwrap(), Ok(4));
}

/// Without a lifetime among the arguments, `Future: Send` says enough.
fn hardened_owned(
    limiter: &RateLimiter,
) -> impl Callable<(String,), Output = Answer, Future: Send> + Clone + Send + Sync + use<> {
    let length = |text: String| async move { Ok(text.len()) };
    length.timeout(secs(1)).rate_limited(limiter).retry_with(RetryPolicy::default()).timeout(secs(9))
}

#[tokio::test(start_paused = true)]
async fn so_do_returned_chains_of_owned_arguments() {
    let f = hardened_owned(&limiter());
    let g = f.clone().retry_with(RetryPolicy::default());
    assert_eq!(spawn(async move { f.call("four".into()).await }).await.unwrap(), Ok(4));
    let memo: Memo<String, usize> = Memo::ttl(secs(60));
    let h = g.clone().memoized(&memo).rate_limited(&limiter());
    assert_eq!(spawn(async move { g.call("four".into()).await }).await.unwrap(), Ok(4));
    assert_eq!(spawn(async move { h.call("four".into()).await }).await.unwrap(), Ok(4));
}

#[async_trait]
trait Lengths {
    async fn lengths(&self, texts: &[&str]) -> Vec<usize>;
}

struct Service<C>(C);

#[async_trait]
impl<C> Lengths for Service<C>
where
    C: Callable<(String,), Output = Answer, Future: Send> + Send + Sync,
{
    async fn lengths(&self, texts: &[&str]) -> Vec<usize> {
        let answers = stream::iter(texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>())
            .map(|text| self.0.call(text))
            .buffered(2);
        answers.map(|answer| answer.unwrap_or(0)).collect().await
    }
}

#[tokio::test(start_paused = true)]
async fn so_do_calls_within_a_trait_object() {
    let service: Box<dyn Lengths + Send + Sync> = Box::new(Service(hardened_owned(&limiter())));
    let lengths = spawn(async move { service.lengths(&["a", "bb", "ccc"]).await });
    assert_eq!(lengths.await.unwrap(), [1, 2, 3]);
}
