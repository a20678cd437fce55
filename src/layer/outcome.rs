//! How a call ended, in one word.

use std::fmt;

/// How a call ended.
///
/// More outcomes may be added.
///
/// # Examples
///
/// ```
/// use decor::Outcome;
///
/// assert_eq!(Outcome::Cancelled.to_string(), "cancelled");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// It came to its end.
    Completed,
    /// It came to its end with an `Ok`; only by [`Timing::by_result`](crate::Timing::by_result).
    Ok,
    /// It came to its end with an `Err`; only by [`Timing::by_result`](crate::Timing::by_result).
    Err,
    /// It was dropped before its end.
    Cancelled,
    /// It panicked.
    Panicked,
}

impl Outcome {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Ok => "ok",
            Self::Err => "err",
            Self::Cancelled => "cancelled",
            Self::Panicked => "panicked",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
