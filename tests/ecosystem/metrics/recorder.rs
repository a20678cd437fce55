//! A recorder that keeps all values, as a naive exporter would.

use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, LocalRecorderGuard, Metadata, Recorder,
    SharedString, Unit,
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
};

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Counter(u64),
    Gauge(f64),
    /// The values in the order in which they were recorded.
    Histogram(Vec<f64>),
}

#[derive(Default)]
struct State {
    /// By name and labels, as `name{label="value"}`.
    series: BTreeMap<String, Value>,
    /// Kind, unit and text, by name.
    described: BTreeMap<String, (&'static str, Option<Unit>, String)>,
    descriptions: usize,
}

/// A clone is the same recorder.
#[derive(Clone, Default)]
pub(crate) struct Kept(Arc<Mutex<State>>);

impl Kept {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// Records on this thread until the guard is dropped.
    pub(crate) fn install(&self) -> LocalRecorderGuard<'_> {
        metrics::set_default_local_recorder(self)
    }

    pub(crate) fn all(&self) -> BTreeMap<String, Value> {
        self.state().series.clone()
    }

    #[track_caller]
    pub(crate) fn counter(&self, series: &str) -> u64 {
        match self.state().series.get(series) {
            Some(Value::Counter(count)) => *count,
            other => panic!("{series} is {other:?}"),
        }
    }

    #[track_caller]
    pub(crate) fn gauge(&self, series: &str) -> f64 {
        match self.state().series.get(series) {
            Some(Value::Gauge(value)) => *value,
            other => panic!("{series} is {other:?}"),
        }
    }

    /// The recorded durations, by the labels besides the name: `[("outcome=ok", [0.1])]`.
    pub(crate) fn durations(&self, name: &str) -> Vec<(String, Vec<f64>)> {
        let head = format!("decor.call.duration{{name={name},");
        let state = self.state();
        let found = state.series.iter().filter_map(|(series, value)| {
            let labels = series.strip_prefix(&head)?.strip_suffix('}')?;
            let Value::Histogram(values) = value else { panic!("{series} is {value:?}") };
            Some((labels.to_owned(), values.clone()))
        });
        found.collect()
    }

    /// Kind, unit and text of a metric.
    pub(crate) fn described(&self) -> BTreeMap<String, (&'static str, Option<Unit>, String)> {
        self.state().described.clone()
    }

    /// Number of descriptions so far.
    pub(crate) fn descriptions(&self) -> usize {
        self.state().descriptions
    }

    fn describe(&self, kind: &'static str, name: &KeyName, unit: Option<Unit>, text: &SharedString) {
        let mut state = self.state();
        state.descriptions += 1;
        state.described.insert(name.as_str().to_owned(), (kind, unit, text.to_string()));
    }

    fn register(&self, key: &Key, first: Value) -> Arc<Series> {
        let labels = key.labels().map(|label| format!("{}={}", label.key(), label.value())).collect::<Vec<_>>();
        let name = format!("{}{{{}}}", key.name(), labels.join(","));
        self.state().series.entry(name.clone()).or_insert(first);
        Arc::new(Series { kept: self.clone(), name })
    }
}

impl Recorder for Kept {
    fn describe_counter(&self, key: KeyName, unit: Option<Unit>, text: SharedString) {
        self.describe("counter", &key, unit, &text);
    }

    fn describe_gauge(&self, key: KeyName, unit: Option<Unit>, text: SharedString) {
        self.describe("gauge", &key, unit, &text);
    }

    fn describe_histogram(&self, key: KeyName, unit: Option<Unit>, text: SharedString) {
        self.describe("histogram", &key, unit, &text);
    }

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.register(key, Value::Counter(0)))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.register(key, Value::Gauge(0.0)))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.register(key, Value::Histogram(Vec::new())))
    }
}

struct Series {
    kept: Kept,
    name: String,
}

impl Series {
    fn change(&self, change: impl FnOnce(&mut Value)) {
        change(self.kept.state().series.get_mut(&self.name).expect("registered"));
    }

    fn change_gauge(&self, change: impl FnOnce(&mut f64)) {
        self.change(|value| match value {
            Value::Gauge(value) => change(value),
            other => panic!("no gauge: {other:?}"),
        });
    }

    fn change_counter(&self, change: impl FnOnce(&mut u64)) {
        self.change(|value| match value {
            Value::Counter(count) => change(count),
            other => panic!("no counter: {other:?}"),
        });
    }
}

/// Takes a lower total as it is, unlike an exporter. A total that falls is then seen.
impl CounterFn for Series {
    fn increment(&self, by: u64) {
        self.change_counter(|count| *count += by);
    }

    fn absolute(&self, total: u64) {
        self.change_counter(|count| *count = total);
    }
}

impl GaugeFn for Series {
    fn increment(&self, by: f64) {
        self.change_gauge(|value| *value += by);
    }

    fn decrement(&self, by: f64) {
        self.change_gauge(|value| *value -= by);
    }

    fn set(&self, to: f64) {
        self.change_gauge(|value| *value = to);
    }
}

impl HistogramFn for Series {
    fn record(&self, value: f64) {
        self.change(|values| match values {
            Value::Histogram(values) => values.push(value),
            other => panic!("no histogram: {other:?}"),
        });
    }
}
