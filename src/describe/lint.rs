//! A fault in the order or in the settings of a chain.

use std::fmt;

/// A fault that a description finds in the order or in the settings of a chain.
///
/// Displays as `code: message`. The [table](super#lints) lists all codes, and what to write
/// instead.
///
/// # Examples
///
/// ```
/// use decor::prelude::*;
/// use std::time::Duration;
///
/// async fn fetch(id: u64) -> Result<u64, String> { Ok(id) }
///
/// let second = Duration::from_secs(1);
/// let lints = fetch.timeout(20 * second).logged().timeout(10 * second).describe().lints();
/// assert_eq!((lints[0].code, &*lints[0].steps), ("timeout-never-fires", &[0, 2][..]));
/// assert_eq!(
///     lints[0].message,
///     ".timeout(20s) never fires, because .timeout(10s) around it fires first",
/// );
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lint {
    /// The name of the fault: `timeout-never-fires`.
    pub code: &'static str,
    /// A sentence that names the decorators.
    pub message: String,
    /// Positions of the decorators in [`Chain::steps`](super::Chain::steps), from the inside out.
    pub steps: Vec<usize>,
}

impl fmt::Display for Lint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}
