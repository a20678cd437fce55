//! A chain as data.

use super::{Lint, Step, longest::longest, picture, rules, svg};
use std::{
    fmt::{self, Display, Write},
    time::Duration,
};

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

    /// The faults in the order and in the settings of the chain. Made for a test, which fails when
    /// a change makes the chain worse.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::prelude::*;
    /// use std::time::Duration;
    ///
    /// async fn fetch(id: u64) -> Result<u64, String> { Ok(id) }
    ///
    /// let chain = |total| {
    ///     let fetch = fetch.timeout(Duration::from_secs(2)).retry_with(RetryPolicy::default());
    ///     fetch.timeout(Duration::from_secs(total)).describe()
    /// };
    /// assert!(chain(10).lints().is_empty());
    /// assert_eq!(chain(5).lints()[0].code, "retries-do-not-fit"); // 3 calls of 2 s, 3 s of delays
    /// ```
    #[must_use]
    pub fn lints(&self) -> Vec<Lint> {
        rules::lints(&self.steps)
    }

    /// The longest time after which a call has ended, whatever the function does; `None` if there
    /// is no bound.
    ///
    /// A wait for a permit and a wait for another call's load have a bound only inside a timeout. A
    /// server's hint may lengthen the delays of a retry.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::prelude::*;
    /// use std::time::Duration;
    ///
    /// async fn fetch(id: u64) -> Result<u64, String> { Ok(id) }
    ///
    /// let fetch = fetch.timeout(Duration::from_secs(2)).retry_with(RetryPolicy::default());
    /// assert_eq!(fetch.describe().longest_call(), Some(Duration::from_secs(3 * 2 + 1 + 2)));
    ///
    /// let limiter = RateLimiter::new(10, Duration::from_secs(1));
    /// assert_eq!(fetch.clone().rate_limited(&limiter).describe().longest_call(), None);
    /// ```
    #[must_use]
    pub fn longest_call(&self) -> Option<Duration> {
        longest(&self.steps).pop().flatten()
    }

    /// The picture as an SVG, for a document: nested boxes, of which the outermost is the last
    /// decorator. Needs no file or font, and follows the reader's light or dark colours.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::prelude::*;
    ///
    /// async fn fetch(id: u64) -> Result<u64, String> { Ok(id) }
    ///
    /// let svg = fetch.named("<fetch>").logged().describe().to_svg();
    /// assert!(svg.starts_with("<svg ") && svg.contains("&lt;fetch&gt;"));
    /// ```
    #[must_use]
    pub fn to_svg(&self) -> String {
        svg::draw(&picture::rows(&self.function, &self.steps), format_args!("{self:?}"))
    }
}

/// The picture as text: a decorator a row, the outermost first, with the longest time of a call.
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
/// assert_eq!(chain.to_string(), "\
/// .logged()         at most 2s
/// └─ .timeout(2s)   at most 2s
///    └─ fetch");
/// ```
impl Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        picture::write(&self.function, &self.steps, f)
    }
}

/// The chain as it was written.
impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.function)?;
        self.steps.iter().try_for_each(|step| f.write_str(&step.text))
    }
}
