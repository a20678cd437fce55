//! A line when a call begins, and one when it ends.

use crate::{
    Name, ResultLike,
    call::args::{DebugArgs, Inspect},
    clock::{Clock, Instant},
    layer::{
        ByMemo, Captures, Decoration, End, Gate, GateSource, MemoOutcome, Outcome, Renewable, Wait, memo_outcome,
        repeats_in_place,
    },
    name::short_type_name,
    trace::{Readable, enabled, event, within_filter},
};
use std::{
    fmt::{self, Write},
    task::Poll,
    time::Duration,
};
use tracing::Level;

/// How `.logged_with(..)` logs: at which levels, and what of arguments and values it shows.
///
/// By default nothing of either is shown, so that no secret in them can reach a log by accident, and nothing needs `Debug`.
/// An error's text is always shown, with its whole chain of causes where its `{:#}` has them, as anyhow's does.
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
#[must_use = "it does nothing until it is given to `.logged_with(..)`"]
pub struct Logging<S = Discreet> {
    call_level: Level,
    level: Level,
    error_level: Level,
    show: S,
}

impl Logging {
    /// The longest text of a call's arguments, or of its value, that is shown, in characters: 256. What is longer is cut
    /// there, and ends in `…`.
    pub const MAX_SHOWN: usize = 256;

    /// Calls at `debug`, returns at `info`, errors at `warn`; neither arguments nor values.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use decor::{Logging, prelude::*};
    ///
    /// async fn fetch(id: u64) -> Result<u64, String> { Ok(id) }
    /// assert_eq!(fetch.logged_with(Logging::new()).call(1).await, Ok(1)); // the same as `.logged()`
    /// # }
    /// ```
    pub fn new() -> Self {
        Self { call_level: Level::DEBUG, level: Level::INFO, error_level: Level::WARN, show: Discreet }
    }

    /// Shows arguments and values by their `Debug`, each cut at [`MAX_SHOWN`](Logging::MAX_SHOWN) characters.
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
    pub fn values(self) -> Logging<Values> {
        self.showing(Values)
    }

    /// Shows of the arguments what `pick` returns. It is called only when somebody listens.
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
    pub fn args<P>(self, pick: P) -> Logging<Picked<P>> {
        self.showing(Picked(pick))
    }

    fn showing<S>(self, show: S) -> Logging<S> {
        let Self { call_level, level, error_level, show: Discreet } = self;
        Logging { call_level, level, error_level, show }
    }
}

impl Default for Logging {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> Logging<S> {
    /// Tells how the memo of the chain answered, as the field `memo` of the lines `.. returned` and
    /// `.. failed`: `hit`, `stale`, `miss` or `coalesced`.
    ///
    /// [`Timing::by_memo`](crate::Timing::by_memo) says which memo tells, and which calls have no
    /// such field.
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

    /// The level of the lines `calling ..`, `.. returned` and `.. cancelled`.
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

    /// The level of the lines `.. failed` and `.. panicked`.
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
pub struct Discreet;

/// As it shows in a chain.
impl fmt::Debug for Discreet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(".logged()")
    }
}

/// Shows arguments and values by their `Debug`.
#[derive(Clone, Copy)]
pub struct Values;

/// As it shows in a chain.
impl fmt::Debug for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(".logged_values()")
    }
}

/// Shows what a closure picks of the arguments.
#[derive(Clone, Copy)]
pub struct Picked<P>(P);

/// As it shows in a chain.
impl<P> fmt::Debug for Picked<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(".logged_args(..)")
    }
}

/// What a [`Logging`] shows of arguments.
pub trait ShowArgs<Args> {
    /// The text between the parentheses, and these; `None` to show nothing, not even parentheses.
    fn args(&self, args: &Args) -> Box<str>;
}

/// What a [`Logging`] shows of the value of a success.
pub trait ShowValue<T> {
    /// `true` if the memo's outcome is shown.
    const BY_MEMO: bool = false;

    /// The value, if it is to be shown.
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

impl<Args> ShowArgs<Args> for Discreet {
    fn args(&self, _: &Args) -> Box<str> {
        Box::default()
    }
}

impl<T> ShowValue<T> for Discreet {
    fn value<'v>(&self, _: &'v T) -> Option<&'v dyn fmt::Debug> {
        None
    }
}

impl<Args: DebugArgs> ShowArgs<Args> for Values {
    fn args(&self, args: &Args) -> Box<str> {
        text(format_args!("{}", Cut(AsCalled(args))))
    }
}

impl<T: fmt::Debug> ShowValue<T> for Values {
    fn value<'v>(&self, value: &'v T) -> Option<&'v dyn fmt::Debug> {
        Some(value)
    }
}

impl<P, Args> ShowArgs<Args> for Picked<P>
where
    P: Inspect<Args>,
    P::Output: fmt::Display,
{
    fn args(&self, args: &Args) -> Box<str> {
        text(format_args!("({})", Cut(self.0.inspect(args))))
    }
}

impl<P, T> ShowValue<T> for Picked<P> {
    fn value<'v>(&self, _: &'v T) -> Option<&'v dyn fmt::Debug> {
        None
    }
}

/// As `format!`, but an argument whose `Debug` fails ends the text there, where `format!` would end the call by a panic.
fn text(arguments: fmt::Arguments<'_>) -> Box<str> {
    let mut text = String::new();
    // A `String` takes everything, so only the argument can have failed.
    let _ = text.write_fmt(arguments);
    text.into()
}

/// Arguments as they stood in the call.
struct AsCalled<'a, Args>(&'a Args);

impl<Args: DebugArgs> fmt::Display for AsCalled<'_, Args> {
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

/// At most [`MAX_SHOWN`](Logging::MAX_SHOWN) characters; what would come after them is not even formatted.
struct Cut<D>(D);

impl<D: fmt::Display> fmt::Display for Cut<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut cutter = Cutter { out: f, left: Logging::MAX_SHOWN, cut: false };
        match write!(cutter, "{}", self.0) {
            Err(fmt::Error) if !cutter.cut => Err(fmt::Error),
            _ => Ok(()),
        }
    }
}

struct Cutter<'a, 'f> {
    out: &'a mut fmt::Formatter<'f>,
    left: usize,
    cut: bool,
}

impl Write for Cutter<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let Some((end, _)) = text.char_indices().nth(self.left) else {
            self.left -= text.chars().count();
            return self.out.write_str(text);
        };
        self.out.write_str(&text[..end])?;
        self.out.write_str("…")?;
        self.cut = true;
        Err(fmt::Error) // stops the formatting
    }
}

/// The gate of [`.logged()`](crate::FnExt::logged): the log lines of one call. Reads the clock only
/// if the lines have a listener.
#[derive(Debug, Clone)]
pub struct CallLog<S> {
    logging: Logging<S>,
    name: Name,
    /// Empty unless the arguments are shown. Not an `Option`: the uninitialised bytes of a `None`
    /// would be copied along with the neighbouring field.
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
            self.started = Some(clock.now());
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
        let took = || clock.now().duration_since(started);
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
                event!(level, name, elapsed, outcome = "ok", memo, "{name} returned {}", Cut(Value(value)));
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
        // `call_level` is never more severe than `level`, so these two levels are enough.
        let Logging { level, error_level, .. } = self.logging;
        if within_filter(level.min(error_level)) {
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

/// The decoration of [`.logged()`](crate::FnExt::logged) and its kin.
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

/// Here, and not beside the other tests: theirs hear everything, and what anybody may hear is one setting for the whole process.
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
    struct Ear(Level, Arc<AtomicUsize>);

    impl Subscriber for Ear {
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

    /// The lines of a success and of a failure that are heard up to this level.
    fn heard(up_to: Level, logging: &Logging) -> [usize; 2] {
        [Ok(()), Err("no")].map(|result| {
            let lines = Arc::new(AtomicUsize::new(0));
            let call = (|| result).blocking().logged_with(logging.clone());
            with_default(Ear(up_to, Arc::clone(&lines)), || call.run()).ok();
            lines.load(Ordering::Relaxed)
        })
    }

    #[test]
    fn a_line_is_heard_however_quiet_the_others_are() {
        let logging = Logging::new();
        assert_eq!(heard(Level::TRACE, &logging), [2, 2]);
        assert_eq!(heard(Level::DEBUG, &logging), [2, 2]);
        assert_eq!(heard(Level::INFO, &logging), [1, 1]);
        assert_eq!(heard(Level::WARN, &logging), [0, 1]);
        assert_eq!(heard(Level::ERROR, &logging), [0, 0]);

        let quiet_errors = Logging::new().error_level(Level::TRACE);
        assert_eq!(heard(Level::INFO, &quiet_errors), [1, 0]);
        let only_errors = Logging::new().level(Level::TRACE).error_level(Level::ERROR);
        assert_eq!(heard(Level::ERROR, &only_errors), [0, 1]);
        let loud = Logging::new().level(Level::ERROR).error_level(Level::TRACE);
        assert_eq!(heard(Level::ERROR, &loud), [2, 1]);
    }
}
