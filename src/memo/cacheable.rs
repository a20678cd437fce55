//! What of an output is remembered, and what a load that failed tells the calls that joined it.

use crate::Error;
use std::fmt;

/// A type whose values a memo can hold. Implemented for all that qualify.
pub trait Value: Clone + Send + Sync + 'static {}

impl<V: Clone + Send + Sync + 'static> Value for V {}

/// An output of which a memo of `V` keeps something.
///
/// The memo's value type decides what that is. A `Memo<K, User>` keeps of a `Result<User, E>` the
/// `Ok`, of an `Option<User>` the `Some`, and a plain `User` always; a `Memo<K, Result<User, E>>`
/// keeps errors as well, a `Memo<K, Option<User>>` that there is none.
///
/// If nothing is kept, the load has failed. The calls that joined it then get
/// [`Error::LoadFailed`]: a `Result` carries it in its error, which must be
/// `From<decor::Error> + Display`, and an `Option` becomes `None`. An error enum carries it in a
/// variant `#[from] decor::Error`. A foreign error does so after
/// [`.lifted()`](crate::FnExt::lifted).
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
    note = "of a `Result<User, E>` a `Memo<K, User>` keeps what is `Ok`, a `Memo<K, Result<User, E>>` both"
)]
pub trait Cacheable<V>: Sized {
    /// What of it is remembered; `None` for a failure, which is not.
    fn kept(&self) -> Option<&V>;

    /// The output of a call that was answered by what is remembered.
    fn from_kept(value: V) -> Self;

    /// Returns the text of a failure, for [`Error::LoadFailed`]; `None` unless it is one.
    fn failure(&self) -> Option<String> {
        None
    }

    /// Returns the output of a call that joined a load which failed; `None` if the type has no
    /// failures, and then the call loads by itself.
    fn load_failed(error: Error) -> Option<Self> {
        drop(error);
        None
    }
}

/// An error that can tell a call that the load which it joined has failed: `From<decor::Error>` and
/// `Display`.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "the error type `{Self}` cannot tell the calls that wait for a load that it failed (`decor::Error::LoadFailed`)",
    label = "the memoized call fails with `{Self}`",
    note = "if it is yours, give it `Display` and `From<decor::Error>` (with thiserror: a variant `#[from] decor::Error`)",
    note = "if it is foreign, call `.lifted()` first: the error becomes a `decor::Failure<{Self}>`"
)]
pub trait CarriesLoadFailure: From<Error> + fmt::Display {}

#[diagnostic::do_not_recommend]
impl<E: From<Error> + fmt::Display> CarriesLoadFailure for E {}

impl<V> Cacheable<V> for V {
    fn kept(&self) -> Option<&V> {
        Some(self)
    }

    fn from_kept(value: V) -> Self {
        value
    }
}

impl<V, E: CarriesLoadFailure> Cacheable<V> for Result<V, E> {
    fn kept(&self) -> Option<&V> {
        self.as_ref().ok()
    }

    fn from_kept(value: V) -> Self {
        Ok(value)
    }

    fn failure(&self) -> Option<String> {
        self.as_ref().err().map(ToString::to_string)
    }

    fn load_failed(error: Error) -> Option<Self> {
        Some(Err(error.into()))
    }
}

impl<V> Cacheable<V> for Option<V> {
    fn kept(&self) -> Option<&V> {
        self.as_ref()
    }

    fn from_kept(value: V) -> Self {
        Some(value)
    }

    fn failure(&self) -> Option<String> {
        self.is_none().then(|| "there is no value".to_owned())
    }

    fn load_failed(_: Error) -> Option<Self> {
        Some(None)
    }
}

/// Values that say "there is none": an `Err`, a `None`. See
/// [`MemoBuilder::negative`](crate::MemoBuilder::negative).
///
/// ```
/// use decor::Negative;
///
/// assert!(Err::<u8, _>("no such user").is_negative());
/// assert!(!Some(7).is_negative());
/// ```
pub trait Negative {
    /// Whether it is one.
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
