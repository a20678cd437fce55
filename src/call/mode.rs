//! Functions of both halves, async and blocking, as the catalogue of decorators sees them.
//!
//! Each decorator is one method for async and sync functions. The type parameter `Half` keeps the
//! two blanket impls of each trait apart. rustc infers `Half` from the function, so no chain names
//! it.

use super::blocking;
use crate::Name;
use crate::ResultLike;
use std::fmt;

/// The mark of async functions.
#[derive(Debug)]
pub enum AsyncHalf {}

/// The mark of sync functions after [`.blocking()`](crate::blocking::SyncFn::blocking).
#[derive(Debug)]
pub enum BlockingHalf {}

/// An async or blocking function that can be called once with `Args`: the bound of every decorator.
///
/// Implemented for every [`CallableOnce`](crate::CallableOnce) and every
/// [`blocking::CallableOnce`](crate::blocking::CallableOnce) only. An extension trait of your own
/// needs it as a bound: see [`layer`](crate::layer).
///
/// # Examples
///
/// ```
/// use decor::{layer::Function, prelude::*};
///
/// fn name_of<F: Function<Args, Half>, Args, Half>(function: &F) -> decor::Name {
///     function.name()
/// }
///
/// async fn fetch(id: u64) -> u64 { id }
/// fn load(id: u64) -> u64 { id }
/// assert_eq!(name_of(&fetch.timed("x")), "fetch");
/// assert_eq!(name_of(&load.blocking().timed("x")), "load");
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a function that can be decorated",
    note = "an async function can, and a closure that returns a future; a sync function after `.blocking()`"
)]
pub trait Function<Args, Half> {
    /// The output of a call.
    type Output;

    /// The name of the innermost function of the chain, or the name that `.named(..)` gave it.
    fn name(&self) -> Name;

    #[doc(hidden)]
    #[allow(clippy::missing_errors_doc)] // only errors of the formatter
    fn show(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result;
}

impl<C: super::CallableOnce<Args>, Args> Function<Args, AsyncHalf> for C {
    type Output = C::Output;

    fn name(&self) -> Name {
        super::CallableOnce::name(self)
    }

    fn show(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.describe(f)
    }
}

impl<C: blocking::CallableOnce<Args>, Args> Function<Args, BlockingHalf> for C {
    type Output = C::Output;

    fn name(&self) -> Name {
        blocking::CallableOnce::name(self)
    }

    fn show(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.describe(f)
    }
}

/// A function that can be called again and returns a `Result`, as a retry needs it.
///
/// The output has a bound in place of `Output = Result<_, _>`, so that rustc names the output that
/// is not a `Result`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be called with `{Args}` more than once, or does not return a `Result`",
    note = "a retry needs a function that can be called again: `|| fetch(id)` instead of `fetch(id)`"
)]
pub trait Repeatable<Args, Half>: Function<Args, Half> {
    /// The value of a success.
    type Ok;
    /// The error of a failure.
    type Err;
}

impl<C, Args> Repeatable<Args, AsyncHalf> for C
where
    C: super::CallableMut<Args, Output: ResultLike>,
{
    type Ok = <C::Output as ResultLike>::Ok;
    type Err = <C::Output as ResultLike>::Err;
}

impl<C, Args> Repeatable<Args, BlockingHalf> for C
where
    C: blocking::CallableMut<Args, Output: ResultLike>,
{
    type Ok = <C::Output as ResultLike>::Ok;
    type Err = <C::Output as ResultLike>::Err;
}

/// A function that can be called several times at the same time and returns a `Result`, as a hedge
/// needs it. Sync functions have no hedge.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be hedged: a hedge makes several calls at the same time, in one task",
    label = "not an async function that returns a `Result` and can be called through `&self`",
    note = "a sync function has no hedge, because its thread cannot be cancelled: call it within an async function, by `tokio::task::spawn_blocking`"
)]
pub trait Hedgeable<Args, Half>: Function<Args, Half> {}

impl<C, Args> Hedgeable<Args, AsyncHalf> for C where C: super::Callable<Args, Output: ResultLike> {}

/// A function with calls that can run without their callers, in a task or on a thread.
#[cfg(feature = "memo")]
pub trait Detachable<Args, Half> {}

#[cfg(feature = "memo")]
impl<C, Args> Detachable<Args, AsyncHalf> for C
where
    C: super::CallableOnce<Args, Output: Send + 'static>,
    C::Future: Send + 'static, // use owned arguments: `String` or `Arc<str>` in place of `&str`
{
}

#[cfg(feature = "memo")]
impl<C, Args> Detachable<Args, BlockingHalf> for C
where
    C: blocking::CallableOnce<Args, Output: Send + 'static> + Send + 'static,
    Args: Send + 'static,
{
}
