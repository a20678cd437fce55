//! What the calls get that waited for a load which failed.
//!
//! If each of them tries for itself, one after the other, the last of twenty waits for twenty
//! failures of a server that is down. If they are told of the failure, each waits for the load that
//! it joined, and no longer.

use crate::{Error, Fallible, fallible::CarriesPolicy, sync::Arc};
use std::{any::Any, fmt};

/// A failed load, on its way to the calls that joined it. They may be calls of another function,
/// with another type of error.
#[derive(Debug, Clone)]
pub struct LoadFailure {
    /// The function that failed.
    name: &'static str,
    /// The text of its error; `None` if only the error itself is handed on, or nothing.
    message: Option<String>,
    /// The error itself; `None` unless it is shared.
    error: Option<Arc<dyn Any + Send + Sync>>,
}

impl LoadFailure {
    fn of(name: &'static str) -> Self {
        Self { name, message: None, error: None }
    }

    fn reported(&self) -> Error {
        let message = self.message.clone().unwrap_or_else(|| "the call that loaded has the error".to_owned());
        Error::LoadFailed { name: self.name, message }
    }
}

/// What the waiters of a failed load get: an output of type `O`, in a memo of `V`.
///
/// Implemented by [`ReportedErrors`], [`SharedErrors`] and [`OwnErrors`].
#[diagnostic::on_unimplemented(
    message = "the failures of `{O}` cannot be told to the calls that waited for the same load",
    note = "`.sharing_errors()` hands the error on: a `Result`'s error must be `Clone + Send + Sync + 'static`; where it is not `Clone`, put it into an `Arc` first: `.map_err(Arc::new).memoized(&memo)`",
    note = "`.reporting_errors()` tells its text: the error must be `Display + From<decor::Error>`; if it is foreign, call `.lifted()` first",
    note = "an `Option` can share its `None`; other outputs have no failures"
)]
pub trait Failures<O, V> {
    /// Of the load that failed, for the calls that joined it.
    #[doc(hidden)]
    fn share(output: &O, name: &'static str) -> LoadFailure;

    /// The output of a call that joined it; `None` if the call has to try for itself.
    #[doc(hidden)]
    fn output(failure: &LoadFailure) -> Option<O>;
}

/// [`Error::LoadFailed`] with the text of the leader's error; for an `Option` its `None`:
/// [`.reporting_errors()`](crate::Memoized::reporting_errors).
///
/// # Examples
///
/// ```
/// use decor::{Memoized, layer::{KeyFromArgs, ReportedErrors}, prelude::*};
/// use std::future::{Ready, ready};
///
/// fn square(n: u64) -> Ready<u64> { ready(n * n) }
///
/// let squares = Memo::builder().build();
/// let square: Memoized<_, u64, u64, KeyFromArgs, ReportedErrors> =
///     square.memoized(&squares).reporting_errors();
/// # drop(square);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct ReportedErrors;

/// The leader's own error: [`.sharing_errors()`](crate::Memoized::sharing_errors).
///
/// # Examples
///
/// ```
/// use decor::{Memoized, layer::{KeyFromArgs, SharedErrors}, prelude::*};
/// use std::future::{Ready, ready};
///
/// fn half(n: u64) -> Ready<Option<u64>> { ready((n % 2 == 0).then_some(n / 2)) }
///
/// let halves: Memo<u64, u64> = Memo::builder().build();
/// let half: Memoized<_, u64, u64, KeyFromArgs, SharedErrors> =
///     half.memoized(&halves).sharing_errors();
/// # drop(half);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct SharedErrors;

/// Nothing. Each waiter tries for itself, one at a time. The default.
///
/// # Examples
///
/// ```
/// use decor::{Memoized, layer::{KeyFromArgs, OwnErrors}, prelude::*};
/// use std::future::{Ready, ready};
///
/// fn square(n: u64) -> Ready<u64> { ready(n * n) }
///
/// let squares = Memo::builder().build();
/// let square: Memoized<_, u64, u64, KeyFromArgs, OwnErrors> = square.memoized(&squares);
/// # drop(square);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct OwnErrors;

/// Every output is a value, so no load of this function fails. One of another function may.
#[diagnostic::do_not_recommend]
impl<V> Failures<V, V> for ReportedErrors {
    fn share(_: &V, name: &'static str) -> LoadFailure {
        LoadFailure::of(name)
    }

    fn output(_: &LoadFailure) -> Option<V> {
        None
    }
}

#[diagnostic::do_not_recommend]
impl<V, E: CarriesPolicy + fmt::Display> Failures<Result<V, E>, V> for ReportedErrors {
    fn share(output: &Result<V, E>, name: &'static str) -> LoadFailure {
        LoadFailure { message: output.as_ref().err().map(ToString::to_string), ..LoadFailure::of(name) }
    }

    fn output(failure: &LoadFailure) -> Option<Result<V, E>> {
        Some(Result::from_policy(failure.reported()))
    }
}

#[diagnostic::do_not_recommend]
impl<V> Failures<Option<V>, V> for ReportedErrors {
    fn share(_: &Option<V>, name: &'static str) -> LoadFailure {
        LoadFailure { message: Some("there is no value".to_owned()), ..LoadFailure::of(name) }
    }

    fn output(_: &LoadFailure) -> Option<Option<V>> {
        Some(None)
    }
}

#[diagnostic::do_not_recommend]
impl<T, V, E: Clone + Send + Sync + 'static> Failures<Result<T, E>, V> for SharedErrors {
    fn share(output: &Result<T, E>, name: &'static str) -> LoadFailure {
        let error = output.as_ref().err().map(|error| Arc::new(error.clone()) as _);
        LoadFailure { error, ..LoadFailure::of(name) }
    }

    fn output(failure: &LoadFailure) -> Option<Result<T, E>> {
        failure.error.as_ref()?.downcast_ref().cloned().map(Err)
    }
}

/// A shared `None`.
struct SharedNone;

#[diagnostic::do_not_recommend]
impl<T, V> Failures<Option<T>, V> for SharedErrors {
    fn share(_: &Option<T>, name: &'static str) -> LoadFailure {
        LoadFailure { error: Some(Arc::new(SharedNone)), ..LoadFailure::of(name) }
    }

    fn output(failure: &LoadFailure) -> Option<Option<T>> {
        failure.error.as_ref()?.is::<SharedNone>().then_some(None)
    }
}

#[diagnostic::do_not_recommend]
impl<O, V> Failures<O, V> for OwnErrors {
    fn share(_: &O, name: &'static str) -> LoadFailure {
        LoadFailure::of(name)
    }

    fn output(_: &LoadFailure) -> Option<O> {
        None
    }
}
