//! The output of a call that joined a load which failed.
//!
//! If each of the calls tries for itself, one after the other, the last of twenty waits for twenty
//! failures of a server that is down. If they are told of the failure, each waits for the load that
//! it joined, and no longer.

use super::{Cacheable, Word};
use crate::{Error, sync::Arc};
use std::any::Any;

/// A failed load, on its way to the calls that joined it. They may be calls of another function,
/// with another type of error.
#[derive(Debug)]
pub struct LoadFailure {
    /// The function that failed.
    name: &'static str,
    /// The text of its error.
    message: String,
    /// The error itself; `None` unless it is shared.
    error: Option<Arc<dyn Any + Send + Sync>>,
}

impl LoadFailure {
    fn of<V>(output: &impl Cacheable<V>, name: &'static str) -> Self {
        let message = output.failure().unwrap_or_else(|| "it left no value".to_owned());
        Self { name, message, error: None }
    }

    /// As the output of a call that joined; `None` if its type has no failures.
    fn told<O: Cacheable<V>, V>(&self) -> Option<O> {
        O::load_failed(Error::LoadFailed { name: self.name, message: self.message.clone() })
    }
}

/// How failures of loads are told to the calls that joined: outputs of type `O`, in a memo of `V`.
///
/// Implemented by [`ReportedErrors`], [`SharedErrors`] and [`IsolatedErrors`].
#[diagnostic::on_unimplemented(
    message = "the failures of `{O}` cannot be shared with the calls that wait for the same load",
    note = "`.sharing_errors()` clones the error: it must be `Clone + Send + Sync + 'static`",
    note = "where it is not `Clone`, put it into an `Arc` first: `.map_err(Arc::new).lifted().memoized(&memo)`",
    note = "without `.sharing_errors()` those calls get its text, in a `decor::Error::LoadFailed`",
    note = "an `Option` shares its `None`; other outputs have no failures"
)]
pub trait Failures<O, V>: Word {
    /// Of the load that failed, for the calls that joined it.
    #[doc(hidden)]
    fn share(output: &O, name: &'static str) -> LoadFailure;

    /// The output of a call that joined it; `None` if the call has to try for itself.
    #[doc(hidden)]
    fn output(failure: &LoadFailure) -> Option<O>;
}

/// [`Error::LoadFailed`] with the text of the leader's error; for an `Option` its `None`. The
/// default.
#[derive(Debug, Clone, Copy)]
pub struct ReportedErrors;

/// The leader's own error: [`.sharing_errors()`](crate::Memoized::sharing_errors).
#[derive(Debug, Clone, Copy)]
pub struct SharedErrors;

/// Nothing. Each call tries for itself, one after the other:
/// [`.isolating_errors()`](crate::Memoized::isolating_errors).
#[derive(Debug, Clone, Copy)]
pub struct IsolatedErrors;

impl Word for ReportedErrors {
    const WORD: &'static str = "";
}

impl Word for SharedErrors {
    const WORD: &'static str = ".sharing_errors()";
}

impl Word for IsolatedErrors {
    const WORD: &'static str = ".isolating_errors()";
}

#[diagnostic::do_not_recommend]
impl<O: Cacheable<V>, V> Failures<O, V> for ReportedErrors {
    fn share(output: &O, name: &'static str) -> LoadFailure {
        LoadFailure::of(output, name)
    }

    fn output(failure: &LoadFailure) -> Option<O> {
        failure.told()
    }
}

#[diagnostic::do_not_recommend]
impl<T, V, E: Clone + Send + Sync + 'static> Failures<Result<T, E>, V> for SharedErrors
where
    Result<T, E>: Cacheable<V>,
{
    fn share(output: &Result<T, E>, name: &'static str) -> LoadFailure {
        let error = output.as_ref().err().map(|error| Arc::new(error.clone()) as _);
        LoadFailure { error, ..LoadFailure::of(output, name) }
    }

    fn output(failure: &LoadFailure) -> Option<Result<T, E>> {
        let shared = failure.error.as_ref().and_then(|error| error.downcast_ref());
        shared.map_or_else(|| failure.told(), |error: &E| Some(Err(error.clone())))
    }
}

#[diagnostic::do_not_recommend]
impl<T, V> Failures<Option<T>, V> for SharedErrors
where
    Option<T>: Cacheable<V>,
{
    fn share(output: &Option<T>, name: &'static str) -> LoadFailure {
        LoadFailure::of(output, name)
    }

    fn output(failure: &LoadFailure) -> Option<Option<T>> {
        failure.told()
    }
}

#[diagnostic::do_not_recommend]
impl<O: Cacheable<V>, V> Failures<O, V> for IsolatedErrors {
    fn share(output: &O, name: &'static str) -> LoadFailure {
        LoadFailure::of(output, name)
    }

    fn output(_: &LoadFailure) -> Option<O> {
        None
    }
}
