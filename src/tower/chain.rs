//! A chain as a service, and as a layer.

use super::service_fn::ServiceFn;
use crate::call::Callable;
use std::{
    fmt,
    marker::PhantomData,
    task::{Context, Poll},
};
use tower_layer::Layer;
use tower_service::Service;

/// A chain as a service.
///
/// Made by [`service`](super::service) and by [`ChainLayer`]. Always ready, because a chain waits
/// inside its calls. Each call clones the parts of the chain that it needs, as `.call(..)` does.
///
/// # Examples
///
/// See [`service`](super::service).
#[derive(Debug, Clone)]
pub struct ChainService<C>(C);

impl<C> ChainService<C> {
    pub(super) fn new(chain: C) -> Self {
        Self(chain)
    }
}

impl<C, Req, T, E> Service<Req> for ChainService<C>
where
    C: Callable<(Req,), Output = Result<T, E>>,
{
    type Response = T;
    type Error = E;
    type Future = C::Future;

    #[inline]
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), E>> {
        Poll::Ready(Ok(()))
    }

    #[inline]
    fn call(&mut self, request: Req) -> C::Future {
        self.0.call_with((request,))
    }
}

/// A chain as a layer.
///
/// Made by [`layer`](super::layer). `Clone` if its closure is.
///
/// # Examples
///
/// See [`layer`](super::layer).
#[must_use = "a layer does nothing until it wraps a service"]
pub struct ChainLayer<F, S, Req> {
    decorate: F,
    wraps: PhantomData<fn(S, Req)>,
}

impl<F, S, Req> ChainLayer<F, S, Req> {
    pub(super) fn new(decorate: F) -> Self {
        Self { decorate, wraps: PhantomData }
    }
}

impl<F, S, Req, C> Layer<S> for ChainLayer<F, S, Req>
where
    F: Fn(ServiceFn<S, Req>) -> C,
{
    type Service = ChainService<C>;

    fn layer(&self, service: S) -> ChainService<C> {
        ChainService((self.decorate)(ServiceFn::new(service)))
    }
}

impl<F: Clone, S, Req> Clone for ChainLayer<F, S, Req> {
    fn clone(&self) -> Self {
        Self::new(self.decorate.clone())
    }
}

impl<F, S, Req> fmt::Debug for ChainLayer<F, S, Req> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChainLayer").finish_non_exhaustive()
    }
}
