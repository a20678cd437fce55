//! What lets a decorator look at an output, and speak through it.

use crate::Error;

/// A `Result`: what a decorator needs that must tell success from failure.
///
/// Implemented for every `Result<T, E>` and for nothing else. A plain output becomes one by
/// [`.fallible()`](crate::FutureExt::fallible).
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

    /// The `Result`, by reference.
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

/// A `Result` whose error can carry what a decorator has to say: `E: From<decor::Error>`.
///
/// `anyhow::Error`, `Box<dyn std::error::Error + Send + Sync>`, `std::io::Error` and `String` can as they are; an enum
/// can with one `#[from] decor::Error` variant; any other error can after [`.lifted()`](crate::FutureExt::lifted), and a
/// plain output after [`.fallible()`](crate::FutureExt::fallible).
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
    message = "`{Self}` is not a `Result`, so it cannot carry what this decorator may have to say (a `decor::Error`)",
    label = "the decorated call returns `{Self}`",
    note = "if that is a future, leave out `.blocking()`: an async function is decorated as it is",
    note = "else call `.fallible()` first: it makes the output a `Result<{Self}, decor::Error>`"
)]
pub trait Fallible: ResultLike {
    /// The output that says what the policy decided.
    fn from_policy(error: Error) -> Self;
}

impl<T, E: CarriesPolicy> Fallible for Result<T, E> {
    fn from_policy(error: Error) -> Self {
        Err(error.into())
    }
}

/// `From<decor::Error>`, and nothing else: it stands here so that the compiler can say what an error type lacks.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "the error type `{Self}` cannot carry what this decorator may have to say (a `decor::Error`)",
    label = "the decorated call fails with `{Self}`",
    note = "if it is yours, give it `impl From<decor::Error>` (with thiserror: a variant `#[from] decor::Error`)",
    note = "if it is foreign, call `.lifted()` first: the error becomes a `decor::Failure<{Self}>`"
)]
pub trait CarriesPolicy: From<Error> {}

#[diagnostic::do_not_recommend]
impl<E: From<Error>> CarriesPolicy for E {}
