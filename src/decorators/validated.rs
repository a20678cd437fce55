//! Refusing arguments before the function sees them.

use crate::{
    Error, Fallible,
    args::Inspect,
    blocking,
    call::{Callable, CallableMut, CallableOnce, Describe},
    lazy::awaited_directly,
    name::Name,
};
use futures::future::{Either, Ready, ready};
use std::fmt;

/// A function whose arguments are looked at first.
///
/// Made by [`.validated(..)`](crate::FnExt::validated).
///
/// ```
/// use decor::{Validated, prelude::*};
///
/// async fn half(n: u32) -> Result<u32, decor::Error> { Ok(n / 2) }
/// fn even(n: &u32) -> Result<(), &'static str> { if n % 2 == 0 { Ok(()) } else { Err("n must be even") } }
///
/// let half: Validated<_, fn(&u32) -> Result<(), &'static str>> = half.validated(even as _);
/// assert_eq!(format!("{half:?}"), "half.validated(..)");
/// ```
#[derive(Clone)]
#[must_use = "a decorated function does nothing until it is called"]
pub struct Validated<C, V> {
    callable: C,
    validate: V,
    describe: Describe<C>,
}

/// The future of a [`.validated(..)`](crate::FnExt::validated) call: the call, or its refusal, ready at once.
///
/// ```
/// use decor::{future::ValidatedFuture, prelude::*};
/// use std::future::{Ready, ready};
///
/// let half = (|n: u32| ready(Ok::<_, decor::Error>(n / 2))).validated(|_: &u32| Ok::<_, &str>(()));
/// let call: ValidatedFuture<Ready<_>, Result<u32, decor::Error>> = half.call(42);
/// # drop(call);
/// ```
pub type ValidatedFuture<F, O> = Either<F, Ready<O>>;

impl<C, V> Validated<C, V> {
    pub(crate) fn new<Args>(callable: C, validate: V) -> Self
    where
        C: CallableOnce<Args>,
    {
        Self { callable, validate, describe: Describe::of::<Args>() }
    }

    pub(crate) fn by_description(callable: C, validate: V, describe: Describe<C>) -> Self {
        Self { callable, validate, describe }
    }

    fn refusal<Args, M, O>(&self, args: &Args) -> Option<O>
    where
        V: Inspect<Args, Output = Result<(), M>>,
        M: fmt::Display,
        O: Fallible,
    {
        let refused = self.validate.inspect(args).err()?;
        Some(O::from_policy(Error::InvalidArgument { message: refused.to_string() }))
    }
}

impl<C, V, M, Args> CallableOnce<Args> for Validated<C, V>
where
    C: CallableOnce<Args>,
    C::Output: Fallible,
    V: Inspect<Args, Output = Result<(), M>>,
    M: fmt::Display,
{
    type Output = C::Output;
    type Future = ValidatedFuture<C::Future, C::Output>;

    fn call_once(self, args: Args) -> Self::Future {
        match self.refusal(&args) {
            None => Either::Left(self.callable.call_once(args)),
            Some(refusal) => Either::Right(ready(refusal)),
        }
    }

    fn label(&self) -> Name {
        self.callable.label()
    }

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.callable.describe(f)?;
        f.write_str(".validated(..)")
    }
}

impl<C, V, M, Args> CallableMut<Args> for Validated<C, V>
where
    C: CallableMut<Args>,
    C::Output: Fallible,
    V: Inspect<Args, Output = Result<(), M>>,
    M: fmt::Display,
{
    fn call_mut(&mut self, args: Args) -> Self::Future {
        match self.refusal(&args) {
            None => Either::Left(self.callable.call_mut(args)),
            Some(refusal) => Either::Right(ready(refusal)),
        }
    }
}

impl<C, V, M, Args> Callable<Args> for Validated<C, V>
where
    C: Callable<Args>,
    C::Output: Fallible,
    V: Inspect<Args, Output = Result<(), M>>,
    M: fmt::Display,
{
    #[inline]
    fn call_with(&self, args: Args) -> Self::Future {
        match self.refusal(&args) {
            None => Either::Left(self.callable.call_with(args)),
            Some(refusal) => Either::Right(ready(refusal)),
        }
    }
}

awaited_directly!(Validated<C, V>, C, V);

impl<C, V> fmt::Debug for Validated<C, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.describe.write(&self.callable, f)?;
        f.write_str(".validated(..)")
    }
}

impl<C, V, M, Args> blocking::CallableOnce<Args> for Validated<C, V>
where
    C: blocking::CallableOnce<Args>,
    C::Output: Fallible,
    V: Inspect<Args, Output = Result<(), M>>,
    M: fmt::Display,
{
    type Output = C::Output;

    #[inline]
    fn call_once(self, args: Args) -> C::Output {
        self.refusal(&args).unwrap_or_else(|| self.callable.call_once(args))
    }

    fn label(&self) -> Name {
        self.callable.label()
    }

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl<C, V, M, Args> blocking::CallableMut<Args> for Validated<C, V>
where
    C: blocking::CallableMut<Args>,
    C::Output: Fallible,
    V: Inspect<Args, Output = Result<(), M>>,
    M: fmt::Display,
{
    #[inline]
    fn call_mut(&mut self, args: Args) -> C::Output {
        self.refusal(&args).unwrap_or_else(|| self.callable.call_mut(args))
    }
}

impl<C, V, M, Args> blocking::Callable<Args> for Validated<C, V>
where
    C: blocking::Callable<Args>,
    C::Output: Fallible,
    V: Inspect<Args, Output = Result<(), M>>,
    M: fmt::Display,
{
    #[inline]
    fn call_with(&self, args: Args) -> C::Output {
        self.refusal(&args).unwrap_or_else(|| self.callable.call_with(args))
    }
}
