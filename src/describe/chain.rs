//! A chain as data.

use super::Step;
use std::fmt::{self, Display, Write};

/// A description of a chain: the function, and its decorators from the inside out.
///
/// Made by [`.describe()`](crate::FnExt::describe). `Debug` shows the chain as it was written.
///
/// # Examples
///
/// ```
/// use decor::prelude::*;
/// use std::time::Duration;
///
/// async fn fetch(id: u64) -> Result<u64, String> { Ok(id) }
///
/// let chain = fetch.timeout(Duration::from_secs(2)).logged().describe();
/// assert_eq!(chain.function(), "fetch");
/// assert_eq!(chain.steps().len(), 2);
/// assert_eq!(format!("{chain:?}"), "fetch.timeout(2s).logged()");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Chain {
    function: String,
    steps: Vec<Step>,
}

impl Chain {
    /// Makes a chain from the function and the decorators that `add` adds, in this order.
    pub(crate) fn of(add: impl FnOnce(&mut Self)) -> Self {
        let mut chain = Self { function: String::new(), steps: Vec::new() };
        add(&mut chain);
        chain
    }

    /// Adds the function.
    pub(crate) fn begin(&mut self, function: impl Display) {
        let _ = write!(self.function, "{function}");
    }

    /// Adds a decorator around all that was added so far.
    pub(crate) fn push(&mut self, step: Step) {
        self.steps.push(step);
    }

    /// The name of the function, as it is written at the beginning of the chain: `fetch`, or
    /// `load.blocking()` for a sync function.
    ///
    /// # Examples
    ///
    /// See [`Chain`].
    #[must_use]
    pub fn function(&self) -> &str {
        &self.function
    }

    /// The decorators, as they were written: the first one is the innermost.
    ///
    /// # Examples
    ///
    /// See [`Step`].
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }
}

/// The chain as it was written.
impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.function)?;
        self.steps.iter().try_for_each(|step| f.write_str(&step.text))
    }
}
