//! Metrics of each call, by the facade of the `metrics` crate.

use super::{
    callback::Callback,
    timed::{AnyOutput, ByResult, OutcomeOf},
};
use crate::{
    Name,
    clock::{Clock, Instant},
    describe::StepKind,
    layer::{Decoration, End, Gate, GateSource, Outcome, Renewable, Wait, captures_nothing, repeats_in_place},
    sync::Arc,
};
use ::metrics::{Gauge, IntoF64, Key, Label, Level, Metadata, Recorder, SharedString, Unit, with_recorder};
use std::{
    cell::Cell,
    collections::BTreeMap,
    fmt,
    mem::ManuallyDrop,
    ptr,
    // Not from `crate::sync`, because nothing is decided by a name.
    sync::{Mutex, PoisonError},
    task::Poll,
};

/// Settings of `.metered_with(..)`: the labels of a call's metrics, and what they say about its
/// result.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
/// use decor::{Error, Metering, prelude::*};
/// use metrics_util::debugging::DebuggingRecorder;
/// use std::time::Duration;
///
/// async fn hang(id: u64) -> Result<u64, Error> { std::future::pending().await }
///
/// let metering = Metering::new("hang")
///     .by_result()
///     .error_type(|error: &Error| match error {
///         Error::TimedOut { .. } => "timeout",
///         _ => "other",
///     })
///     .label("server.address", "api.example");
/// let hang = hang.timeout(Duration::from_secs(2)).metered_with(metering);
///
/// let recorder = DebuggingRecorder::new();
/// let _guard = metrics::set_default_local_recorder(&recorder);
/// hang.call(1).await.unwrap_err();
///
/// let metrics = recorder.snapshotter().snapshot().into_vec();
/// let (key, ..) = metrics.iter().find(|m| m.0.key().name() == "decor.call.duration").unwrap();
/// let labels = key.key().labels().map(|label| (label.key(), label.value())).collect::<Vec<_>>();
/// assert_eq!(
///     labels,
///     [
///         ("name", "hang"),
///         ("server.address", "api.example"),
///         ("outcome", "err"),
///         ("error.type", "timeout"),
///     ]
/// );
/// # }
/// ```
#[derive(Clone)]
#[must_use = "a `Metering` does nothing until it is given to `.metered_with(..)`"]
pub struct Metering<O = AnyOutput> {
    name: Name,
    labels: Vec<(&'static str, Name)>,
    outcome: O,
}

impl Metering {
    /// Labels the metrics with `name`. The outcomes are `completed`, `cancelled` and `panicked`.
    ///
    /// # Examples
    ///
    /// ```
    /// let metering = decor::Metering::new("fetch");
    /// assert_eq!(format!("{metering:?}"), r#"Metering { name: "fetch", .. }"#);
    /// ```
    pub fn new(name: impl Into<Name>) -> Self {
        Self { name: name.into(), labels: Vec::new(), outcome: AnyOutput }
    }

    /// Tells successes from failures: the outcome is `ok` or `err` in place of `completed`. The
    /// call must return a `Result`.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use decor::{Metering, prelude::*};
    ///
    /// async fn parse(text: &str) -> Result<u8, std::num::ParseIntError> { text.parse() }
    ///
    /// let parse = parse.metered_with(Metering::new("parse").by_result());
    /// assert_eq!(parse.call("7").await, Ok(7));
    /// # }
    /// ```
    pub fn by_result(self) -> Metering<ByResult> {
        self.with(ByResult)
    }
}

impl Metering<ByResult> {
    /// Adds the label `error.type` to failures.
    ///
    /// The label is a `&'static str`, so that a program has few of them. An error's text as a label
    /// would make a series of each text.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::{Error, Failure, Metering};
    /// use std::io;
    ///
    /// let metering = Metering::new("get").by_result().error_type(|error: &Failure<io::Error>| {
    ///     match error {
    ///         Failure::Policy(Error::TimedOut { .. }) => "timeout",
    ///         Failure::Policy(_) => "refused",
    ///         Failure::Call(_) => "io",
    ///     }
    /// });
    /// # drop(metering);
    /// ```
    pub fn error_type<E: 'static>(
        self,
        of: impl Fn(&E) -> &'static str + Send + Sync + 'static,
    ) -> Metering<ByErrorType<E>> {
        self.with(ByErrorType(Callback::new(of)))
    }
}

impl<O> Metering<O> {
    /// Adds a label to all metrics of the calls. Use few values, because each value is a series of
    /// its own.
    ///
    /// # Examples
    ///
    /// ```
    /// let metering = decor::Metering::new("fetch").label("server.address", "api.example");
    /// # drop(metering);
    /// ```
    pub fn label(mut self, key: &'static str, value: impl Into<Name>) -> Self {
        self.labels.push((key, value.into()));
        self
    }

    fn with<P>(self, outcome: P) -> Metering<P> {
        let Self { name, labels, .. } = self;
        Metering { name, labels, outcome }
    }

    /// Makes the keys, once for all calls.
    pub(crate) fn ready(self) -> Metered<O> {
        Metered { keys: Keys::of(&self.name, &self.labels), outcome: self.outcome }
    }
}

impl<O> fmt::Debug for Metering<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metering").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The keys of the metrics of a chain.
#[derive(Clone)]
pub enum Keys {
    /// The keys of a series with static labels. They live as long as the process, as they do in the
    /// recorder. Calls need not count them by reference.
    Static(&'static CallKeys),
    /// The keys of a series with labels that were made at run time.
    Shared(Arc<CallKeys>),
}

type StaticLabels = Vec<(&'static str, &'static str)>;

impl Keys {
    #[inline(never)]
    fn of(name: &Name, labels: &[(&'static str, Name)]) -> Self {
        static MADE: Mutex<BTreeMap<(&str, StaticLabels), &CallKeys>> = Mutex::new(BTreeMap::new());
        let make = || CallKeys::new(name, labels);
        let as_static = |name: &Name| name.text().ok();
        let statics = labels.iter().map(|(key, value)| Some((*key, as_static(value)?))).collect::<Option<_>>();
        let Some(series) = as_static(name).zip(statics) else { return Self::Shared(Arc::new(make())) };
        let mut all = MADE.lock().unwrap_or_else(PoisonError::into_inner);
        Self::Static(all.entry(series).or_insert_with(|| Box::leak(Box::new(make()))))
    }

    #[inline]
    fn made(&self) -> &CallKeys {
        match self {
            Self::Static(keys) => keys,
            Self::Shared(keys) => keys,
        }
    }
}

/// The keys of a future, which has a single call. They are made once a recorder asks for them.
pub enum KeysOfFuture {
    /// Not made yet.
    Due {
        /// The label `name`.
        name: Name,
        /// The further labels.
        labels: Vec<(&'static str, Name)>,
    },
    /// Made.
    Made(Keys),
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.made().name.fmt(f)
    }
}

impl fmt::Debug for KeysOfFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Due { name, .. } => name.fmt(f),
            Self::Made(keys) => keys.fmt(f),
        }
    }
}

/// The source of the keys of one call.
pub trait HasKeys {
    /// Returns the keys, made if they are not.
    fn keys(&mut self) -> &CallKeys;
}

impl HasKeys for Keys {
    #[inline]
    fn keys(&mut self) -> &CallKeys {
        self.made()
    }
}

impl HasKeys for KeysOfFuture {
    fn keys(&mut self) -> &CallKeys {
        if let Self::Due { name, labels } = self {
            *self = Self::Made(Keys::of(name, labels));
        }
        match self {
            Self::Made(keys) => keys.made(),
            Self::Due { .. } => unreachable!("the keys were made above"),
        }
    }
}

const DURATION: &str = "decor.call.duration";
const ACTIVE: &str = "decor.call.active";
static METADATA: Metadata<'static> = Metadata::new("decor::call", Level::INFO, Some(module_path!()));

/// The keys of the metrics of a chain. A recorder looks a key up by its hash, which is computed
/// here, once.
#[derive(Debug)]
pub struct CallKeys {
    name: Name,
    active: Key,
    /// By outcome.
    ended: [Key; 5],
}

impl CallKeys {
    fn new(name: &Name, labels: &[(&'static str, Name)]) -> Self {
        let label = |key: &'static str, value: &Name| Label::new(key, shared(value));
        let mut all = vec![label("name", name)];
        all.extend(labels.iter().map(|(key, value)| label(key, value)));
        let active = Key::from_parts(ACTIVE, all.clone());
        let ended = [Outcome::Completed, Outcome::Ok, Outcome::Err, Outcome::Cancelled, Outcome::Panicked];
        let ended = ended.map(|outcome| {
            let mut labels = all.clone();
            labels.push(Label::from_static_parts("outcome", outcome.as_str()));
            Key::from_parts(DURATION, labels)
        });
        Self { name: name.clone(), active, ended }
    }

    fn ended(&self, outcome: Outcome) -> &Key {
        &self.ended[match outcome {
            Outcome::Completed => 0,
            Outcome::Ok => 1,
            Outcome::Err => 2,
            Outcome::Cancelled => 3,
            Outcome::Panicked => 4,
        }]
    }
}

/// Number of calls for which a thread describes the metrics to a recorder.
const DESCRIBED_CALLS: u32 = 16;

thread_local! {
    /// Address of the recorder that the last call of this thread has met, and the number of calls
    /// for which it is still to be described.
    static MET: Cell<(usize, u32)> = const { Cell::new((0, 0)) };
}

/// Describes the metrics to a recorder that this thread meets. A recorder is known by its address
/// only, which may be that of an earlier one. Therefore a few calls describe the metrics, and not
/// the first one alone.
#[inline]
fn describe(recorder: &dyn Recorder) {
    let address = ptr::from_ref(recorder).cast::<()>().addr();
    let (met, left) = MET.get();
    let left = if met == address { left } else { DESCRIBED_CALLS };
    if left > 0 {
        MET.set((address, left - 1));
        describe_to(recorder);
    }
}

#[cold]
fn describe_to(recorder: &dyn Recorder) {
    let text = "Duration of calls, from the first poll to the end.";
    recorder.describe_histogram(DURATION.into(), Some(Unit::Seconds), text.into());
    recorder.describe_gauge(ACTIVE.into(), Some(Unit::Count), "Calls that have begun and have not ended.".into());
}

/// The text of a name, as the facade takes it.
pub(crate) fn shared(name: &Name) -> SharedString {
    name.text().map_or_else(|shared| Arc::clone(shared).into(), SharedString::const_str)
}

/// Returns `false` if no recorder is installed. A call then needs no clock.
///
/// The facade does not tell no recorder from one that does nothing, which has no fields. A recorder
/// with fields is live, and one without is if its gauges are.
#[inline]
fn is_live(recorder: &dyn Recorder) -> bool {
    size_of_val(recorder) > 0 || has_live_gauges(recorder)
}

#[inline]
fn has_live_gauges(recorder: &dyn Recorder) -> bool {
    static PROBED: Key = Key::from_static_name(ACTIVE);
    let is_asked = Cell::new(false);
    recorder.register_gauge(&PROBED, &METADATA).increment(Nothing(&is_asked));
    is_asked.get()
}

/// An increment of 0 that notes whether a gauge asks for its value. A dead one does not.
struct Nothing<'a>(&'a Cell<bool>);

impl IntoF64 for Nothing<'_> {
    fn into_f64(self) -> f64 {
        self.0.set(true);
        0.0
    }
}

/// The outcome of a call, from its output.
#[diagnostic::on_unimplemented(
    message = "these metrics do not fit a call that returns `{T}`",
    label = "`by_result()` needs a `Result`, and `error_type(|error: &E| ..)` a `Result` with the error `E`",
    note = "for a call without errors, leave out `by_result()`; else call `.fallible()` first: it makes the output a `Result<{T}, decor::Error>`",
    note = "for another error, write its type in the closure: `error_type(|error: &MyError| ..)`"
)]
pub trait Classifies<T> {
    /// Returns the outcome, and the type of the error; `None` for a call that has not failed, and
    /// without [`Metering::error_type`].
    fn classify(&self, output: &T) -> (Outcome, Option<&'static str>);
}

#[diagnostic::do_not_recommend]
impl<T> Classifies<T> for AnyOutput {
    #[inline]
    fn classify(&self, _: &T) -> (Outcome, Option<&'static str>) {
        (Outcome::Completed, None)
    }
}

#[diagnostic::do_not_recommend]
impl<T, E> Classifies<Result<T, E>> for ByResult {
    #[inline]
    fn classify(&self, output: &Result<T, E>) -> (Outcome, Option<&'static str>) {
        (Self::of(output), None)
    }
}

/// A `Result` is [`Outcome::Ok`] or [`Outcome::Err`]. A closure says the type of an error.
// The closure is behind a pointer. As a parameter of the gate, its bound would be "not general
// enough" in a spawned task.
pub struct ByErrorType<E: 'static>(Callback<E, &'static str>);

impl<E: 'static> Clone for ByErrorType<E> {
    #[inline]
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<E: 'static> fmt::Debug for ByErrorType<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ByErrorType(..)")
    }
}

#[diagnostic::do_not_recommend]
impl<T, E: 'static> Classifies<Result<T, E>> for ByErrorType<E> {
    #[inline]
    fn classify(&self, output: &Result<T, E>) -> (Outcome, Option<&'static str>) {
        (ByResult::of(output), output.as_ref().err().map(|error| self.0.call(error)))
    }
}

/// The gate of [`.metered(..)`](crate::FnExt::metered): the metrics of one call.
pub struct CallMeter<O, K = Keys> {
    keys: K,
    outcome: O,
    /// `None` before the first poll, after the end, and without a recorder.
    // Dropped by `Drop`, out of line: otherwise each call without a recorder has 20 instructions
    // more.
    active: ManuallyDrop<Option<Active>>,
    /// `None` before the first poll, and without a recorder.
    // Beside the gauge and not within its `Option`. Without a recorder, the end would wait for the
    // store of the `None` of 4 bytes to read all of it: 3 ns.
    started: Option<Instant>,
}

/// A call that counts as active until this is dropped.
struct Active(Gauge);

impl Drop for Active {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

impl<O> CallMeter<O, KeysOfFuture> {
    pub(crate) fn of_future(metering: Metering<O>) -> Self {
        let Metering { name, labels, outcome } = metering;
        Self::of(KeysOfFuture::Due { name, labels }, outcome)
    }
}

impl<O, K> CallMeter<O, K> {
    #[inline]
    fn of(keys: K, outcome: O) -> Self {
        Self { keys, outcome, active: ManuallyDrop::new(None), started: None }
    }
}

impl<O, K> Drop for CallMeter<O, K> {
    #[inline]
    fn drop(&mut self) {
        if self.active.is_some() {
            end_active(&mut self.active);
        }
    }
}

#[cold]
#[inline(never)]
fn end_active(active: &mut Option<Active>) {
    *active = None;
}

impl<O, K: HasKeys> CallMeter<O, K> {
    #[inline(never)]
    fn begin(&mut self, recorder: &dyn Recorder, clock: Clock) {
        describe(recorder);
        let active = recorder.register_gauge(&self.keys.keys().active, &METADATA);
        active.increment(1.0);
        *self.active = Some(Active(active));
        self.started = Some(clock.stamp());
    }

    #[inline(never)]
    fn ended(&mut self, outcome: Outcome, error_type: Option<&'static str>, clock: Clock) {
        let Some(started) = self.started.take() else { return };
        let elapsed = clock.stamp().duration_since(started);
        *self.active = None;
        let key = self.keys.keys().ended(outcome);
        let record = |key: &Key| {
            with_recorder(|recorder| recorder.register_histogram(key, &METADATA)).record(elapsed.as_secs_f64());
        };
        match error_type {
            None => record(key),
            Some(error) => record(&key.with_extra_labels(vec![Label::from_static_parts("error.type", error)])),
        }
    }
}

#[diagnostic::do_not_recommend]
impl<T, O: Classifies<T>, K: HasKeys> Gate<T> for CallMeter<O, K> {
    #[inline]
    fn enter(&mut self, wait: &mut Wait<'_>) -> Poll<Result<(), T>> {
        let clock = wait.clock();
        with_recorder(move |recorder| {
            if is_live(recorder) {
                self.begin(recorder, clock);
            }
        });
        Poll::Ready(Ok(()))
    }

    #[inline]
    fn end(&mut self, end: End<'_, T>) {
        if self.active.is_none() {
            return;
        }
        let outcome = end.output().map(|output| self.outcome.classify(output));
        let (outcome, error_type) = outcome.unwrap_or((end.outcome(), None));
        self.ended(outcome, error_type, end.clock());
    }
}

impl<O, K: fmt::Debug> fmt::Debug for CallMeter<O, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallMeter").field("name", &self.keys).finish_non_exhaustive()
    }
}

impl<O, K> Renewable for CallMeter<O, K> {
    #[inline]
    fn release(&mut self) {} // the end of the call has left nothing
}

/// The decoration of [`.metered(..)`](crate::FnExt::metered): the settings, with the keys that all
/// calls have.
#[derive(Clone)]
pub struct Metered<O = AnyOutput> {
    keys: Keys,
    outcome: O,
}

impl<O> fmt::Debug for Metered<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metered").field("name", &self.keys).finish_non_exhaustive()
    }
}

impl<O> Decoration for Metered<O> {
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, ".metered({:?})", self.keys)
    }

    fn kind(&self) -> StepKind {
        StepKind::Immediate
    }
}

captures_nothing!(Metered<O>, O);

impl<Args, O> GateSource<Args> for Metered<O> {
    type Gate = CallMeter<O>;

    #[inline]
    fn gate(self, (): ()) -> CallMeter<O> {
        CallMeter::of(self.keys, self.outcome)
    }

    repeats_in_place!(Args);
}
