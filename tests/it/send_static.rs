//! Chains around functions with `'static` arguments, and around closures that borrow, go into
//! tasks.
//!
//! Inside a task rustc knows no lifetimes. A future that holds the function's future as a
//! projection is then "not general enough" for arguments such as `&'static str`; a future that has
//! it as a parameter, bound to the function, is so for closures that borrow.

use crate::support::secs;
use decor::{Error, Memo, RateLimiter, prelude::*, with_context};
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

/// The same call through each kind of limited chain, in a task.
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
        let memo: Memo<String, usize> = Memo::ttl(secs(60));
        let f = $function.rate_limited(&limiter).memoized_by(&memo, |_: &_| "key".to_owned()).timeout(secs(1)).logged();
        let memoized = spawn(async move { f.call($argument).await }).await.unwrap();
        [waits, tries, whole.await, nested, memoized]
    }};
}

#[tokio::test(start_paused = true)]
async fn static_arguments_go_into_tasks() {
    assert_eq!(in_tasks!(of_str, "four"), [const { Answer::Ok(4) }; 5]);
    assert_eq!(in_tasks!(of_cow, Cow::Borrowed("four")), [const { Answer::Ok(4) }; 5]);
    assert_eq!(in_tasks!(of_client, &CLIENT), [const { Answer::Ok(6) }; 5]);
    assert_eq!(in_tasks!(of_borrowed, "four"), [const { Answer::Ok(4) }; 5]);
}

#[tokio::test(start_paused = true)]
async fn contexts_behind_a_trait_go_into_tasks() {
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
    let f = with_context(users, find).rate_limited(&limiter()).timeout(secs(1)).logged();
    assert_eq!(spawn(async move { f.call("four").await }).await.unwrap(), Ok(10));
}

#[tokio::test(start_paused = true)]
async fn closures_that_borrow_go_into_tasks_and_streams() {
    fn is_send<F: Future + Send>(future: F) -> F {
        future
    }
    let limiter = limiter();
    let task = spawn(async move {
        let (client, text) = (Client("client"), String::from("four"));
        let lent = async |n: usize| client.length(&text[..n]).await;
        let by_length = lent.timeout(secs(1)).rate_limited(&limiter).timeout(secs(9)).logged();
        let answers = stream::iter(1..=3).map(|n| by_length.call(n)).buffered(2).collect::<Vec<_>>().await;
        let lent = |n: usize| client.length(&text[..n]);
        let by_length = lent.try_rate_limited(&limiter).timed("length");
        let unordered = stream::iter(1..=3).map(|n| is_send(by_length.call(n))).buffer_unordered(2).count().await;
        (answers, unordered)
    });
    assert_eq!(task.await.unwrap(), (vec![Ok(7), Ok(8), Ok(9)], 3));
}
