//! Limits over real sockets, with many connections.

use super::secs;
use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Request, State},
    middleware::{Next, from_fn_with_state},
    response::Response,
    routing::get,
};
use decor::{prelude::*, tower::http_layer};
use futures::{Stream, StreamExt, future::join_all, stream};
use std::{
    collections::BTreeMap,
    convert::Infallible,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::{Duration, Instant},
};
use tokio::{net::TcpListener, sync::oneshot};

const CLIENTS: usize = 10;
const REQUESTS: usize = 30;
const HOUR: Duration = secs(3_600);

async fn serve(app: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    url
}

fn hello() -> Router {
    Router::new().route("/", get(async || "hello"))
}

/// Number of responses by client and status, after 30 requests at once of each of 10 clients.
async fn storm(app: Router, key: fn(usize) -> &'static str) -> BTreeMap<(&'static str, u16), usize> {
    let url = serve(app).await;
    let begun = Instant::now();
    let clients = (0..CLIENTS).map(|client| {
        let (connections, key) = (reqwest::Client::new(), key(client)); // a client has connections of its own
        let requests = (0..REQUESTS).map(|_| connections.get(&url).header("x-api-key", key).send()).collect::<Vec<_>>();
        async move { join_all(requests).await.into_iter().map(move |response| (key, response.unwrap())) }
    });
    let responses = join_all(clients).await.into_iter().flatten().collect::<Vec<_>>();
    // Rounded up: no time that has passed shows before a whole second of it has.
    let earliest = 3_600 - begun.elapsed().as_secs();
    let mut counts = BTreeMap::new();
    for (key, response) in responses {
        if response.status() == 429 {
            let wait = response.headers()["retry-after"].to_str().unwrap().parse::<u64>().unwrap();
            assert!((earliest..=3_600).contains(&wait), "{wait} is not within {earliest}..=3600");
        }
        *counts.entry((key, response.status().as_u16())).or_default() += 1;
    }
    counts
}

fn all(_: usize) -> &'static str {
    "all"
}

#[tokio::test]
async fn five_an_hour_of_three_hundred() {
    let limiter = RateLimiter::new(5, HOUR);
    let handle = limiter.clone();
    let app = hello().layer(http_layer(move |next| next.timeout(secs(30)).try_rate_limited(&handle)));
    assert_eq!(storm(app, all).await, BTreeMap::from([(("all", 200), 5), (("all", 429), 295)]));
    assert_eq!((limiter.stats().admitted, limiter.stats().refused), (5, 295));
}

#[tokio::test]
async fn five_an_hour_of_three_hundred_by_a_middleware_from_a_function() {
    async fn limited(State(limiter): State<RateLimiter>, request: Request, next: Next) -> Result<Response, Response> {
        limiter.try_acquire()?;
        Ok(next.run(request).fallible().timeout(secs(30)).await?)
    }
    let app = hello().layer(from_fn_with_state(RateLimiter::new(5, HOUR), limited));
    assert_eq!(storm(app, all).await, BTreeMap::from([(("all", 200), 5), (("all", 429), 295)]));
}

#[tokio::test]
async fn five_an_hour_for_each_key_in_a_header() {
    fn api_key(request: &Request) -> String {
        request.headers()["x-api-key"].to_str().unwrap().to_owned()
    }
    let per_key = KeyedLimiter::new(5, HOUR);
    let handle = per_key.clone();
    let app = hello().layer(http_layer(move |next| next.try_rate_limited_by_key(&handle, api_key)));
    let counts = storm(app, |client| if client < 3 { "ada" } else { "bob" }).await;
    let expected = [(("ada", 200), 5), (("ada", 429), 85), (("bob", 200), 5), (("bob", 429), 205)];
    assert_eq!(counts, BTreeMap::from(expected));
    assert_eq!(per_key.len(), 2);
}

/// A body that sends one frame, and then waits to be told to end. Tells when it is dropped.
struct Slow {
    has_begun: bool,
    end: oneshot::Receiver<()>,
    _dropped: oneshot::Sender<()>,
}

impl Stream for Slow {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if !std::mem::replace(&mut self.has_begun, true) {
            return Poll::Ready(Some(Ok(Bytes::from_static(b"hello"))));
        }
        Pin::new(&mut self.end).poll(cx).map(|_| None)
    }
}

/// Serves one slow body, and then short ones, with a concurrency of one.
async fn serve_slowly(limiter: &ConcurrencyLimiter) -> (String, oneshot::Sender<()>, oneshot::Receiver<()>) {
    let ((end, ended), (dropping, dropped)) = (oneshot::channel(), oneshot::channel());
    let slow = Arc::new(Mutex::new(Some(Slow { has_begun: false, end: ended, _dropped: dropping })));
    let handler = move || {
        let slow = slow.lock().unwrap().take();
        async move { slow.map_or_else(|| Body::from("hello"), Body::from_stream) }
    };
    let handle = limiter.clone();
    let layer = http_layer(move |next| next.timeout(secs(30)).try_concurrency_limited(&handle));
    (serve(Router::new().route("/", get(handler)).layer(layer)).await, end, dropped)
}

/// tower-http#447.
#[tokio::test]
async fn a_permit_lasts_until_the_last_byte_of_the_body_was_sent() {
    let limiter = ConcurrencyLimiter::new(1);
    let (url, end, _dropped) = serve_slowly(&limiter).await;
    let mut slow = reqwest::get(&url).await.unwrap();
    assert_eq!(slow.chunk().await.unwrap().unwrap(), "hello");
    let refused = stream::iter(0..5).then(|_| reqwest::get(&url)).map(|response| response.unwrap().status());
    assert_eq!(refused.collect::<Vec<_>>().await, [503; 5]);
    end.send(()).unwrap();
    assert_eq!(slow.chunk().await.unwrap(), None);
    assert_eq!(limiter.in_use(), 0, "the end of the body comes before its last byte");
    assert_eq!(reqwest::get(&url).await.unwrap().text().await.unwrap(), "hello");
}

#[tokio::test]
async fn a_client_that_hangs_up_gives_the_permit_back() {
    let limiter = ConcurrencyLimiter::new(1);
    let (url, _end, dropped) = serve_slowly(&limiter).await;
    let mut slow =
        reqwest::Client::builder().pool_max_idle_per_host(0).build().unwrap().get(&url).send().await.unwrap();
    assert_eq!(slow.chunk().await.unwrap().unwrap(), "hello");
    assert_eq!(limiter.in_use(), 1);
    drop(slow);
    assert!(dropped.await.is_err(), "the server drops the body");
    tokio::task::yield_now().await; // the permit is dropped after the stream
    assert_eq!(limiter.in_use(), 0);
    assert_eq!(reqwest::get(&url).await.unwrap().status(), 200);
}
