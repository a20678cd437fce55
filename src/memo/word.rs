//! How an option of a memoized call shows itself.

/// The word that sets an option, for `Debug`.
pub trait Word {
    /// The word; empty for a default.
    #[doc(hidden)]
    const WORD: &'static str;

    /// Its further arguments, after the memo.
    #[doc(hidden)]
    const REST: &'static str = "";
}
