//! Chains around functions with `'static` arguments, and around closures that borrow, can be used
//! in tasks.
//!
//! Inside a task, rustc erases lifetimes. A future that holds the function's future as a projection
//! is then "not general enough" for arguments such as `&'static str`. A future with a type
//! parameter for it, bound to the function, is "not general enough" for closures that borrow.

use crate::support::secs;
use decor::{Chaos, Error, Memo, RateLimiter, RetryPolicy, prelude::*, with_context};
use futures::{StreamExt, future::BoxFuture, stream};
use std::{
    borrow::Cow,
    future::{Future, ready},
    sync::Arc,
};
use tokio::task::spawn;

type Answer = Result<usize, Error>;

struct Client(&'static str);

static CLIENT: Client = Client("static");

impl Client {
    async fn length(&self, text: &str) -> Answer {
        ready(Ok(self.0.len() + text.len())).await
    }
}

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

fn limiter() -> RateLimiter {
    RateLimiter::new(1_000, secs(1))
}

/// Makes the same call through each kind of limited chain, in a task.
macro_rules! in_tasks {
    ($function:expr, $argument:expr) => {{
        let limiter = limiter();
        let f = $function.rate_limited(&limiter);
        let waits = spawn(async move { f.call($argument).await }).await.unwrap();
        let f = $function.try_rate_limited(&limiter);
        let tries = spawn(async move { f.call($argument).await }).await.unwrap();
        let f = $function.timeout(secs(1)).rate_limited(&limiter).timeout(secs(9)).logged().timed("f");
        let whole: BoxFuture<'static, Answer> = Box::pin(async move { f.call($argument).await });
        let f = $function.rate_limited(&limiter).rate_limited_within(&limiter, secs(1));
        let nested = spawn(async move { f.call($argument).await }).await.unwrap();
        let f = $function
            .chaotic(&Chaos::seeded(7), || Error::QueueFull { waiting: 0 })
            .hedged(secs(1))
            .fallback_to($function)
            .fallback(|error: Error, _: _| ready(Answer::Err(error)))
            .retry_with(RetryPolicy::default())
            .hedged(secs(1));
        let hedged = spawn(async move { f.call($argument).await }).await.unwrap();
        let memo: Memo<String, usize> = Memo::ttl(secs(60));
        let f = $function.rate_limited(&limiter).memoized_by(&memo, |_: &_| "key".to_owned()).timeout(secs(1)).logged();
        let memoized = spawn(async move { f.call($argument).await }).await.unwrap();
        [waits, tries, whole.await, nested, hedged, memoized]
    }};
}

/// Makes the same call through each kind of memoized chain, in a task. Each chain has a memo of its
/// own, so that each call loads.
macro_rules! memoized_in_tasks {
    ($key:ty, $function:expr, $argument:expr, $by:expr) => {{
        let memo = || Memo::<$key, usize>::ttl(secs(60));
        let f = $function.memoized_by(&memo(), $by);
        let told = spawn(async move { f.call($argument).await }).await.unwrap();
        let f = $function.memoized_by(&memo(), $by).sharing_errors();
        let shared = spawn(async move { f.call($argument).await }).await.unwrap();
        let f = $function.memoized_by(&memo(), $by).isolating_errors();
        let isolated = spawn(async move { f.call($argument).await }).await.unwrap();
        let f = $function.memoized_by(&memo(), $by).detached();
        let detached = spawn(async move { f.call($argument).await }).await.unwrap();
        let f = $function
            .timeout(secs(1))
            .retry_with(RetryPolicy::default())
            .memoized_by(&memo(), $by)
            .sharing_errors()
            .memoized_by(&memo(), $by)
            .isolating_errors()
            .timeout(secs(9))
            .logged()
            .timed("f");
        let nested: BoxFuture<'static, Answer> = Box::pin(async move { f.call($argument).await });
        let (by_hand, of_a_future) = (memo(), memo());
        let load = move || $function($argument);
        let by_hand = spawn(async move { by_hand.get_or_load($by(&$argument), load).isolating_errors().await });
        let of_a_future = spawn(async move { $function($argument).memoized_by(&of_a_future, $by(&$argument)).await });
        [told, shared, isolated, detached, nested.await, by_hand.await.unwrap(), of_a_future.await.unwrap()]
    }};
}

#[tokio::test(start_paused = true)]
async fn static_arguments_can_be_memoized_in_tasks() {
    type Words = Cow<'static, str>;
    let four = [const { Answer::Ok(4) }; 7];
    assert_eq!(memoized_in_tasks!(String, of_str, "four", |text: &&'static str| (*text).to_owned()), four);
    assert_eq!(memoized_in_tasks!(&'static str, of_str, "four", |text: &&'static str| *text), four);
    assert_eq!(memoized_in_tasks!(Words, of_cow, Words::Borrowed("four"), |text: &Words| text.clone()), four);
    assert_eq!(memoized_in_tasks!(&'static str, of_client, &CLIENT, |c: &&'static Client| c.0), [const { Ok(6) }; 7]);
    let of_owned = |text: String| async move { of_borrowed(&text).await };
    assert_eq!(memoized_in_tasks!(String, of_owned, "four".to_owned(), |text: &String| text.clone()), four);
}

/// The arguments themselves are the key, and a value may be static too.
#[tokio::test(start_paused = true)]
async fn static_keys_and_values_can_be_used_in_tasks() {
    let (owned, lent): (Memo<String, usize>, Memo<&'static str, usize>) = (Memo::ttl(secs(60)), Memo::ttl(secs(60)));
    let cows: Memo<Cow<'static, str>, usize> = Memo::ttl(secs(60));
    let clients: Memo<String, &'static Client> = Memo::ttl(secs(60));

    let (by_str, by_borrowed, by_lent) =
        (of_str.memoized(&owned), of_borrowed.memoized(&owned), of_str.memoized(&lent));
    let (by_cow, detached) = (of_cow.memoized(&cows).sharing_errors(), of_str.memoized(&lent).detached());
    let client = (|_: &'static str| ready(Ok::<_, Error>(&CLIENT))).memoized(&clients).isolating_errors();
    let task = spawn(async move {
        let borrowed = String::from("four");
        assert_eq!(by_str.call("four").await, Ok(4));
        assert_eq!(by_borrowed.call(&borrowed).await, Ok(4));
        assert_eq!(by_lent.call("four").await, Ok(4));
        assert_eq!(by_cow.call(Cow::Borrowed("four")).await, Ok(4));
        assert_eq!(detached.call("eleven").await, Ok(6));
        client.call("static").await.unwrap().length("four").await
    });
    assert_eq!(task.await.unwrap(), Ok(10));
    assert_eq!([owned.stats().loads, lent.stats().loads, cows.stats().loads, clients.stats().loads], [1, 2, 1, 1]);
}

#[tokio::test(start_paused = true)]
async fn static_arguments_can_be_used_in_tasks() {
    assert_eq!(in_tasks!(of_str, "four"), [const { Answer::Ok(4) }; 6]);
    assert_eq!(in_tasks!(of_cow, Cow::Borrowed("four")), [const { Answer::Ok(4) }; 6]);
    assert_eq!(in_tasks!(of_client, &CLIENT), [const { Answer::Ok(6) }; 6]);
    assert_eq!(in_tasks!(of_borrowed, "four"), [const { Answer::Ok(4) }; 6]);
}

#[tokio::test(start_paused = true)]
async fn contexts_behind_a_trait_can_be_used_in_tasks() {
    trait Users: Send + Sync {
        fn find(&self, name: &str) -> usize;
    }
    impl Users for Client {
        fn find(&self, name: &str) -> usize {
            self.0.len() + name.len()
        }
    }
    let users: Arc<dyn Users> = Arc::new(Client("static"));
    let find = |users: Arc<dyn Users>, name: &'static str| async move { Answer::Ok(users.find(name)) };
    let memo: Memo<String, usize> = Memo::ttl(secs(60));
    let f = with_context(Arc::clone(&users), find).timeout(secs(1)).memoized(&memo).sharing_errors().logged();
    assert_eq!(spawn(async move { f.call("four").await }).await.unwrap(), Ok(10));
    let f = with_context(Arc::clone(&users), find).memoized(&memo).detached().timeout(secs(1));
    let whole: BoxFuture<'static, Answer> = Box::pin(async move { f.call("eleven").await });
    assert_eq!(whole.await, Ok(12));
    let f = with_context(users, find).rate_limited(&limiter()).timeout(secs(1)).logged();
    assert_eq!(spawn(async move { f.call("four").await }).await.unwrap(), Ok(10));
}

#[tokio::test(start_paused = true)]
async fn closures_that_borrow_can_be_used_in_tasks_and_streams() {
    fn is_send<F: Future + Send>(future: F) -> F {
        future
    }
    let limiter = limiter();
    let task = spawn(async move {
        let (client, text) = (Client("client"), String::from("four"));
        let lent = async |n: usize| client.length(&text[..n]).await;
        let by_length = lent.timeout(secs(1)).rate_limited(&limiter).timeout(secs(9)).logged();
        let answers = stream::iter(1..=3).map(|n| by_length.call(n)).buffered(2).collect::<Vec<_>>().await;
        let memo: Memo<usize, usize> = Memo::ttl(secs(60));
        let by_length = lent.timeout(secs(1)).memoized(&memo).sharing_errors().logged();
        let memoized = stream::iter([1, 2, 3, 1]).map(|n| by_length.call(n)).buffered(2).collect::<Vec<_>>().await;
        assert_eq!(memoized, [Ok(7), Ok(8), Ok(9), Ok(7)]);
        let by_length = lent.memoized_by(&memo, |n: &usize| n + text.len()).isolating_errors().timeout(secs(9));
        let keyed = stream::iter(1..=3).map(|n| is_send(by_length.call(n))).buffer_unordered(2).count().await;
        assert_eq!((keyed, memo.stats().loads), (3, 6));
        let by_hand = |n: usize| is_send(memo.get_or_load(n + 9, move || lent(n)));
        let by_hand = stream::iter(1..=3).map(by_hand).buffered(2).collect::<Vec<_>>().await;
        assert_eq!(by_hand, [Ok(7), Ok(8), Ok(9)]);
        let lent = |n: usize| client.length(&text[..n]);
        let by_length = lent.try_rate_limited(&limiter).timed("length");
        let unordered = stream::iter(1..=3).map(|n| is_send(by_length.call(n))).buffer_unordered(2).count().await;
        (answers, unordered)
    });
    assert_eq!(task.await.unwrap(), (vec![Ok(7), Ok(8), Ok(9)], 3));
}
