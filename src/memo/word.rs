//! The text of an option of a memoized call.

/// The method that sets an option, for `Debug`.
pub trait Word {
    /// The name of the method; empty for a default.
    #[doc(hidden)]
    const WORD: &'static str;

    /// Writes the method's further arguments, after the memo.
    #[doc(hidden)]
    const REST: &'static str = "";
}
