//! A chain as a layer that answers for the errors of its decorators.

use super::service_fn::ServiceFn;
use crate::{
    Failure, HeldBody,
    call::Callable,
    concurrency_limiter::handover::{self, Handover},
};
use ::http::Response;
use http_body::Body;
use pin_project::pin_project;
use std::{
    convert::Infallible,
    fmt,
    future::Future,
    marker::PhantomData,
    pin::Pin,
    task::{Context, Poll, ready},
};
use tower_layer::Layer;
use tower_service::Service;

/// An error of a chain that [`http_layer`](super::http_layer) can answer with a response.
///
/// A chain begins with the error [`Failure<E>`], where `E` is the error of the service. The chain
/// may change it into a response of its own, by [`.map_err(..)`](crate::FnExt::map_err).
///
/// # Examples
///
/// Refusals as JSON:
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
/// use axum::{Json, Router, body::Body, extract::Request, routing::get};
/// use axum::response::{IntoResponse, Response};
/// use decor::{Failure, prelude::*, tower::http_layer};
/// use std::{convert::Infallible, time::Duration};
/// use tower::ServiceExt;
///
/// fn as_json(Failure::Policy(error): Failure<Infallible>) -> Response {
///     let (mut head, text) = http::Response::<String>::from(error).into_parts();
///     head.headers.remove("content-type"); // keeps `Retry-After`
///     (head.status, head.headers, Json(serde_json::json!({ "error": text }))).into_response()
/// }
///
/// let limiter = RateLimiter::new(1, Duration::from_secs(60));
/// let app: Router = Router::new().route("/", get(async || "hello")).layer(http_layer(
///     move |next| {
///         next.timeout(Duration::from_secs(5)).try_rate_limited(&limiter).map_err(as_json)
///     },
/// ));
/// let get = || app.clone().oneshot(Request::new(Body::empty()));
/// assert_eq!(get().await.unwrap().status(), 200);
/// let refused = get().await.unwrap();
/// assert_eq!(refused.status(), 429);
/// assert_eq!(refused.headers()["retry-after"], "60");
/// let body = axum::body::to_bytes(refused.into_body(), 1_000).await.unwrap();
/// assert_eq!(body, r#"{"error":"rate limited: try again in 60s"}"#);
/// # }
/// ```
///
/// If the handler hangs, every caller has a 504 after 5 s.
#[diagnostic::on_unimplemented(
    message = "`http_layer` cannot answer the error `{Self}` with a response",
    label = "a chain of an HTTP layer fails with `{Self}`",
    note = "keep the chain's own error, `decor::Failure<_>`, or change it into a response: `.map_err(|error| ..)`"
)]
pub trait Refusal<B>: Sized {
    /// The error that the service returns; [`Infallible`] if each error becomes a response.
    type Error;

    /// Turns the error into a response, or hands it on.
    ///
    /// # Errors
    ///
    /// The error of the service inside.
    fn into_response(self) -> Result<Response<B>, Self::Error>;
}

/// Answers for the errors of decorators, as [`decor::http`](crate::http) says. Hands on those of
/// the service.
impl<B: From<String>, E> Refusal<B> for Failure<E> {
    type Error = E;

    fn into_response(self) -> Result<Response<B>, E> {
        match self {
            Self::Policy(error) => Ok(error.into()),
            Self::Call(error) => Err(error),
        }
    }
}

/// Answers with the response.
impl<B> Refusal<HeldBody<B>> for Response<B> {
    type Error = Infallible;

    fn into_response(self) -> Result<Response<HeldBody<B>>, Infallible> {
        Ok(self.map(HeldBody::without_permits))
    }
}

/// The service inside an [`HttpLayer`], as its chain calls it.
///
/// Its errors can carry those of decorators, and the bodies of its responses can hold permits.
///
/// # Examples
///
/// See [`http_layer`](super::http_layer).
#[derive(Debug, Clone)]
pub struct Next<S>(S);

impl<S, Req, B> Service<Req> for Next<S>
where
    S: Service<Req, Response = Response<B>>,
    B: Body,
{
    type Response = Response<HeldBody<B>>;
    type Error = Failure<S::Error>;
    type Future = NextFuture<S::Future>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        handover::outside(|| self.0.poll_ready(cx)).map_err(Failure::Call)
    }

    #[inline]
    fn call(&mut self, request: Req) -> Self::Future {
        NextFuture(handover::outside(|| self.0.call(request)))
    }
}

/// A call of the service inside an [`HttpLayer`].
///
/// # Cancel safety
///
/// That of the service's own future.
///
/// # Examples
///
/// See [`http_layer`](super::http_layer).
#[must_use = "futures do nothing unless you `.await` or poll them"]
#[derive(Debug)]
#[pin_project]
pub struct NextFuture<F>(#[pin] F);

impl<F, B, E> Future for NextFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body,
{
    type Output = Result<Response<HeldBody<B>>, Failure<E>>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let call = self.project().0;
        let output = ready!(handover::outside(|| call.poll(cx)));
        Poll::Ready(output.map(|response| response.map(handover::body)).map_err(Failure::Call))
    }
}

/// A chain as a layer of HTTP services.
///
/// Made by [`http_layer`](super::http_layer). `Clone` if its closure is.
///
/// # Examples
///
/// See [`http_layer`](super::http_layer).
#[must_use = "a layer does nothing until it wraps a service"]
pub struct HttpLayer<F, S, Req> {
    decorate: F,
    wraps: PhantomData<fn(S, Req)>,
}

impl<F, S, Req> HttpLayer<F, S, Req> {
    pub(super) fn new(decorate: F) -> Self {
        Self { decorate, wraps: PhantomData }
    }
}

impl<F, S, Req, C> Layer<S> for HttpLayer<F, S, Req>
where
    F: Fn(ServiceFn<Next<S>, Req>) -> C,
{
    type Service = HttpService<C>;

    fn layer(&self, service: S) -> HttpService<C> {
        HttpService((self.decorate)(ServiceFn::named_as::<S>(Next(service))))
    }
}

impl<F: Clone, S, Req> Clone for HttpLayer<F, S, Req> {
    fn clone(&self) -> Self {
        Self::new(self.decorate.clone())
    }
}

impl<F, S, Req> fmt::Debug for HttpLayer<F, S, Req> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpLayer").finish_non_exhaustive()
    }
}

/// A chain as an HTTP service that answers for the errors of its decorators.
///
/// Made by [`HttpLayer`]. Always ready, because a chain waits inside its calls.
///
/// # Examples
///
/// See [`http_layer`](super::http_layer).
#[derive(Debug, Clone)]
pub struct HttpService<C>(C);

impl<C, Req, B, E> Service<Req> for HttpService<C>
where
    C: Callable<(Req,), Output = Result<Response<B>, E>>,
    E: Refusal<B>,
{
    type Response = Response<B>;
    type Error = E::Error;
    type Future = HttpFuture<C::Future>;

    #[inline]
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), E::Error>> {
        Poll::Ready(Ok(()))
    }

    #[inline]
    fn call(&mut self, request: Req) -> Self::Future {
        HttpFuture { call: self.0.call_with((request,)), handover: Handover::default() }
    }
}

/// A call of an [`HttpService`].
///
/// # Cancel safety
///
/// That of the chain's own future.
///
/// # Examples
///
/// See [`http_layer`](super::http_layer).
#[must_use = "futures do nothing unless you `.await` or poll them"]
#[derive(Debug)]
#[pin_project]
pub struct HttpFuture<F> {
    #[pin]
    call: F,
    handover: Handover,
}

impl<F, B, E> Future for HttpFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    E: Refusal<B>,
{
    type Output = Result<Response<B>, E::Error>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let output = ready!(this.handover.during(|| this.call.poll(cx)));
        Poll::Ready(output.or_else(E::into_response))
    }
}
