//! Log lines about calls: one at the start, one at the end.

use crate::{
    Name, ResultLike,
    call::args::{DebugArgs, Inspect},
    clock::{Clock, Instant},
    describe::StepKind,
    layer::{
        ByMemo, Captures, Decoration, End, Gate, GateSource, MemoOutcome, Outcome, Renewable, Wait, memo_outcome,
        repeats_in_place,
    },
    name::short_type_name,
    trace::{Readable, enabled, event, may_be_enabled},
};
use std::{
    fmt::{self, Write},
    task::Poll,
    time::Duration,
};
use tracing::Level;

/// Settings of `.logged_with(..)`: the levels of the lines, and the parts of arguments and values
/// that the lines show.
///
/// By default the lines show neither arguments nor values, so that no secret in them reaches a log
/// by accident, and neither needs `Debug`. The text of an error is always shown, with the whole
/// chain of causes if `{:#}` of the error shows it, as with anyhow.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// use decor::{Logging, prelude::*};
/// use tracing::Level;
///
/// async fn login(user: String, password: String) -> Result<u64, String> { Ok(7) }
///
/// let login = login.logged_with(
///     Logging::new()
///         .args(|user: &String, _password: &String| user.clone())
///         .level(Level::TRACE)
///         .error_level(Level::ERROR),
/// );
/// assert_eq!(login.call("ann".into(), "secret".into()).await, Ok(7));
/// # }
/// ```
#[derive(Debug, Clone)]
#[must_use = "a `Logging` does nothing until it is given to `.logged_with(..)`"]
pub struct Logging<S = HideValues> {
    call_level: Level,
    level: Level,
    error_level: Level,
    show: S,
}

impl Logging {
    /// Maximum length of the shown text of a call's arguments, or of its value, in characters: 256.
    /// A longer text is cut there, and ends in `…`.
    pub const MAX_SHOWN: usize = 256;

    /// Logs calls at `debug`, returns at `info` and errors at `warn`, without arguments and values.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use decor::{Logging, prelude::*};
    ///
    /// async fn fetch(id: u64) -> Result<u64, String> { Ok(id) }
    /// // the same as `.logged()`
    /// assert_eq!(fetch.logged_with(Logging::new()).call(1).await, Ok(1));
    /// # }
    /// ```
    pub fn new() -> Self {
        Self { call_level: Level::DEBUG, level: Level::INFO, error_level: Level::WARN, show: HideValues }
    }

    /// Shows arguments and values by their `Debug`, each cut at [`MAX_SHOWN`](Logging::MAX_SHOWN)
    /// characters.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use decor::{Logging, prelude::*};
    ///
    /// async fn fetch(id: u64) -> Result<u64, String> { Ok(id) }
    /// let fetch = fetch.logged_with(Logging::new().values().level(tracing::Level::DEBUG));
    /// assert_eq!(fetch.call(1).await, Ok(1));
    /// # }
    /// ```
    pub fn values(self) -> Logging<ShowDebug> {
        self.showing(ShowDebug)
    }

    /// Shows the text that `pick` makes from the arguments, and no values. `pick` is called only if
    /// there is a listener.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use decor::{Logging, prelude::*};
    ///
    /// async fn fetch(id: u64, token: &str) -> Result<u64, String> { Ok(id) }
    /// let fetch = fetch.logged_with(Logging::new().args(|id: &u64, _token: &&str| *id));
    /// assert_eq!(fetch.call(1, "secret").await, Ok(1));
    /// # }
    /// ```
    pub fn args<P>(self, pick: P) -> Logging<ShowPicked<P>> {
        self.showing(ShowPicked(pick))
    }

    fn showing<S>(self, show: S) -> Logging<S> {
        let Self { call_level, level, error_level, show: HideValues } = self;
        Logging { call_level, level, error_level, show }
    }
}

impl Default for Logging {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> Logging<S> {
    /// Adds the memo's outcome to the lines `.. returned` and `.. failed`, as the field `memo`:
    /// `hit`, `stale`, `miss` or `coalesced`.
    ///
    /// [`Timing::by_memo`](crate::Timing::by_memo) describes which memo of a chain sets the
    /// outcome, and which calls have no such field.
    ///
    /// # Examples
    ///
    #[cfg_attr(feature = "memo", doc = "```")]
    #[cfg_attr(not(feature = "memo"), doc = "```text")]
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use decor::{Logging, prelude::*};
    /// use std::time::Duration;
    ///
    /// async fn fetch(id: u64) -> Result<u64, String> { Ok(id) }
    ///
    /// let users: Memo<u64, u64> = Memo::ttl(Duration::from_secs(300));
    /// let fetch = fetch.memoized(&users).logged_with(Logging::new().values().by_memo());
    /// assert_eq!(fetch.call(42).await, Ok(42)); // `fetch returned 42`, memo="miss"
    /// assert_eq!(fetch.call(42).await, Ok(42)); // `fetch returned 42`, memo="hit"
    /// # }
    /// ```
    pub fn by_memo(self) -> Logging<ByMemo<S>> {
        let Self { call_level, level, error_level, show } = self;
        Logging { call_level, level, error_level, show: ByMemo(show) }
    }

    /// Sets the level of the lines `calling ..`, `.. returned` and `.. cancelled`.
    ///
    /// # Examples
    ///
    /// ```
    /// let logging = decor::Logging::new().level(tracing::Level::TRACE);
    /// assert!(format!("{logging:?}").contains("level: Level(Trace)"));
    /// ```
    pub fn level(mut self, level: Level) -> Self {
        self.call_level = level;
        self.level = level;
        self
    }

    /// Sets the level of the lines `.. failed` and `.. panicked`.
    ///
    /// # Examples
    ///
    /// ```
    /// let logging = decor::Logging::new().error_level(tracing::Level::ERROR);
    /// assert!(format!("{logging:?}").contains("error_level: Level(Error)"));
    /// ```
    pub fn error_level(mut self, level: Level) -> Self {
        self.error_level = level;
        self
    }
}

/// Shows neither arguments nor values.
#[derive(Clone, Copy)]
pub struct HideValues;

/// Shows the method of the chain.
impl fmt::Debug for HideValues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(".logged()")
    }
}

/// Shows arguments and values by their `Debug`.
#[derive(Clone, Copy)]
pub struct ShowDebug;

/// Shows the method of the chain.
impl fmt::Debug for ShowDebug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(".logged_values()")
    }
}

/// Shows the text that a closure makes from the arguments, and no values.
#[derive(Clone, Copy)]
pub struct ShowPicked<P>(P);

/// Shows the method of the chain.
impl<P> fmt::Debug for ShowPicked<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(".logged_args(..)")
    }
}

/// The part of the arguments that a [`Logging`] shows.
pub trait ShowArgs<Args> {
    /// Returns the text of the arguments with its parentheses; empty to show neither.
    fn args(&self, args: &Args) -> Box<str>;
}

/// The part of a success that a [`Logging`] shows.
pub trait ShowValue<T> {
    /// `true` if the lines show the memo's outcome.
    const BY_MEMO: bool = false;

    /// Returns the value to show; `None` to show none.
    fn value<'v>(&self, value: &'v T) -> Option<&'v dyn fmt::Debug>;
}

impl<Args, S: ShowArgs<Args>> ShowArgs<Args> for ByMemo<S> {
    fn args(&self, args: &Args) -> Box<str> {
        self.0.args(args)
    }
}

impl<T, S: ShowValue<T>> ShowValue<T> for ByMemo<S> {
    const BY_MEMO: bool = true;

    fn value<'v>(&self, value: &'v T) -> Option<&'v dyn fmt::Debug> {
        self.0.value(value)
    }
}

impl<Args> ShowArgs<Args> for HideValues {
    fn args(&self, _: &Args) -> Box<str> {
        Box::default()
    }
}

impl<T> ShowValue<T> for HideValues {
    fn value<'v>(&self, _: &'v T) -> Option<&'v dyn fmt::Debug> {
        None
    }
}

impl<Args: DebugArgs> ShowArgs<Args> for ShowDebug {
    fn args(&self, args: &Args) -> Box<str> {
        text(format_args!("{}", Truncated(ArgsList(args))))
    }
}

impl<T: fmt::Debug> ShowValue<T> for ShowDebug {
    fn value<'v>(&self, value: &'v T) -> Option<&'v dyn fmt::Debug> {
        Some(value)
    }
}

impl<P, Args> ShowArgs<Args> for ShowPicked<P>
where
    P: Inspect<Args>,
    P::Output: fmt::Display,
{
    fn args(&self, args: &Args) -> Box<str> {
        text(format_args!("({})", Truncated(self.0.inspect(args))))
    }
}

impl<P, T> ShowValue<T> for ShowPicked<P> {
    fn value<'v>(&self, _: &'v T) -> Option<&'v dyn fmt::Debug> {
        None
    }
}

/// Like `format!`, but ends the text at an argument with a failing `Debug`. `format!` would panic.
fn text(arguments: fmt::Arguments<'_>) -> Box<str> {
    let mut text = String::new();
    // Writing to a `String` cannot fail, so only the `Debug` of an argument can.
    let _ = text.write_fmt(arguments);
    text.into()
}

/// The arguments as they were written in the call: `(42, "en")`.
struct ArgsList<'a, Args>(&'a Args);

impl<Args: DebugArgs> fmt::Display for ArgsList<'_, Args> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt_args(f)
    }
}

/// A value by its `Debug`.
struct Value<'a>(&'a dyn fmt::Debug);

impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A text that is cut at [`MAX_SHOWN`](Logging::MAX_SHOWN) characters. The rest is not formatted.
struct Truncated<D>(D);

impl<D: fmt::Display> fmt::Display for Truncated<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut truncator = Truncator { out: f, left: Logging::MAX_SHOWN, cut: false };
        match write!(truncator, "{}", self.0) {
            Err(fmt::Error) if !truncator.cut => Err(fmt::Error),
            _ => Ok(()),
        }
    }
}

struct Truncator<'a, 'f> {
    out: &'a mut fmt::Formatter<'f>,
    left: usize,
    cut: bool,
}

impl Write for Truncator<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let Some((end, _)) = text.char_indices().nth(self.left) else {
            self.left -= text.chars().count();
            return self.out.write_str(text);
        };
        self.out.write_str(&text[..end])?;
        self.out.write_str("…")?;
        self.cut = true;
        Err(fmt::Error) // stops the formatting of the rest
    }
}

/// The gate of [`.logged()`](crate::FnExt::logged), which logs one call. Reads the clock only if
/// the lines have a listener.
#[derive(Debug, Clone)]
pub struct CallLog<S> {
    logging: Logging<S>,
    name: Name,
    /// Text of the arguments; empty if they are not shown. Not an `Option`, because the
    /// uninitialised bytes of a `None` would be copied along with the neighbouring field.
    args: Box<str>,
    started: Option<Instant>,
}

impl<S> CallLog<S> {
    pub(crate) fn new(logging: Logging<S>, name: Name) -> Self {
        Self { logging, name, args: Box::default(), started: None }
    }

    #[inline(never)]
    fn begin(&mut self, clock: Clock) {
        let Logging { call_level, level, error_level, .. } = self.logging;
        if enabled(call_level) {
            let (name, args) = (self.name.get(), &self.args);
            event!(call_level, name, "calling {name}{args}");
        }
        if enabled(level) || enabled(error_level) {
            self.started = Some(clock.stamp());
        }
    }

    #[cold]
    #[inline(never)]
    fn abandoned(&self, outcome: Outcome, elapsed: Duration) {
        let level = if outcome == Outcome::Panicked { self.logging.error_level } else { self.logging.level };
        let (name, outcome, took) = (self.name.get(), outcome.as_str(), Readable(elapsed));
        event!(level, name, elapsed = elapsed.as_secs_f64(), outcome, "{name} {outcome} in {took}");
    }

    #[inline(never)]
    fn ended<T>(&self, started: Instant, output: Option<&T>, outcome: Outcome, clock: Clock)
    where
        T: ResultLike<Err: fmt::Display>,
        S: ShowValue<T::Ok>,
    {
        let memo = if S::BY_MEMO { memo_outcome::latest().map(MemoOutcome::as_str) } else { None };
        let took = || clock.stamp().duration_since(started);
        let Some(result) = output.map(T::as_result) else { return self.abandoned(outcome, took()) };
        let level = if result.is_ok() { self.logging.level } else { self.logging.error_level };
        if !enabled(level) {
            return;
        }
        let (name, took) = (self.name.get(), took());
        let (elapsed, took) = (took.as_secs_f64(), Readable(took));
        match result.map(|value| self.logging.show.value(value)) {
            Ok(None) => event!(level, name, elapsed, outcome = "ok", memo, "{name} returned in {took}"),
            Ok(Some(value)) => {
                event!(level, name, elapsed, outcome = "ok", memo, "{name} returned {}", Truncated(Value(value)));
            }
            Err(error) => {
                let kind = short_type_name::<T::Err>();
                event!(level, name, elapsed, outcome = "err", memo, "{name} failed in {took}: {kind}: {error:#}");
            }
        }
    }
}

#[diagnostic::do_not_recommend]
impl<T, S> Gate<T> for CallLog<S>
where
    T: ResultLike<Err: fmt::Display>,
    S: ShowValue<T::Ok>,
{
    #[inline]
    fn enter(&mut self, wait: &mut Wait<'_>) -> Poll<Result<(), T>> {
        // `call_level` is never more severe than `level`, so the other two levels are enough.
        let Logging { level, error_level, .. } = self.logging;
        if may_be_enabled(level.min(error_level)) {
            self.begin(wait.clock());
        }
        Poll::Ready(Ok(()))
    }

    #[inline]
    fn drive<P>(&mut self, call: impl FnOnce() -> P) -> P {
        if S::BY_MEMO {
            memo_outcome::leave(None);
        }
        call()
    }

    #[inline]
    fn end(&mut self, end: End<'_, T>) {
        if let Some(started) = self.started {
            self.ended(started, end.output(), end.outcome(), end.clock());
        }
    }
}

impl<S> Renewable for CallLog<S> {
    #[inline]
    fn release(&mut self) {
        self.started = None;
    }
}

/// The decoration of [`.logged()`](crate::FnExt::logged) and its variants.
#[derive(Debug, Clone)]
pub struct Logged<S> {
    logging: Logging<S>,
    name: Name,
}

impl<S> Logged<S> {
    pub(crate) fn new(logging: Logging<S>, name: Name) -> Self {
        Self { logging, name }
    }
}

impl<S: fmt::Debug> Decoration for Logged<S> {
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.logging.show)
    }

    fn kind(&self) -> StepKind {
        StepKind::Immediate
    }

    fn decorates(&mut self, function: Name) {
        self.name = function;
    }
}

impl<Args, S: ShowArgs<Args>> Captures<Args> for Logged<S> {
    type Captured = Box<str>;

    #[inline]
    fn capture(&self, args: &Args) -> Box<str> {
        if enabled(self.logging.call_level) { self.logging.show.args(args) } else { Box::default() }
    }
}

impl<Args, S: ShowArgs<Args> + fmt::Debug> GateSource<Args> for Logged<S> {
    type Gate = CallLog<S>;

    #[inline]
    fn gate(self, args: Box<str>) -> CallLog<S> {
        let Self { logging, name } = self;
        CallLog { logging, name, args, started: None }
    }

    repeats_in_place!(Args);
}

/// Not in `tests/it`, because the maximum level of tracing is process-wide, and those tests set it
/// to `trace`.
#[cfg(test)]
mod tests {
    use super::*;
    use crate::prelude::*;
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };
    use tracing::{Event, Metadata, Subscriber, level_filters::LevelFilter, span, subscriber::with_default};

    /// Counts the lines up to a level.
    struct Counter(Level, Arc<AtomicUsize>);

    impl Subscriber for Counter {
        fn enabled(&self, metadata: &Metadata<'_>) -> bool {
            *metadata.level() <= self.0
        }

        fn max_level_hint(&self) -> Option<LevelFilter> {
            Some(self.0.into())
        }

        fn event(&self, _: &Event<'_>) {
            self.1.fetch_add(1, Ordering::Relaxed);
        }

        fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
            span::Id::from_u64(1)
        }

        fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
        fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
        fn enter(&self, _: &span::Id) {}
        fn exit(&self, _: &span::Id) {}
    }

    /// Numbers of lines up to this level: of a success, and of a failure.
    fn lines(up_to: Level, logging: &Logging) -> [usize; 2] {
        [Ok(()), Err("no")].map(|result| {
            let count = Arc::new(AtomicUsize::new(0));
            let call = (|| result).blocking().logged_with(logging.clone());
            with_default(Counter(up_to, Arc::clone(&count)), || call.run()).ok();
            count.load(Ordering::Relaxed)
        })
    }

    #[test]
    fn each_line_is_logged_by_its_own_level() {
        let logging = Logging::new();
        assert_eq!(lines(Level::TRACE, &logging), [2, 2]);
        assert_eq!(lines(Level::DEBUG, &logging), [2, 2]);
        assert_eq!(lines(Level::INFO, &logging), [1, 1]);
        assert_eq!(lines(Level::WARN, &logging), [0, 1]);
        assert_eq!(lines(Level::ERROR, &logging), [0, 0]);

        let quiet_errors = Logging::new().error_level(Level::TRACE);
        assert_eq!(lines(Level::INFO, &quiet_errors), [1, 0]);
        let only_errors = Logging::new().level(Level::TRACE).error_level(Level::ERROR);
        assert_eq!(lines(Level::ERROR, &only_errors), [0, 1]);
        let loud = Logging::new().level(Level::ERROR).error_level(Level::TRACE);
        assert_eq!(lines(Level::ERROR, &loud), [2, 1]);
    }
}
