//! Permits of a concurrency limiter last until the end of the response's body (tower-http#447).

use super::{ms, request, secs};
use axum::{
    Router,
    body::{Body, Bytes},
    extract::Request,
    response::Response,
    routing::get,
};
use decor::{
    Failure, Hedge, HeldBody, KeyedConcurrencyLimiter,
    prelude::*,
    tower::{Next, ServiceFn, callable, http_layer},
};
use futures::{StreamExt, stream};
use http_body::Body as _;
use std::{
    convert::Infallible,
    future::{pending, poll_fn},
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
};
use tokio::time::sleep;
use tokio_test::{assert_pending, task};
use tower::{Layer, Service, ServiceExt, service_fn};

fn limited(app: Router, limiter: &ConcurrencyLimiter) -> Router {
    let limiter = limiter.clone();
    app.layer(http_layer(move |next| next.timeout(secs(5)).try_concurrency_limited(&limiter)))
}

/// A body of two frames.
fn two_frames() -> Body {
    Body::from_stream(stream::iter(["hello ", "world"]).map(Ok::<_, Infallible>))
}

fn streaming() -> Router {
    Router::new().route("/", get(async || two_frames())).route("/hang", get(async || pending::<()>().await))
}

async fn ask(app: &Router) -> Response {
    app.clone().oneshot(request()).await.unwrap()
}

async fn next_frame<B: http_body::Body<Data = Bytes> + Unpin>(body: &mut B) -> Option<Bytes> {
    let frame = poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await?;
    frame.ok()?.into_data().ok()
}

#[tokio::test(start_paused = true)]
async fn a_permit_lasts_until_the_body_has_ended() {
    let limiter = ConcurrencyLimiter::new(1);
    let app = limited(streaming(), &limiter);
    let mut body = ask(&app).await.into_body();
    assert_eq!(limiter.in_use(), 1, "the head has been sent");
    assert_eq!(ask(&app).await.status(), 503);
    assert_eq!(next_frame(&mut body).await.unwrap(), "hello ");
    assert_eq!(next_frame(&mut body).await.unwrap(), "world");
    assert_eq!(limiter.in_use(), 1, "a stream does not say that this was its last frame");
    assert_eq!(next_frame(&mut body).await, None);
    assert_eq!(limiter.in_use(), 0, "the end gives the permit back, before the body is dropped");
    assert_eq!(ask(&app).await.status(), 200);
    drop(body);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_knows_its_length_ends_with_its_last_frame() {
    let limiter = ConcurrencyLimiter::new(1);
    let app = limited(Router::new().route("/", get(async || "hello")), &limiter);
    let mut body = ask(&app).await.into_body();
    assert_eq!((limiter.in_use(), body.size_hint().exact(), body.is_end_stream()), (1, Some(5), false));
    assert_eq!(next_frame(&mut body).await.unwrap(), "hello");
    assert_eq!((limiter.in_use(), body.is_end_stream()), (0, true));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_dropped_gives_the_permit_back() {
    let limiter = ConcurrencyLimiter::new(1);
    let app = limited(streaming(), &limiter);
    let mut body = ask(&app).await.into_body();
    assert_eq!(next_frame(&mut body).await.unwrap(), "hello ");
    drop(body);
    assert_eq!(limiter.in_use(), 0);
    drop(ask(&app).await);
    assert_eq!((limiter.in_use(), limiter.stats().admitted), (0, 2));
}

#[tokio::test(start_paused = true)]
async fn a_waiter_is_admitted_when_the_body_ends() {
    let limiter = ConcurrencyLimiter::new(1);
    let handle = limiter.clone();
    let app = streaming().layer(http_layer(move |next| next.concurrency_limited(&handle)));
    let body = ask(&app).await.into_body();
    let mut waiting = task::spawn(app.clone().oneshot(request()));
    assert_pending!(waiting.poll());
    assert_eq!(limiter.waiting(), 1);
    axum::body::to_bytes(body, 100).await.unwrap();
    assert!(waiting.is_woken());
    assert_eq!(waiting.await.unwrap().status(), 200);
}

#[tokio::test(start_paused = true)]
async fn a_call_without_a_response_gives_its_permit_back_at_once() {
    let limiter = ConcurrencyLimiter::new(1);
    let handle = limiter.clone();
    let app = streaming().layer(http_layer(move |next| next.concurrency_limited(&handle).timeout(secs(1))));
    let hang = Request::get("/hang").body(Body::empty()).unwrap();
    let late = app.clone().oneshot(hang).await.unwrap();
    assert_eq!((late.status().as_u16(), limiter.in_use()), (504, 0));

    let handle = limiter.clone();
    let fails = service_fn(async |(): ()| Err::<Response, _>("broken"));
    let mut broken = http_layer(move |next| next.concurrency_limited(&handle)).layer(fails);
    assert_eq!(broken.call(()).await.unwrap_err(), "broken");
    assert_eq!(limiter.in_use(), 0);

    let handle = limiter.clone();
    let mut panics = http_layer(move |next| next.concurrency_limited(&handle)).layer(service_fn(async |(): ()| {
        panic!("broken");
        #[allow(unreachable_code)]
        Ok::<Response, Infallible>(Response::default())
    }));
    assert!(tokio::spawn(panics.call(())).await.is_err());
    assert_eq!(limiter.in_use(), 0);
}

/// A body that was read counts for an adaptive limit, and one that was dropped does not.
#[tokio::test(start_paused = true)]
async fn only_a_body_that_was_read_is_a_good_end() {
    let limiter = ConcurrencyLimiter::builder().adaptive(1..=9).start_at(1).build();
    let app = limited(streaming(), &limiter);
    drop(ask(&app).await);
    assert_eq!(limiter.limit(), 1);
    let mut body = ask(&app).await.into_body();
    next_frame(&mut body).await.unwrap();
    drop(body);
    assert_eq!(limiter.limit(), 1);
    axum::body::to_bytes(ask(&app).await.into_body(), 100).await.unwrap();
    assert_eq!((limiter.limit(), limiter.in_use()), (2, 0));

    // A body that has nothing to send has ended well.
    let empty = limited(Router::new().route("/", get(async || ())), &limiter);
    drop((ask(&empty).await, ask(&empty).await));
    assert_eq!(limiter.limit(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_fails_is_no_good_end() {
    let limiter = ConcurrencyLimiter::builder().adaptive(1..=9).start_at(1).build();
    let broken = async || Body::from_stream(stream::iter([Ok("hello "), Err(io::Error::other("broken"))]));
    let app = limited(Router::new().route("/", get(broken)), &limiter);
    assert!(axum::body::to_bytes(ask(&app).await.into_body(), 100).await.is_err());
    assert_eq!((limiter.limit(), limiter.in_use()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn by_key_each_body_holds_the_permit_of_its_key() {
    let per_user = KeyedConcurrencyLimiter::<String>::new(1);
    let handle = per_user.clone();
    let user = |request: &Request| request.uri().query().unwrap_or_default().to_owned();
    let app = streaming().layer(http_layer(move |next| next.try_concurrency_limited_by_key(&handle, user)));
    let ask = |path: &'static str| app.clone().oneshot(Request::get(path).body(Body::empty()).unwrap());
    let ada = ask("/?ada").await.unwrap();
    assert_eq!(ask("/?ada").await.unwrap().status(), 503);
    assert_eq!(ask("/?bob").await.unwrap().status(), 200);
    drop(ada);
    assert_eq!(ask("/?ada").await.unwrap().status(), 200);
    assert_eq!(per_user.stats().in_use, 0);
}

#[tokio::test(start_paused = true)]
async fn several_limiters_and_weights_of_one_chain() {
    let (all, heavy) = (ConcurrencyLimiter::new(5), ConcurrencyLimiter::new(10));
    let handles = (all.clone(), heavy.clone());
    let app = streaming().layer(http_layer(move |next| {
        next.try_concurrency_limited(&handles.1)
            .permits(|_: &Request| 4_u32)
            .timeout(secs(1))
            .concurrency_limited(&handles.0)
    }));
    let (first, second) = (ask(&app).await, ask(&app).await);
    assert_eq!((all.in_use(), heavy.in_use()), (2, 8));
    assert_eq!(ask(&app).await.status(), 503);
    assert_eq!((all.in_use(), heavy.in_use()), (2, 8));
    drop(first);
    assert_eq!((all.in_use(), heavy.in_use()), (1, 4));
    axum::body::to_bytes(second.into_body(), 100).await.unwrap();
    assert_eq!((all.in_use(), heavy.in_use()), (0, 0));
}

/// The response comes in a later poll than the permit, and the permit waits for it.
#[tokio::test(start_paused = true)]
async fn slow_responses_hold_their_permits_as_well() {
    let limiter = ConcurrencyLimiter::new(1);
    let slow = async || {
        sleep(ms(10)).await;
        two_frames()
    };
    let app = limited(Router::new().route("/", get(slow)), &limiter);
    let response = ask(&app).await;
    assert_eq!(limiter.in_use(), 1);
    drop(response);
    assert_eq!(limiter.in_use(), 0);
}

/// Answers 503 to the first calls, and then 200, with a body.
fn flaky(failures: u32) -> impl Service<u8, Response = Response, Error = Infallible, Future: Send> + Clone {
    let calls = Arc::new(AtomicU32::new(0));
    service_fn(move |_: u8| {
        let status = if calls.fetch_add(1, SeqCst) < failures { 503 } else { 200 };
        async move {
            sleep(ms(10)).await;
            Ok(http::Response::builder().status(status).body(two_frames()).unwrap())
        }
    })
}

type Result<T> = std::result::Result<T, Failure<Infallible>>;

fn is_busy(result: &Result<http::Response<HeldBody<Body>>>) -> bool {
    result.as_ref().is_ok_and(|response| response.status() == 503)
}

/// The permit of a response that a retry throws away goes with it, before the delay.
#[tokio::test(start_paused = true)]
async fn a_retry_holds_the_permit_of_its_last_response_only() {
    let limiter = ConcurrencyLimiter::new(1);
    let handle = limiter.clone();
    let mut outer = http_layer(move |next| {
        next.concurrency_limited(&handle).retry_with(RetryPolicy::fixed(secs(1))).when_result(is_busy)
    })
    .layer(flaky(2));
    let mut call = task::spawn(outer.call(1));
    assert_pending!(call.poll());
    assert_eq!(limiter.in_use(), 1);
    sleep(ms(500)).await;
    assert_pending!(call.poll());
    assert_eq!(limiter.in_use(), 0, "during the delay");
    let response = call.await.unwrap();
    assert_eq!((response.status().as_u16(), limiter.in_use(), limiter.stats().admitted), (200, 1, 3));
    drop(response);
    assert_eq!(limiter.in_use(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_permit_around_a_retry_is_held_once() {
    let limiter = ConcurrencyLimiter::new(1);
    let handle = limiter.clone();
    let mut outer = http_layer(move |next| {
        next.retry_with(RetryPolicy::fixed(secs(1))).when_result(is_busy).concurrency_limited(&handle)
    })
    .layer(flaky(1));
    let response = outer.call(1).await.unwrap();
    assert_eq!((response.status().as_u16(), limiter.in_use(), limiter.stats().admitted), (200, 1, 1));
    drop(response);
    assert_eq!(limiter.in_use(), 0);
}

#[tokio::test(start_paused = true)]
async fn of_a_hedge_only_the_winner_keeps_its_permit() {
    let limiter = ConcurrencyLimiter::new(4);
    let handle = limiter.clone();
    let mut outer =
        http_layer(move |next| next.concurrency_limited(&handle).hedged(Hedge::after(ms(5)))).layer(flaky(0));
    let response = outer.call(1).await.unwrap();
    assert_eq!((limiter.stats().admitted, limiter.in_use()), (2, 1));
    drop(response);
    assert_eq!(limiter.in_use(), 0);
}

/// Chains within the handler have responses of their own: their permits end with their calls.
#[tokio::test(start_paused = true)]
async fn permits_of_chains_within_the_service_end_with_their_calls() {
    let (outside, inside) = (ConcurrencyLimiter::new(1), ConcurrencyLimiter::new(1));
    let handle = inside.clone();
    let app = limited(
        Router::new().route(
            "/",
            get(move || async move {
                let fetch = async |id: u64| Ok::<_, decor::Error>(id);
                fetch.concurrency_limited(&handle).call(1).await.unwrap();
                assert_eq!(handle.in_use(), 0);
                let upstream = service_fn(async |_: u8| Ok::<_, Infallible>(Response::new(two_frames())));
                callable(upstream).concurrency_limited(&handle).call(1).await.unwrap()
            }),
        ),
        &outside,
    );
    let response = ask(&app).await;
    assert_eq!((outside.in_use(), inside.in_use()), (1, 0));
    drop(response);
    assert_eq!(outside.in_use(), 0);
}

/// Calls the service twice, and keeps the first response meanwhile.
fn twice<S>(
    next: ServiceFn<Next<S>, u8>,
) -> impl Callable<(u8,), Output = Result<http::Response<HeldBody<Body>>>> + Clone
where
    S: Service<u8, Response = Response, Error = Infallible> + Clone,
{
    move |request: u8| {
        let (first, second) = (next.call(request), next.call(request));
        async move {
            let first = first.await?;
            let second = second.await?;
            drop(first);
            Ok(second)
        }
    }
}

/// Not even if a response of the chain is there while the service runs.
#[tokio::test(start_paused = true)]
async fn permits_within_the_service_are_not_put_into_an_earlier_response() {
    let (outside, inside) = (ConcurrencyLimiter::new(1), ConcurrencyLimiter::new(1));
    let handle = inside.clone();
    let service = service_fn(move |_: u8| {
        let fetch = (async |id: u64| id).concurrency_limited(&handle);
        let handle = handle.clone();
        async move {
            fetch.call(1).await;
            assert_eq!(handle.in_use(), 0);
            Ok::<_, Infallible>(Response::new(two_frames()))
        }
    });
    let handle = outside.clone();
    let around = ConcurrencyLimiter::new(1);
    let mut outer =
        http_layer(move |next| twice(next).concurrency_limited(&handle).concurrency_limited(&around)).layer(service);
    let response = outer.call(1).await.unwrap();
    assert_eq!(outside.in_use(), 1);
    drop(response);
    assert_eq!((outside.in_use(), inside.in_use()), (0, 0));
}

/// Permits of a chain around the layer have no body to go into.
#[tokio::test(start_paused = true)]
async fn permits_of_chains_around_the_layer_end_with_their_calls() {
    let (outside, inside) = (ConcurrencyLimiter::new(1), ConcurrencyLimiter::new(1));
    let app = limited(streaming(), &inside);
    let response = callable(app).concurrency_limited(&outside).call(request()).await.unwrap();
    assert_eq!((outside.in_use(), inside.in_use()), (0, 1));
    drop(response);
}

#[tokio::test(start_paused = true)]
async fn layers_within_layers_hold_their_own_permits() {
    let (outer, inner) = (ConcurrencyLimiter::new(1), ConcurrencyLimiter::new(1));
    let app = limited(limited(streaming(), &inner), &outer);
    let response = ask(&app).await;
    assert_eq!((outer.in_use(), inner.in_use()), (1, 1));
    axum::body::to_bytes(response.into_body(), 100).await.unwrap();
    assert_eq!((outer.in_use(), inner.in_use()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_permit_by_hand_lasts_as_long_as_its_body() {
    let limiter = ConcurrencyLimiter::new(3);
    let permit = limiter.try_acquire_many(2).unwrap();
    let mut body = permit.until_end_of(two_frames());
    assert_eq!(format!("{body:?}"), "HeldBody { body: Body(UnsyncBoxBody), permits: 1 }");
    assert_eq!((limiter.in_use(), body.size_hint().lower()), (2, 0));
    while next_frame(&mut body).await.is_some() {}
    assert_eq!(limiter.in_use(), 0);
    let body = limiter.try_acquire().unwrap().until_end_of(Body::empty());
    assert_eq!((limiter.in_use(), body.is_end_stream()), (1, true));
    drop(body);
    assert_eq!(limiter.in_use(), 0);
}

#[test]
fn bodies_go_wherever_they_went() {
    fn is_send<T: Send + 'static>() {}
    fn is_sync_and_unpin<T: Send + Sync + Unpin + 'static>() {}
    is_send::<HeldBody<Body>>();
    is_sync_and_unpin::<HeldBody<String>>();
}
