//! Changing the type of an output, only because the user says so. The futures are the futures crate's.

use crate::{
    Error, Failure,
    around::{Decoration, Layer},
    blocking,
};
use futures::{FutureExt as _, TryFutureExt as _, future};
use std::{fmt, future::Future, marker::PhantomData};

/// The decoration of [`.map_err(..)`](crate::FnExt::map_err).
///
/// ```
/// use decor::{Around, layer::MapErr, prelude::*};
/// use std::future::{Ready, ready};
///
/// fn double(n: u32) -> Ready<Result<u32, String>> { ready(Ok(n * 2)) }
///
/// let change: fn(String) -> usize = |e| e.len();
/// let chain: Around<fn(u32) -> Ready<Result<u32, String>>, MapErr<fn(String) -> usize>> =
///     (double as fn(u32) -> _).map_err(change);
/// assert_eq!(format!("{chain:?}"), "fn.map_err(..)");
/// ```
#[derive(Debug, Clone)]
pub struct MapErr<M>(pub(crate) M);

/// The decoration of [`.err_into()`](crate::FnExt::err_into).
///
/// ```
/// use decor::{Around, layer::ErrInto, prelude::*};
/// use std::future::{Ready, ready};
///
/// fn double(n: u32) -> Ready<Result<u32, String>> { ready(Ok(n * 2)) }
///
/// let chain: Around<fn(u32) -> Ready<Result<u32, String>>, ErrInto<Box<str>>> = (double as fn(u32) -> _).err_into();
/// assert_eq!(format!("{chain:?}"), "fn.err_into()");
/// ```
#[derive(Debug)]
pub struct ErrInto<E>(pub(crate) PhantomData<fn() -> E>);

/// The decoration of [`.lifted()`](crate::FnExt::lifted).
///
/// ```
/// use decor::{Around, layer::Lifted, prelude::*};
/// use std::future::{Ready, ready};
///
/// fn double(n: u32) -> Ready<Result<u32, String>> { ready(Ok(n * 2)) }
///
/// let chain: Around<fn(u32) -> Ready<Result<u32, String>>, Lifted> = (double as fn(u32) -> _).lifted();
/// assert_eq!(format!("{chain:?}"), "fn.lifted()");
/// ```
#[derive(Debug, Clone)]
pub struct Lifted;

/// The decoration of [`.fallible()`](crate::FnExt::fallible).
///
/// ```
/// use decor::{Around, layer::MadeFallible, prelude::*};
/// use std::future::{Ready, ready};
///
/// fn double(n: u32) -> Ready<u32> { ready(n * 2) }
///
/// let chain: Around<fn(u32) -> Ready<u32>, MadeFallible> = (double as fn(u32) -> _).fallible();
/// assert_eq!(format!("{chain:?}"), "fn.fallible()");
/// ```
#[derive(Debug, Clone)]
pub struct MadeFallible;

/// The future of a [`.lifted()`](crate::FutureExt::lifted) call.
///
/// ```
/// use decor::{future::LiftedFuture, prelude::*};
/// use std::future::{Ready, ready};
///
/// let call: LiftedFuture<Ready<Result<u8, String>>, String> = ready(Ok(1)).lifted();
/// # drop(call);
/// ```
pub type LiftedFuture<F, E> = future::MapErr<F, fn(E) -> Failure<E>>;

/// The future of a [`.fallible()`](crate::FutureExt::fallible) call.
///
/// ```
/// use decor::{future::FallibleFuture, prelude::*};
/// use std::future::{Ready, ready};
///
/// let call: FallibleFuture<Ready<u8>, u8> = ready(1).fallible();
/// # drop(call);
/// ```
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
shown_as!(MadeFallible; ".fallible()");

impl<Args, F, T, E, M, E2> Layer<Args, F> for MapErr<M>
where
    F: Future<Output = Result<T, E>>,
    M: FnOnce(E) -> E2,
{
    type Note = ();
    type Future = future::MapErr<F, M>;

    #[inline]
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

    #[inline]
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

    #[inline]
    fn around(self, (): (), call: F) -> Self::Future {
        lifted(call)
    }
}

impl<Args, F: Future> Layer<Args, F> for MadeFallible {
    type Note = ();
    type Future = FallibleFuture<F, F::Output>;

    #[inline]
    fn around(self, (): (), call: F) -> Self::Future {
        fallible(call)
    }
}

impl<E> Clone for ErrInto<E> {
    fn clone(&self) -> Self {
        Self(PhantomData)
    }
}

impl<Args, T, E, M, E2> blocking::Layer<Args, Result<T, E>> for MapErr<M>
where
    M: FnOnce(E) -> E2,
{
    type Note = ();
    type Output = Result<T, E2>;

    #[inline]
    fn around(self, (): (), call: impl FnOnce() -> Result<T, E>) -> Result<T, E2> {
        call().map_err(self.0)
    }
}

impl<Args, T, E: Into<E2>, E2> blocking::Layer<Args, Result<T, E>> for ErrInto<E2> {
    type Note = ();
    type Output = Result<T, E2>;

    #[inline]
    fn around(self, (): (), call: impl FnOnce() -> Result<T, E>) -> Result<T, E2> {
        call().map_err(Into::into)
    }
}

impl<Args, T, E> blocking::Layer<Args, Result<T, E>> for Lifted {
    type Note = ();
    type Output = Result<T, Failure<E>>;

    #[inline]
    fn around(self, (): (), call: impl FnOnce() -> Result<T, E>) -> Result<T, Failure<E>> {
        call().map_err(Failure::Call)
    }
}

impl<Args, T> blocking::Layer<Args, T> for MadeFallible {
    type Note = ();
    type Output = Result<T, Error>;

    #[inline]
    fn around(self, (): (), call: impl FnOnce() -> T) -> Result<T, Error> {
        Ok(call())
    }
}
