//! A chain as a closure, for code that takes `Fn(A, B) -> Fut`.

use crate::support::{ms, secs};
use axum::{Router, extract::Path, http::StatusCode, routing::get};
use decor::{Error, prelude::*};
use futures::future::join_all;
use std::future::ready;
use tokio::net::TcpListener;

async fn double(n: u64) -> Result<u64, Error> {
    Ok(n * 2)
}

async fn find(name: &str, page: u32) -> Result<String, Error> {
    Ok(format!("{name} {page}"))
}

/// Code that knows nothing of decor.
async fn twice<F, Fut>(f: F) -> Result<u64, Error>
where
    F: Fn(u64) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Result<u64, Error>> + Send + 'static,
{
    let other = f.clone();
    let other = tokio::spawn(async move { other(1).await });
    Ok(f(20).await? + other.await.unwrap()?)
}

/// The bound of newer code.
async fn once<F: AsyncFn(u64) -> Result<u64, Error>>(f: F) -> Result<u64, Error> {
    f(21).await
}

#[tokio::test(start_paused = true)]
async fn a_chain_goes_where_a_function_goes() {
    let limiter = RateLimiter::new(10, secs(1));
    let double = double.timeout(secs(1)).rate_limited(&limiter).retry_with(RetryPolicy::default()).transient();
    assert_eq!(twice(double.clone().into_fn()).await, Ok(42));
    assert_eq!(once(double.clone().into_fn()).await, Ok(42));
    let all = join_all((1..4).map(double.clone().into_fn())).await;
    assert_eq!(all, [Ok(2), Ok(4), Ok(6)]);
    assert_eq!(limiter.available(), 4);

    let name = "ann".to_owned();
    let find = find.timed("find").into_fn();
    assert_eq!(find(&name, 7).await.unwrap(), "ann 7");
}

#[tokio::test(start_paused = true)]
async fn every_number_of_arguments_has_it() {
    let policy = RetryPolicy::default();
    let ok = |n: u8| ready(Ok::<_, ()>(n));
    assert_eq!((|| ok(0)).retry_with(&policy).into_fn()().await, Ok(0));
    assert_eq!((|a| ok(a)).retry_with(&policy).into_fn()(1).await, Ok(1));
    let two = |a: u8, b: u8| ok(a + b);
    assert_eq!(two.retry_with(&policy).into_fn()(1, 1).await, Ok(2));
    let three = |a: u8, b: u8, c: u8| ok(a + b + c);
    assert_eq!(three.retry_with(&policy).into_fn()(1, 1, 1).await, Ok(3));
    let four = |a: u8, b: u8, c: u8, d: u8| ok(a + b + c + d);
    assert_eq!(four.retry_with(&policy).into_fn()(1, 1, 1, 1).await, Ok(4));
    let five = |a: u8, b: u8, c: u8, d: u8, e: u8| ok(a + b + c + d + e);
    assert_eq!(five.retry_with(&policy).into_fn()(1, 1, 1, 1, 1).await, Ok(5));
    let six = |a: u8, b: u8, c: u8, d: u8, e: u8, f: u8| ok(a + b + c + d + e + f);
    assert_eq!(six.retry_with(&policy).into_fn()(1, 1, 1, 1, 1, 1).await, Ok(6));
    let seven = |a: u8, b: u8, c: u8, d: u8, e: u8, f: u8, g: u8| ok(a + b + c + d + e + f + g);
    assert_eq!(seven.retry_with(&policy).into_fn()(1, 1, 1, 1, 1, 1, 1).await, Ok(7));
    let eight = |a: u8, b: u8, c: u8, d: u8, e: u8, f: u8, g: u8, h: u8| ok(a + b + c + d + e + f + g + h);
    assert_eq!(eight.retry_with(&policy).into_fn()(1, 1, 1, 1, 1, 1, 1, 1).await, Ok(8));
}

#[test]
fn a_blocking_chain_gives_a_plain_function() {
    fn parse(text: &str) -> Result<u64, std::num::ParseIntError> {
        text.parse()
    }
    fn sum(numbers: &[&str], parse: impl Fn(&'static str) -> Result<u64, std::num::ParseIntError>) -> u64 {
        numbers.iter().map(|_| "7").map(parse).filter_map(Result::ok).sum()
    }
    let parse = parse.blocking().retry_with(RetryPolicy::fixed(ms(1)).max_attempts(1));
    assert_eq!(sum(&["7", "x"], parse.clone().into_fn()), 14);
    let parse = parse.into_fn();
    assert_eq!(parse.clone()("42"), Ok(42));
    assert_eq!(["1", "x"].map(parse).map(Result::ok), [Some(1), None]);
}

#[tokio::test]
async fn axum_takes_it_as_a_handler() {
    async fn user(Path(id): Path<u64>) -> Result<String, StatusCode> {
        if id == 0 { Err(StatusCode::NOT_FOUND) } else { Ok(format!("user {id}")) }
    }
    let user =
        user.lifted().timeout(secs(5)).map_err(|error| *error.call().unwrap_or(&StatusCode::GATEWAY_TIMEOUT)).into_fn();
    let app = Router::new().route("/users/{id}", get(user));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move { axum::serve(listener, app).await });

    let answer = reqwest::get(format!("http://{address}/users/42")).await.unwrap();
    assert_eq!(answer.text().await.unwrap(), "user 42");
    let answer = reqwest::get(format!("http://{address}/users/0")).await.unwrap();
    assert_eq!(answer.status().as_u16(), 404);
    server.abort();
}
