//! A service as a function of a chain.

use crate::{
    Name,
    call::{Callable, CallableMut, CallableOnce, Repeated},
};
use pin_project::pin_project;
use std::{
    fmt,
    future::Future,
    marker::PhantomData,
    pin::Pin,
    task::{Context, Poll, ready},
};
use tower_service::Service;

/// A service as a function of its request, for chains of decorators.
///
/// Made by [`callable`](super::callable), and by the layers of [`decor::tower`](super) for their
/// closures. The function has the name of the service's type, until
/// [`.named(..)`](crate::FnExt::named) gives it another one.
///
/// # Examples
///
/// See [`callable`](super::callable).
#[must_use = "a function does nothing until it is called"]
pub struct ServiceFn<S, Req> {
    service: S,
    name: fn() -> Name,
    request: PhantomData<fn(Req)>,
}

impl<S, Req> ServiceFn<S, Req> {
    pub(super) fn new(service: S) -> Self {
        Self::named_as::<S>(service)
    }

    /// The same with the name of another service, for a service that wraps `Named`.
    pub(super) fn named_as<Named>(service: S) -> Self {
        Self { service, name: Name::of_function::<Named>, request: PhantomData }
    }
}

impl<S: Clone, Req> Clone for ServiceFn<S, Req> {
    fn clone(&self) -> Self {
        Self { service: self.service.clone(), name: self.name, request: PhantomData }
    }
}

impl<S, Req> fmt::Debug for ServiceFn<S, Req> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str((self.name)().get())
    }
}

impl<S: Service<Req>, Req> CallableOnce<(Req,)> for ServiceFn<S, Req> {
    type Output = Result<S::Response, S::Error>;
    type Future = ServiceCall<S, Req, S::Future, S::Error>;

    #[inline]
    fn call_once(self, (request,): (Req,)) -> Self::Future {
        ServiceCall { begin, state: State::Unready(self.service, request) }
    }

    fn name(&self) -> Name {
        (self.name)()
    }
}

/// Each attempt has a clone of the service. An attempt that is dropped therefore takes what its
/// clone has reserved with it.
impl<S: Service<Req> + Clone, Req> CallableMut<(Req,)> for ServiceFn<S, Req> {
    type Repeated = Repeated<Self, (Req,), Self::Future>;

    #[inline]
    fn repeated(self, args: (Req,)) -> Self::Repeated
    where
        (Req,): Clone,
    {
        Repeated::cloning(self, args)
    }
}

impl<S: Service<Req> + Clone, Req> Callable<(Req,)> for ServiceFn<S, Req> {
    #[inline]
    fn call_with(&self, args: (Req,)) -> Self::Future {
        self.clone().call_once(args)
    }
}

/// A call of a service: waits until the service is ready, and then calls it.
///
/// # Cancel safety
///
/// The call owns its service. If the future is dropped while it waits, the service goes with it,
/// and with the service all that the service has reserved. Later, the cancel safety is that of the
/// service's own future.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// use decor::{prelude::*, tower::callable};
/// use std::convert::Infallible;
/// use tower::service_fn;
///
/// let double = callable(service_fn(async |n: u64| Ok::<_, Infallible>(n * 2)));
/// let call = double.call(21);
/// assert_eq!(format!("{call:?}"), "ServiceCall { called: false, .. }");
/// assert_eq!(call.await, Ok(42));
/// # }
/// ```
#[must_use = "futures do nothing unless you `.await` or poll them"]
#[pin_project]
pub struct ServiceCall<S, Req, F, E> {
    // A function pointer in place of a bound on `S`: see `LateFuture`.
    begin: Begin<S, Req, F, E>,
    #[pin]
    state: State<S, Req, F>,
}

#[pin_project(project = StateProj, project_replace = StateReplaced)]
enum State<S, Req, F> {
    Unready(S, Req),
    Called(#[pin] F),
    /// The call has ended, or the service is being called.
    Gone,
}

/// Polls the service, and calls it once it is ready.
type Begin<S, Req, F, E> = fn(Pin<&mut State<S, Req, F>>, &mut Context<'_>) -> Poll<Result<(), E>>;

fn begin<S: Service<Req>, Req>(
    mut state: Pin<&mut State<S, Req, S::Future>>,
    cx: &mut Context<'_>,
) -> Poll<Result<(), S::Error>> {
    let StateProj::Unready(service, _) = state.as_mut().project() else { unreachable!("the call has not begun") };
    let is_ready = ready!(service.poll_ready(cx));
    let StateReplaced::Unready(mut service, request) = state.as_mut().project_replace(State::Gone) else {
        unreachable!("the state was `Unready`");
    };
    is_ready?;
    state.set(State::Called(service.call(request)));
    Poll::Ready(Ok(()))
}

impl<S, Req, F, T, E> Future for ServiceCall<S, Req, F, E>
where
    F: Future<Output = Result<T, E>>,
{
    type Output = Result<T, E>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T, E>> {
        let mut this = self.project();
        if let StateProj::Unready(..) = this.state.as_mut().project() {
            ready!((this.begin)(this.state.as_mut(), cx))?;
        }
        let StateProj::Called(call) = this.state.as_mut().project() else {
            panic!("`ServiceCall` polled after it completed");
        };
        let output = ready!(call.poll(cx));
        this.state.set(State::Gone);
        Poll::Ready(output)
    }
}

impl<S, Req, F, E> fmt::Debug for ServiceCall<S, Req, F, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceCall")
            .field("called", &!matches!(self.state, State::Unready(..)))
            .finish_non_exhaustive()
    }
}
