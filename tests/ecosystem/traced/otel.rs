//! The spans as OpenTelemetry exports them.

use super::{KEPT, ms, paused};
use decor::{
    Error, Outcome, Timing, blocking,
    prelude::*,
    test_util::{self, VirtualClock},
};
use opentelemetry::trace::{SpanId, Status, TracerProvider};
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider, SpanData};
use std::{
    cell::Cell,
    future::pending,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU32, Ordering::Relaxed},
        mpsc,
    },
    thread,
    time::Duration,
};
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::{layer::SubscriberExt, registry};

/// Exports the spans of this thread, and of the threads that its calls run on.
struct Exported {
    exporter: InMemorySpanExporter,
    provider: SdkTracerProvider,
    _guard: DefaultGuard,
}

impl Exported {
    fn begin() -> Self {
        LazyLock::force(&KEPT);
        let exporter = InMemorySpanExporter::default();
        let provider = SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build();
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
        let guard = tracing::subscriber::set_default(registry().with(layer));
        Self { exporter, provider, _guard: guard }
    }

    /// The spans in the order of their ends.
    fn spans(&self) -> Vec<SpanData> {
        self.provider.force_flush().unwrap();
        self.exporter.get_finished_spans().unwrap()
    }
}

fn attribute(span: &SpanData, key: &str) -> Option<String> {
    span.attributes.iter().find(|attribute| attribute.key.as_str() == key).map(|found| found.value.to_string())
}

/// Name, attempt, outcome and status of each span.
fn shown(spans: &[SpanData]) -> Vec<(&str, Option<String>, Option<String>, Status)> {
    let row = |span: &'_ SpanData| (attribute(span, "attempt"), attribute(span, "outcome"), span.status.clone());
    spans
        .iter()
        .map(|span| {
            let (attempt, outcome, status) = row(span);
            (&*span.name, attempt, outcome, status)
        })
        .collect()
}

#[allow(clippy::unnecessary_wraps)] // an attribute of a span may be missing
fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

/// A parent that is no error, and three children: two errors and a success.
#[track_caller]
fn assert_success_on_the_third_attempt(spans: &[SpanData]) {
    let busy = || Status::error("busy");
    assert_eq!(
        shown(spans),
        [
            ("attempt", None, some("err"), busy()),
            ("attempt", some("2"), some("err"), busy()),
            ("attempt", some("3"), some("ok"), Status::Unset),
            ("fetch", None, some("ok"), Status::Unset),
        ]
    );
    let (call, attempts) = spans.split_last().unwrap();
    assert_eq!(call.parent_span_id, SpanId::INVALID);
    for attempt in attempts {
        assert_eq!(attempt.parent_span_id, call.span_context.span_id());
        assert_eq!(attempt.span_context.trace_id(), call.span_context.trace_id());
    }
}

fn policy() -> RetryPolicy {
    RetryPolicy::fixed(ms(10))
}

/// A function that fails twice.
fn third(calls: &Cell<u32>) -> Result<u32, &'static str> {
    calls.set(calls.get() + 1);
    if calls.get() < 3 { Err("busy") } else { Ok(calls.get()) }
}

#[test]
fn a_success_on_the_third_attempt_is_one_parent_with_three_children() {
    let (exported, calls) = (Exported::begin(), Cell::new(0));
    let fetch = (async |_: u64| third(&calls)).traced("attempt").retry_with(policy()).traced("fetch");
    assert_eq!(paused().block_on(fetch.call(42)), Ok(3));
    assert_success_on_the_third_attempt(&exported.spans());
}

#[test]
fn a_sync_success_on_the_third_attempt_is_one_parent_with_three_children() {
    let (exported, calls, _clock) = (Exported::begin(), Cell::new(0), VirtualClock::start());
    let load = (|_: u64| third(&calls)).blocking().traced("attempt").retry_with(policy()).traced("fetch");
    assert_eq!(load.call(42), Ok(3));
    assert_success_on_the_third_attempt(&exported.spans());
}

/// The attempts run on threads of the pool.
#[test]
fn attempts_on_other_threads_are_children_of_the_call() {
    let (exported, _clock) = (Exported::begin(), VirtualClock::start());
    let calls = Arc::new(AtomicU32::new(0));
    let load = move |_: u64| -> Result<u32, String> {
        let call = calls.fetch_add(1, Relaxed) % 3 + 1;
        if call < 3 { Err("busy".to_owned()) } else { Ok(call) }
    };
    let load = load.blocking().traced("attempt").timeout(Duration::from_secs(1)).retry_with(policy()).traced("fetch");
    // Many times. Another thread that kept the span of the call would close it a moment later.
    for _ in 0..100 {
        assert_eq!(load.call(42), Ok(3));
        assert_success_on_the_third_attempt(&exported.spans());
        exported.exporter.reset();
    }
}

#[test]
fn a_call_that_fails_for_good_is_an_error_with_the_text_of_the_last_one() {
    let exported = Exported::begin();
    let hang = async |_: u64| -> Result<(), Error> { pending().await };
    let fetch =
        hang.named("hang").timeout(ms(100)).traced("attempt").retry_with(policy().max_attempts(2)).traced("fetch");
    paused().block_on(fetch.call(42)).unwrap_err();
    let spans = exported.spans();
    let error = || Status::error("hang timed out after 100ms");
    assert_eq!(
        shown(&spans),
        [
            ("attempt", None, some("err"), error()),
            ("attempt", some("2"), some("err"), error()),
            ("fetch", None, some("err"), error()),
        ]
    );
}

/// Neither a timeout of its caller nor a drop is an error of the call itself.
#[test]
fn a_call_that_is_dropped_is_cancelled_and_no_error() {
    let exported = Exported::begin();
    let hang = async |_: u64| -> Result<(), Error> { pending().await };
    let fetch = hang.named("hang").traced("inner").timeout(ms(100)).traced("outer");
    paused().block_on(fetch.call(42)).unwrap_err();
    let spans = exported.spans();
    assert_eq!(
        shown(&spans),
        [
            ("inner", None, some("cancelled"), Status::Unset),
            ("outer", None, some("err"), Status::error("hang timed out after 100ms")),
        ]
    );
}

/// The call runs on a thread of the pool, and is unwound where it waits.
#[test]
fn a_sync_call_that_is_abandoned_is_cancelled_and_no_error() {
    let (exported, clock) = (Exported::begin(), VirtualClock::start());
    let (ended, end) = mpsc::channel();
    let hang = |_: u64| -> Result<(), Error> {
        test_util::sleep(ms(60_000));
        Ok(())
    };
    let noted = Timing::new("hang").record_to(move |measured| ended.send(measured.outcome).unwrap());
    let load = hang.blocking().named("hang").traced("inner").timed_with(noted).timeout(ms(100)).traced("outer");
    load.call(42).unwrap_err();
    assert_eq!((clock.elapsed(), end.recv()), (ms(100), Ok(Outcome::Cancelled)));
    // The other thread leaves the span of its caller a moment later.
    while exported.spans().len() < 2 {
        thread::yield_now();
    }
    let mut spans = exported.spans();
    spans.sort_by(|a, b| a.name.cmp(&b.name));
    assert_eq!(
        shown(&spans),
        [
            ("inner", None, some("cancelled"), Status::Unset),
            ("outer", None, some("err"), Status::error("hang timed out after 100ms")),
        ]
    );
}

#[test]
fn a_panic_is_an_error() {
    let exported = Exported::begin();
    let load = (|_: u64| -> Result<(), String> { panic!("broken") }).blocking().traced("load");
    let load = std::panic::AssertUnwindSafe(|| blocking::Callable::call_with(&load, (42,)));
    std::panic::catch_unwind(load).unwrap_err();
    assert_eq!(shown(&exported.spans()), [("load", None, some("panicked"), Status::error("panicked"))]);
}
