//! Chains as layers, without a type annotation: on a `Router`, on a `ServiceBuilder`, on a channel
//! of tonic and on a client of reqwest.

use super::{request, secs};
use axum::{Router, extract::Request, response::Response, routing::get};
use decor::{
    Failure,
    prelude::*,
    tower::{http_layer, layer},
};
use std::convert::Infallible;
use tokio::net::TcpListener;
use tonic::{client::GrpcService, transport::Endpoint};
use tower::{Layer, Service, ServiceBuilder, ServiceExt};

fn fails_with<E, Req, S: Service<Req, Error = E>>(service: S) -> S {
    service
}

async fn serve(app: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    url
}

#[tokio::test]
async fn on_a_router_its_error_stays_infallible() {
    let limiter = RateLimiter::new(1, secs(60));
    let app: Router = Router::new()
        .route("/", get(async || "hello"))
        .layer(http_layer(move |next| next.timeout(secs(5)).try_rate_limited(&limiter)))
        .layer(layer(|next| next.timed("request")));
    let app = fails_with::<Infallible, Request, _>(app);
    let response: Response = app.clone().oneshot(request()).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(app.oneshot(request()).await.unwrap().status(), 429);
}

#[tokio::test]
async fn on_a_router_with_a_state_on_a_route_and_as_a_route_layer() {
    let limiter = ConcurrencyLimiter::new(1);
    let layer = http_layer(move |next| next.timeout(secs(5)).try_concurrency_limited(&limiter));
    let app = Router::new()
        .route("/", get(async || "hello").layer(layer.clone()))
        .route("/other", get(async || "hello"))
        .route_layer(layer.clone())
        .nest("/nested", Router::new().route("/", get(async || "hello")).layer(layer))
        .with_state(7_u32);
    let app: Router = app;
    let status = async |path: &str| {
        let request = Request::get(path).body(axum::body::Body::empty()).unwrap();
        app.clone().oneshot(request).await.unwrap().status().as_u16()
    };
    // Two layers on the same path take two permits of one.
    assert_eq!([status("/other").await, status("/nested").await, status("/").await], [200, 200, 503]);
}

#[tokio::test]
async fn on_a_service_builder() {
    let limiter = RateLimiter::new(1, secs(60));
    let app = Router::new().route("/", get(async || "hello"));
    let service = ServiceBuilder::new()
        .layer(http_layer(move |next| next.try_rate_limited(&limiter)))
        .layer(layer(|inner| inner.timed("request")))
        .service(app);
    let service = fails_with::<Infallible, Request, _>(service);
    let statuses = [(); 2].map(|()| service.clone().oneshot(request()));
    let statuses = futures::future::join_all(statuses).await;
    assert_eq!(statuses.into_iter().map(|r| r.unwrap().status().as_u16()).collect::<Vec<_>>(), [200, 429]);

    let limiter = RateLimiter::new(1, secs(60));
    let built = ServiceBuilder::new().layer(http_layer(move |next| next.try_rate_limited(&limiter)));
    let app: Router = Router::new().route("/", get(async || "hello")).layer(built);
    assert_eq!(app.oneshot(request()).await.unwrap().status(), 200);
}

/// The bounds of a client that tonic generates.
fn generated<T>(channel: T) -> T
where
    T: GrpcService<tonic::body::Body>,
    T::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    T::ResponseBody: http_body::Body<Data = axum::body::Bytes> + Send + 'static,
    <T::ResponseBody as http_body::Body>::Error: Into<Box<dyn std::error::Error + Send + Sync>> + Send,
{
    channel
}

#[tokio::test]
async fn on_a_channel_of_tonic() {
    let url = serve(Router::new().route("/svc/Method", axum::routing::post(async || "hello"))).await;
    let limiter = RateLimiter::new(1, secs(60));
    let channel = Endpoint::new(url.clone()).unwrap().connect_lazy();
    let channel = layer(move |inner| inner.lifted().try_rate_limited(&limiter).timeout(secs(10))).layer(channel);
    let mut channel = generated(channel);

    let request = || http::Request::post(format!("{url}/svc/Method")).body(tonic::body::Body::empty()).unwrap();
    let response = Service::call(&mut channel, request()).await.unwrap();
    assert_eq!((response.status().as_u16(), response.version()), (200, http::Version::HTTP_2));
    let refused = Service::call(&mut channel, request()).await.unwrap_err();
    assert!(matches!(refused, Failure::Policy(decor::Error::RateLimited { .. })), "{refused}");
}

#[tokio::test]
async fn on_a_channel_of_tonic_the_error_of_the_transport_stays_typed() {
    let channel = Endpoint::from_static("http://127.0.0.1:1").connect_lazy();
    let mut channel = layer(|inner| inner.lifted().timeout(secs(10))).layer(channel);
    let request = http::Request::new(tonic::body::Body::empty());
    let failed = Service::call(&mut channel, request).await.unwrap_err();
    let Failure::Call(error) = failed else { panic!("{failed}") };
    let _: tonic::transport::Error = error;
}

#[tokio::test]
async fn on_a_client_of_reqwest() {
    let url = serve(Router::new().route("/", get(async || "hello"))).await;
    let limiter = RateLimiter::new(1, secs(60));
    let mut client =
        layer(move |inner| inner.lifted().try_rate_limited(&limiter).timeout(secs(10))).layer(reqwest::Client::new());
    let request = || reqwest::Request::new(reqwest::Method::GET, url.parse().unwrap());
    assert_eq!(client.call(request()).await.unwrap().text().await.unwrap(), "hello");
    let refused = client.ready().await.unwrap().call(request()).await.unwrap_err();
    assert!(matches!(refused, Failure::Policy(decor::Error::RateLimited { .. })), "{refused}");
}
