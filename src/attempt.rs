//! Number of the attempt in progress.

use crate::clock::Instant;
use std::cell::Cell;

thread_local! {
    /// Number of the innermost attempt that this thread runs now; 1 outside of retries.
    static NUMBER: Cell<u32> = const { Cell::new(1) };
    /// Start of the outermost retry in progress that keeps its place in queues; `None` until that
    /// retry is past its first attempt.
    static KEEPS_PLACE_SINCE: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Returns the number of the attempt in progress: 1 for the first attempt of a
/// [retry](crate::FnExt::retry_with), and 1 outside of retries.
///
/// In nested retries, the number is that of the innermost retry. Each task sees the number of its
/// own call, even if the calls of several tasks take turns on one thread. A sync call that runs on
/// another thread because of its `.timeout(..)` sees the number of its caller. A task or a thread
/// that an attempt spawns is outside of the retry. The predicates and hooks of a retry see 1, even
/// within a later attempt of another retry.
///
/// Costs about a nanosecond.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
/// use decor::{attempt, prelude::*};
///
/// async fn fetch(id: u64) -> Result<String, String> {
///     let header = format!("x-attempt: {}", attempt());
///     if attempt() < 3 { Err("busy".to_owned()) } else { Ok(header) }
/// }
///
/// let fetch = fetch.retry_with(RetryPolicy::default());
/// assert_eq!(fetch.call(42).await.unwrap(), "x-attempt: 3");
/// assert_eq!(attempt(), 1);
/// # }
/// ```
#[must_use]
#[inline]
pub fn attempt() -> u32 {
    NUMBER.get()
}

/// The time that decides the place of a call that joins a queue now; `None` for the end of the
/// queue.
pub(crate) fn keeps_place_since() -> Option<Instant> {
    KEEPS_PLACE_SINCE.get()
}

/// The attempt that a thread runs, with the retry around it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scope {
    number: u32,
    keeps_place_since: Option<Instant>,
}

impl Scope {
    /// `keeps_place_since` is the start of a retry that keeps its place; `None` for other retries.
    pub(crate) fn new(number: u32, keeps_place_since: Option<Instant>) -> Self {
        Self { number, keeps_place_since }
    }

    /// The scope of this thread, for another thread that runs a part of its call.
    pub(crate) fn current() -> Self {
        Self::new(NUMBER.get(), KEEPS_PLACE_SINCE.get())
    }

    /// Runs an attempt, or one poll of it. A first attempt needs this only within a later attempt
    /// of another retry, because [`attempt()`](attempt()) is 1 elsewhere.
    #[cold]
    #[inline(never)]
    pub(crate) fn run<T>(self, call: impl FnOnce() -> T) -> T {
        let before = Before(Self::current());
        // The outer retry began earlier, so its start decides.
        Self::new(self.number, before.0.keeps_place_since.or(self.keeps_place_since)).set();
        let result = call();
        drop(before);
        result
    }

    fn set(self) {
        NUMBER.set(self.number);
        KEEPS_PLACE_SINCE.set(self.keeps_place_since);
    }
}

/// Restores the previous scope on drop, and so during unwinding too.
struct Before(Scope);

impl Drop for Before {
    fn drop(&mut self) {
        self.0.set();
    }
}
