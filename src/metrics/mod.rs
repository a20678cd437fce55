//! Metrics of calls and of handles, by the facade of the `metrics` crate.
//!
//! [`.metered("fetch")`](crate::FnExt::metered) records each call of a chain. An [`Observer`]
//! exports the statistics of handles: it reads them at each scrape, so that nothing is added to a
//! call. Both write to the recorder of the program, such as
//! `metrics-exporter-prometheus`. The guide has a page about it:
#![cfg_attr(feature = "memo", doc = "[observing](crate::guide::observing).")]
#![cfg_attr(not(feature = "memo"), doc = "`observing`.")]
//!
//! # Metrics
//!
//! All metrics have the label `name`.
//!
//! | metric | kind | further labels | meaning |
//! |---|---|---|---|
//! | `decor.call.duration` | histogram, seconds | `outcome`, `error.type` and those of the [`Metering`] | duration of each call, from its first poll to its end |
//! | `decor.call.active` | gauge | those of the [`Metering`] | calls that have begun and have not ended |
//! | `decor.rate_limiter.calls` | counter | `outcome`: `admitted`, `delayed`, `refused`, `cancelled` | calls by their end at the limiter |
//! | `decor.rate_limiter.waiting` | gauge | | calls that wait now |
//! | `decor.rate_limiter.available` | gauge | `window`: `1`, `2`, .. | permits that could be taken now; not for keys |
//! | `decor.rate_limiter.keys` | gauge | | keys that are remembered |
//! | `decor.rate_limiter.asks` | counter | | requests to the store; only for a shared limit, as the following |
//! | `decor.rate_limiter.lapsed` | counter | | permits that the store granted and no call used in time |
//! | `decor.rate_limiter.admitted_alone` | counter | | calls that were admitted while the store was down |
//! | `decor.rate_limiter.store_up` | gauge | | 1 while the store is up, otherwise 0 |
//! | `decor.concurrency_limiter.calls` | counter | `outcome`: `admitted`, `delayed`, `refused`, `cancelled` | calls by their end at the limiter |
//! | `decor.concurrency_limiter.waiting` | gauge | | calls that wait now |
//! | `decor.concurrency_limiter.in_use` | gauge | | permits that are taken now |
//! | `decor.concurrency_limiter.limit` | gauge | | the limit now; with keys, the sum of their limits |
//! | `decor.concurrency_limiter.changes` | counter | `direction`: `grown`, `shrunk` | changes of an adaptive limit |
//! | `decor.concurrency_limiter.keys` | gauge | | keys that are remembered |
//! | `decor.circuit_breaker.calls` | counter | `outcome`: `succeeded`, `failed`, `ignored`, `late`, `refused` | calls as the breaker counts them |
//! | `decor.circuit_breaker.slow` | counter | | failures because of their duration |
//! | `decor.circuit_breaker.opened` | counter | | times that the circuit opened |
//! | `decor.circuit_breaker.state` | gauge | `state`: `closed`, `open`, `half-open`, `isolated` | circuits in this state: 0 or 1; with keys, their number |
//! | `decor.circuit_breaker.keys` | gauge | | keys that are remembered |
//! | `decor.memo.calls` | counter | `outcome`: `hit`, `stale`, `miss`, `coalesced` | calls by their first contact with the memo |
//! | `decor.memo.loads` | counter | | loads begun |
//! | `decor.memo.load_failures` | counter | | loads that ended without a value to keep |
//! | `decor.memo.evictions` | counter | | values that were dropped to keep to the capacity |
//! | `decor.memo.expirations` | counter | | values that had expired when they were dropped or replaced |
//! | `decor.memo.loading` | gauge | | loads under way now |
//! | `decor.memo.entries` | gauge | | values stored now |
//! | `decor.memo.tier_hits` | counter | | misses that the tier answered, without a load; only with a tier, as the following |
//! | `decor.memo.tier_waits` | counter | | misses that waited for the load of another process |
//! | `decor.memo.tier_refused` | counter | | loaded values that did not reach the tier, because they were outdated |
//! | `decor.memo.undecodable` | counter | | values of the tier that could not be read, and were replaced |
//! | `decor.memo.tier_up` | gauge | | 1 while the tier is up, otherwise 0 |
//! | `decor.retry_budget.deposits` | counter | | calls that succeeded |
//! | `decor.retry_budget.withdrawals` | counter | | retries and hedges that were paid for |
//! | `decor.retry_budget.returns` | counter | | withdrawals that were given back |
//! | `decor.retry_budget.refusals` | counter | | retries and hedges that did not take place |
//! | `decor.retry_budget.balance` | gauge | | retries that can be paid for now |
//! | `decor.hedge.calls` | counter | | calls of hedged functions |
//! | `decor.hedge.hedges` | counter | | hedges that were started |
//! | `decor.hedge.wins` | counter | | calls that returned the value of a hedge |
//! | `decor.hedge.over_budget` | counter | | hedges that the budget could not pay for |
//! | `decor.hedge.delay` | gauge, seconds | | delay before the next hedge, as soon as it is known |
//!
//! Each call has one outcome, so the sum over the outcomes is the number of calls. `admitted` are
//! therefore the calls that were admitted at once, while
//! [`stats().admitted`](crate::RateLimiterStats::admitted) includes those that waited. `hit` are
//! the calls with a value that had not expired. A call of a shared limit that asked the store is
//! `delayed`, even if the store let it go at once.
//!
//! Counters never fall. [`Memo::clear`](crate::Memo) resets the statistics of a memo, and not what
//! is exported. A keyed handle exports the sum of all keys, forgotten ones included, and the number
//! of its keys. A label for each key would make a series of each.
//!
//! # Names of an exporter
//!
//! Exporters turn dots into underscores. `metrics-exporter-prometheus` adds `_seconds` and `_total`
//! only by `with_recommended_naming(true)`. It needs buckets for histograms, and makes summaries
//! otherwise. [`observing`](crate::guide::observing) has the whole setup, and three traps.

mod handles;

use crate::{ConfigError, Name, decorators::metered::shared, error::or_panic};
use ::metrics::{Key, Label, Level, Metadata, Recorder, SharedString, Unit, with_recorder};
use std::{collections::BTreeSet, fmt, sync::Arc};

#[doc(no_inline)]
pub use crate::decorators::metered::Metering;

/// Exports the statistics of handles as metrics, each time that it [collects](Self::collect).
///
/// The [table](self#metrics) has the metrics of each kind of handle. An observer holds clones of
/// its handles. Two observers may have the same handle. A clone of an observer observes the same
/// handles.
///
/// # Examples
///
/// ```
/// use decor::{CircuitBreaker, RateLimiter, metrics::Observer};
/// use metrics_util::debugging::{DebugValue, DebuggingRecorder};
/// use std::time::Duration;
///
/// let limiter = RateLimiter::new(10, Duration::from_secs(1));
/// let breaker = CircuitBreaker::consecutive(5);
/// let observer = Observer::new().observe("api", &limiter).observe("api", &breaker);
///
/// limiter.try_acquire()?;
/// let recorder = DebuggingRecorder::new();
/// metrics::with_local_recorder(&recorder, || observer.collect());
///
/// let metrics = recorder.snapshotter().snapshot().into_vec();
/// let admitted = metrics.iter().find(|(key, ..)| {
///     let is_admitted = |label: &metrics::Label| label.value() == "admitted";
///     key.key().name() == "decor.rate_limiter.calls" && key.key().labels().any(is_admitted)
/// });
/// assert_eq!(admitted.unwrap().3, DebugValue::Counter(1));
/// # Ok::<(), decor::Error>(())
/// ```
#[derive(Clone, Default)]
#[must_use = "an observer does nothing until `.collect()`"]
pub struct Observer {
    handles: Vec<Handle>,
    /// Kinds and names. No two handles share a series.
    names: BTreeSet<(&'static str, String)>,
}

#[derive(Clone)]
struct Handle {
    name: Name,
    report: Arc<dyn Fn(&mut Report<'_>) + Send + Sync>,
}

impl Observer {
    /// Makes an observer without handles.
    ///
    /// # Examples
    ///
    /// ```
    /// decor::metrics::Observer::new().collect();
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a handle, with a name that tells it from others of its kind.
    ///
    /// # Panics
    ///
    /// If the observer has a handle of this kind with this name. A keyed handle is of the same kind
    /// as one without keys.
    ///
    /// # Examples
    ///
    /// See [`Observer`].
    #[track_caller]
    pub fn observe<H>(self, name: impl Into<Name>, handle: &H) -> Self
    where
        H: Observe + Clone + Send + Sync + 'static,
    {
        or_panic(self.try_observe(name, handle))
    }

    /// Does the same as [`observe`](Self::observe), with an error in place of a panic.
    ///
    /// # Errors
    ///
    /// If the observer has a handle of this kind with this name.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::{RetryBudget, metrics::Observer};
    ///
    /// let observer = Observer::new().observe("api", &RetryBudget::new(0.1));
    /// let error = observer.try_observe("api", &RetryBudget::new(0.2)).unwrap_err();
    /// assert_eq!(
    ///     error.to_string(),
    ///     "`name` is api, but must be a name that no other handle of its kind has",
    /// );
    /// ```
    pub fn try_observe<H>(mut self, name: impl Into<Name>, handle: &H) -> Result<Self, ConfigError>
    where
        H: Observe + Clone + Send + Sync + 'static,
    {
        let (name, handle) = (name.into(), handle.clone());
        if !self.names.insert((H::KIND, name.to_string())) {
            return Err(ConfigError::new("name", name, "a name that no other handle of its kind has"));
        }
        self.handles.push(Handle { name, report: Arc::new(move |report| handle.report(report)) });
        Ok(self)
    }

    /// Reads all handles, and writes their metrics to the recorder, with descriptions and units.
    ///
    /// Call it before each page of metrics is rendered. Without a recorder, nothing happens. Takes
    /// microseconds for each handle, and looks at each key of a keyed handle.
    ///
    /// # Examples
    ///
    /// See [`Observer`].
    pub fn collect(&self) {
        with_recorder(|recorder| {
            for Handle { name, report } in &self.handles {
                report(&mut Report { name: shared(name), recorder });
            }
        });
    }
}

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Observer").field("names", &self.names).finish_non_exhaustive()
    }
}

/// A handle with statistics that an [`Observer`] exports.
///
/// # Examples
///
/// A handle of your own:
///
/// ```
/// use decor::metrics::{Metric, Observe, Observer, Report};
/// use std::sync::{Arc, atomic::{AtomicU64, Ordering::Relaxed}};
///
/// #[derive(Clone, Default)]
/// struct Queue { sent: Arc<AtomicU64> }
///
/// impl Observe for Queue {
///     const KIND: &'static str = "queue";
///
///     fn report(&self, report: &mut Report<'_>) {
///         const SENT: Metric = Metric::count("app.queue.sent", "Messages that were sent.");
///         report.counter(SENT, &[], self.sent.load(Relaxed));
///     }
/// }
///
/// Observer::new().observe("orders", &Queue::default()).collect();
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no metrics",
    label = "not a handle that an `Observer` knows",
    note = "a limiter has, a breaker, a memo, a budget and a hedge; give a handle of your own `impl decor::metrics::Observe`"
)]
pub trait Observe {
    /// Name of the kind of the handle. Handles of one kind have the same metrics.
    const KIND: &'static str;

    /// Reports all counts and states of the handle.
    fn report(&self, report: &mut Report<'_>);
}

/// A metric of a handle: its name, its unit and its description.
///
/// # Examples
///
/// See [`Observe`].
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    name: &'static str,
    about: &'static str,
    unit: Unit,
}

impl Metric {
    /// A number of things.
    ///
    /// # Examples
    ///
    /// See [`Observe`].
    #[must_use]
    pub const fn count(name: &'static str, about: &'static str) -> Self {
        Self { name, about, unit: Unit::Count }
    }

    /// A time in seconds.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor::metrics::Metric;
    ///
    /// const LAG: Metric = Metric::seconds("app.queue.lag", "Age of the oldest message.");
    /// ```
    #[must_use]
    pub const fn seconds(name: &'static str, about: &'static str) -> Self {
        Self { name, about, unit: Unit::Seconds }
    }
}

/// Labels of a metric, besides `name`.
type Labels<'a> = &'a [(&'static str, &'static str)];

static METADATA: Metadata<'static> = Metadata::new("decor", Level::INFO, Some(module_path!()));

/// The counts and states of one handle, on their way to the recorder.
///
/// # Examples
///
/// See [`Observe`].
pub struct Report<'a> {
    name: SharedString,
    recorder: &'a dyn Recorder,
}

impl Report<'_> {
    /// Reports a count since the handle was made. The count must never fall.
    ///
    /// # Examples
    ///
    /// See [`Observe`].
    pub fn counter(&mut self, metric: Metric, labels: &[(&'static str, &'static str)], total: u64) {
        let Metric { name, about, unit } = metric;
        self.recorder.describe_counter(name.into(), Some(unit), about.into());
        self.recorder.register_counter(&self.key(name, labels), &METADATA).absolute(total);
    }

    /// Reports a value that may rise and fall.
    ///
    /// # Examples
    ///
    /// See [`Observe`].
    pub fn gauge(&mut self, metric: Metric, labels: &[(&'static str, &'static str)], value: f64) {
        let Metric { name, about, unit } = metric;
        self.recorder.describe_gauge(name.into(), Some(unit), about.into());
        self.recorder.register_gauge(&self.key(name, labels), &METADATA).set(value);
    }

    fn key(&self, metric: &'static str, labels: Labels<'_>) -> Key {
        let mut all = vec![Label::new("name", self.name.clone())];
        all.extend(labels.iter().map(|(key, value)| Label::from_static_parts(key, value)));
        Key::from_parts(metric, all)
    }
}

impl fmt::Debug for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Report").field("name", &self.name).finish_non_exhaustive()
    }
}
