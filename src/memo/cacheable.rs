//! What of an output is remembered.

/// An output of which a memo of `V` keeps something.
///
/// The memo's value type decides what that is. A `Memo<K, User>` keeps of a `Result<User, E>` the
/// `Ok`, of an `Option<User>` the `Some`, and a plain `User` always; a `Memo<K, Result<User, E>>`
/// keeps errors as well, a `Memo<K, Option<User>>` that there is none.
///
/// ```
/// use decor::Cacheable;
///
/// fn keeps<V: Clone>(output: &impl Cacheable<V>) -> Option<V> { output.kept().cloned() }
///
/// assert_eq!(keeps::<u8>(&7), Some(7));
/// assert_eq!(keeps::<u8>(&Err::<u8, _>("no such user")), None);
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
}

impl<V> Cacheable<V> for V {
    fn kept(&self) -> Option<&V> {
        Some(self)
    }

    fn from_kept(value: V) -> Self {
        value
    }
}

impl<V, E> Cacheable<V> for Result<V, E> {
    fn kept(&self) -> Option<&V> {
        self.as_ref().ok()
    }

    fn from_kept(value: V) -> Self {
        Ok(value)
    }
}

impl<V> Cacheable<V> for Option<V> {
    fn kept(&self) -> Option<&V> {
        self.as_ref()
    }

    fn from_kept(value: V) -> Self {
        Some(value)
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
