//! Spans, metrics and the page that Prometheus reads: from a chain to a dashboard.
//!
//! # The parts
//!
//! | question | answer |
//! |---|---|
//! | what did this call do, and where did its time go? | a span: [`traced`](crate::FnExt::traced) |
//! | how many calls fail, how long do they take? | a histogram: [`metered`](crate::FnExt::metered) |
//! | is the limiter full, is the circuit open? | counts and states of the handles: an [`Observer`](crate::metrics::Observer) |
//! | what happened to this one call just now? | log lines: [`logged`](crate::FnExt::logged) |
//!
//! ```toml
//! [dependencies]
//! decor = { path = "../decor", features = ["metrics"] } # a clone: decor is not on crates.io yet
//! metrics-exporter-prometheus = { version = "0.18", default-features = false }
//! tokio = { version = "1", features = ["macros", "net", "rt-multi-thread", "time"] }
//! axum = "0.8" # for the page
//!
//! [dev-dependencies]
//! metrics = "0.24"
//! metrics-util = { version = "0.20", default-features = false, features = ["debugging"] }
//! tokio = { version = "1", features = ["test-util"] }
//! ```
//!
//! Spans need no feature, because decor depends on `tracing` anyway. The section about
//! OpenTelemetry names its crates.
//!
//! # Calls and attempts
//!
//! The place in the chain decides what is counted. Before `retry_with`, a decorator records each
//! attempt. Behind it, a decorator records the call as a whole. Most programs want both, with two
//! names. An attempt is recorded directly behind its `timeout`, so that its duration leaves out the
//! wait for a permit.
//!
//! `metered("fetch")` counts a call that returns as `completed`, whatever it returns.
//! [`by_result`](crate::Metering::by_result) counts it as `ok` or `err`, as the queries below need:
//!
//! ```
//! # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
//! use decor::{Error, Metering, prelude::*};
//! use metrics_util::debugging::{DebugValue, DebuggingRecorder};
//! use std::time::Duration;
//!
//! /// Fails at the first attempt of each call.
//! async fn fetch(id: u64) -> Result<u64, Error> {
//!     if decor::attempt() == 1 { Err(Error::QueueFull { waiting: 7 }) } else { Ok(id) }
//! }
//!
//! /// Few values, however many errors there are.
//! fn kind(error: &Error) -> &'static str {
//!     match error {
//!         Error::TimedOut { .. } => "timeout",
//!         Error::CircuitOpen { .. } => "circuit_open",
//!         _ => "refused",
//!     }
//! }
//!
//! let fetch = fetch
//!     .timeout(Duration::from_secs(2))
//!     .traced("attempt")
//!     .metered_with(Metering::new("attempt").by_result().error_type(kind))
//!     .retry_with(RetryPolicy::default())
//!     .transient()
//!     .timeout(Duration::from_secs(10))
//!     .traced("fetch")
//!     .metered_with(Metering::new("fetch").by_result().error_type(kind));
//!
//! let recorder = DebuggingRecorder::new();
//! let _guard = metrics::set_default_local_recorder(&recorder);
//! assert_eq!(fetch.call(42).await, Ok(42));
//!
//! let durations = |name: &str, outcome: &str| {
//!     let all = recorder.snapshotter().snapshot().into_vec().into_iter();
//!     let mut found = all.filter(|(key, ..)| {
//!         let has = |value| key.key().labels().any(|label| label.value() == value);
//!         key.key().name() == "decor.call.duration" && has(name) && has(outcome)
//!     });
//!     found.next().map(|(.., value)| value)
//! };
//! // The attempts took no time, and the call the delay between them.
//! assert_eq!(durations("fetch", "ok"), Some(DebugValue::Histogram(vec![1.0.into()])));
//! # }
//! ```
//!
//! If `fetch` hangs, every caller has its error after 9 s: three attempts of 2 s, with waits of 1 s
//! and 2 s.
//!
//! # Spans in OpenTelemetry
//!
//! decor emits spans of `tracing`, and `tracing-opentelemetry` sends them on, with their name,
//! parent, status and description. decor does not depend on OpenTelemetry, so the versions are
//! yours. This is the whole setup, here with an exporter that keeps the spans:
//!
//! ```
//! use decor::prelude::*;
//! use opentelemetry::trace::{Status, TracerProvider};
//! use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider};
//! use tracing_subscriber::layer::SubscriberExt;
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
//! let exporter = InMemorySpanExporter::default(); // in a service: that of opentelemetry-otlp
//! let provider = SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build();
//! let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("my-service"));
//! let subscriber = tracing_subscriber::registry().with(layer);
//! let _guard = tracing::subscriber::set_default(subscriber); // in a service: set_global_default
//!
//! async fn fetch(id: u64) -> Result<u64, String> {
//!     if decor::attempt() == 1 { Err("busy".into()) } else { Ok(id) }
//! }
//! let fetch = fetch.traced("attempt").retry_with(RetryPolicy::default()).traced("fetch");
//! assert_eq!(fetch.call(42).await, Ok(42));
//!
//! let spans = exporter.get_finished_spans().unwrap();
//! let shown = spans.iter().map(|span| (&*span.name, span.status.clone())).collect::<Vec<_>>();
//! let busy = Status::error("busy");
//! // A call that succeeded after a retry is no error.
//! assert_eq!(shown, [("attempt", busy), ("attempt", Status::Unset), ("fetch", Status::Unset)]);
//! assert_eq!(spans[0].parent_span_id, spans[2].span_context.span_id());
//! # }
//! ```
//!
//! The crates are `opentelemetry` and `opentelemetry_sdk` 0.33, `tracing-opentelemetry` 0.34 and
//! `tracing-subscriber` 0.3. A subscriber without OpenTelemetry, such as that of
//! `tracing_subscriber::fmt`, shows the span as `call{otel.name="fetch"}`.
//!
//! A client that passes the context of its span on, in a header, does so from within the span of
//! its attempt. The server's spans then have that attempt as their parent.
//!
//! # Handles
//!
//! Handles count anyway. An [`Observer`](crate::metrics::Observer) reads them at each scrape, and
//! adds nothing to a call. Make the observer where the handles are made:
//!
//! ```
//! use decor::{KeyedLimiter, metrics::Observer, prelude::*};
//! use metrics_exporter_prometheus::PrometheusBuilder;
//! use std::time::Duration;
//!
//! let recorder = PrometheusBuilder::new()
//!     .with_recommended_naming(true) // `_seconds`, `_total`
//!     .set_buckets(&[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0])
//!     .unwrap()
//!     .build_recorder(); // in a service: `.install_recorder()?`, which returns the page
//! let page = recorder.handle();
//!
//! let api = RateLimiter::new(100, Duration::from_secs(1));
//! let users: KeyedLimiter<u64> = KeyedLimiter::new(10, Duration::from_secs(1));
//! let observer = Observer::new().observe("api", &api).observe("users", &users);
//!
//! api.try_acquire()?;
//! users.for_key(&7).try_acquire()?;
//! let page = metrics::with_local_recorder(&recorder, || {
//!     observer.collect();
//!     page.render()
//! });
//! assert!(page.contains(r#"decor_rate_limiter_calls_total{name="api",outcome="admitted"} 1"#));
//! assert!(page.contains(r#"decor_rate_limiter_keys{name="users"} 1"#)); // never a key itself
//! # Ok::<(), decor::Error>(())
//! ```
//!
//! In axum, the page is one route:
//!
//! ```
//! use axum::{Router, extract::State, routing::get};
//! use decor::metrics::Observer;
//! use metrics_exporter_prometheus::PrometheusHandle;
//!
//! async fn metrics(State((observer, page)): State<(Observer, PrometheusHandle)>) -> String {
//!     observer.collect();
//!     page.render()
//! }
//!
//! fn router(observer: Observer, page: PrometheusHandle) -> Router {
//!     Router::new().route("/metrics", get(metrics)).with_state((observer, page))
//! }
//! ```
//!
//! # Three traps of the exporter
//!
//! - Without buckets it makes summaries. No query can add up summaries of several processes.
//! - It keeps each duration until the page is rendered. If nothing scrapes the page, call
//!   `run_upkeep()` on its handle every few seconds.
//! - A label of each user, path or text makes a series of each, for ever. The labels of decor are
//!   names of yours and a few fixed values.
//!
//! # The dashboard
//!
//! `examples/metrics` is a service with all of this, and has a Grafana dashboard, alert rules and a
//! configuration of Prometheus beside it. `examples/metrics/README.md` says how to look at them.
//! Questions that a dashboard should answer, and their queries:
//!
//! | question | query |
//! |---|---|
//! | what share of the calls fails? | `sum by (name) (rate(decor_call_duration_seconds_count{outcome=~"err\|panicked"}[5m])) / sum by (name) (rate(decor_call_duration_seconds_count[5m]))` |
//! | how long do 99 of 100 calls take? | `histogram_quantile(0.99, sum by (name, le) (rate(decor_call_duration_seconds_bucket[5m])))` |
//! | how many attempts has a call? | the rate of the attempts, divided by the rate of the calls |
//! | which circuit is open? | `decor_circuit_breaker_state{state=~"open\|isolated"} > 0` |
//! | does the limiter refuse calls? | `rate(decor_rate_limiter_calls_total{outcome="refused"}[5m])` |
//! | do retries run out of budget? | `rate(decor_retry_budget_refusals_total[5m])` |
//! | is a store down that processes share? | `decor_rate_limiter_store_up == 0 or decor_memo_tier_up == 0` |
//!
//! # From here
//!
//! - [`decor::metrics`](crate::metrics) lists every metric, and reports handles of your own.
//! - [`past_one_machine`](super::past_one_machine) has shared limits, which report their store too.
//! - The log lines of all decorators: [Logs](crate#logs).
