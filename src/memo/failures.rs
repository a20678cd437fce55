//! The output of a call that joined a failed load.
//!
//! If each of the calls tries for itself, one after the other, the last of twenty waits for twenty
//! failures of a server that is down. If they are told of the failure, each waits for the load that
//! it joined, and no longer.

use super::{Cacheable, CarriesLoadFailure, Word};
use crate::{Error, Name, sync::Arc};
use std::any::Any;

/// A failed load, on its way to the calls that joined it. They may be calls of another function,
/// with another type of error.
#[derive(Debug)]
pub struct LoadFailure {
    /// The function that failed.
    name: Name,
    /// The text of the leader's error.
    message: String,
    /// The error itself; `None` unless it is shared.
    error: Option<Arc<dyn Any + Send + Sync>>,
}

impl LoadFailure {
    fn of<O, V>(output: &O, name: Name) -> Self
    where
        O: Cacheable<V, Error: CarriesLoadFailure>,
    {
        let message = output.error().map_or_else(|| "it left no value".to_owned(), ToString::to_string);
        Self { name, message, error: None }
    }

    /// The output of a call that joined; `None` if its type has no failures.
    fn told<O, V>(&self) -> Option<O>
    where
        O: Cacheable<V, Error: CarriesLoadFailure>,
    {
        O::from_error(Error::LoadFailed { name: self.name.clone(), message: self.message.clone() }.into())
    }
}

/// The way in which failures of loads reach the calls that joined, with outputs of type `O` in a
/// memo of `V`.
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
    fn share(output: &O, name: Name) -> LoadFailure;

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

/// No error. Each call tries again by itself, one after the other:
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
impl<O, V> Failures<O, V> for ReportedErrors
where
    O: Cacheable<V, Error: CarriesLoadFailure>,
{
    fn share(output: &O, name: Name) -> LoadFailure {
        LoadFailure::of(output, name)
    }

    fn output(failure: &LoadFailure) -> Option<O> {
        failure.told()
    }
}

#[diagnostic::do_not_recommend]
impl<O, V> Failures<O, V> for SharedErrors
where
    O: Cacheable<V, Error: CarriesLoadFailure + Clone + Send + Sync + 'static>,
{
    fn share(output: &O, name: Name) -> LoadFailure {
        let error = output.error().map(|error| Arc::new(error.clone()) as _);
        LoadFailure { error, ..LoadFailure::of(output, name) }
    }

    fn output(failure: &LoadFailure) -> Option<O> {
        match failure.error.as_ref().and_then(|error| error.downcast_ref::<O::Error>()) {
            Some(error) => O::from_error(error.clone()),
            None => failure.told(),
        }
    }
}

#[diagnostic::do_not_recommend]
impl<O, V> Failures<O, V> for IsolatedErrors
where
    O: Cacheable<V, Error: CarriesLoadFailure>,
{
    fn share(output: &O, name: Name) -> LoadFailure {
        LoadFailure::of(output, name)
    }

    fn output(_: &LoadFailure) -> Option<O> {
        None
    }
}
