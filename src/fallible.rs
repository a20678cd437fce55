//! Traits by which decorators read the output of a call, and return errors of their own in it.

use crate::Error;

/// A `Result`, for decorators that must tell success from failure.
///
/// Implemented only for `Result<T, E>`. [`.fallible()`](crate::FutureExt::fallible) turns a plain
/// output into one.
///
/// # Examples
///
/// ```
/// use decor::ResultLike;
///
/// fn failed<R: ResultLike>(output: &R) -> bool {
///     output.as_result().is_err()
/// }
/// assert!(failed(&Err::<u8, _>("busy")));
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a `Result`, so this decorator cannot tell success from failure",
    label = "the decorated call returns `{Self}`",
    note = "if that is a future, leave out `.blocking()`: an async function is decorated as it is",
    note = "else call `.fallible()` first: it makes the output a `Result<{Self}, decor::Error>`"
)]
pub trait ResultLike {
    /// The value of a success.
    type Ok;
    /// The error of a failure.
    type Err;

    /// Returns the `Result` by reference.
    #[allow(clippy::missing_errors_doc)] // the output's own
    fn as_result(&self) -> Result<&Self::Ok, &Self::Err>;
}

#[diagnostic::do_not_recommend]
impl<T, E> ResultLike for Result<T, E> {
    type Ok = T;
    type Err = E;

    #[inline]
    fn as_result(&self) -> Result<&T, &E> {
        self.as_ref()
    }
}

/// A `Result` with an error that can carry a decorator's error, because it is `From<decor::Error>`.
///
/// [`Error`] lists the error types that can. Any other error can after
/// [`.lifted()`](crate::FutureExt::lifted), and a plain output after
/// [`.fallible()`](crate::FutureExt::fallible).
///
/// # Examples
///
/// ```
/// use decor::{Error, Fallible};
///
/// fn refuse<R: Fallible>() -> R {
///     R::from_policy(Error::InvalidArgument { message: "id must not be 0".into() })
/// }
/// assert_eq!(refuse::<Result<(), String>>().unwrap_err(), "invalid argument: id must not be 0");
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a `Result`, so it cannot carry the errors of this decorator (`decor::Error`)",
    label = "the decorated call returns `{Self}`",
    note = "if that is a future, leave out `.blocking()`: an async function is decorated as it is",
    note = "else call `.fallible()` first: it makes the output a `Result<{Self}, decor::Error>`"
)]
pub trait Fallible: ResultLike {
    /// Returns the output with a decorator's error.
    fn from_policy(error: Error) -> Self;
}

impl<T, E: CarriesPolicy> Fallible for Result<T, E> {
    fn from_policy(error: Error) -> Self {
        Err(error.into())
    }
}

/// An error that is `From<decor::Error>`. A trait of its own, so that the compiler's message can
/// say what an error type lacks.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "the error type `{Self}` cannot carry the errors of this decorator (`decor::Error`)",
    label = "the decorated call fails with `{Self}`",
    note = "if it is yours, give it `impl From<decor::Error>` (with thiserror: a variant `#[from] decor::Error`)",
    note = "if it is foreign, call `.lifted()` first: the error becomes a `decor::Failure<{Self}>`"
)]
pub trait CarriesPolicy: From<Error> {}

#[diagnostic::do_not_recommend]
impl<E: From<Error>> CarriesPolicy for E {}
