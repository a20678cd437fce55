//! The text of a decorator in the `Debug` of a chain.

use crate::Name;
use std::fmt;

/// Writes a decorator in the `Debug` of a chain.
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
    message = "`{Self}` does not say how it shows itself in the `Debug` of a chain",
    note = "implement `decor::layer::Decoration` for it: it writes the method call, `.counted()`"
)]
pub trait Decoration {
    /// Writes the method call that added it: `.timeout(2s)`.
    ///
    /// # Errors
    ///
    /// Those of the formatter.
    ///
    /// # Examples
    ///
    /// See [`Decoration`].
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result;

    /// Returns whether the decorator may refuse a call by itself; only `.validated(..)` does. Gates
    /// stand on `Late`.
    #[doc(hidden)]
    fn may_refuse(&self) -> bool {
        false
    }

    /// The function's new name, if the decorator changes it; only `.named(..)` does.
    #[doc(hidden)]
    fn rename(&self) -> Option<&Name> {
        None
    }
}
