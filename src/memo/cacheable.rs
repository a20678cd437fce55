//! The part of an output that a memo keeps, and the failure that waiting calls get from a failed
//! load.

use crate::Error;
use std::fmt;

/// A type of values that a memo can hold. Implemented for all types that qualify.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the value of a memo: a value is `Clone + Send + Sync + 'static`",
    note = "derive `Clone`, or put the value into an `Arc`: `Memo<K, Arc<{Self}>>`"
)]
pub trait Value: Clone + Send + Sync + 'static {}

#[diagnostic::do_not_recommend]
impl<V: Clone + Send + Sync + 'static> Value for V {}

/// An output from which a memo of `V` keeps a value.
///
/// The memo's value type decides what is kept. A `Memo<K, User>` keeps the `Ok` of a
/// `Result<User, E>`, the `Some` of an `Option<User>`, and every plain `User`. A
/// `Memo<K, Result<User, E>>` keeps errors as well, and a `Memo<K, Option<User>>` keeps `None`s.
///
/// If nothing is kept, the load has failed. The calls that joined the load then get
/// [`Error::LoadFailed`]. A `Result` carries it in its error type, which must be
/// `From<decor::Error> + Display`. An `Option` becomes `None`. An error enum carries it in a
/// variant `#[from] decor::Error`, and a foreign error after [`.lifted()`](crate::FnExt::lifted).
///
/// # Examples
///
/// ```
/// use decor::Cacheable;
///
/// fn keeps<V: Clone>(output: &impl Cacheable<V>) -> Option<V> { output.kept().cloned() }
///
/// assert_eq!(keeps::<u8>(&7), Some(7));
/// assert_eq!(keeps::<u8>(&Err::<u8, _>("no such user".to_owned())), None);
/// assert_eq!(keeps::<Option<u8>>(&None::<u8>), Some(None));
/// ```
#[diagnostic::on_unimplemented(
    message = "a memo of `{V}` keeps nothing of `{Self}`",
    label = "the decorated call returns `{Self}`",
    note = "of a `Result<User, E>`, a `Memo<K, User>` keeps the `Ok`, and a `Memo<K, Result<User, E>>` keeps both"
)]
pub trait Cacheable<V>: Sized {
    /// The error of a load that left nothing to keep, which is the type that joined calls receive.
    type Error;

    /// Returns the value to keep; `None` for a failure.
    fn kept(&self) -> Option<&V>;

    /// Returns the output of a call that a kept value answers.
    fn from_kept(value: V) -> Self;

    /// Returns the error of a failure; `None` if a value is kept.
    fn error(&self) -> Option<&Self::Error>;

    /// Returns the failure with this error; `None` if the type has no failures. With `None`, a call
    /// that joined a failed load loads by itself.
    fn from_error(error: Self::Error) -> Option<Self>;
}

/// An error that can carry the failure of another call's load. Implemented for every
/// `From<decor::Error> + Display`.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "the error type `{Self}` cannot carry the failure of a load to the calls that wait for it (`decor::Error::LoadFailed`)",
    label = "the memoized call fails with `{Self}`",
    note = "if it is yours, give it `Display` and `From<decor::Error>` (with thiserror: a variant `#[from] decor::Error`)",
    note = "if it is foreign, call `.lifted()` first: the error becomes a `decor::Failure<{Self}>`"
)]
pub trait CarriesLoadFailure: From<Error> + fmt::Display {}

#[diagnostic::do_not_recommend]
impl<E: From<Error> + fmt::Display> CarriesLoadFailure for E {}

/// An output that can be memoized, because it is [`Cacheable`] and can carry the failure of a load.
///
/// A single bound, because with two rustc would ask twice for the missing types of a memo.
pub trait Memoizable<V>: Cacheable<V> {}

impl<V, O: Cacheable<V, Error: CarriesLoadFailure>> Memoizable<V> for O {}

/// The error of an `Option`.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("there is no value")]
pub struct NoValue;

impl From<Error> for NoValue {
    fn from(_: Error) -> Self {
        Self
    }
}

/// The error of outputs that are always kept. Not `Clone`, because there is nothing to share.
#[derive(Debug, thiserror::Error)]
#[error("there are no failures")]
pub struct NoFailures;

impl From<Error> for NoFailures {
    fn from(_: Error) -> Self {
        Self
    }
}

impl<V> Cacheable<V> for V {
    type Error = NoFailures;

    fn kept(&self) -> Option<&V> {
        Some(self)
    }

    fn from_kept(value: V) -> Self {
        value
    }

    fn error(&self) -> Option<&NoFailures> {
        None
    }

    fn from_error(NoFailures: NoFailures) -> Option<Self> {
        None
    }
}

impl<V, E> Cacheable<V> for Result<V, E> {
    type Error = E;

    fn kept(&self) -> Option<&V> {
        self.as_ref().ok()
    }

    fn from_kept(value: V) -> Self {
        Ok(value)
    }

    fn error(&self) -> Option<&E> {
        self.as_ref().err()
    }

    fn from_error(error: E) -> Option<Self> {
        Some(Err(error))
    }
}

impl<V> Cacheable<V> for Option<V> {
    type Error = NoValue;

    fn kept(&self) -> Option<&V> {
        self.as_ref()
    }

    fn from_kept(value: V) -> Self {
        Some(value)
    }

    fn error(&self) -> Option<&NoValue> {
        self.is_none().then_some(&NoValue)
    }

    fn from_error(NoValue: NoValue) -> Option<Self> {
        Some(None)
    }
}

/// Values that can be negative, as an `Err` and a `None` are. See
/// [`MemoBuilder::negative`](crate::MemoBuilder::negative).
///
/// # Examples
///
/// ```
/// use decor::Negative;
///
/// assert!(Err::<u8, _>("no such user").is_negative());
/// assert!(!Some(7).is_negative());
/// ```
pub trait Negative {
    /// Returns `true` for a negative value.
    fn is_negative(&self) -> bool;
}

impl<T, E> Negative for Result<T, E> {
    fn is_negative(&self) -> bool {
        self.is_err()
    }
}

impl<T> Negative for Option<T> {
    fn is_negative(&self) -> bool {
        self.is_none()
    }
}
