//! Changing the type of an output, only because the user says so. The futures are the futures crate's.

use crate::{
    Error, Failure,
    around::{Decoration, Layer},
};
use futures::{FutureExt as _, TryFutureExt as _, future};
use std::{fmt, future::Future, marker::PhantomData};

/// The decoration of [`.map_err(..)`](crate::FnExt::map_err).
#[derive(Clone)]
pub struct MapErr<M>(pub(crate) M);

/// The decoration of [`.err_into()`](crate::FnExt::err_into).
pub struct ErrInto<E>(pub(crate) PhantomData<fn() -> E>);

/// The decoration of [`.lifted()`](crate::FnExt::lifted).
#[derive(Debug, Clone)]
pub struct Lifted;

/// The decoration of [`.fallible()`](crate::FnExt::fallible).
#[derive(Debug, Clone)]
pub struct Infallible;

/// The future of a [`.lifted()`](crate::FutureExt::lifted) call.
pub type LiftedFuture<F, E> = future::MapErr<F, fn(E) -> Failure<E>>;

/// The future of a [`.fallible()`](crate::FutureExt::fallible) call.
pub type FallibleFuture<F, T> = future::Map<F, fn(T) -> Result<T, Error>>;

pub(crate) fn lifted<F: Future<Output = Result<T, E>>, T, E>(call: F) -> LiftedFuture<F, E> {
    call.map_err(Failure::Call)
}

pub(crate) fn fallible<F: Future>(call: F) -> FallibleFuture<F, F::Output> {
    call.map(Ok)
}

macro_rules! shown_as {
    ($Layer:ty $(, $Param:ident)?; $text:literal) => {
        impl$(<$Param>)? Decoration for $Layer {
            fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str($text)
            }
        }
    };
}
shown_as!(MapErr<M>, M; ".map_err(..)");
shown_as!(ErrInto<E>, E; ".err_into()");
shown_as!(Lifted; ".lifted()");
shown_as!(Infallible; ".fallible()");

impl<Args, F, T, E, M, E2> Layer<Args, F> for MapErr<M>
where
    F: Future<Output = Result<T, E>>,
    M: FnOnce(E) -> E2,
{
    type Note = ();
    type Future = future::MapErr<F, M>;

    fn around(self, (): (), call: F) -> Self::Future {
        call.map_err(self.0)
    }
}

impl<Args, F, T, E, E2> Layer<Args, F> for ErrInto<E2>
where
    F: Future<Output = Result<T, E>>,
    E: Into<E2>,
{
    type Note = ();
    type Future = future::ErrInto<F, E2>;

    fn around(self, (): (), call: F) -> Self::Future {
        call.err_into()
    }
}

impl<Args, F, T, E> Layer<Args, F> for Lifted
where
    F: Future<Output = Result<T, E>>,
{
    type Note = ();
    type Future = LiftedFuture<F, E>;

    fn around(self, (): (), call: F) -> Self::Future {
        lifted(call)
    }
}

impl<Args, F: Future> Layer<Args, F> for Infallible {
    type Note = ();
    type Future = FallibleFuture<F, F::Output>;

    fn around(self, (): (), call: F) -> Self::Future {
        fallible(call)
    }
}

impl<E> Clone for ErrInto<E> {
    fn clone(&self) -> Self {
        Self(PhantomData)
    }
}

impl<E> fmt::Debug for ErrInto<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ErrInto")
    }
}

impl<M> fmt::Debug for MapErr<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MapErr")
    }
}
