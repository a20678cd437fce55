//! How a decorator shows itself.

use std::fmt;

/// How a decorator shows itself in the `Debug` of a chain.
///
/// # Examples
///
/// See [`Gate`](super::Gate).
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
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result;

    /// The function's new name, if the decorator changes it; only `.named(..)` does.
    #[doc(hidden)]
    fn rename(&self) -> Option<&'static str> {
        None
    }
}
