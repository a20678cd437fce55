//! What is said of functions of either half.
//!
//! The words that refine a decorator (`.when(..)`, `.sharing_errors()`) stand once, on one wrapper for async and blocking functions. They need
//! to know what the function returns, and find it by these traits: `Half` is a mark that keeps the impls apart, and follows from the
//! function.

use crate::{blocking, call};

/// The mark of async functions.
#[derive(Debug)]
pub struct AsyncHalf;

/// The mark of blocking ones.
#[derive(Debug)]
pub struct BlockingHalf;

/// A function that can be called again, and returns a `Result`.
pub trait Answers<Args, Half> {
    /// The value of a success.
    type Ok;
    /// The error of a failure.
    type Err;
}

impl<C, Args, T, E> Answers<Args, AsyncHalf> for C
where
    C: call::CallableMut<Args, Output = Result<T, E>>,
{
    type Ok = T;
    type Err = E;
}

impl<C, Args, T, E> Answers<Args, BlockingHalf> for C
where
    C: blocking::CallableMut<Args, Output = Result<T, E>>,
{
    type Ok = T;
    type Err = E;
}

/// A function that can be called.
#[cfg(feature = "memo")]
pub trait Returns<Args, Half> {
    /// What its call comes to.
    type Output;
}

#[cfg(feature = "memo")]
impl<C: call::CallableOnce<Args>, Args> Returns<Args, AsyncHalf> for C {
    type Output = C::Output;
}

#[cfg(feature = "memo")]
impl<C: blocking::CallableOnce<Args>, Args> Returns<Args, BlockingHalf> for C {
    type Output = C::Output;
}

/// A function whose calls can go on by themselves, in a task or on a thread.
#[cfg(feature = "memo")]
pub trait Detachable<Args, Half> {}

#[cfg(feature = "memo")]
impl<C, Args> Detachable<Args, AsyncHalf> for C
where
    C: call::CallableOnce<Args, Output: Send + 'static>,
    C::Future: Send + 'static, // so its arguments are owned: `String` or `Arc<str>` in place of `&str`
{
}

#[cfg(feature = "memo")]
impl<C, Args> Detachable<Args, BlockingHalf> for C
where
    C: blocking::CallableOnce<Args, Output: Send + 'static> + Send + 'static,
    Args: Send + 'static,
{
}
