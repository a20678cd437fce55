//! Decorators that change the error type of a call.

use crate::{
    Error, Failure,
    describe::StepKind,
    layer::{Change, Decoration},
};
use std::{fmt, marker::PhantomData};

/// The change of [`.map_err(..)`](crate::FnExt::map_err).
#[derive(Debug, Clone)]
pub struct MapErr<M>(pub(crate) M);

impl<T, E, M: FnMut(E) -> E2, E2> Change<Result<T, E>> for MapErr<M> {
    type Output = Result<T, E2>;

    #[inline]
    fn change(&mut self, output: Result<T, E>) -> Result<T, E2> {
        output.map_err(&mut self.0)
    }
}

/// The change of [`.err_into()`](crate::FnExt::err_into).
#[derive(Debug)]
pub struct ErrInto<E>(pub(crate) PhantomData<fn() -> E>);

impl<E> Clone for ErrInto<E> {
    fn clone(&self) -> Self {
        Self(PhantomData)
    }
}

impl<T, E: Into<E2>, E2> Change<Result<T, E>> for ErrInto<E2> {
    type Output = Result<T, E2>;

    #[inline]
    fn change(&mut self, output: Result<T, E>) -> Result<T, E2> {
        output.map_err(Into::into)
    }
}

/// The change of [`.lifted()`](crate::FnExt::lifted).
#[derive(Debug, Clone)]
pub struct Lifted;

impl<T, E> Change<Result<T, E>> for Lifted {
    type Output = Result<T, Failure<E>>;

    #[inline]
    fn change(&mut self, output: Result<T, E>) -> Result<T, Failure<E>> {
        output.map_err(Failure::Call)
    }
}

/// The change of [`.fallible()`](crate::FnExt::fallible).
#[derive(Debug, Clone)]
pub struct MadeFallible;

impl<T> Change<T> for MadeFallible {
    type Output = Result<T, Error>;

    #[inline]
    fn change(&mut self, output: T) -> Result<T, Error> {
        Ok(output)
    }
}

macro_rules! shown_as {
    ($Change:ty $(, $Param:ident)?; $text:literal) => {
        impl$(<$Param>)? Decoration for $Change {
            fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str($text)
            }

            fn kind(&self) -> StepKind {
                StepKind::Immediate
            }
        }
    };
}
shown_as!(MapErr<M>, M; ".map_err(..)");
shown_as!(ErrInto<E>, E; ".err_into()");
shown_as!(Lifted; ".lifted()");
shown_as!(MadeFallible; ".fallible()");
