//! Helpers of several tests: durations, paused runtimes, a model of clocks, and a listener for
//! decor's events.

use proptest::prelude::ProptestConfig;
use std::{
    collections::BTreeMap,
    env, fmt,
    sync::{Arc, LazyLock, Mutex},
    time::Duration,
};
use tokio::runtime::{Builder, Runtime};
use tracing::{
    Dispatch, Level, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
    subscriber::DefaultGuard,
};
use tracing_subscriber::{
    Layer,
    filter::LevelFilter,
    layer::{Context, SubscriberExt},
    registry,
    registry::LookupSpan,
};

pub(crate) const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(crate) const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// Number of whole milliseconds in a duration.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap()
}

/// The last representable time before this one.
pub(crate) fn just_before(moment: Duration) -> Duration {
    moment.saturating_sub(Duration::from_nanos(1))
}

/// Number of cases, or `PROPTEST_CASES` if it is set. proptest itself reads that variable only if
/// no number is given.
pub(crate) fn cases(number: u32) -> ProptestConfig {
    if env::var_os("PROPTEST_CASES").is_some() { ProptestConfig::default() } else { ProptestConfig::with_cases(number) }
}

/// A runtime with a paused clock of its own.
pub(crate) fn paused() -> Runtime {
    Builder::new_current_thread().enable_time().start_paused(true).build().unwrap()
}

/// A naive model of the time of a handle that is used in several paused runtimes, in milliseconds.
///
/// Time that passes in a runtime counts from the last time of that runtime. The handle takes it
/// into account at its next read there, which also brings the runtime up to date.
///
/// All runtimes start at 0. Real runtimes do if the handle is made in the runtime that was made
/// last, because its clock is ahead of the others, and then reads each clock once.
#[derive(Debug, Default)]
pub(crate) struct NaiveClocks {
    now: u64,
    /// Time of each runtime, in the time of the handle.
    at: BTreeMap<usize, u64>,
}

impl NaiveClocks {
    pub(crate) fn pass(&mut self, runtime: usize, millis: u64) {
        *self.at.entry(runtime).or_default() += millis;
    }

    pub(crate) fn read(&mut self, runtime: usize) -> u64 {
        let at = self.at.entry(runtime).or_default();
        self.now = self.now.max(*at);
        *at = self.now;
        self.now
    }
}

/// An event of decor.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Line {
    pub(crate) target: String,
    pub(crate) level: Level,
    pub(crate) message: String,
    pub(crate) fields: BTreeMap<String, String>,
}

/// Listens to the events of decor on this thread, until it is dropped.
pub(crate) struct Listener {
    lines: Arc<Mutex<Vec<Line>>>,
    _guard: DefaultGuard,
}

/// Two subscribers that live as long as the process, and that no thread uses.
///
/// With a single live subscriber, tracing asks the subscriber of the current thread when it first
/// meets an event. On a thread without a subscriber, the event would then be off for all threads,
/// those with a listener included.
static KEPT: LazyLock<[Dispatch; 2]> = LazyLock::new(|| [(); 2].map(|()| Dispatch::new(registry())));

/// Listens to all events down to `level`.
pub(crate) fn listen_at(level: Level) -> Listener {
    LazyLock::force(&KEPT);
    let lines = Arc::new(Mutex::new(Vec::new()));
    // A filter for the whole subscriber. With a filter of the recorder alone, `tracing::enabled!`
    // would be true at every level.
    let subscriber = registry().with(LevelFilter::from_level(level)).with(Recorder(Arc::clone(&lines)));
    Listener { lines, _guard: tracing::subscriber::set_default(subscriber) }
}

pub(crate) fn listen() -> Listener {
    listen_at(Level::TRACE)
}

impl Listener {
    pub(crate) fn lines(&self) -> Vec<Line> {
        self.lines.lock().unwrap().clone()
    }

    /// Returns `level message` of each event so far, and clears them.
    pub(crate) fn take(&self) -> Vec<String> {
        let lines = std::mem::take(&mut *self.lines.lock().unwrap());
        lines.into_iter().map(|line| format!("{} {}", line.level, line.message)).collect()
    }
}

struct Recorder(Arc<Mutex<Vec<Line>>>);

/// A span of decor is a line when it closes, with its fields in the message.
impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Recorder {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        context.span(id).unwrap().extensions_mut().insert(fields);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        values.record(context.span(id).unwrap().extensions_mut().get_mut::<Fields>().unwrap());
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let span = context.span(&id).unwrap();
        let (meta, fields) = (span.metadata(), span.extensions_mut().remove::<Fields>().unwrap().0);
        if !meta.target().starts_with("decor::") {
            return;
        }
        let parent = span.parent().map_or("none", |parent| parent.name());
        let message = format!("{} in {parent}: {fields:?}", span.name());
        self.0.lock().unwrap().push(Line { target: meta.target().to_owned(), level: *meta.level(), message, fields });
    }

    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        let meta = event.metadata();
        if !meta.target().starts_with("decor::") {
            return;
        }
        let mut fields = Fields::default();
        event.record(&mut fields);
        self.0.lock().unwrap().push(Line {
            target: meta.target().to_owned(),
            level: *meta.level(),
            message: fields.0.remove("message").unwrap_or_default(),
            fields: fields.0,
        });
    }
}

#[derive(Default)]
struct Fields(BTreeMap<String, String>);

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}"));
    }
}
