//! Clients that cannot connect: they find no address, or fail after the connection itself.

use futures::future::BoxFuture;
use reqwest::dns::{Name, Resolve, Resolving};
use std::{
    error::Error,
    future::ready,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use tower_layer::Layer;
use tower_service::Service;

pub(crate) type BoxError = Box<dyn Error + Send + Sync>;

/// A handshake on each new connection, such as that of TLS. It fails with the error that the
/// closure makes.
#[derive(Clone)]
pub(crate) struct Handshake(Arc<dyn Fn() -> BoxFuture<'static, BoxError> + Send + Sync>);

impl Handshake {
    pub(crate) fn new(error: impl Fn() -> BoxFuture<'static, BoxError> + Send + Sync + 'static) -> Self {
        Self(Arc::new(error))
    }
}

impl<S> Layer<S> for Handshake {
    type Service = ShakingHands<S>;

    fn layer(&self, inner: S) -> ShakingHands<S> {
        ShakingHands { inner, handshake: self.clone() }
    }
}

/// A connector with a handshake.
#[derive(Clone)]
pub(crate) struct ShakingHands<S> {
    inner: S,
    handshake: Handshake,
}

impl<S, Target> Service<Target> for ShakingHands<S>
where
    S: Service<Target, Error = BoxError, Future: Send + 'static>,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<S::Response, BoxError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, target: Target) -> Self::Future {
        let connecting = self.inner.call(target);
        let error = (self.handshake.0)();
        Box::pin(async move {
            drop(connecting.await?);
            Err(error.await)
        })
    }
}

/// A resolver that knows no name.
pub(crate) struct NoNames;

impl Resolve for NoNames {
    fn resolve(&self, name: Name) -> Resolving {
        let error: BoxError = format!("no such name: {}", name.as_str()).into();
        Box::pin(ready(Err(error)))
    }
}

/// A connection on which nothing ever happens.
pub(crate) struct Silence;

impl hyper::rt::Read for Silence {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: hyper::rt::ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}

impl hyper::rt::Write for Silence {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Pending
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Pending
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}
