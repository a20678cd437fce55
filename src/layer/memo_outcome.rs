//! The way in which a memo answered a call, on its way to the decorators that watch the call.
//!
//! A watcher and the memo inside of it end in the same poll, on one stack. The memo therefore
//! leaves its outcome in a place of the thread. The watcher empties that place before each poll,
//! and reads it right after the last. Types and outputs of calls stay as they are, and a call
//! without such a watcher pays for one store.

use std::{cell::Cell, fmt};

/// The way in which a memo answered a call: see [`Timing::by_memo`](crate::Timing::by_memo) and
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
    /// Answered at once, by a value that has not expired.
    Hit,
    /// Answered by a value that has expired: at once, or because the load of a new value failed.
    Stale,
    /// The call loaded the value itself, or failed to.
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

/// The settings of a watcher that also reads the memo's outcome.
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

/// Leaves the outcome of the memoized call that is polled, or `None` if the call did not end.
#[inline]
pub(crate) fn leave(outcome: impl Into<Option<MemoOutcome>>) {
    LATEST.set(outcome.into());
}

/// An output from another thread or task, with the outcome that was left there.
#[derive(Debug)]
pub(crate) struct Away<T>(T, Option<MemoOutcome>);

impl<T> Away<T> {
    /// Makes a call on this thread for watchers that wait on another.
    pub(crate) fn call(call: impl FnOnce() -> T) -> Self {
        leave(None);
        Self::ended(call())
    }

    /// The output of a call that has just ended.
    pub(crate) fn ended(output: T) -> Self {
        Self(output, latest())
    }

    /// Leaves the outcome here.
    pub(crate) fn arrive(self) -> T {
        leave(self.1);
        self.0
    }
}

/// The outcome of the memoized call that this thread polled last.
pub(crate) fn latest() -> Option<MemoOutcome> {
    LATEST.get()
}
