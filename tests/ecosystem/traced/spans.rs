//! The spans as `tracing` sees them: when they begin, are entered, and close.

use super::{KEPT, ms, paused};
use decor::{Error, prelude::*, test_util::VirtualClock};
use futures::future::join;
use std::{
    cell::Cell,
    fmt,
    future::{pending, ready},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, LazyLock, Mutex},
    task::{Context as TaskContext, Waker},
};
use tokio::time::sleep;
use tracing::{
    Level, Span, Subscriber,
    field::{Empty, Field, Visit},
    info_span,
    level_filters::LevelFilter,
    span::{Attributes, Id, Record},
    subscriber::DefaultGuard,
};
use tracing_subscriber::{
    Layer,
    layer::{Context, SubscriberExt},
    registry,
    registry::LookupSpan,
};

/// Writes down all that happens to the spans of this thread.
struct Seen {
    lines: Arc<Mutex<Vec<String>>>,
    _guard: DefaultGuard,
}

impl Seen {
    fn at(level: LevelFilter) -> Self {
        LazyLock::force(&KEPT);
        let lines = Arc::default();
        let subscriber = registry().with(level).with(Writer(Arc::clone(&lines)));
        Self { lines, _guard: tracing::subscriber::set_default(subscriber) }
    }

    fn begin() -> Self {
        Self::at(LevelFilter::TRACE)
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.lines.lock().unwrap())
    }

    fn note(&self, line: &str) {
        self.lines.lock().unwrap().push(line.to_owned());
    }
}

struct Writer(Arc<Mutex<Vec<String>>>);

impl Writer {
    fn write(&self, line: String) {
        self.0.lock().unwrap().push(line);
    }
}

/// The name of a span: `otel.name`, or the name of a user's span.
struct Name(String);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Writer {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let (mut fields, span) = (Fields::default(), context.span(id).unwrap());
        attributes.record(&mut fields);
        let name = if fields.name.is_empty() { span.name().to_owned() } else { fields.name };
        self.write(format!("new {name}{}", fields.text));
        span.extensions_mut().insert(Name(name));
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        values.record(&mut fields);
        self.write(format!("{}{}", name(id, &context), fields.text));
    }

    fn on_enter(&self, id: &Id, context: Context<'_, S>) {
        self.write(format!("enter {}", name(id, &context)));
    }

    fn on_exit(&self, id: &Id, context: Context<'_, S>) {
        self.write(format!("exit {}", name(id, &context)));
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        self.write(format!("close {}", name(&id, &context)));
    }
}

fn name<S: Subscriber + for<'a> LookupSpan<'a>>(id: &Id, context: &Context<'_, S>) -> String {
    context.span(id).unwrap().extensions().get::<Name>().unwrap().0.clone()
}

#[derive(Default)]
struct Fields {
    name: String,
    text: String,
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let value = format!("{value:?}");
        let value = value.trim_matches('"');
        if field.name() == "otel.name" {
            value.clone_into(&mut self.name);
        } else {
            self.text.extend([" ", field.name(), "=", value]);
        }
    }
}

const OK: [&str; 2] = ["fetch outcome=ok", "close fetch"];

#[test]
fn a_span_begins_at_the_first_poll_is_entered_at_each_poll_and_closes_at_the_end() {
    let seen = Seen::begin();
    let fetch = (async |_: u64| {
        seen.note("polled");
        sleep(ms(10)).await;
        seen.note("polled");
        Ok::<_, String>(7)
    })
    .traced("fetch");
    paused().block_on(async {
        let mut call = Box::pin(fetch.call(42));
        assert!(seen.take().is_empty());
        assert_eq!(call.as_mut().await, Ok(7));
        // The future is not dropped yet.
        let polled = ["enter fetch", "polled", "exit fetch"];
        assert_eq!(seen.take(), [&["new fetch"], &polled[..], &polled, &OK].concat());
        drop(call);
        assert!(seen.take().is_empty());
    });
}

#[test]
fn a_call_that_is_never_polled_has_no_span() {
    let seen = Seen::begin();
    let fetch = (|_: u64| ready(Ok::<_, String>(7))).traced("fetch");
    drop(fetch.call(42));
    drop(ready(Ok::<_, String>(7)).traced("fetch"));
    let asked = Cell::new(false);
    let span = |_: &u64| {
        asked.set(true);
        info_span!("fetch")
    };
    drop((|_: u64| ready(Ok::<_, String>(7))).traced_with(span).call(42));
    assert!(!asked.get());
    assert!(seen.take().is_empty());
}

#[test]
fn the_span_is_named_call_at_the_level_info_under_the_target_of_calls() {
    let _seen = Seen::begin();
    let fetch = (async |_: u64| {
        let meta = Span::current().metadata().unwrap();
        Ok::<_, String>((meta.name(), meta.target(), *meta.level()))
    })
    .traced("fetch");
    assert_eq!(paused().block_on(fetch.call(42)), Ok(("call", "decor::call", Level::INFO)));
}

#[test]
fn a_failure_has_the_text_of_the_error_with_its_causes() {
    let seen = Seen::begin();
    let fetch = (async |_: u64| Err::<(), _>(anyhow::anyhow!("refused").context("no users"))).traced("fetch");
    paused().block_on(fetch.call(42)).unwrap_err();
    assert_eq!(
        seen.take()[3..],
        [
            "fetch outcome=err",
            "fetch otel.status_code=ERROR",
            "fetch otel.status_description=no users: refused",
            "close fetch",
        ]
    );
}

#[test]
fn a_dropped_call_closes_its_span_once_as_cancelled() {
    let seen = Seen::begin();
    let fetch = (async |_: u64| -> Result<(), String> { pending().await }).traced("fetch");
    let mut call = Box::pin(fetch.call(42));
    let _ = call.as_mut().poll(&mut TaskContext::from_waker(Waker::noop()));
    assert_eq!(seen.take(), ["new fetch", "enter fetch", "exit fetch"]);
    drop(call);
    assert_eq!(seen.take(), ["fetch outcome=cancelled", "close fetch"]);
}

#[test]
fn a_panic_closes_its_span_once() {
    let seen = Seen::begin();
    let panics = [
        "new fetch",
        "enter fetch",
        "exit fetch",
        "fetch outcome=panicked",
        "fetch otel.status_code=ERROR",
        "fetch otel.status_description=panicked",
        "close fetch",
    ];
    let fetch = (async |_: u64| -> Result<(), String> { panic!("broken") }).traced("fetch");
    let call = AssertUnwindSafe(|| paused().block_on(fetch.call(42)));
    catch_unwind(call).unwrap_err();
    assert_eq!(seen.take(), panics);

    let load = (|_: u64| -> Result<(), String> { panic!("broken") }).blocking().traced("fetch");
    catch_unwind(AssertUnwindSafe(|| load.call(42))).unwrap_err();
    assert_eq!(seen.take(), panics);
}

/// The calls of two tasks on one thread take turns, and each is within its own span.
#[test]
fn calls_that_take_turns_do_not_enter_the_spans_of_each_other() {
    let _seen = Seen::begin();
    let fetch = async |name: &'static str| {
        for _ in 0..3 {
            assert_eq!(Span::current().metadata().unwrap().name(), name);
            tokio::task::yield_now().await;
        }
        Ok::<_, String>(())
    };
    let traced = fetch.traced_with(|name: &&'static str| if *name == "a" { info_span!("a") } else { info_span!("b") });
    let (a, b) = paused().block_on(join(traced.call("a"), traced.call("b")));
    a.and(b).unwrap();
}

#[test]
fn without_a_listener_there_is_no_span() {
    let seen = Seen::at(LevelFilter::WARN);
    let fetch = (async |_: u64| Ok::<_, String>(Span::current().is_none())).traced("fetch");
    assert_eq!(paused().block_on(fetch.call(42)), Ok(true));
    assert!(seen.take().is_empty());
}

#[test]
fn a_sync_call_runs_within_its_span() {
    let seen = Seen::begin();
    let load = |_: u64| {
        seen.note("called");
        Ok::<_, String>(7)
    };
    assert_eq!(load.blocking().traced("fetch").call(42), Ok(7));
    assert_eq!(seen.take(), [&["new fetch", "enter fetch", "called", "exit fetch"], &OK[..]].concat());
    let span = |id: &u64| info_span!("fetch", id, outcome = Empty);
    assert_eq!(load.blocking().traced_with(span).call(42), Ok(7));
    assert_eq!(seen.take(), [&["new fetch id=42", "enter fetch", "called", "exit fetch"], &OK[..]].concat());
}

#[test]
fn a_span_of_the_user_is_made_from_the_arguments_and_the_function_is_called_within_it() {
    let seen = Seen::begin();
    let fetch = |id: u64, lang: &'static str| {
        seen.note("called");
        ready(if id == 42 { Ok(lang.len()) } else { Err("no such user") })
    };
    let span = |id: &u64, lang: &&'static str| {
        info_span!("fetch", id, lang, outcome = Empty, otel.status_code = Empty, otel.status_description = Empty)
    };
    let fetch = fetch.traced_with(span);
    let call = fetch.call(42, "en");
    assert!(seen.take().is_empty());
    assert_eq!(paused().block_on(call), Ok(2));
    assert_eq!(seen.take(), [&["new fetch id=42 lang=en", "enter fetch", "called", "exit fetch"], &OK[..]].concat());

    assert_eq!(paused().block_on(fetch.call(7, "en")), Err("no such user"));
    assert_eq!(
        seen.take()[4..],
        [
            "fetch outcome=err",
            "fetch otel.status_code=ERROR",
            "fetch otel.status_description=no such user",
            "close fetch"
        ]
    );
}

/// A span without the fields is left as it is.
#[test]
fn only_the_fields_that_a_span_declares_are_recorded() {
    let seen = Seen::begin();
    let fetch = (async |_: u64| Err::<(), _>("busy")).traced_with(|_: &u64| info_span!("fetch"));
    paused().block_on(fetch.call(42)).unwrap_err();
    assert_eq!(seen.take(), ["new fetch", "enter fetch", "exit fetch", "close fetch"]);
}

const ATTEMPTS: [&str; 13] = [
    "new fetch id=42",
    "enter fetch",
    "called",
    "exit fetch",
    "fetch outcome=err",
    "close fetch",
    "new fetch id=42",
    "fetch attempt=2",
    "enter fetch",
    "called",
    "exit fetch",
    "fetch outcome=ok",
    "close fetch",
];

#[test]
fn each_attempt_has_a_span_of_the_user_with_its_number() {
    let (seen, calls) = (Seen::begin(), Cell::new(0));
    let flaky = |_: u64| {
        seen.note("called");
        calls.set(calls.get() + 1);
        if calls.get() % 2 == 1 { Err("busy") } else { Ok(calls.get()) }
    };
    let span = |id: &u64| info_span!("fetch", id, attempt = Empty, outcome = Empty);
    let policy = RetryPolicy::fixed(ms(10));

    let fetch = (|id: u64| ready(flaky(id))).traced_with(span).retry_with(&policy);
    assert_eq!(paused().block_on(fetch.call(42)), Ok(2));
    assert_eq!(seen.take(), ATTEMPTS);

    let _clock = VirtualClock::start();
    let load = flaky.blocking().traced_with(span).retry_with(&policy);
    assert_eq!(load.call(42), Ok(4));
    assert_eq!(seen.take(), ATTEMPTS);
}

#[test]
fn a_future_has_a_span() {
    let seen = Seen::begin();
    paused().block_on(ready(Ok::<_, String>(7)).traced("fetch")).unwrap();
    assert_eq!(seen.take(), [&["new fetch", "enter fetch", "exit fetch"], &OK[..]].concat());

    let call = ready(Ok::<_, String>(7)).traced_with(|| info_span!("fetch", outcome = Empty));
    assert!(seen.take().is_empty());
    paused().block_on(call).unwrap();
    assert_eq!(seen.take(), [&["new fetch", "enter fetch", "exit fetch"], &OK[..]].concat());
}

/// A refused call has no span of its own, because it never begins.
#[test]
fn a_span_before_a_limiter_is_that_of_the_admitted_call() {
    let seen = Seen::begin();
    let limiter = RateLimiter::new(1, ms(1_000));
    let fetch = (async |_: u64| Ok::<_, Error>(7)).traced("call").try_rate_limited(&limiter).traced("fetch");
    assert_eq!(paused().block_on(fetch.call(42)), Ok(7));
    seen.take();
    paused().block_on(fetch.call(42)).unwrap_err();
    assert!(seen.take().iter().all(|line| !line.contains("call")));
}

#[test]
fn a_memo_that_hits_makes_no_span_of_a_load() {
    let seen = Seen::begin();
    let memo: Memo<u64, u64> = Memo::ttl(ms(1_000));
    let fetch = (async |id: u64| Ok::<_, Error>(id)).traced("load").memoized(&memo).traced("fetch");
    paused().block_on(async {
        fetch.call(42).await.unwrap();
        let both = seen.take();
        assert!(both.contains(&"close load".to_owned()) && both.contains(&"close fetch".to_owned()));
        fetch.call(42).await.unwrap();
        assert_eq!(seen.take(), [&["new fetch", "enter fetch", "exit fetch"], &OK[..]].concat());
    });
}

#[test]
fn a_chain_shows_its_spans() {
    async fn fetch(id: u64) -> Result<u64, Error> {
        Ok(id)
    }
    let fetch = fetch.traced_with(|_: &u64| Span::none()).traced("users");
    assert_eq!(format!("{fetch:?}"), r#"fetch.traced_with(..).traced("users")"#);
}
