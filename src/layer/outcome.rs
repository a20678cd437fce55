//! The end of a call, as a word.

use std::fmt;

/// The end of a call.
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
    /// The call returned.
    Completed,
    /// The call returned an `Ok`. Only [`Timing::by_result`](crate::Timing::by_result) and
    /// [`End::outcome_by_result`](super::End::outcome_by_result) tell it from `Completed`.
    Ok,
    /// The call returned an `Err`. Only [`Timing::by_result`](crate::Timing::by_result) and
    /// [`End::outcome_by_result`](super::End::outcome_by_result) tell it from `Completed`.
    Err,
    /// The call was dropped before its end. A sync call was abandoned by its caller.
    Cancelled,
    /// The call panicked.
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
