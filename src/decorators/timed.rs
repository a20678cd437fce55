//! Measures the duration of each call.

use crate::{
    Name,
    clock::Instant,
    decorators::callback::Callback,
    describe::StepKind,
    layer::{
        ByMemo, Decoration, End, Gate, GateSource, MemoOutcome, Outcome, Renewable, Wait, captures_nothing,
        memo_outcome, repeats_in_place,
    },
    trace::{Readable, enabled, event},
};
use std::{fmt, task::Poll, time::Duration};
use tracing::Level;

/// Settings of `.timed_with(..)`: level, threshold, outcome and destination of a measurement.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
/// use decor::{Outcome, Timing, prelude::*};
/// use std::{sync::{Arc, Mutex}, time::Duration};
///
/// async fn fetch(id: u64) -> Result<u64, String> {
///     tokio::time::sleep(Duration::from_millis(120)).await;
///     Err("no such user".into())
/// }
///
/// let lines = Arc::new(Mutex::new(Vec::new()));
/// let sink = Arc::clone(&lines);
/// let timing = Timing::new("fetch")
///     .by_result()
///     .slower_than(Duration::from_millis(100))
///     .record_to(move |m| sink.lock().unwrap().push((m.to_string(), m.outcome)));
/// fetch.timed_with(timing).call(1).await.unwrap_err();
/// assert_eq!(*lines.lock().unwrap(), [("fetch took 120ms".to_string(), Outcome::Err)]);
/// # }
/// ```
#[derive(Clone)]
#[must_use = "a `Timing` does nothing until it is given to `.timed_with(..)`"]
pub struct Timing<O = AnyOutput> {
    name: Name,
    level: Level,
    slower_than: Option<Duration>,
    sink: Option<Callback<Measurement, ()>>,
    outcome: O,
}

impl Timing {
    /// Reports under `name`, at level `info`. A [`Name`] that is made at run time is allocated
    /// once, and shared by all calls.
    ///
    /// # Examples
    ///
    /// ```
    /// let timing = decor::Timing::new("fetch");
    /// assert!(format!("{timing:?}").starts_with(r#"Timing { name: "fetch", level: Level(Info)"#));
    /// ```
    pub fn new(name: impl Into<Name>) -> Self {
        Self { name: name.into(), level: Level::INFO, slower_than: None, sink: None, outcome: AnyOutput }
    }

    /// Tells successes from failures: the outcome is `ok` or `err` in place of `completed`. The
    /// call must return a `Result`.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use decor::{Outcome, Timing, prelude::*};
    ///
    /// async fn parse(text: &str) -> Result<u8, std::num::ParseIntError> { text.parse() }
    ///
    /// let timing = Timing::new("parse").by_result();
    /// let timing = timing.record_to(|m| assert_eq!(m.outcome, Outcome::Ok));
    /// parse.timed_with(timing).call("7").await.unwrap();
    /// # }
    /// ```
    pub fn by_result(self) -> Timing<ByResult> {
        let Self { name, level, slower_than, sink, outcome: AnyOutput } = self;
        Timing { name, level, slower_than, sink, outcome: ByResult }
    }
}

impl<O> Timing<O> {
    /// Adds the memo's outcome to the report: in [`Measurement::memo`], and as the field `memo` of
    /// the event (`hit`, `stale`, `miss` or `coalesced`).
    ///
    /// The memo stands before the timing, with any decorators between the two. With several memos,
    /// the outermost one sets the outcome. With several attempts, the last one sets it. A call that
    /// was refused, cancelled or timed out before the memo answered has no outcome. Use the setting
    /// only for a chain with a memo. In a chain without one, the outcome of a memo that the
    /// function itself uses may be reported.
    ///
    /// # Examples
    ///
    #[cfg_attr(feature = "memo", doc = "```")]
    #[cfg_attr(not(feature = "memo"), doc = "```text")]
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use decor::{MemoOutcome, Timing, prelude::*};
    /// use std::{sync::{Arc, Mutex}, time::Duration};
    ///
    /// async fn fetch(id: u64) -> u64 { id }
    ///
    /// let users = Memo::ttl(Duration::from_secs(300));
    /// let seen = Arc::new(Mutex::new(Vec::new()));
    /// let sink = Arc::clone(&seen);
    /// let timing = Timing::new("fetch").by_memo();
    /// let timing = timing.record_to(move |m| sink.lock().unwrap().push(m.memo));
    /// let fetch = fetch.memoized(&users).timed_with(timing);
    /// fetch.call(42).await;
    /// fetch.call(42).await;
    /// assert_eq!(*seen.lock().unwrap(), [Some(MemoOutcome::Miss), Some(MemoOutcome::Hit)]);
    /// # }
    /// ```
    pub fn by_memo(self) -> Timing<ByMemo<O>> {
        let Self { name, level, slower_than, sink, outcome } = self;
        Timing { name, level, slower_than, sink, outcome: ByMemo(outcome) }
    }

    /// Sets the level of the event (`info` by default).
    ///
    /// # Examples
    ///
    /// ```
    /// let timing = decor::Timing::new("fetch").level(tracing::Level::DEBUG);
    /// assert!(format!("{timing:?}").contains("Debug"));
    /// ```
    pub fn level(mut self, level: Level) -> Self {
        self.level = level;
        self
    }

    /// Reports only calls that took longer than this, whatever their outcome. Zero skips calls that
    /// took no time at all.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::{Timing, prelude::*};
    /// use std::time::Duration;
    ///
    /// let timing = Timing::new("fetch").slower_than(Duration::from_secs(1));
    /// let timing = timing.record_to(|_| panic!("a fast call was reported"));
    /// tokio::time::sleep(Duration::from_millis(10)).timed_with(timing).await;
    /// # }
    /// ```
    pub fn slower_than(mut self, limit: Duration) -> Self {
        self.slower_than = Some(limit);
        self
    }

    /// Passes each measurement to `sink`, such as a histogram or a logger of your own, and logs no
    /// event.
    ///
    /// The sink runs where the call ends, possibly in a `Drop`. It should be quick and must not
    /// panic.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::{Timing, prelude::*};
    /// use std::time::Duration;
    ///
    /// let timing = Timing::new("nap").record_to(|m| assert_eq!(m.to_string(), "nap took 500ms"));
    /// tokio::time::sleep(Duration::from_millis(500)).timed_with(timing).await;
    /// # }
    /// ```
    pub fn record_to(mut self, sink: impl Fn(&Measurement) + Send + Sync + 'static) -> Self {
        self.sink = Some(Callback::new(sink));
        self
    }

    fn report(&self, elapsed: Duration, outcome: Outcome, memo: Option<MemoOutcome>) {
        if self.slower_than.is_some_and(|limit| elapsed <= limit) {
            return;
        }
        let measurement = Measurement { name: self.name.clone(), elapsed, outcome, memo };
        match &self.sink {
            Some(sink) => sink.call(&measurement),
            None => event!(
                self.level,
                name = &*self.name,
                elapsed = elapsed.as_secs_f64(),
                outcome = outcome.as_str(),
                memo = memo.map(MemoOutcome::as_str),
                "{measurement}"
            ),
        }
    }
}

impl<O> fmt::Debug for Timing<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timing")
            .field("name", &self.name)
            .field("level", &self.level)
            .field("slower_than", &self.slower_than)
            .finish_non_exhaustive()
    }
}

/// Duration and outcome of one call, as a [`Timing::record_to`] sink gets them.
///
/// Displays as the line that would have been logged: `fetch took 123ms`. `(cancelled)` or
/// `(panicked)` follows if the call did not return.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
/// use decor::{Outcome, Timing, prelude::*};
/// use std::time::Duration;
///
/// let cancelled = Timing::new("nap").record_to(|m| {
///     assert_eq!(m.name, "nap");
///     assert_eq!((m.elapsed, m.outcome), (Duration::from_secs(1), Outcome::Cancelled));
///     assert_eq!(m.to_string(), "nap took 1s (cancelled)");
/// });
/// let nap = tokio::time::sleep(Duration::from_secs(8)).timed_with(cancelled);
/// nap.fallible().timeout(Duration::from_secs(1)).await.unwrap_err();
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Measurement {
    /// The name that the [`Timing`] was given.
    pub name: Name,
    /// Time from the first poll to the end.
    pub elapsed: Duration,
    /// The end of the call.
    pub outcome: Outcome,
    /// Outcome of the chain's memo; `None` without [`Timing::by_memo`], or if no memo answered.
    pub memo: Option<MemoOutcome>,
}

impl fmt::Display for Measurement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, elapsed, outcome, .. } = self;
        write!(f, "{name} took {}", Readable(*elapsed))?;
        match outcome {
            Outcome::Cancelled | Outcome::Panicked => write!(f, " ({outcome})"),
            _ => Ok(()),
        }
    }
}

/// Reads the outcome of a call from its output.
pub trait OutcomeOf<T> {
    /// `true` if the report includes the memo's outcome.
    const BY_MEMO: bool = false;

    /// Returns the outcome of a call with this output.
    fn of(output: &T) -> Outcome;
}

/// Any output is [`Outcome::Completed`].
#[derive(Debug, Clone, Copy)]
pub struct AnyOutput;

/// A `Result` is [`Outcome::Ok`] or [`Outcome::Err`].
#[derive(Debug, Clone, Copy)]
pub struct ByResult;

impl<T> OutcomeOf<T> for AnyOutput {
    fn of(_: &T) -> Outcome {
        Outcome::Completed
    }
}

impl<T, E> OutcomeOf<Result<T, E>> for ByResult {
    fn of(output: &Result<T, E>) -> Outcome {
        if output.is_ok() { Outcome::Ok } else { Outcome::Err }
    }
}

impl<T, O: OutcomeOf<T>> OutcomeOf<T> for ByMemo<O> {
    const BY_MEMO: bool = true;

    fn of(output: &T) -> Outcome {
        O::of(output)
    }
}

/// The gate of [`.timed(..)`](crate::FnExt::timed), which measures one call. Reads the clock only
/// if the report has a listener.
#[derive(Debug, Clone)]
pub struct Stopwatch<O> {
    timing: Timing<O>,
    /// Time of the first poll; `None` before it, or without a listener.
    started: Option<Instant>,
}

impl<O> Stopwatch<O> {
    #[inline]
    pub(crate) fn new(timing: Timing<O>) -> Self {
        Self { timing, started: None }
    }
}

#[diagnostic::do_not_recommend]
impl<T, O: OutcomeOf<T>> Gate<T> for Stopwatch<O> {
    #[inline]
    fn enter(&mut self, wait: &mut Wait<'_>) -> Poll<Result<(), T>> {
        if self.timing.sink.is_some() || enabled(self.timing.level) {
            self.started = Some(wait.clock().stamp());
        }
        Poll::Ready(Ok(()))
    }

    #[inline]
    fn drive<P>(&mut self, call: impl FnOnce() -> P) -> P {
        if O::BY_MEMO {
            memo_outcome::leave(None);
        }
        call()
    }

    #[inline]
    fn end(&mut self, end: End<'_, T>) {
        let Some(started) = self.started else { return };
        let memo = end.output().and_then(|_| if O::BY_MEMO { memo_outcome::latest() } else { None });
        let outcome = end.output().map_or_else(|| end.outcome(), O::of);
        self.timing.report(end.clock().stamp().duration_since(started), outcome, memo);
    }
}

impl<O> Renewable for Stopwatch<O> {
    #[inline]
    fn release(&mut self) {
        self.started = None;
    }
}

impl<O> Decoration for Timing<O> {
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, ".timed({:?})", self.name)
    }

    fn kind(&self) -> StepKind {
        StepKind::Immediate
    }
}

captures_nothing!(Timing<O>, O);

impl<Args, O> GateSource<Args> for Timing<O> {
    type Gate = Stopwatch<O>;

    #[inline]
    fn gate(self, (): ()) -> Stopwatch<O> {
        Stopwatch::new(self)
    }

    repeats_in_place!(Args);
}
