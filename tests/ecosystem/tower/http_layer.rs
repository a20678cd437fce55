//! Answers of an HTTP layer for the errors of its decorators, on the paused clock.

use super::{ms, request, secs};
use axum::{
    Json, Router,
    body::{Body, to_bytes},
    extract::{Path, Request, State},
    http::StatusCode,
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::get,
};
use decor::{Error, Failure, KeyedConcurrencyLimiter, prelude::*, tower::http_layer};
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use std::{
    convert::Infallible,
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
};
use tokio::time::advance;
use tower::{BoxError, Layer, Service, ServiceExt, service_fn};

fn hello() -> Router {
    Router::new().route("/", get(async || "hello")).route("/hang", get(async || pending::<()>().await))
}

/// Status, `Retry-After` and body.
async fn answer(response: Response) -> (u16, Option<String>, String) {
    let status = response.status().as_u16();
    let retry_after = response.headers().get(RETRY_AFTER).map(|value| value.to_str().unwrap().to_owned());
    let body = to_bytes(response.into_body(), 10_000).await.unwrap();
    (status, retry_after, String::from_utf8(body.to_vec()).unwrap())
}

async fn ask(app: &Router, path: &str) -> (u16, Option<String>, String) {
    answer(app.clone().oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap()).await
}

async fn status(app: &Router, request: Request) -> u16 {
    app.clone().oneshot(request).await.unwrap().status().as_u16()
}

fn refused(status: u16, retry_after: Option<&str>, body: &str) -> (u16, Option<String>, String) {
    (status, retry_after.map(ToOwned::to_owned), body.to_owned())
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_the_wait_rounded_up() {
    let limiter = RateLimiter::new(5, secs(3_600));
    let app = hello().layer(http_layer(move |next| next.try_rate_limited(&limiter)));
    for _ in 0..5 {
        assert_eq!(ask(&app, "/").await, (200, None, "hello".to_owned()));
    }
    let table = [(0, "3600"), (1, "3600"), (999, "3599"), (1, "3599"), (3_597_998, "2"), (1, "1"), (999, "1")];
    for (millis, retry_after) in table {
        advance(ms(millis)).await;
        assert_eq!(ask(&app, "/").await.1.as_deref(), Some(retry_after), "after {millis} ms more");
    }
    advance(ms(1)).await;
    assert_eq!(ask(&app, "/").await.0, 200);
}

#[tokio::test(start_paused = true)]
async fn each_decorator_has_its_answer() {
    let limiter = RateLimiter::new(1, secs(60));
    limiter.try_acquire().unwrap();
    let app = hello().layer(http_layer(move |next| next.try_rate_limited(&limiter)));
    assert_eq!(ask(&app, "/").await, refused(429, Some("60"), "rate limited: try again in 60s"));

    let app = hello().layer(http_layer(|next| next.timeout(secs(5))));
    assert_eq!(ask(&app, "/hang").await, refused(504, None, "Gateway Timeout"));
    assert_eq!(ask(&app, "/").await.0, 200);

    let limiter = ConcurrencyLimiter::new(1);
    let busy = limiter.try_acquire().unwrap();
    let handle = limiter.clone();
    let app = hello().layer(http_layer(move |next| next.try_concurrency_limited(&handle)));
    assert_eq!(ask(&app, "/").await, refused(503, None, "Service Unavailable"));
    drop(busy);
    assert_eq!(ask(&app, "/").await.0, 200);

    let breaker = CircuitBreaker::consecutive(1);
    let handle = breaker.clone();
    let app = hello().layer(http_layer(move |next| next.guarded_by(&handle)));
    breaker.trip();
    let open = ask(&app, "/").await;
    assert_eq!((open.0, &*open.2), (503, "Service Unavailable"));
    let retry_after = open.1.expect("the wait of an open circuit is known").parse::<u64>().unwrap();
    advance(secs(retry_after - 1)).await;
    assert_eq!(ask(&app, "/").await.0, 503, "a second too early");
    advance(secs(1)).await;
    assert_eq!(ask(&app, "/").await.0, 200);

    let breaker = CircuitBreaker::consecutive(1);
    breaker.isolate();
    let app = hello().layer(http_layer(move |next| next.guarded_by(&breaker)));
    assert_eq!(ask(&app, "/").await, refused(503, None, "Service Unavailable"));

    let app = hello().layer(http_layer(|next| {
        next.validated(|request: &Request| request.uri().query().is_none().then_some(()).ok_or("no query, please"))
    }));
    assert_eq!(ask(&app, "/?x").await, refused(400, None, "invalid argument: no query, please"));
    assert_eq!(ask(&app, "/").await.0, 200);
}

#[tokio::test(start_paused = true)]
async fn a_breaker_opens_by_the_status_of_responses() {
    let breaker = CircuitBreaker::consecutive(2);
    let failing =
        Router::new().route("/{code}", get(async |Path(code): Path<u16>| StatusCode::from_u16(code).unwrap()));
    let app = failing.layer(http_layer(move |next| {
        let failed = |result: &Result<http::Response<_>, Failure<Infallible>>| {
            result.as_ref().is_ok_and(|response| response.status().is_server_error())
        };
        next.guarded_by(&breaker).when_result(failed)
    }));
    let mut statuses = Vec::new();
    for path in ["/500", "/404", "/500", "/502", "/200"] {
        statuses.push(ask(&app, path).await.0);
    }
    assert_eq!(statuses, [500, 404, 500, 502, 503], "the circuit is open, so the handler is not called");
}

fn with_key(key: &'static str) -> Request {
    Request::get("/").header("x-api-key", key).body(Body::empty()).unwrap()
}

fn api_key(request: &Request) -> Arc<str> {
    request.headers().get("x-api-key").and_then(|key| key.to_str().ok()).unwrap_or("anonymous").into()
}

#[tokio::test(start_paused = true)]
async fn limits_by_key_read_a_header_of_the_request() {
    let per_key = KeyedLimiter::new(2, secs(60));
    let handle = per_key.clone();
    let app = hello().layer(http_layer(move |next| next.try_rate_limited_by_key(&handle, api_key)));
    let mut statuses = Vec::new();
    for key in ["ada", "ada", "ada", "bob", "bob", "bob"] {
        statuses.push(status(&app, with_key(key)).await);
    }
    statuses.push(status(&app, request()).await);
    assert_eq!(statuses, [200, 200, 429, 200, 200, 429, 200]);
    assert_eq!(per_key.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn concurrency_and_breakers_by_key() {
    let (limiter, breaker) = (KeyedConcurrencyLimiter::new(1), KeyedBreaker::<Arc<str>>::consecutive(1));
    let (limits, breakers) = (limiter.clone(), breaker.clone());
    let app = hello().layer(http_layer(move |next| {
        next.guarded_by_key(&breakers, api_key).try_concurrency_limited_by_key(&limits, api_key)
    }));
    let busy = limiter.for_key(&Arc::<str>::from("ada")).try_acquire().unwrap();
    breaker.for_key(&Arc::<str>::from("bob")).trip();
    assert_eq!(status(&app, with_key("ada")).await, 503);
    let open = app.clone().oneshot(with_key("bob")).await.unwrap();
    assert_eq!((open.status().as_u16(), open.headers().contains_key(RETRY_AFTER)), (503, true));
    assert_eq!(status(&app, with_key("eve")).await, 200);
    drop(busy);
    assert_eq!(status(&app, with_key("ada")).await, 200);
}

/// Without the feature `tower`, a middleware from a function answers in the same way.
#[tokio::test(start_paused = true)]
async fn a_middleware_from_a_function_answers_for_every_handle() {
    #[derive(Clone)]
    struct Handles {
        per_key: KeyedLimiter<Arc<str>>,
        breaker: CircuitBreaker,
        at_once: ConcurrencyLimiter,
    }
    async fn guarded(
        State(Handles { per_key, breaker, at_once }): State<Handles>,
        request: Request,
        next: Next,
    ) -> Result<Response, Response> {
        per_key.for_key(&api_key(&request)).try_acquire()?;
        let passage = breaker.enter()?;
        let permit = at_once.try_acquire()?;
        let response = next.run(request).fallible().timeout(secs(5)).await;
        passage.ended(&response);
        Ok(response?.map(|body| Body::new(permit.until_end_of(body))))
    }
    let (per_key, breaker) = (KeyedLimiter::new(2, secs(60)), CircuitBreaker::consecutive(1));
    let handles = Handles { per_key, breaker, at_once: ConcurrencyLimiter::new(1) };
    let app = hello().layer(from_fn_with_state(handles.clone(), guarded));
    let ask = async |path: &str, key: &str| {
        let request = Request::get(path).header("x-api-key", key).body(Body::empty()).unwrap();
        app.clone().oneshot(request).await.unwrap()
    };

    let response = ask("/", "ada").await;
    assert_eq!((response.status().as_u16(), handles.at_once.in_use()), (200, 1));
    assert_eq!(answer(ask("/", "ada").await).await, refused(503, None, "Service Unavailable"));
    drop(response);
    assert_eq!(answer(ask("/", "ada").await).await, refused(429, Some("60"), "rate limited: try again in 60s"));
    assert_eq!(answer(ask("/hang", "bob").await).await, refused(504, None, "Gateway Timeout"));
    let open = answer(ask("/", "bob").await).await;
    assert_eq!((open.0, open.1.is_some(), handles.at_once.in_use()), (503, true, 0));
}

#[tokio::test(start_paused = true)]
async fn the_error_of_the_service_is_handed_on() {
    let broken = service_fn(async |(): ()| Err::<Response, BoxError>("broken".into()));
    let mut outer = http_layer(|next| next.timeout(secs(1))).layer(broken);
    let error: BoxError = outer.call(()).await.unwrap_err();
    assert_eq!(error.to_string(), "broken");
    let hang = service_fn(async |(): ()| pending::<Result<Response, BoxError>>().await);
    let mut outer = http_layer(|next| next.timeout(secs(1))).layer(hang);
    assert_eq!(outer.call(()).await.unwrap().status(), 504);
}

#[tokio::test(start_paused = true)]
async fn a_chain_can_answer_for_itself() {
    fn as_json(Failure::Policy(error): Failure<Infallible>) -> Response {
        let (mut head, text) = http::Response::<String>::from(error).into_parts();
        head.headers.remove(CONTENT_TYPE);
        (head.status, head.headers, Json(serde_json::json!({ "error": text }))).into_response()
    }
    let limiter = RateLimiter::new(1, secs(60));
    let app = hello().layer(http_layer(move |next| next.try_rate_limited(&limiter).map_err(as_json)));
    assert_eq!(ask(&app, "/").await, refused(200, None, "hello"));
    let response = app.clone().oneshot(request()).await.unwrap();
    assert_eq!(response.headers()[CONTENT_TYPE], "application/json");
    assert_eq!(answer(response).await, refused(429, Some("60"), r#"{"error":"rate limited: try again in 60s"}"#));
}

/// Decorators behind the change of the error still refuse: a response takes their errors.
#[tokio::test(start_paused = true)]
async fn decorators_may_follow_an_answer_of_the_chain() {
    let app = hello().layer(http_layer(|next| {
        let teapot = |_: Failure<Infallible>| StatusCode::IM_A_TEAPOT.into_response();
        next.timeout(secs(1)).map_err(teapot).timeout(secs(2))
    }));
    assert_eq!(ask(&app, "/hang").await.0, 418);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_clone_is_retried() {
    let calls = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&calls);
    let flaky = service_fn(move |_: Request<()>| {
        let status = if counted.fetch_add(1, SeqCst) < 2 { 503 } else { 200 };
        async move { Ok::<_, Infallible>(http::Response::builder().status(status).body(Body::empty()).unwrap()) }
    });
    let mut outer = http_layer(|next| {
        let busy = |result: &Result<http::Response<_>, Failure<Infallible>>| {
            result.as_ref().is_ok_and(|response| response.status() == 503)
        };
        next.retry_with(RetryPolicy::fixed(secs(1))).when_result(busy).timeout(secs(10))
    })
    .layer(flaky);
    assert_eq!(outer.call(Request::new(())).await.unwrap().status(), 200);
    assert_eq!(calls.load(SeqCst), 3);
}

#[tokio::test(start_paused = true)]
async fn the_chain_has_the_name_of_the_service() {
    let described = http_layer(|next| next.timeout(secs(1)))
        .layer(service_fn(async |(): ()| Ok::<_, Infallible>(Response::new(Body::empty()))));
    assert_eq!(format!("{described:?}"), "HttpService(ServiceFn.timeout(1s))");
    assert_eq!(
        format!("{:?}", http_layer(|next: decor::tower::ServiceFn<decor::tower::Next<()>, ()>| next)),
        "HttpLayer { .. }"
    );
}

#[tokio::test(start_paused = true)]
async fn closing_a_limiter_answers_503() {
    let limiter = RateLimiter::new(1, secs(60));
    let handle = limiter.clone();
    let app = hello().layer(http_layer(move |next| next.rate_limited_within(&handle, secs(5))));
    limiter.close();
    assert_eq!(ask(&app, "/").await, refused(503, None, "Service Unavailable"));
    assert_eq!(limiter.try_acquire(), Err(Error::Closed { what: "the rate limiter" }));
}
