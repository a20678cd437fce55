//! The output of a call that joined a failed load.
//!
//! If each of twenty waiting calls tried again by itself, one after the other, the last would wait
//! for twenty failures of a server that is down. If the calls get the failure, each waits only for
//! the load that it joined.

use super::{Cacheable, CarriesLoadFailure, Word};
use crate::{Error, Name, sync::Arc};
use std::any::Any;

/// A failed load, as the calls that joined it receive it. These may be calls of another function,
/// with another type of error.
#[derive(Debug)]
pub struct LoadFailure {
    /// Name of the function that failed.
    name: Name,
    /// The text of the leader's error.
    message: String,
    /// The error itself; `None` unless errors are shared.
    error: Option<Arc<dyn Any + Send + Sync>>,
}

impl LoadFailure {
    fn of<O, V>(output: &O, name: Name) -> Self
    where
        O: Cacheable<V, Error: CarriesLoadFailure>,
    {
        let message = output.error().map_or_else(|| "it returned no value".to_owned(), ToString::to_string);
        Self { name, message, error: None }
    }

    /// Returns the output of a call that joined, with an [`Error::LoadFailed`]; `None` if the
    /// output's type has no failures.
    fn as_load_failed<O, V>(&self) -> Option<O>
    where
        O: Cacheable<V, Error: CarriesLoadFailure>,
    {
        O::from_error(Error::LoadFailed { name: self.name.clone(), message: self.message.clone() }.into())
    }
}

/// Passes the failure of a load on to the calls that joined it, with outputs of type `O` in a memo
/// of `V`.
///
/// Implemented by [`ReportedErrors`], [`SharedErrors`] and [`IsolatedErrors`].
#[diagnostic::on_unimplemented(
    message = "the failures of `{O}` cannot be shared with the calls that wait for the same load",
    note = "`.sharing_errors()` clones the error: it must be `Clone + Send + Sync + 'static`",
    note = "where it is not `Clone`, put it into an `Arc` first: `.map_err(Arc::new).lifted().memoized(&memo)`",
    note = "without `.sharing_errors()` those calls get its text, in a `decor::Error::LoadFailed`",
    note = "an `Option` shares its `None`; other outputs have no failures"
)]
pub trait ErrorSharing<O, V>: Word {
    /// Returns the failure of a load, for the calls that joined it.
    #[doc(hidden)]
    fn share(output: &O, name: Name) -> LoadFailure;

    /// Returns the output of a call that joined; `None` if the call has to try again by itself.
    #[doc(hidden)]
    fn output(failure: &LoadFailure) -> Option<O>;
}

/// Gives joined calls an [`Error::LoadFailed`] with the text of the leader's error, or the `None`
/// of an `Option`. The default.
#[derive(Debug, Clone, Copy)]
pub struct ReportedErrors;

/// Gives joined calls the leader's own error. Set by
/// [`.sharing_errors()`](crate::Memoized::sharing_errors).
#[derive(Debug, Clone, Copy)]
pub struct SharedErrors;

/// Gives joined calls no error. Each tries again by itself, one after the other. Set by
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
impl<O, V> ErrorSharing<O, V> for ReportedErrors
where
    O: Cacheable<V, Error: CarriesLoadFailure>,
{
    fn share(output: &O, name: Name) -> LoadFailure {
        LoadFailure::of(output, name)
    }

    fn output(failure: &LoadFailure) -> Option<O> {
        failure.as_load_failed()
    }
}

#[diagnostic::do_not_recommend]
impl<O, V> ErrorSharing<O, V> for SharedErrors
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
            None => failure.as_load_failed(),
        }
    }
}

#[diagnostic::do_not_recommend]
impl<O, V> ErrorSharing<O, V> for IsolatedErrors
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
