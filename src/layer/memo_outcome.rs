//! The outcome of a memo, on its way to the decorators that watch the call.
//!
//! A watcher and the memo inside of it end in the same poll, on one stack. The memo therefore
//! leaves its outcome in a thread-local. The watcher clears it before each poll, and reads it right
//! after the last poll. Types and outputs of calls stay as they are, and a call without such a
//! watcher pays for one store.

use std::{cell::Cell, fmt};

/// The outcome of a memo for one call: see [`Timing::by_memo`](crate::Timing::by_memo) and
/// [`Logging::by_memo`](crate::Logging::by_memo).
///
/// More outcomes may be added.
///
/// # Examples
///
#[cfg_attr(feature = "memo", doc = "```")]
#[cfg_attr(not(feature = "memo"), doc = "```text")]
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// use decor::{Logging, MemoOutcome, prelude::*};
/// use std::time::Duration;
///
/// async fn fetch(id: u64) -> Result<u64, String> { Ok(id) }
///
/// let users: Memo<u64, u64> = Memo::ttl(Duration::from_secs(300));
/// let fetch = fetch.memoized(&users).logged_with(Logging::new().by_memo());
/// fetch.call(42).await.unwrap(); // logs `fetch returned in 3.2ms`, with the field `memo="miss"`
/// assert_eq!(MemoOutcome::Miss.to_string(), "miss");
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MemoOutcome {
    /// The memo returned a value that has not expired, at once.
    Hit,
    /// The memo returned an expired value: at once, or because the load of a new value failed.
    Stale,
    /// The call loaded the value itself, or failed to load it.
    Miss,
    /// The call waited for a load that another call had begun.
    Coalesced,
}

impl MemoOutcome {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Stale => "stale",
            Self::Miss => "miss",
            Self::Coalesced => "coalesced",
        }
    }
}

impl fmt::Display for MemoOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Settings of a watcher that also reads the memo's outcome.
#[derive(Clone, Copy)]
pub struct ByMemo<S>(pub(crate) S);

/// Shows the settings alone.
impl<S: fmt::Debug> fmt::Debug for ByMemo<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

thread_local! {
    static LATEST: Cell<Option<MemoOutcome>> = const { Cell::new(None) };
}

/// Stores the outcome of the memoized call in progress; `None` clears it.
#[inline]
pub(crate) fn leave(outcome: impl Into<Option<MemoOutcome>>) {
    // `LATEST.set(..)` is compiled out of line where it has many callers.
    LATEST.with(|latest| latest.set(outcome.into()));
}

/// An output from another thread or task, with the outcome that was stored there.
#[derive(Debug)]
pub(crate) struct Away<T>(T, Option<MemoOutcome>);

impl<T> Away<T> {
    /// Makes a call on this thread for watchers on another one.
    pub(crate) fn call(call: impl FnOnce() -> T) -> Self {
        leave(None);
        Self::ended(call())
    }

    /// The output of a call that has just ended.
    pub(crate) fn ended(output: T) -> Self {
        Self(output, latest())
    }

    /// Stores the outcome on this thread, and returns the output.
    pub(crate) fn arrive(self) -> T {
        leave(self.1);
        self.0
    }
}

/// The outcome of the memoized call that this thread polled last; `None` if it did not end.
pub(crate) fn latest() -> Option<MemoOutcome> {
    LATEST.get()
}
