//! The text of a decorator in the `Debug` of a chain.

use crate::{Name, describe::StepKind};
use std::fmt;

/// Writes the text of a decorator in the `Debug` of a chain.
///
/// # Examples
///
/// ```
/// use decor::{layer::{Decoration, Gate}, prelude::*};
/// use std::fmt;
///
/// #[derive(Clone)]
/// struct Open;
///
/// impl Decoration for Open {
///     fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str(".opened()") }
/// }
///
/// impl<T> Gate<T> for Open {}
///
/// async fn fetch(id: u64) -> u64 { id }
///
/// let fetch = fetch.gated(Open).timed("users");
/// assert_eq!(format!("{fetch:?}"), r#"fetch.opened().timed("users")"#);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no text for the `Debug` of a chain",
    note = "implement `decor::layer::Decoration` for it, which writes the method call: `.counted()`"
)]
pub trait Decoration {
    /// Writes the method call that added the decorator: `.timeout(2s)`.
    ///
    /// # Errors
    ///
    /// Only errors of the formatter.
    ///
    /// # Examples
    ///
    /// See [`Decoration`].
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result;

    /// Returns the kind of the decorator, for the description of a chain. `Other` unless the
    /// decorator is one of decor's own.
    #[doc(hidden)]
    fn kind(&self) -> StepKind {
        StepKind::Other
    }

    /// Makes this clone the decorator of another function, with this name. Only decorators that
    /// keep the name need it.
    #[doc(hidden)]
    fn decorates(&mut self, function: Name) {
        drop(function);
    }

    /// Returns `true` if the decorator may refuse a call by itself. Only `.validated(..)` does. A
    /// gate may refuse calls too, but `Late` marks those.
    #[doc(hidden)]
    fn may_refuse(&self) -> bool {
        false
    }

    /// Returns the new name of the function; `None` if the decorator keeps the name. Only
    /// `.named(..)` changes it.
    #[doc(hidden)]
    fn rename(&self) -> Option<&Name> {
        None
    }
}

/// The text of a decorator.
pub(super) struct Shown<'a, D>(pub(super) &'a D);

impl<D: Decoration> fmt::Display for Shown<'_, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.describe(f)
    }
}
