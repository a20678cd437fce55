//! The name of the method that sets an option.

/// An option that a method sets, for the `Debug` of a chain.
pub trait Word {
    /// The method, as it is written in a chain; empty for a default.
    #[doc(hidden)]
    const WORD: &'static str;

    /// The method's further arguments, after the memo.
    #[doc(hidden)]
    const REST: &'static str = "";
}
